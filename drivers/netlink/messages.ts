/**
 * Duty: messages and attributes of netlink, as bytes.
 *
 * A datagram holds messages, a message holds attributes, an attribute may hold others; each begins with its length and
 * is padded to four bytes. Headers are in the order of the host, which is little-endian on all that this runs on;
 * what netfilter puts into attributes is big-endian. What arrives is checked at each step: a length that leaves its
 * message is a NetlinkError, and nothing else is thrown.
 *
 * @see linux/netlink.h, linux/netfilter/nfnetlink.h
 */
const HEADER_BYTES = 16;
/** After the header of every message of netfilter: family, version, resource. */
const FAMILY_BYTES = 4;
const ATTRIBUTE_BYTES = 4;
const NESTED = 0x8000;
/** Without the flags "nested" and "network order". */
const TYPE_MASK = 0x3fff;
const HOST_LITTLE = true;
const ATTRIBUTE_BYTES_MAX = 0xffff;

export const MESSAGE = { noop: 1, error: 2, done: 3, overrun: 4 } as const;
export const FLAG = {
  request: 1,
  ack: 4,
  dump: 0x300,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
} as const;

/** What cannot be read as netlink. */
export class NetlinkError extends RangeError {
  override readonly name = "NetlinkError";
}

const aligned = (bytes: number) => (bytes + 3) & ~3;

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Of whose request it comes; 0: the kernel's own doing. */
  readonly port: number;
  /** What follows the header. */
  readonly body: Attributes;
}

/** The messages of a datagram, in order. @throws NetlinkError */
export function* readMessages(datagram: Uint8Array): Generator<Message> {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  for (let at = 0; at < view.byteLength;) {
    if (view.byteLength - at < HEADER_BYTES) {
      throw new NetlinkError(`Cannot read netlink: ${view.byteLength - at} bytes at ${at} are no header`);
    }
    const bytes = view.getUint32(at, HOST_LITTLE);
    if (bytes < HEADER_BYTES || at + bytes > view.byteLength) {
      throw new NetlinkError(
        `Cannot read netlink: a message at ${at} says ${bytes} bytes, ${view.byteLength - at} are left`,
      );
    }
    yield {
      type: view.getUint16(at + 4, HOST_LITTLE),
      flags: view.getUint16(at + 6, HOST_LITTLE),
      sequence: view.getUint32(at + 8, HOST_LITTLE),
      port: view.getUint32(at + 12, HOST_LITTLE),
      body: new Attributes(view, at + HEADER_BYTES, at + bytes),
    };
    at += aligned(bytes);
  }
}

/** Part of a datagram: the bytes of a message or of an attribute. It is read before the next datagram comes. */
export class Attributes {
  constructor(readonly view: DataView, public start: number, public end: number) {}

  get length(): number {
    return this.end - this.start;
  }

