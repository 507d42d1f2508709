/**
 * One taker of captured frames: its place in the plane's ring, its filter, and the events it is told of.
 *
 * Frames come out some milliseconds late on purpose: by then every thread of the plane has written what it saw before,
 * and control has learnt what happened, so that everything stands in the order of time. Pure but for the ring it reads.
 */
import type { BpfProgram } from "../filter/bpf.ts";
import type { CaptureReader } from "../filter/dpdk.ts";
import { tapBit } from "../filter/names.ts";
import { type CaptureMark, type CaptureRecord, encodeMark, RecordDecoder } from "./capture_encode.ts";
import { ALL_ROLES, type Role } from "./view.ts";

/** Longer than a turn of the plane, and than control takes to fetch an event: two of its ticks. */
export const BEHIND_NS = 25_000_000n;
/** Less than a millisecond of work, then control looks after other things. */
const TAKE_BYTES = 32 * 1024;
/** Events between two looks are a handful; beyond this the oldest are left out. */
const MARKS_MAX = 256;

export interface FeedOptions {
  /** Makes a packet of each record. */
  readonly encoder: { record(record: CaptureRecord): Uint8Array };
  /** Bits of tapBit(). */
  readonly wanted: number;
  readonly program: BpfProgram;
  readonly snapBytes: number;
}

export interface Taken {
  /** Blocks of packets and marks, in the order of time. */
  readonly parts: readonly Uint8Array[];
  readonly packets: number;
  /** When the first of them was; null: there are none. */
  readonly startNs: bigint | null;
  /** Nothing older is left. */
  readonly dry: boolean;
}

/** Copies of the mirror, and both directions of `ports`. A port that is looked at as a whole shows each frame once. */
export function wantedTaps(ports: readonly Role[]): number {
  return ALL_ROLES.reduce((bits, role, i) => {
    const whole = ports.includes(role);
    return bits | (whole ? tapBit("in", i) | tapBit("out", i) : tapBit("copy", i));
  }, 0);
}

export class CaptureFeed {
  readonly #options: FeedOptions;
  readonly #buffer: Uint8Array<ArrayBuffer>;
  #reader: CaptureReader | null = null;
  #decoder: RecordDecoder | null = null;
  #missedBefore = 0;
  #marks: CaptureMark[] = [];
  #lastNs = 0n;

  constructor(options: FeedOptions) {
    this.#options = options;
    // A record must fit, however long frames may be.
    this.#buffer = new Uint8Array(Math.max(TAKE_BYTES, 2 * options.snapBytes + 1024));
  }

  get wanted(): number {
    return this.#options.wanted;
  }

  /** Read another ring: that of a plane that has just come. What the one before still held is given up with it. */
  attach(reader: CaptureReader): void {
    this.detach();
    reader.choose(this.#options.wanted, this.#options.program);
    this.#reader = reader;
    this.#decoder = new RecordDecoder(reader.layout);
  }

  detach(): void {
    this.#missedBefore = this.missed;
    this.#reader?.close();
    this.#reader = null;
    this.#decoder = null;
  }

  /** Records that were overwritten before they could be looked at. */
  get missed(): number {
    return this.#missedBefore + (this.#reader?.missed() ?? 0);
  }

  mark(mark: CaptureMark): void {
    this.#marks.push(mark);
    if (this.#marks.length > MARKS_MAX) this.#marks.shift();
  }

  /** What happened before `untilNs`, in its order, as much as one look takes. */
  take(untilNs: bigint, packetsMax = Infinity): Taken {
    const used = this.#reader?.take(untilNs, this.#buffer) ?? 0;
    const records = used === 0 ? [] : this.#decoder!.decode(this.#buffer.subarray(0, used));
    const startNs = earlier(records[0]?.timeNs, this.#marks[0]?.timeNs);
    const parts: Uint8Array[] = [];
    let packets = 0;
    for (const record of records) {
      if (packets >= packetsMax) break;
      this.#putMarks(parts, record.monoNs);
      parts.push(this.#options.encoder.record(record));
      this.#lastNs = record.timeNs;
      packets++;
    }
    // With more to come, later marks have to wait for it.
    const dry = used === 0;
    if (dry) this.#putMarks(parts, untilNs);
    return { parts, packets, startNs: parts.length === 0 ? null : startNs, dry };
  }

  #putMarks(parts: Uint8Array[], beforeNs: bigint): void {
    while (this.#marks[0] !== undefined && this.#marks[0].monoNs < beforeNs) {
      const { timeNs, ...mark } = this.#marks.shift()!;
      // Its clock has microseconds; it must not seem to be earlier than the frame it stands behind.
      const shownNs = timeNs < this.#lastNs ? this.#lastNs : timeNs;
      if (mark.text !== "") parts.push(encodeMark({ ...mark, timeNs: shownNs }, this.#options.snapBytes));
      if (mark.blocks !== undefined) parts.push(mark.blocks);
    }
  }
}

function earlier(one: bigint | undefined, other: bigint | undefined): bigint | null {
  if (one === undefined || other === undefined) return one ?? other ?? null;
  return one < other ? one : other;
}
