/**
 * Bytes of OpenFlow: a reader that never leaves its bounds, and a writer that pads and fills in lengths.
 *
 * Every number is big-endian. A reader knows what it reads and where that began, so an error names both. What
 * arrives is from another program: everything it gets wrong is an OpenFlowError, and nothing else is thrown.
 */

/** A message that cannot be read. The session answers it, or ends the connection. */
export class OpenFlowError extends RangeError {
  override readonly name = "OpenFlowError";
}

export class Reader {
  readonly #view: DataView;
  #at = 0;

  /** `origin` is where `bytes` begin in the message, for errors only. */
  constructor(readonly bytes: Uint8Array, readonly what: string, readonly origin = 0) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.bytes.length - this.#at;
  }

  /** From the beginning of the message. */
  get place(): number {
    return this.origin + this.#at;
  }

  #need(count: number): number {
    if (count > this.left) this.fail(`needs ${count} bytes at ${this.place}, ${this.left} are left`);
    const at = this.#at;
    this.#at += count;
    return at;
  }

  fail(reason: string): never {
    throw new OpenFlowError(`Cannot read OpenFlow ${this.what}: ${reason}`);
  }

  u8(): number {
    return this.#view.getUint8(this.#need(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#need(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#need(4));
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#need(8));
  }

  skip(count: number): void {
    this.#need(count);
  }

  /** A copy: what was received may be overwritten. */
  take(count: number): Uint8Array {
    const at = this.#need(count);
    return this.bytes.slice(at, at + count);
  }

  rest(): Uint8Array {
    return this.take(this.left);
  }

  /** The next `count` bytes as something of their own. */
  part(count: number, what: string): Reader {
    const place = this.place;
    const at = this.#need(count);
    return new Reader(this.bytes.subarray(at, at + count), what, place);
  }

  /** A text in a field of fixed size, up to its first zero. */
  text(count: number): string {
    const bytes = this.take(count);
    const end = bytes.indexOf(0);
    return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
  }

  /** Things one after the other, until nothing is left. Each takes at least a byte, or it would not end. */
  each<T>(read: (reader: Reader) => T): T[] {
    const found: T[] = [];
    while (this.left > 0) {
      const before = this.left;
      found.push(read(this));
      if (this.left === before) this.fail(`holds something of no length at ${this.place}`);
    }
    return found;
  }
}

export class Writer {
  #bytes = new Uint8Array(64);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Where the next `count` bytes go. It may move them all, so ask before touching them. */
  #room(count: number): number {
    const at = this.#length;
    if (at + count > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, at + count));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#length = at + count;
    return at;
  }

  u8(value: number): this {
    const at = this.#room(1);
    this.#view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    const at = this.#room(2);
    this.#view.setUint16(at, value);
    return this;
  }

  u32(value: number): this {
    const at = this.#room(4);
    this.#view.setUint32(at, value);
    return this;
  }

  u64(value: bigint): this {
    const at = this.#room(8);
    this.#view.setBigUint64(at, value);
    return this;
  }

  zeros(count: number): this {
    const at = this.#room(count);
    this.#bytes.fill(0, at, this.#length);
    return this;
  }

  put(bytes: Uint8Array): this {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  /** In a field of fixed size; what is too long is cut, and the last byte is zero. */
  text(text: string, count: number): this {
    const bytes = new TextEncoder().encode(text).subarray(0, count - 1);
    return this.put(bytes).zeros(count - bytes.length);
  }

  /** Zeros until what began at `start` is a multiple of 8 long. */
  pad8(start: number): this {
    return this.zeros((8 - (this.#length - start) % 8) % 8);
  }

  /** Writes over two bytes that were left for a length. */
  lengthAt(at: number, value: number): this {
    if (value > 0xffff) throw new OpenFlowError(`Cannot write OpenFlow: ${value} bytes are more than 65535`);
    this.#view.setUint16(at, value);
    return this;
  }

  done(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }
}
