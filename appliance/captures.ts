/**
 * Captures of a node: who takes frames from the plane, the ring on disk among them, and what the plane is told to write.
 *
 * The plane writes only what somebody takes. A plane that comes anew has another ring, to which everybody moves; what
 * goes wrong with the disk is told once and costs forwarding nothing. An edge: it reads the clock.
 */
import type { CaptureReader } from "../filter/dpdk.ts";
import { compileFilter } from "../filter/pcap_filter.ts";
import { CaptureEncoder, captureHead, markOf } from "./capture_encode.ts";
import { CaptureFeed, wantedTaps } from "./capture_feed.ts";
import { CaptureRing, listCaptureFiles } from "./capture_files.ts";
import { Keeping } from "./capture_keeping.ts";
import { keptPieces } from "./capture_kept.ts";
import { liveStream } from "./capture_live.ts";
import type { Config } from "./config.ts";
import { specsOf } from "./node_views.ts";
import type {
  CaptureAnswer,
  CaptureControl,
  CaptureListing,
  EventView,
  KeptRequest,
  LiveRequest,
} from "./view.ts";
import { VERSION } from "./version.ts";

const BYTES_PER_MIB = 1024 * 1024;
/** Of a frame that nothing was cut off, as libpcap sees it. */
const SNAP_BYTES_MAX = 262_144;
/** Each takes a share of control's time; a person needs one. */
const LIVE_MAX = 4;
export interface CapturesOptions {
  readonly config: Config;
  readonly monoNs: () => bigint;
  /** Another reader of the present plane's ring; null: it has none. @throws Error */
  readonly open: () => CaptureReader | null;
  readonly ruleName: (rule: number) => string;
  readonly lastSwitch: () => EventView | null;
  /** When the traffic was moved, as far as is known. */
  readonly switchTimesMs: () => readonly number[];
  readonly complain: (text: string) => void;
}

export class Captures implements CaptureControl {
  readonly #options: CapturesOptions;
  readonly #live = new Set<CaptureFeed>();
  readonly #wishes = new Set<{ readonly wanted: number }>();
  #config: Config;
  /** Tells the plane what is wanted, and whether there is a ring. */
  #teller: CaptureReader | null = null;
  #keeping: Keeping | null = null;
  readonly #stop = new AbortController();

  constructor(options: CapturesOptions) {
    this.#options = options;
    this.#config = options.config;
  }