  #need(bytes: number, at = 0): number {
    if (at + bytes > this.length) {
      throw new NetlinkError(
        `Cannot read netlink: ${at + bytes} bytes at ${this.start} are needed, there are ${this.length}`,
      );
    }
    return this.start + at;
  }

  u8(): number {
    return this.view.getUint8(this.#need(1));
  }

  u16(): number {
    return this.view.getUint16(this.#need(2));
  }

  u32(): number {
    return this.view.getUint32(this.#need(4));
  }

  /** The code of an error message, or of the end of a dump: 0 or a negative number of errno.h. */
  code(): number {
    return this.length < 4 ? 0 : this.view.getInt32(this.start, HOST_LITTLE);
  }

  /** A copy. */
  bytes(): Uint8Array<ArrayBuffer> {
    const copy = new Uint8Array(this.length);
    // Short: faster than to make a view of it and copy that.
    for (let i = 0; i < copy.length; i++) copy[i] = this.view.getUint8(this.start + i);
    return copy;
  }

  /** Up to its first zero. */
  text(): string {
    const bytes = this.bytes();
    const end = bytes.indexOf(0);
    return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
  }

  /** What a message of netfilter has behind its family. */
  behindFamily(): Attributes {
    return new Attributes(this.view, this.#need(FAMILY_BYTES) + FAMILY_BYTES, this.end);
  }

  /** The attributes in it, one after the other. */
  walk(): Walk {
    return new Walk(this.view, this.start, this.end);
  }

  /** Calls `visit` for each attribute. @throws NetlinkError */
  each(visit: (type: number, value: Attributes) => void): void {
    for (const at = this.walk(); at.next();) visit(at.type, new Attributes(this.view, at.start, at.end));
  }
}

/** Stands on one attribute after the other: nothing is made for each, which a dump of thousands would feel. */
export class Walk extends Attributes {
  type = 0;
  #next: number;
  readonly #stop: number;

  constructor(view: DataView, start: number, end: number) {
    super(view, start, start);
    this.#next = start;
    this.#stop = end;
  }

  /** False: there is no further one. @throws NetlinkError */
  next(): boolean {
    const at = this.#next, left = this.#stop - at;
    if (left <= 0) return false;
    if (left < ATTRIBUTE_BYTES) {
      throw new NetlinkError(`Cannot read netlink: ${left} bytes at ${at} are no attribute`);
    }
    const bytes = this.view.getUint16(at, HOST_LITTLE);
    if (bytes < ATTRIBUTE_BYTES || bytes > left) {
      throw new NetlinkError(
        `Cannot read netlink: an attribute at ${at} says ${bytes} bytes, ${left} are left`,
      );
    }
    this.type = this.view.getUint16(at + 2, HOST_LITTLE) & TYPE_MASK;
    this.start = at + ATTRIBUTE_BYTES;
    this.end = at + bytes;
    this.#next = at + aligned(bytes);
    return true;
  }
}

export interface Head {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** 2 IPv4, 10 IPv6, 0 both. */
  readonly family: number;
}

/** Writes messages one behind the other into one datagram. */
export class MessageWriter {
  #bytes = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  #room(count: number): number {
    const at = this.#length, end = at + aligned(count);
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, end));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#bytes.fill(0, at + count, end);
    this.#length = end;
    return at;
  }

  /** A message, with what `body` writes. */
  message({ type, flags, sequence, family }: Head, body: (writer: this) => void = () => {}): this {
    const at = this.#room(HEADER_BYTES + FAMILY_BYTES);
    this.#view.setUint16(at + 4, type, HOST_LITTLE);
    this.#view.setUint16(at + 6, flags, HOST_LITTLE);
    this.#view.setUint32(at + 8, sequence, HOST_LITTLE);
    this.#view.setUint32(at + 12, 0, HOST_LITTLE);
    this.#view.setUint32(at + HEADER_BYTES, 0);
    this.#view.setUint8(at + HEADER_BYTES, family);
    body(this);
    this.#view.setUint32(at, this.#length - at, HOST_LITTLE);
    return this;
  }

  /** @returns where the value goes */
  #attribute(type: number, bytes: number): number {
    if (ATTRIBUTE_BYTES + bytes > ATTRIBUTE_BYTES_MAX) {
      throw new NetlinkError(`Cannot write netlink: ${bytes} bytes are too many for attribute ${type}`);
    }
    const at = this.#room(ATTRIBUTE_BYTES + bytes);
    this.#view.setUint16(at, ATTRIBUTE_BYTES + bytes, HOST_LITTLE);
    this.#view.setUint16(at + 2, type, HOST_LITTLE);
    return at + ATTRIBUTE_BYTES;
  }

  u8(type: number, value: number): this {
    const at = this.#attribute(type, 1);
    this.#view.setUint8(at, value);
    return this;
  }

  u16(type: number, value: number): this {
    const at = this.#attribute(type, 2);
    this.#view.setUint16(at, value);
    return this;
  }

  u32(type: number, value: number): this {
    const at = this.#attribute(type, 4);
    this.#view.setUint32(at, value >>> 0);
    return this;
  }

  put(type: number, bytes: Uint8Array): this {
    const at = this.#attribute(type, bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  /** With a zero behind it. */
  text(type: number, text: string): this {
    return this.put(type, new TextEncoder().encode(`${text}\0`));
  }

  /** Begins an attribute that holds others. Returns what close() wants. */
  open(type: number): number {
    return this.#attribute(type | NESTED, 0);
  }

  close(value: number): this {
    const bytes = this.#length - value + ATTRIBUTE_BYTES;
    if (bytes > ATTRIBUTE_BYTES_MAX) {
      throw new NetlinkError(`Cannot write netlink: an attribute has ${bytes} bytes`);
    }
    this.#view.setUint16(value - ATTRIBUTE_BYTES, bytes, HOST_LITTLE);
    return this;
  }

  nest(type: number, body: () => void): this {
    const value = this.open(type);
    body();
    return this.close(value);
  }

  /** What was written, and begins anew; valid until the next message. */
  take(): Uint8Array<ArrayBuffer> {
    const bytes = this.#bytes.subarray(0, this.#length);
    this.#length = 0;
    return bytes;
  }
}
