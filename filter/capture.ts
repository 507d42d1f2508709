/**
 * Capture files: read pcap (both byte orders, micro- and nanoseconds) and pcapng, write pcap. pcapng.ts writes pcapng.
 *
 * Bytes in, frames out; nothing here opens a file. A file that ends in the middle of a record yields what is whole
 * and then throws, so a caller may keep what it has, as tcpdump does.
 * Sources: pcap-savefile(5), draft-ietf-opsawg-pcapng.
 */

export interface CapturedFrame {
  /** Since the epoch, 64 bits: what a broken clock wrote beyond is cut. 0 where the file has no time (simple blocks). */
  readonly timeNs: bigint;
  /** LINKTYPE_*; 1 is Ethernet. */
  readonly link: number;
  /** What was captured: a view of the file's bytes. */
  readonly bytes: Uint8Array;
  /** Length on the wire; larger than bytes.length if the capture was cut. */
  readonly wireLength: number;
  /** Of pcapng, what the file says of the frame. */
  readonly comment?: string;
  /** Of pcapng, the name of its interface. */
  readonly port?: string;
}

export const LINK_ETHERNET = 1;
export const PCAP_MICRO = 0xa1b2c3d4;
export const PCAP_NANO = 0xa1b23c4d;
export const NG_SECTION = 0x0a0d0d0a;
export const NG_INTERFACE = 1;
const NG_PACKET_OLD = 2;
const NG_SIMPLE = 3;
const NG_ENHANCED = 6;
const OPT_COMMENT = 1;
const IF_NAME = 2;

