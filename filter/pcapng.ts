/**
 * Writes pcapng, and finds the blocks of one that comes in pieces.
 *
 * A file is a section, its interfaces, then packets; every block stands for itself, so a file that ends between two
 * blocks is whole. All interfaces of a section are Ethernet with nanoseconds and one snap length: libpcap refuses a file
 * whose interfaces differ. Little-endian, as every machine this runs on.
 * Source: draft-ietf-opsawg-pcapng.
 */
import { LINK_ETHERNET } from "./capture.ts";

const SECTION = 0x0a0d0d0a;
const INTERFACE = 1;
const STATISTICS = 5;
const ENHANCED = 6;
const BYTE_ORDER = 0x1a2b3c4d;
const COMMENT = 1;
const NANOSECONDS = 9;
/** A block, and an option of bytes, of somebody's own, both of which a program that copies the file is to keep. */
export const NG_CUSTOM = 0x0bad;
export const NG_CUSTOM_BYTES = 2989;
/** The private enterprise number for documentation (RFC 5612): this product has none of its own. */
export const NG_ENTERPRISE = 32473;

export interface PcapngPort {
  readonly name: string;
  readonly description: string;
  /** The filter it was captured with; empty: none. */
  readonly filter?: string;
}

export interface PcapngSection {
  /** What captured: a machine. */
  readonly hardware: string;
  /** The program and its version. */
  readonly application: string;
  readonly comment?: string;
  readonly ports: readonly PcapngPort[];
  /** 0: frames are whole. */
  readonly snapBytes: number;
}

export interface PcapngPacket {
  /** Index of its interface. */
  readonly port: number;
  /** Since the epoch. */
  readonly timeNs: bigint;
  readonly bytes: Uint8Array;
  readonly wireLength: number;
  readonly direction?: "in" | "out";
  /** A text, or its bytes in UTF-8 where the same one stands at thousands of packets. */
  readonly comment?: string | Uint8Array;
  /** What only this product reads. */
  readonly custom?: Uint8Array;
}

type Bytes = Uint8Array<ArrayBuffer>;
const padded = (bytes: number) => (bytes + 3) & ~3;

/** One option: code, length, value filled up to 32 bits. */
function option(code: number, value: Uint8Array): Bytes {
  const bytes = new Uint8Array(4 + padded(value.length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, code, true);
  view.setUint16(2, value.length, true);
  bytes.set(value, 4);
  return bytes;
}

/** An option's length has 16 bits; a longer text is cut. */
function textOption(code: number, text: string): Bytes {
  return option(code, new TextEncoder().encode(text).subarray(0, 0xffff));
}

/** A block of a fixed part, a payload and options. */
function block(type: number, fixed: Uint8Array, payload: Uint8Array, options: readonly Uint8Array[]): Bytes {
  const tail = options.length === 0 ? 0 : options.reduce((sum, one) => sum + one.length, 4);
  const length = 12 + fixed.length + padded(payload.length) + tail;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, length, true);
  bytes.set(fixed, 8);
  bytes.set(payload, 8 + fixed.length);
  let at = 8 + fixed.length + padded(payload.length);
  for (const one of options) {
    bytes.set(one, at);
    at += one.length;
  }
  view.setUint32(length - 4, length, true); // what lies between is opt_endofopt, all zeros
  return bytes;
}

function words(...values: readonly number[]): Bytes {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, i) => view.setUint32(4 * i, value, true));
  return new Uint8Array(view.buffer);
}

const NOTHING = new Uint8Array(0);

/** The blocks a file begins with: the section and its interfaces. */
export function pcapngHead(section: PcapngSection): Bytes {
  const about = [
    ...(section.comment ? [textOption(COMMENT, section.comment)] : []),
    textOption(2, section.hardware),
    textOption(4, section.application),
  ];
  const unknownLength = 0xffffffff;
  const head = block(SECTION, words(BYTE_ORDER, 1, unknownLength, unknownLength), NOTHING, about);
  const ports = section.ports.map(({ name, description, filter }) =>
    block(INTERFACE, words(LINK_ETHERNET, section.snapBytes), NOTHING, [
      textOption(2, name),
      textOption(3, description),
      option(9, Uint8Array.of(NANOSECONDS)),
      // The first byte says what kind of filter it is: 0, a libpcap expression.
      ...(filter ? [textOption(11, `\0${filter}`)] : []),
    ])
  );
  return joinBytes([head, ...ports]);
}

