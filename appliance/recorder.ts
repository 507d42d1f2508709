/**
 * The flight recorder: what the node decided, kept on disk with all it was decided by, in bounded room.
 *
 * Decisions on frames come through a ring of the plane, steps of the reflexes off the board, events and judgements from
 * control; they stand in one file in the order of time. What goes wrong with the disk is told once and costs forwarding
 * nothing. An edge: it reads the clock.
 */
import type { Board } from "../filter/board.ts";
import type { CaptureReader } from "../filter/dpdk.ts";
import { ABI_VERSION } from "../filter/names.ts";
import { joinBytes } from "../filter/pcapng.ts";
import { captureHead, type CaptureMark, markOf } from "./capture_encode.ts";
import { CaptureFeed } from "./capture_feed.ts";
import { CaptureRing, listCaptureFiles } from "./capture_files.ts";
import { Keeping } from "./capture_keeping.ts";
import type { Config } from "./config.ts";
import type { Judged } from "./judgement.ts";
import { specsOf } from "./node_views.ts";
import { DecisionEncoder, rulesOf } from "./recorder_encode.ts";
import { encodeEntry, encodeNote, Sealer } from "./recorder_format.ts";
import { savedPieces } from "./recorder_save.ts";
import type { CaptureAnswer, EventView, RecorderControl, RecorderStatus, SaveRequest } from "./view.ts";
import { VERSION } from "./version.ts";

const BYTES_PER_MIB = 1024 * 1024;
const MS_PER_HOUR = 3_600_000;
/** Every tap of every role: the plane only asks whether there is any. */
const ALL_TAPS = 0x3fffffff;
/** Rules that decisions still on their way may have gone by. */
const GENERATIONS = 4;
const COUNTERS_NS = 10_000_000_000n;

/** One generation of rules, as it stands in the files. */
interface Rules {
  readonly boot: bigint;
  readonly generation: number;
  readonly monoNs: bigint;
  readonly block: Uint8Array;
}

export interface RecorderOptions {
  readonly config: Config;
  readonly monoNs: () => bigint;
  /** Another reader of the present plane's ring; null: it has none. @throws Error */
  readonly open: () => CaptureReader | null;
  /** Of the present plane; null: there is none. */
  readonly board: () => Board | null;
  readonly lastSwitch: () => EventView | null;
  readonly complain: (text: string) => void;
}