class File {
  readonly view: DataView;
  little = true;
  constructor(readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  u16(at: number) {
    return this.view.getUint16(at, this.little);
  }
  u32(at: number) {
    return this.view.getUint32(at, this.little);
  }
  /** Throws unless `bytes` bytes are there. */
  need(at: number, bytes: number, what: string) {
    if (at + bytes > this.bytes.length) {
      const missing = at + bytes - this.bytes.length;
      throw new RangeError(`Cannot read capture: ${missing} bytes are missing in the ${what} at byte ${at}`);
    }
  }
}

/**
 * The frames of a capture file, in file order.
 * @throws RangeError naming the byte where the file is cut or contradicts itself, SyntaxError for another format.
 */
export function* readCapture(bytes: Uint8Array): Generator<CapturedFrame> {
  const file = new File(bytes);
  file.need(0, 24, "file header");
  const magic = file.u32(0);
  const swapped = file.view.getUint32(0, false);
  if (magic === NG_SECTION) return yield* readPcapng(file);
  file.little = magic === PCAP_MICRO || magic === PCAP_NANO;
  const known = file.little ? magic : swapped;
  if (known !== PCAP_MICRO && known !== PCAP_NANO) {
    throw new SyntaxError(
      `Cannot read capture: 0x${swapped.toString(16).padStart(8, "0")} is no pcap or pcapng file`,
    );
  }
  yield* readPcap(file, known === PCAP_NANO ? 1n : 1000n);
}

function* readPcap(file: File, unitNs: bigint): Generator<CapturedFrame> {
  const link = file.u32(20) & 0xffff; // the upper bits carry the FCS length
  for (let at = 24; at < file.bytes.length;) {
    file.need(at, 16, "record header");
    const captured = file.u32(at + 8);
    const wireLength = file.u32(at + 12);
    file.need(at + 16, captured, "record");
    const timeNs = BigInt(file.u32(at)) * 1_000_000_000n + BigInt(file.u32(at + 4)) * unitNs;
    yield { timeNs, link, bytes: file.bytes.subarray(at + 16, at + 16 + captured), wireLength };
    at += 16 + captured;
  }
}

interface Interface {
  readonly name: string | undefined;
  readonly link: number;
  readonly snapBytes: number;
  readonly toNs: (ticks: bigint) => bigint;
}

function* readPcapng(file: File): Generator<CapturedFrame> {
  let interfaces: Interface[] = [];
  for (let at = 0; at < file.bytes.length;) {
    file.need(at, 12, "block");
    if (file.u32(at) === NG_SECTION) { // the same in both byte orders
      interfaces = [];
      file.little = file.view.getUint32(at + 8, true) === 0x1a2b3c4d;
      if (file.u32(at + 8) !== 0x1a2b3c4d) {
        throw new RangeError(`Cannot read capture: bad byte order mark in the section at byte ${at}`);
      }
    }
    const type = file.u32(at);
    const length = file.u32(at + 4);
    if (length < 12 || length % 4 !== 0) {
      throw new RangeError(`Cannot read capture: block length ${length} at byte ${at}`);
    }
    file.need(at, length, "block");
    if (type === NG_INTERFACE) interfaces.push(readInterface(file, at, length));
    const frame = readBlock(file, at, interfaces);
    if (frame) yield frame;
    at += length;
  }
}

function readInterface(file: File, at: number, length: number): Interface {
  needBody(file, at, 8);
  let toNs = resolution(6);
  let offsetS = 0n;
  let name: string | undefined;
  for (const { code, start, bytes } of readOptions(file, at + 16, at + length - 4)) {
    if (code === IF_NAME) name = text(file, start, bytes);
    if (code === 9 && bytes === 1) toNs = resolution(file.bytes[start]!);
    if (code === 14 && bytes === 8) offsetS = file.view.getBigInt64(start, file.little);
  }
  const shifted = (ticks: bigint) => within64Bits(toNs(ticks) + offsetS * 1_000_000_000n);
  return { name, link: file.u16(at + 8), snapBytes: file.u32(at + 12), toNs: shifted };
}

/** The options between two places; what does not fit there ends them. */
function* readOptions(file: File, from: number, to: number) {
  for (let option = from; option + 4 <= to;) {
    const code = file.u16(option);
    const bytes = file.u16(option + 2);
    if (code === 0 || option + 4 + bytes > to) return;
    yield { code, start: option + 4, bytes };
    option += 4 + Math.ceil(bytes / 4) * 4;
  }
}

function text(file: File, start: number, bytes: number): string {
  return new TextDecoder().decode(file.bytes.slice(start, start + bytes)).replace(/\0+$/, "");
}

function within64Bits(timeNs: bigint): bigint {
  const max = 0xffff_ffff_ffff_ffffn;
  return timeNs < 0n ? 0n : timeNs > max ? max : timeNs;
}

/** if_tsresol: a power of ten, or of two with the highest bit set. */
function resolution(value: number): (ticks: bigint) => bigint {
  const perSecond = value & 0x80 ? 1n << BigInt(value & 0x7f) : 10n ** BigInt(value);
  return (ticks) => (ticks * 1_000_000_000n) / perSecond;
}

/** Throws unless the block has `bytes` bytes between its head (8) and its tail (4). */
function needBody(file: File, at: number, bytes: number): void {
  const length = file.u32(at + 4);
  if (length < bytes + 12) {
    throw new RangeError(
      `Cannot read capture: the block at byte ${at} has ${length} bytes, too few for its type`,
    );
  }
}

function readBlock(file: File, at: number, interfaces: readonly Interface[]): CapturedFrame | undefined {
  switch (file.u32(at)) {
    case NG_ENHANCED:
    case NG_PACKET_OLD: {
      needBody(file, at, 20);
      const isOld = file.u32(at) === NG_PACKET_OLD;
      const port = interfaceOf(interfaces, isOld ? file.u16(at + 8) : file.u32(at + 8), at);
      const captured = file.u32(at + 20);
      needBody(file, at, 20 + captured);
      const ticks = (BigInt(file.u32(at + 12)) << 32n) | BigInt(file.u32(at + 16));
      const bytes = file.bytes.subarray(at + 28, at + 28 + captured);
      const wireLength = file.u32(at + 24);
      return { timeNs: port.toNs(ticks), link: port.link, bytes, wireLength, ...remarks(file, at, port) };
    }
    case NG_SIMPLE: {
      needBody(file, at, 4);
      const port = interfaceOf(interfaces, 0, at);
      const wireLength = file.u32(at + 8);
      const captured = Math.min(wireLength, port.snapBytes || wireLength);
      needBody(file, at, 4 + captured);
      return {
        timeNs: 0n,
        link: port.link,
        bytes: file.bytes.subarray(at + 12, at + 12 + captured),
        wireLength,
      };
    }
  }
  return undefined;
}

/** What an enhanced packet block says beside its frame. */
function remarks(file: File, at: number, port: Interface): Pick<CapturedFrame, "comment" | "port"> {
  const options = at + 28 + Math.ceil(file.u32(at + 20) / 4) * 4;
  const comments: string[] = [];
  for (const { code, start, bytes } of readOptions(file, options, at + file.u32(at + 4) - 4)) {
    if (code === OPT_COMMENT) comments.push(text(file, start, bytes));
  }
  return {
    ...(comments.length > 0 && { comment: comments.join("\n") }),
    ...(port.name !== undefined && { port: port.name }),
  };
}

function interfaceOf(interfaces: readonly Interface[], index: number, at: number): Interface {
  const found = interfaces[index];
  if (!found) {
    throw new RangeError(`Cannot read capture: the block at byte ${at} names unknown interface ${index}`);
  }
  return found;
}

const SNAP_BYTES = 262_144;

/** The header of a little-endian pcap file with nanoseconds. */
export function pcapHeader(link = LINK_ETHERNET): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(24));
  view.setUint32(0, PCAP_NANO, true);
  view.setUint16(4, 2, true);
  view.setUint16(6, 4, true);
  view.setUint32(16, SNAP_BYTES, true);
  view.setUint32(20, link, true);
  return new Uint8Array(view.buffer);
}

/** One record, to follow pcapHeader(). */
export function pcapRecord(frame: Omit<CapturedFrame, "link">): Uint8Array<ArrayBuffer> {
  const record = new Uint8Array(16 + frame.bytes.length);
  const view = new DataView(record.buffer);
  view.setUint32(0, Number(frame.timeNs / 1_000_000_000n), true);
  view.setUint32(4, Number(frame.timeNs % 1_000_000_000n), true);
  view.setUint32(8, frame.bytes.length, true);
  view.setUint32(12, frame.wireLength, true);
  record.set(frame.bytes, 16);
  return record;
}
