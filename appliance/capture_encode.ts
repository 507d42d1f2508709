/**
 * From records of the capture ring and events of the node to a pcapng file.
 *
 * A section has one interface for each port, by role, and one for the node itself, whose packets are marks: what
 * happened at that moment, as the comment of a frame that nobody has sent. A copy says in its comment why it was made
 * and by which rule. Pure.
 */
import type { Board } from "../filter/board.ts";
import type { CapturedFrame } from "../filter/capture.ts";
import { NO_RULE, TAP, type Tap, WHY } from "../filter/names.ts";
import { pcapngHead, pcapngPacket, pcapngStatistics } from "../filter/pcapng.ts";
import { ALL_ROLES, type EventView, type Role, ROLES } from "./view.ts";

/** The interface of marks. */
export const NODE_PORT = ROLES.length;
/** Ports that not every node has come behind it; a file names all, for one of ours may be copied into another. */
export const interfaceOf = (role: number) => role < NODE_PORT ? role : role + 1;
const NODE_PORT_NAME = "node";
/** Local experiments (IEEE 802): no program takes it for traffic, and none for a broken frame. */
const MARK_TYPE = 0x88b5;
const ETHERNET_BYTES = 14;

/** One record of the ring. */
export interface CaptureRecord {
  readonly monoNs: bigint;
  readonly timeNs: bigint;
  readonly wireLength: number;
  readonly role: number;
  readonly tap: Tap;
  readonly why: number;
  readonly rule: number;
  /** A view. */
  readonly bytes: Uint8Array;
}

/** Something that happened, to stand among the packets. */
export interface CaptureMark {
  readonly monoNs: bigint;
  readonly timeNs: bigint;
  /** Empty: it is for `blocks` alone. */
  readonly text: string;
  /** Whole blocks that stand behind it. */
  readonly blocks?: Uint8Array;
}

/** What a node says of itself in the head of a file. */
export interface CaptureOrigin {
  readonly node: string;
  readonly version: string;
  readonly specs: Readonly<Partial<Record<Role, string>>>;
  readonly snapBytes: number;
  readonly filter: string;
  readonly comment?: string;
}

const NS_PER_US = 1000;

export function markOf(event: EventView): CaptureMark {
  return {
    monoNs: BigInt(Math.round(event.monoUs * NS_PER_US)),
    timeNs: BigInt(Math.round(event.wallMs * 1000)) * 1000n,
    text: `${event.kind}: ${event.text}`,
  };
}

/** Reads what CaptureReader.take() has put into a buffer. */
export class RecordDecoder {
  readonly #at: Readonly<Record<string, number>>;
  readonly #headBytes: number;

  constructor(layout: Board) {
    const names = ["mono_ns", "wall_ns", "wire_bytes", "bytes", "role", "tap", "why", "rule"];
    this.#at = Object.fromEntries(names.map((name) => [name, layout.offset(`record.${name}`)]));
    this.#headBytes = layout.number("header.record_bytes");
  }

  decode(taken: Uint8Array): CaptureRecord[] {
    const view = new DataView(taken.buffer, taken.byteOffset, taken.length);
    const records: CaptureRecord[] = [];
    const field = this.#at;
    for (let at = 0; at < taken.length;) {
      const bytes = view.getUint16(at + field.bytes!, true);
      const start = at + this.#headBytes;
      records.push({
        monoNs: view.getBigUint64(at + field.mono_ns!, true),
        timeNs: view.getBigUint64(at + field.wall_ns!, true),
        wireLength: view.getUint32(at + field.wire_bytes!, true),
        role: taken[at + field.role!]!,
        tap: TAP[taken[at + field.tap!]!] ?? "in",
        why: taken[at + field.why!]!,
        rule: taken[at + field.rule!]!,
        bytes: taken.subarray(start, start + bytes),
      });
      at = (start + bytes + 7) & ~7; // as C pads them
    }
    return records;
  }
}

