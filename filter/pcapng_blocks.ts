/**
 * The blocks of a pcapng file that this product wrote, one after the other, with what stands in them for it alone.
 *
 * Little-endian, as filter/pcapng.ts writes it; frames for everybody are read by filter/capture.ts. A file that ends in the
 * middle of a block yields what is whole and then throws. Pure.
 */
import { NG_CUSTOM, NG_CUSTOM_BYTES, NG_ENTERPRISE } from "./pcapng.ts";

export const NG_PACKET = 6;
const NG_SECTION = 0x0a0d0d0a;
const BYTE_ORDER = 0x1a2b3c4d;
const COMMENT = 1;

export interface Block {
  /** Where it begins in the file. */
  readonly at: number;
  readonly type: number;
  /** All of it: a view. */
  readonly bytes: Uint8Array;
}

export interface BlockPacket {
  /** Index of its interface. */
  readonly port: number;
  /** Since the epoch; its interface has nanoseconds. */
  readonly timeNs: bigint;
  readonly frame: Uint8Array;
  readonly wireLength: number;
  readonly comment?: string;
  readonly custom?: Uint8Array;
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/**
 * Whole blocks, in their order.
 * @throws SyntaxError for another format, RangeError naming the byte where the file is cut or contradicts itself
 */
export function* readBlocks(bytes: Uint8Array): Generator<Block> {
  const view = viewOf(bytes);
  const word = (at: number) => view.getUint32(at, true);
  if (bytes.length < 12 || word(0) !== NG_SECTION || word(8) !== BYTE_ORDER) {
    throw new SyntaxError("Cannot read recording: it is no little-endian pcapng file");
  }
  for (let at = 0; at < bytes.length;) {
    if (at + 12 > bytes.length) throw cut(at);
    const length = word(at + 4);
    if (length < 12 || length % 4 !== 0) {
      throw new RangeError(`Cannot read recording: block length ${length} at byte ${at}`);
    }
    if (at + length > bytes.length) throw cut(at);
    if (word(at + length - 4) !== length) {
      throw new RangeError(`Cannot read recording: the block at byte ${at} ends with another length`);
    }
    yield { at, type: word(at), bytes: bytes.subarray(at, at + length) };
    at += length;
  }
}

function cut(at: number): RangeError {
  return new RangeError(`Cannot read recording: the block at byte ${at} is cut`);
}

/** Null: it is none, or another one's. */
export function customOf({ type, bytes }: Block): Uint8Array | null {
  if (type !== NG_CUSTOM || bytes.length < 16) return null;
  return viewOf(bytes).getUint32(8, true) === NG_ENTERPRISE ? bytes.subarray(12, bytes.length - 4) : null;
}

/** Null: it is no packet. @throws RangeError for one that contradicts itself */
export function packetOf({ type, bytes, at }: Block): BlockPacket | null {
  if (type !== NG_PACKET) return null;
  const view = viewOf(bytes);
  const captured = bytes.length < 32 ? Infinity : view.getUint32(20, true);
  const options = 28 + Math.ceil(captured / 4) * 4;
  if (options > bytes.length - 4) {
    throw new RangeError(`Cannot read recording: the packet at byte ${at} is longer than its block`);
  }
  return {
    port: view.getUint32(8, true),
    timeNs: BigInt(view.getUint32(12, true)) << 32n | BigInt(view.getUint32(16, true)),
    frame: bytes.subarray(28, 28 + captured),
    wireLength: view.getUint32(24, true),
    ...optionsOf(bytes, options),
  };
}

function optionsOf(bytes: Uint8Array, from: number): Pick<BlockPacket, "comment" | "custom"> {
  const view = viewOf(bytes), end = bytes.length - 4;
  let comment: string | undefined, custom: Uint8Array | undefined;
  for (let at = from; at + 4 <= end;) {
    const code = view.getUint16(at, true), length = view.getUint16(at + 2, true);
    if (code === 0 || at + 4 + length > end) break;
    const value = bytes.subarray(at + 4, at + 4 + length);
    if (code === COMMENT) comment ??= new TextDecoder().decode(value.slice());
    const own = code === NG_CUSTOM_BYTES && length >= 4 && view.getUint32(at + 4, true) === NG_ENTERPRISE;
    if (own) custom ??= value.subarray(4);
    at += 4 + Math.ceil(length / 4) * 4;
  }
  return { ...(comment !== undefined && { comment }), ...(custom !== undefined && { custom }) };
}
