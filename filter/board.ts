/**
 * Reader and writer of the board, the shared memory between the plane and control (filter/native/abi.h).
 *
 * The board describes itself: fields are found by the names the plane wrote into it, so no offset is repeated here. Only
 * what is needed to find that description is fixed: magic, version and where the description lies. A board of
 * another version is refused, never guessed at.
 */
import { ABI_VERSION } from "./names.ts";

export { ABI_VERSION };
const MAGIC = 0x42584d52;
const HEAD = { magic: 0, abi: 4, size: 8, fieldOffset: 16, fieldCount: 20, fieldBytes: 24 } as const;
const FIELD = { name: 40, offset: 40, width: 44, count: 48, stride: 52, bytes: 56 } as const;

interface Field {
  readonly offset: number;
  readonly width: number;
  readonly count: number;
  readonly stride: number;
}

/** The board speaks another version than this program. */
export class BoardVersionError extends Error {
  constructor(readonly found: number, readonly expected: number) {
    super(
      `Cannot read the board: the plane writes version ${found}, this program reads version ${expected}; ` +
        `restart the plane or run the program that started it`,
    );
    this.name = "BoardVersionError";
  }
}

export class Board {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #fields = new Map<string, Field>();

  /**
   * @param memory the whole mapping
   * @param magic how it begins; the capture file describes itself in the same way
   * @throws BoardVersionError on another version, RangeError on memory that is no complete board
   */
  constructor(memory: ArrayBuffer, magic = MAGIC) {
    this.#view = new DataView(memory);
    this.#bytes = new Uint8Array(memory);
    if (memory.byteLength < 32 || this.#view.getUint32(HEAD.magic, true) !== magic) {
      throw new RangeError(
        "Cannot read the board: this memory is no board, or the plane has not finished it",
      );
    }
    const abi = this.#view.getUint32(HEAD.abi, true);
    if (abi !== ABI_VERSION) throw new BoardVersionError(abi, ABI_VERSION);
    const size = Number(this.#view.getBigUint64(HEAD.size, true));
    if (size !== memory.byteLength) {
      throw new RangeError(`Cannot read the board: it says ${size} bytes, the file has ${memory.byteLength}`);
    }
    this.#readFields();
  }

  #readFields(): void {
    const start = this.#view.getUint32(HEAD.fieldOffset, true);
    const count = this.#view.getUint32(HEAD.fieldCount, true);
    const bytes = this.#view.getUint32(HEAD.fieldBytes, true);
    if (bytes !== FIELD.bytes) {
      throw new RangeError(`Cannot read the board: a field takes ${bytes} bytes, not ${FIELD.bytes}`);
    }
    for (let i = 0; i < count; i++) {
      const at = start + i * bytes;
      const u32 = (offset: number) => this.#view.getUint32(at + offset, true);
      this.#fields.set(this.#string(at, FIELD.name), {
        offset: u32(FIELD.offset),
        width: u32(FIELD.width),
        count: u32(FIELD.count),
        stride: u32(FIELD.stride),
      });
    }
  }

  #string(at: number, width: number): string {
    const bytes = this.#bytes.subarray(at, at + width);
    const end = bytes.indexOf(0);
    return new TextDecoder().decode(bytes.slice(0, end < 0 ? width : end));
  }

  #field(name: string): Field {
    const field = this.#fields.get(name);
    if (field === undefined) throw new RangeError(`Cannot read the board: it has no field "${name}"`);
    return field;
  }

  /** Byte offset of element `i` of a field; of "flow.*" fields, counted from the start of an entry. */
  offset(name: string, i = 0): number {
    const field = this.#field(name);
    if (i < 0 || i >= field.count) {
      throw new RangeError(`Cannot read ${name}[${i}]: it has ${field.count} elements`);
    }
    return field.offset + i * field.stride;
  }

  count(name: string): number {
    return this.#field(name).count;
  }

  /** Bytes from one element of a field to the next. */
  stride(name: string): number {
    return this.#field(name).stride;
  }

  /** Bytes of one element of a field. */
  width(name: string): number {
    return this.#field(name).width;
  }

  /** A number of up to 53 bits; larger ones lose their lowest bits. `base` is added to the field's offset. */
  number(name: string, i = 0, base = 0): number {
    const at = base + this.offset(name, i);
    switch (this.#field(name).width) {
      case 1:
        return this.#view.getUint8(at);
      case 2:
        return this.#view.getUint16(at, true);
      case 4:
        return this.#view.getUint32(at, true);
      case 8:
        return Number(this.#view.getBigUint64(at, true));
    }
    throw new TypeError(`Cannot read ${name}: it is no number`);
  }

  /** The 32-bit word at a byte of the board. */
  word(at: number): number {
    return this.#view.getUint32(at, true);
  }

  big(name: string, i = 0): bigint {
    return this.#view.getBigUint64(this.offset(name, i), true);
  }

  text(name: string, i = 0): string {
    return this.#string(this.offset(name, i), this.#field(name).width);
  }

  /** A copy of a byte field. */
  bytes(name: string, i = 0, base = 0): Uint8Array {
    const at = base + this.offset(name, i);
    return this.#bytes.slice(at, at + this.#field(name).width);
  }

  setNumber(name: string, value: number, i = 0): void {
    const at = this.offset(name, i);
    const width = this.#field(name).width;
    const max = width === 8 ? Number.MAX_SAFE_INTEGER : 2 ** (8 * width) - 1;
    if (!Number.isInteger(value) || value < 0 || value > max) {
      throw new RangeError(`Cannot write ${name}: ${value} does not fit ${width} bytes`);
    }
    if (width === 4) this.#view.setUint32(at, value, true);
    else if (width === 8) this.#view.setBigUint64(at, BigInt(value), true);
    else throw new TypeError(`Cannot write ${name}: it is no word`);
  }

  setText(name: string, value: string, i = 0): void {
    const bytes = new TextEncoder().encode(value);
    const width = this.#field(name).width;
    if (bytes.length >= width) {
      throw new RangeError(`Cannot write ${name}: "${value}" is longer than ${width - 1} bytes`);
    }
    const at = this.offset(name, i);
    this.#bytes.fill(0, at, at + width);
    this.#bytes.set(bytes, at);
  }

  /** Overwrite raw bytes, such as one encoded rule. */
  setBytes(at: number, bytes: Uint8Array): void {
    this.#bytes.set(bytes, at);
  }
}