/** The section and its interfaces, with the indices that records have. */
export function captureHead(origin: CaptureOrigin): Uint8Array<ArrayBuffer> {
  const filter = origin.filter === "" ? {} : { filter: origin.filter };
  const port = (role: Role) => ({
    name: role,
    description: origin.specs[role] ?? "there is none",
    ...filter,
  });
  return pcapngHead({
    hardware: `Remediate node ${origin.node}`,
    application: `Remediate ${origin.version}`,
    snapBytes: origin.snapBytes,
    ...(origin.comment !== undefined && { comment: origin.comment }),
    ports: [
      ...ROLES.map(port),
      { name: NODE_PORT_NAME, description: "events of the node, as comments of frames that nobody sent" },
      ...ALL_ROLES.slice(NODE_PORT).map(port),
    ],
  });
}

/** Encodes for one file. `ruleName` tells what the rule of an index is called now; empty: it has no name. */
export class CaptureEncoder {
  readonly #ruleName: (rule: number) => string;
  readonly #comments = new Map<string, Uint8Array>();

  constructor(ruleName: (rule: number) => string) {
    this.#ruleName = ruleName;
  }

  record(record: CaptureRecord): Uint8Array<ArrayBuffer> {
    const { role, timeNs, bytes, wireLength, tap } = record;
    const direction = tap === "in" ? "in" : "out";
    const packet = { port: interfaceOf(role), timeNs, bytes, wireLength, direction } as const;
    return pcapngPacket(tap === "copy" ? { ...packet, comment: this.#comment(record) } : packet);
  }

  /** The few there are, as bytes: encoding the same words for each packet would cost most of the work. */
  #comment({ why, rule }: CaptureRecord): Uint8Array {
    const name = rule === NO_RULE ? "" : this.#ruleName(rule);
    const text = `mirrored: ${WHY[why] ?? "?"}${name === "" ? "" : `, rule ${name}`}`;
    let bytes = this.#comments.get(text);
    if (bytes === undefined) {
      bytes = new TextEncoder().encode(text);
      this.#comments.set(text, bytes);
    }
    return bytes;
  }
}

/** The text is the payload too, for programs that show no comments; cut as all frames are, or libpcap refuses it. */
export function encodeMark({ timeNs, text }: CaptureMark, snapBytes: number): Uint8Array<ArrayBuffer> {
  const comment = new TextEncoder().encode(text);
  const frame = new Uint8Array(ETHERNET_BYTES + comment.length);
  new DataView(frame.buffer).setUint16(ETHERNET_BYTES - 2, MARK_TYPE);
  frame.set(comment, ETHERNET_BYTES);
  const bytes = frame.subarray(0, snapBytes);
  return pcapngPacket({ port: NODE_PORT, timeNs, bytes, wireLength: frame.length, comment });
}

/** How many packets stand in the file so far, and how many were not looked at in time. */
export function encodeCounts(
  timeNs: bigint,
  counts: { kept: number; lost: number },
): Uint8Array<ArrayBuffer> {
  return pcapngStatistics(NODE_PORT, timeNs, counts);
}

/** A frame of a file of ours, for another one. Null: it is of a port that there is none of. */
export function encodeAgain(frame: CapturedFrame): Uint8Array<ArrayBuffer> | null {
  const role = ALL_ROLES.findIndex((name) => name === frame.port);
  const port = isMark(frame) ? NODE_PORT : role < 0 ? role : interfaceOf(role);
  if (port < 0) return null;
  const { timeNs, bytes, wireLength, comment } = frame;
  const packet = { port, timeNs, bytes, wireLength, ...(comment !== undefined && { comment }) };
  return pcapngPacket(port === NODE_PORT ? packet : { ...packet, direction: "out" });
}

/** Is it a mark, which every filter lets pass? */
export function isMark(frame: Pick<CapturedFrame, "port">): boolean {
  return frame.port === NODE_PORT_NAME;
}