  /** A plane runs: take its frames. Without a ring there are no captures, and that is told. */
  attach(): void {
    this.#teller?.close();
    this.#teller = this.#open();
    if (this.#teller === null) return;
    for (const feed of this.#feeds()) this.#attachFeed(feed);
    this.#beginKeeping();
    this.#want();
  }

  /** For somebody who looks at frames at once: a reader of its own, and what is wanted until it ends. @throws Error */
  tap(wanted: number): { reader: CaptureReader; end: () => void } {
    const reader = this.#teller === null ? null : this.#options.open();
    if (reader === null) throw new Error(`Cannot see frames: ${this.#whyNone()}`);
    const wish = { wanted };
    this.#wishes.add(wish);
    this.#want();
    const end = () => {
      this.#wishes.delete(wish);
      this.#want();
    };
    return { reader, end };
  }

  /** Another configuration is in force. */
  configure(config: Config): void {
    const { ringMib, directory } = this.#config.capture;
    const isSame = ringMib === config.capture.ringMib && directory === config.capture.directory;
    this.#config = config;
    if (isSame) return;
    void this.#endKeeping();
    this.#beginKeeping();
    this.#want();
  }

  /** Something happened. */
  mark(event: EventView): void {
    for (const feed of this.#feeds()) feed.mark(markOf(event));
  }

  /** End everything that is open, in order. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#endKeeping();
    for (const feed of this.#live) feed.detach();
    this.#live.clear();
    this.#want();
    this.#teller?.close();
    this.#teller = null;
  }

  live({ filter, ports, seconds, packets }: LiveRequest): CaptureAnswer {
    const compiled = compiledFilter(filter);
    if ("text" in compiled) return refusal("request", compiled.text);
    if (this.#teller === null) return refusal("node", this.#whyNone());
    if (this.#live.size >= LIVE_MAX) return refusal("node", `${LIVE_MAX} captures run already`);
    const feed = this.#feed(wantedTaps(ports), compiled.program);
    this.#live.add(feed);
    this.#attachFeed(feed);
    this.#want();
    const ended = () => {
      feed.detach();
      this.#live.delete(feed);
      this.#want();
    };
    const { monoNs } = this.#options;
    const stream = liveStream(feed, {
      head: this.#head(filter),
      ...{ seconds, packets, monoNs, ended },
      stop: this.#stop.signal,
    });
    return { ok: true, stream };
  }

  kept({ filter, lastS, aroundS, atMs }: KeptRequest): CaptureAnswer {
    const compiled = compiledFilter(filter);
    if ("text" in compiled) return refusal("request", compiled.text);
    const { directory, ringMib } = this.#config.capture;
    const files = listCaptureFiles(directory);
    if (files.length === 0) {
      const why = ringMib === 0 ? "; set capture.ring_mib and reload to keep one" : " yet";
      return refusal("node", `there is no ring of captured frames${why}`);
    }
    const aroundMs = atMs ?? this.#options.lastSwitch()?.wallMs;
    if (lastS === null && aroundMs === undefined) {
      return refusal("node", "no switch is known; ask for the last minutes instead");
    }
    const span = lastS !== null
      ? { fromMs: Date.now() - lastS * 1000, toMs: Infinity }
      : { fromMs: aroundMs! - aroundS * 1000, toMs: aroundMs! + aroundS * 1000 };
    const paths = files.filter(({ startMs, endMs }) => endMs >= span.fromMs && startMs <= span.toMs)
      .map(({ name }) => `${directory}/${name}`);
    // What it was when they were kept, nobody knows.
    const head = this.#head(filter, SNAP_BYTES_MAX);
    const pieces = keptPieces(paths, { head, ...span, program: compiled.program });
    return { ok: true, stream: ReadableStream.from(pieces) };
  }

  list(): CaptureListing {
    const { directory, ringMib } = this.#config.capture;
    const files = listCaptureFiles(directory);
    const moved = this.#options.switchTimesMs();
    const switches = (startMs: number, endMs: number) =>
      moved.filter((ms) => ms >= startMs && ms < endMs).length;
    return {
      directory,
      bytesMax: ringMib * BYTES_PER_MIB,
      packets: this.#keeping?.packets ?? 0,
      missed: this.#keeping?.missed ?? 0,
      failing: this.#keeping?.failing ?? null,
      // The next one begins before the last write to this one shows.
      files: files.map((file, i) => ({
        ...file,
        switches: switches(file.startMs, files[i + 1]?.startMs ?? Infinity),
      })),
    };
  }

  #whyNone(): string {
    return this.#config.capture.bufferMib === 0
      ? "the plane has no buffer for them: set capture.buffer_mib and start it again"
      : "there is no plane, or it was started without a buffer for them";
  }

  #open(): CaptureReader | null {
    try {
      return this.#options.open();
    } catch (error) {
      this.#options.complain(`${error instanceof Error ? error.message : error}: there are no captures`);
      return null;
    }
  }

  #feeds(): CaptureFeed[] {
    return [...this.#live, ...(this.#keeping === null ? [] : [this.#keeping.feed])];
  }

  #feed(wanted: number, program: ReturnType<typeof compileFilter>): CaptureFeed {
    const encoder = new CaptureEncoder(this.#options.ruleName);
    return new CaptureFeed({ encoder, wanted, program, snapBytes: this.#config.capture.snapBytes });
  }

  #attachFeed(feed: CaptureFeed): void {
    const reader = this.#open();
    if (reader !== null) feed.attach(reader);
  }

  #want(): void {
    const all = [...this.#feeds(), ...this.#wishes];
    this.#teller?.want(all.reduce((bits, { wanted }) => bits | wanted, 0));
  }

  #head(filter: string, snapBytes = this.#config.capture.snapBytes): Uint8Array {
    const { name } = this.#config.node;
    return captureHead({ node: name, version: VERSION, specs: specsOf(this.#config), filter, snapBytes });
  }

  #beginKeeping(): void {
    const { directory, ringMib } = this.#config.capture;
    if (ringMib === 0 || this.#teller === null || this.#keeping !== null) return;
    const head = () => this.#head("");
    const ring = new CaptureRing({ directory, bytesMax: ringMib * BYTES_PER_MIB, head });
    const feed = this.#feed(wantedTaps([]), []);
    this.#attachFeed(feed);
    this.#keeping = new Keeping(feed, ring, this.#options);
  }

  async #endKeeping(): Promise<void> {
    const keeping = this.#keeping;
    this.#keeping = null;
    await keeping?.end();
  }
}

function refusal(fault: "request" | "node", text: string): CaptureAnswer {
  return { ok: false, fault, text };
}

/** The program of an expression, or libpcap's words. */
function compiledFilter(filter: string): { program: ReturnType<typeof compileFilter> } | { text: string } {
  try {
    return { program: compileFilter(filter) };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return { text: error.message };
    throw error;
  }
}
