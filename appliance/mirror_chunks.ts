/**
 * Capture files of any size, chunk by chunk: finds where records end and hands whole ones to filter/capture.ts.
 *
 * What a later chunk needs to be understood (the file header; the section and its interfaces) is kept and put in front
 * of it, so the reader of records knows nothing of chunks. Pure; memory is bounded by a chunk and the largest record.
 */
import {
  type CapturedFrame,
  NG_INTERFACE,
  NG_SECTION,
  PCAP_MICRO,
  PCAP_NANO,
  readCapture,
} from "../filter/capture.ts";
import { joinBytes } from "../filter/pcapng.ts";

/** Far above any real record; a length beyond it is a broken file, and must not become an allocation. */
export const RECORD_BYTES_MAX = 64 * 1024 * 1024;

const PCAP_MAGICS = [PCAP_MICRO, PCAP_NANO];
const PCAP_HEADER_BYTES = 24;
const BLOCK_HEAD_BYTES = 12;
const BLOCK_BYTES_MIN = 12;
const RECORD_HEAD_BYTES = 16;
const BYTE_ORDER = 0x1a2b3c4d;

type Format = "pcap" | "pcapng";

/** Takes a capture file in pieces and gives its frames, in file order. */
export class CaptureSplitter {
  #rest: Uint8Array = new Uint8Array(0);
  /** Place of #rest in the file. */
  #offset = 0;
  #format: Format | undefined;
  #little = true;
  #head: Uint8Array[] = [];

  /**
   * The frames that are whole with this piece. They are views; use them before the next one or copy them.
   * @throws SyntaxError for another format, RangeError naming the byte where the file contradicts itself
   */
  push(piece: Uint8Array): CapturedFrame[] {
    const bytes = this.#rest.length === 0 ? piece : joinBytes([this.#rest, piece]);
    if (this.#format === undefined && bytes.length < PCAP_HEADER_BYTES) {
      this.#rest = bytes;
      return [];
    }
    const start = this.#begin(bytes);
    const frames: CapturedFrame[] = [];
    const end = this.#format === "pcap"
      ? this.#pcap(bytes, start, frames)
      : this.#pcapng(bytes, start, frames);
    this.#rest = bytes.slice(end);
    this.#offset += end;
    return frames;
  }

  /** Whether it is known by now to be a capture. */
  get recognised(): boolean {
    return this.#format !== undefined;
  }

  /** To be called after the last piece: why the file is not whole, as the end of a sentence; null if it is. */
  finish(): string | null {
    if (this.#format === undefined) {
      return this.#rest.length === 0
        ? "it is empty"
        : `it ends within its header, after ${this.#rest.length} bytes`;
    }
    return this.#rest.length === 0
      ? null
      : `it ends within a record: ${this.#rest.length} bytes from byte ${this.#offset} on are not used`;
  }

  /** Recognises the file by its first bytes; where records begin in `bytes`. */
  #begin(bytes: Uint8Array): number {
    if (this.#format !== undefined) return 0;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const [little, big] = [view.getUint32(0, true), view.getUint32(0, false)];
    if (little === NG_SECTION) {
      this.#format = "pcapng";
      return 0;
    }
    this.#little = PCAP_MAGICS.includes(little);
    // Another format is refused by the reader, in its words.
    if (!this.#little && !PCAP_MAGICS.includes(big)) { for (const _ of readCapture(bytes)) break; }
    this.#format = "pcap";
    this.#head = [bytes.slice(0, PCAP_HEADER_BYTES)];
    return PCAP_HEADER_BYTES;
  }

  #pcap(bytes: Uint8Array, start: number, frames: CapturedFrame[]): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = start;
    while (at + RECORD_HEAD_BYTES <= bytes.length) {
      const length = RECORD_HEAD_BYTES + view.getUint32(at + 8, this.#little);
      this.#checkLength(length, at);
      if (at + length > bytes.length) break;
      at += length;
    }
    this.#read(bytes, start, at, frames);
    return at;
  }

  #pcapng(bytes: Uint8Array, start: number, frames: CapturedFrame[]): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let [at, from] = [start, start];
    let seen: Uint8Array[] = [];
    const flush = () => {
      this.#read(bytes, from, at, frames);
      this.#head.push(...seen);
      seen = [];
      from = at;
    };
    while (at + BLOCK_HEAD_BYTES <= bytes.length) {
      const isSection = view.getUint32(at, true) === NG_SECTION; // the same in both byte orders
      const little = isSection ? view.getUint32(at + 8, true) === BYTE_ORDER : this.#little;
      const length = view.getUint32(at + 4, little);
      this.#checkLength(length, at);
      if (length < BLOCK_BYTES_MIN || length % 4 !== 0) {
        throw new RangeError(`Cannot read capture: block length ${length} at byte ${this.#offset + at}`);
      }
      if (at + length > bytes.length) break;
      if (isSection) {
        flush();
        this.#head = [];
        this.#little = little;
      }
      if (isSection || view.getUint32(at, little) === NG_INTERFACE) seen.push(bytes.slice(at, at + length));
      at += length;
    }
    flush();
    return at;
  }

  #checkLength(length: number, at: number): void {
    if (length <= RECORD_BYTES_MAX) return;
    throw new RangeError(
      `Cannot read capture: the record at byte ${
        this.#offset + at
      } claims ${length} bytes, more than any has`,
    );
  }

  #read(bytes: Uint8Array, from: number, to: number, frames: CapturedFrame[]): void {
    if (from === to) return;
    for (const frame of readCapture(joinBytes([...this.#head, bytes.subarray(from, to)]))) frames.push(frame);
  }
}