const DIRECTION = { in: 1, out: 2 } as const;
const UTF8 = new TextEncoder();

/** One packet, in one allocation: there may be many. */
export function pcapngPacket(packet: PcapngPacket): Bytes {
  const { port, timeNs, bytes, wireLength, direction, comment, custom } = packet;
  const remark = (typeof comment === "string" ? UTF8.encode(comment) : comment)?.subarray(0, 0xffff);
  const remarkBytes = remark === undefined ? 0 : 4 + padded(remark.length);
  const customBytes = custom === undefined ? 0 : 8 + padded(custom.length);
  const tail = remarkBytes + (direction === undefined ? 0 : 8) + customBytes;
  const length = 32 + padded(bytes.length) + (tail === 0 ? 0 : tail + 4);
  const out = new Uint8Array(length);
  const view = new DataView(out.buffer);
  const fixed = [
    ENHANCED,
    length,
    port,
    Number(timeNs >> 32n),
    Number(timeNs & 0xffffffffn),
    bytes.length,
    wireLength,
  ];
  for (let i = 0; i < fixed.length; i++) view.setUint32(4 * i, fixed[i]!, true);
  out.set(bytes, 28);
  let at = 28 + padded(bytes.length);
  if (remark !== undefined) {
    view.setUint32(at, COMMENT | remark.length << 16, true);
    out.set(remark, at + 4);
    at += remarkBytes;
  }
  if (direction !== undefined) {
    view.setUint32(at, 2 | 4 << 16, true);
    view.setUint32(at + 4, DIRECTION[direction], true);
    at += 8;
  }
  if (custom !== undefined) {
    view.setUint32(at, NG_CUSTOM_BYTES | (4 + custom.length) << 16, true);
    view.setUint32(at + 4, NG_ENTERPRISE, true);
    out.set(custom, at + 8);
  }
  view.setUint32(length - 4, length, true); // what lies between is opt_endofopt, all zeros
  return out;
}

/** A block that other programs step over. */
export function pcapngCustom(data: Uint8Array): Bytes {
  return block(NG_CUSTOM, words(NG_ENTERPRISE), data, []);
}

/** What was lost since the capture began, told of an interface. */
export function pcapngStatistics(
  port: number,
  timeNs: bigint,
  counts: { kept: number; lost: number },
): Bytes {
  const high = Number(timeNs >> 32n), low = Number(timeNs & 0xffffffffn);
  const number = (value: number) => words(value >>> 0, Math.floor(value / 2 ** 32));
  const options = [option(4, number(counts.kept + counts.lost)), option(5, number(counts.lost))];
  return block(STATISTICS, words(port, high, low), NOTHING, options);
}

export function joinBytes(parts: readonly Uint8Array[]): Bytes {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Far above any block that is written here; beyond it the bytes are no pcapng. */
const BLOCK_BYTES_MAX = 1024 * 1024;

/**
 * Whole blocks out of pieces of a file written by the functions above, with a count of its packets and of what it says
 * was lost.
 */
export class PcapngScanner {
  readonly #markPort: number;
  #rest: Uint8Array = NOTHING;
  packets = 0;
  lost = 0;

  /** Packets of `markPort` are not counted. */
  constructor(markPort: number) {
    this.#markPort = markPort;
  }

  /** The blocks that are whole with this piece. @throws RangeError for bytes that are no pcapng */
  push(piece: Uint8Array): Bytes {
    const bytes = joinBytes([this.#rest, piece]);
    const view = new DataView(bytes.buffer);
    let at = 0;
    while (at + 12 <= bytes.length) {
      const length = view.getUint32(at + 4, true);
      if (length < 12 || length % 4 !== 0 || length > BLOCK_BYTES_MAX) {
        throw new RangeError(`Cannot read capture: a block of ${length} bytes`);
      }
      if (at + length > bytes.length) break;
      this.#count(view, at);
      at += length;
    }
    this.#rest = bytes.slice(at);
    return bytes.subarray(0, at);
  }

  #count(view: DataView, at: number): void {
    const type = view.getUint32(at, true);
    if (type === ENHANCED && view.getUint32(at + 8, true) !== this.#markPort) this.packets++;
    // isb_ifrecv stands first, then isb_ifdrop: as pcapngStatistics() writes them.
    if (type === STATISTICS) this.lost = Number(view.getBigUint64(at + 36, true));
  }
}
