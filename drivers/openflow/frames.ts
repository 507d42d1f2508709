/**
 * From a stream of bytes to whole messages.
 *
 * A stream has no borders; the header's length makes them. A message is at most 64 KiB because its length is 16 bits,
 * so what waits here is bounded by one message and one read.
 */
import { OpenFlowError } from "./bytes.ts";
import { HEADER_BYTES } from "./names.ts";

/** 6 is 1.5. Above this it is another protocol: TLS begins with 22, a text with 32 or more. */
const VERSION_MAX = 15;

export class Framer {
  #rest = new Uint8Array(0);

  /**
   * The messages that are whole now, as bytes. @throws OpenFlowError for what is no header: the stream cannot be
   * followed after that
   */
  push(chunk: Uint8Array): Uint8Array[] {
    const all = new Uint8Array(this.#rest.length + chunk.length);
    all.set(this.#rest);
    all.set(chunk, this.#rest.length);
    const found: Uint8Array[] = [];
    let at = 0;
    while (all.length - at >= HEADER_BYTES) {
      const version = all[at]!;
      if (version === 0 || version > VERSION_MAX) {
        throw new OpenFlowError(
          `Cannot read OpenFlow stream: it begins with byte ${version}, which is no version`,
        );
      }
      const length = all[at + 2]! << 8 | all[at + 3]!;
      if (length < HEADER_BYTES) {
        throw new OpenFlowError(
          `Cannot read OpenFlow stream: a message of ${length} bytes, at least 8 are needed`,
        );
      }
      if (all.length - at < length) break;
      found.push(all.slice(at, at + length));
      at += length;
    }
    this.#rest = all.slice(at);
    return found;
  }
}