export class Recorder implements RecorderControl {
  readonly #options: RecorderOptions;
  readonly #encoder = new DecisionEncoder();
  #config: Config;
  #teller: CaptureReader | null = null;
  #keeping: Keeping | null = null;
  #on = true;
  #rules: readonly Rules[] = [];
  /** Of times when it was on before. */
  #before = { packets: 0, missed: 0 };
  #stepsRead = 0;
  #stepsMissed = 0;
  #countersAtNs = 0n;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#config = options.config;
  }

  /** A plane runs: take what it decides. */
  attach(): void {
    this.#teller?.close();
    this.#teller = this.#open();
    const board = this.#options.board();
    if (this.#teller === null || board === null) return;
    this.#encoder.use({ witness: this.#teller.layout, ruleName: (rule) => board.text("rule.name", rule) });
    this.#stepsRead = Math.max(0, board.number("live.step_sequence") - board.count("step.sequence"));
    if (this.#keeping !== null) this.#attachFeed(this.#keeping.feed);
    this.#begin();
    this.rules();
    for (const { monoNs, block } of this.#rules) this.#mark({ monoNs, text: "", blocks: block });
    this.#note({ about: "node", ...this.#about(board) });
  }

  /** Take down the rules on the board: before others are written, and after, with the time before, for the plane may have
   * taken them over already. */
  rules(monoNs = this.#options.monoNs()): void {
    const board = this.#options.board();
    if (board === null) return;
    const boot = board.big("header.boot"), generation = board.number("command.rule_generation");
    const known = this.#rules.filter((rules) => rules.boot === boot);
    if (generation % 2 === 1 || known.at(-1)?.generation === generation) return;
    const block = encodeEntry({ kind: "rules", timeNs: wallNs(), data: rulesOf(board) });
    this.#rules = [...known, { boot, generation, monoNs, block }].slice(-GENERATIONS);
    this.#encoder.renamed();
    this.#mark({ monoNs, text: "", blocks: block });
  }

  /** Another configuration is in force. */
  configure(config: Config): void {
    const { mib, hours, directory } = this.#config.recorder, after = config.recorder;
    const isSame = mib === after.mib && hours === after.hours && directory === after.directory;
    this.#config = config;
    if (isSame) return;
    void this.#end();
    this.#begin();
  }

  /** Something happened. */
  event(event: EventView): void {
    const mark = markOf(event);
    this.#keeping?.feed.mark({ ...mark, blocks: encodeNote(mark.timeNs, { about: "event", event }) });
  }

  /** The point of failover came to another verdict. */
  judged(judged: Judged): void {
    this.#note({ about: "judgement", ...judged });
  }

  /** Take new steps off the board; counters now and then. */
  look(): void {
    const board = this.#options.board();
    if (board === null || this.#keeping === null) return;
    this.#takeSteps(board);
    const nowNs = this.#options.monoNs();
    if (nowNs - this.#countersAtNs < COUNTERS_NS) return;
    this.#countersAtNs = nowNs;
    this.#note({ about: "counters", ...countersOf(board) });
  }

  async close(): Promise<void> {
    await this.#end();
    this.#teller?.close();
    this.#teller = null;
  }

  status(): RecorderStatus {
    const { directory, mib, rate, hours } = this.#config.recorder;
    const files = listCaptureFiles(directory, "flight");
    const board = this.#options.board();
    return {
      on: this.#keeping !== null,
      directory,
      bytesMax: mib * BYTES_PER_MIB,
      bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      files: files.length,
      hoursMax: hours,
      rateMax: rate,
      oldestMs: files[0]?.startMs ?? null,
      decisions: this.#before.packets + (this.#keeping?.packets ?? 0),
      missed: this.#before.missed + (this.#keeping?.missed ?? 0) + this.#stepsMissed,
      shed: board === null ? 0 : counter(board, "record_shed"),
      failing: this.#keeping?.failing ?? null,
    };
  }

  set({ on }: { readonly on: boolean }): { readonly ok: boolean; readonly text: string } {
    if (on && this.#config.recorder.mib === 0) {
      return { ok: false, text: "recorder.mib is 0: there is no recorder" };
    }
    this.#on = on;
    if (!on) void this.#end();
    else {
      this.#begin();
      if (this.#keeping === null) {
        return { ok: false, text: "the plane was started without a recorder: start it again" };
      }
    }
    const until = "until it is turned on again, or control starts anew";
    return { ok: true, text: on ? "the recorder is on" : `the recorder is off, ${until}` };
  }

  save({ lastS, aroundS, atMs }: SaveRequest): CaptureAnswer {
    const refusal = (text: string): CaptureAnswer => ({ ok: false, fault: "node", text });
    const { directory, mib } = this.#config.recorder;
    const files = listCaptureFiles(directory, "flight");
    if (files.length === 0) {
      return refusal(
        `nothing is recorded${mib === 0 ? "; set recorder.mib and start the plane again" : " yet"}`,
      );
    }
    const aroundMs = atMs ?? this.#options.lastSwitch()?.wallMs;
    if (lastS === null && aroundMs === undefined) {
      return refusal("no switch is known; ask for the last minutes instead");
    }
    const span = lastS !== null
      ? { fromMs: Date.now() - lastS * 1000, toMs: Infinity }
      : { fromMs: aroundMs! - aroundS * 1000, toMs: aroundMs! + aroundS * 1000 };
    const paths = files.filter(({ startMs, endMs }) => endMs >= span.fromMs && startMs <= span.toMs)
      .map(({ name }) => `${directory}/${name}`);
    return { ok: true, stream: ReadableStream.from(savedPieces(paths, { head: this.#head(), ...span })) };
  }

  #open(): CaptureReader | null {
    if (this.#config.recorder.mib === 0) return null;
    try {
      return this.#options.open();
    } catch (error) {
      this.#options.complain(`${error instanceof Error ? error.message : error}: nothing is recorded`);
      return null;
    }
  }

  #attachFeed(feed: CaptureFeed): void {
    const reader = this.#open();
    if (reader !== null) feed.attach(reader);
    this.#teller?.want(ALL_TAPS);
  }

  #begin(): void {
    const { directory, mib, hours, snapBytes } = this.#config.recorder;
    if (mib === 0 || !this.#on || this.#teller === null || this.#keeping !== null) return;
    const ring = new CaptureRing({
      directory,
      bytesMax: mib * BYTES_PER_MIB,
      name: "flight",
      ageMsMax: hours * MS_PER_HOUR,
      head: () => joinBytes([this.#head(), ...this.#rules.map(({ block }) => block)]),
      seal: () => {
        const sealer = new Sealer();
        return (bytes) => sealer.seal(bytes);
      },
    });
    const feed = new CaptureFeed({ encoder: this.#encoder, wanted: ALL_TAPS, program: [], snapBytes });
    this.#attachFeed(feed);
    this.#keeping = new Keeping(feed, ring, { ...this.#options, what: "the flight recorder's files" });
  }

  async #end(): Promise<void> {
    const keeping = this.#keeping;
    this.#keeping = null;
    this.#teller?.want(0);
    await keeping?.end();
    const { packets, missed } = this.#before;
    this.#before = { packets: packets + (keeping?.packets ?? 0), missed: missed + (keeping?.missed ?? 0) };
  }

  #head(): Uint8Array {
    const { node, recorder } = this.#config;
    return captureHead({
      node: node.name,
      version: VERSION,
      specs: specsOf(this.#config),
      filter: "",
      snapBytes: recorder.snapBytes,
      comment: `flight recorder, layout ${ABI_VERSION}`,
    });
  }

  #about(board: Board): Record<string, unknown> {
    return {
      node: this.#config.node.name,
      version: VERSION,
      layout: ABI_VERSION,
      boot: String(board.big("header.boot")),
      startedWallNs: String(board.big("header.started_wall_ns")),
    };
  }

  #note(note: Parameters<typeof encodeNote>[1]): void {
    this.#mark({ text: "", blocks: encodeNote(wallNs(), note) });
  }

  #mark(mark: Pick<CaptureMark, "text" | "blocks"> & { readonly monoNs?: bigint }): void {
    this.#keeping?.feed.mark({ monoNs: this.#options.monoNs(), timeNs: wallNs(), ...mark });
  }

  #takeSteps(board: Board): void {
    const last = board.number("live.step_sequence"), places = board.count("step.sequence");
    if (last < this.#stepsRead) this.#stepsRead = 0; // another plane's
    const first = Math.max(this.#stepsRead + 1, last - places + 1);
    this.#stepsMissed += first - this.#stepsRead - 1;
    for (let sequence = first; sequence <= last; sequence++) this.#takeStep(board, sequence);
    this.#stepsRead = last;
  }

  #takeStep(board: Board, sequence: number): void {
    const place = sequence % board.count("step.sequence");
    const data = board.bytes("step", place);
    // The copy is whole if the number was there before and after.
    if (board.number("step.sequence", place) !== sequence) return void this.#stepsMissed++;
    const monoNs = board.big("step.mono_ns", place), timeNs = board.big("step.wall_ns", place);
    const blocks = encodeEntry({ kind: "step", timeNs, data });
    this.#keeping?.feed.mark({ monoNs, timeNs, text: "", blocks });
  }
}

function wallNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

function counter(board: Board, name: string): number {
  for (let i = 0; i < board.count("counter.name"); i++) {
    if (board.text("counter.name", i) === name) return board.number("counter.packets", i);
  }
  return 0;
}

/** Those that are not zero. */
function countersOf(board: Board): Record<string, unknown> {
  const named = (label: string) =>
    Object.fromEntries(
      Array.from({ length: board.count(`${label}.name`) }, (_, i) =>
        [
          board.text(`${label}.name`, i),
          board.number(`${label}.packets`, i),
        ] as const).filter(([, packets]) => packets > 0),
    );
  const flows = Array.from({ length: board.count("live.flows") }, (_, i) => board.number("live.flows", i));
  return { counter: named("counter"), why: named("why"), shed: named("shed"), parse: named("parse"), flows };
}
