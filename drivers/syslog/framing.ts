/**
 * Duty: the messages in a stream of bytes (RFC 6587), however it is cut into pieces.
 *
 * The first bytes of a connection tell which of the two ways a sender has: "123 <34>..." counts octets, anything else
 * ends a message with a line feed (or NUL, which some senders have). What is held is bounded by one message. A count
 * that is none means that nobody knows where the next message begins: the connection is of no more use. What is left
 * at the end of a connection is no message: it was cut off, and a port that lost a digit is a port of somebody else.
 */

export const FRAMING_FAULTS = ["too_long", "framing_lost", "cut_off"] as const;
export type FramingFault = (typeof FRAMING_FAULTS)[number];

export interface Framed {
  readonly messages: readonly Uint8Array[];
  readonly faults: readonly FramingFault[];
}

const LF = 10, CR = 13, SPACE = 32, ZERO = 48, ONE = 49, NINE = 57;
/** "1048576 " has more digits than any bound. */
const COUNT_DIGITS_MAX = 7;

export class Framing {
  #way: "unknown" | "counted" | "lines" | "lost" = "unknown";
  #held: Uint8Array = new Uint8Array(0);
  /** A line that is longer than the bound is passed over to its end. */
  #skipping = false;

  constructor(readonly messageBytesMax: number) {}

  /** Octets of a message are known to be lost: whoever holds the connection has to end it. */
  get lost(): boolean {
    return this.#way === "lost";
  }

  get heldBytes(): number {
    return this.#held.length;
  }

  push(bytes: Uint8Array): Framed {
    if (this.lost) return { messages: [], faults: [] };
    const all = this.#held.length === 0 ? bytes : joined(this.#held, bytes);
    const out = { messages: [] as Uint8Array[], faults: [] as FramingFault[] };
    if (this.#way === "unknown") this.#way = wayOf(all);
    const used = this.#way === "counted"
      ? this.#counted(all, out)
      : this.#way === "lines"
      ? this.#lines(all, out)
      : 0;
    this.#held = this.lost ? new Uint8Array(0) : all.slice(used);
    return out;
  }

  /** The connection is over. */
  end(): Framed {
    const cut = this.#held.length > 0 || this.#skipping;
    this.#held = new Uint8Array(0);
    return { messages: [], faults: cut ? ["cut_off"] : [] };
  }

  #counted(bytes: Uint8Array, out: { messages: Uint8Array[]; faults: FramingFault[] }): number {
    let at = 0;
    while (at < bytes.length) {
      // Some senders end a counted message with a line feed that they do not count.
      if (bytes[at] === LF || bytes[at] === CR) {
        at++;
        continue;
      }
      const count = countAt(bytes, at);
      if (count === null) return at;
      if (count === "bad" || count.octets > this.messageBytesMax) {
        this.#way = "lost";
        out.faults.push(count === "bad" ? "framing_lost" : "too_long");
        return at;
      }
      if (count.from + count.octets > bytes.length) return at;
      out.messages.push(trimmed(bytes.subarray(count.from, count.from + count.octets)));
      at = count.from + count.octets;
    }
    return at;
  }

  #lines(bytes: Uint8Array, out: { messages: Uint8Array[]; faults: FramingFault[] }): number {
    let start = 0;
    for (let at = lineEnd(bytes, 0); at >= 0; at = lineEnd(bytes, start)) {
      const message = trimmed(bytes.subarray(start, at));
      if (this.#skipping) this.#skipping = false;
      else if (message.length > this.messageBytesMax) out.faults.push("too_long");
      else if (message.length > 0) out.messages.push(message);
      start = at + 1;
    }
    if (bytes.length - start > this.messageBytesMax) {
      if (!this.#skipping) out.faults.push("too_long");
      this.#skipping = true;
    }
    return this.#skipping ? bytes.length : start;
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

/** A line may begin with digits too, a date: only a space behind them makes them a count. */
function wayOf(bytes: Uint8Array): "unknown" | "counted" | "lines" {
  let at = 0;
  if (bytes.length === 0) return "unknown";
  if (bytes[0]! < ONE || bytes[0]! > NINE) return "lines";
  while (at < bytes.length && at <= COUNT_DIGITS_MAX && isDigit(bytes[at]!)) at++;
  if (at === bytes.length && at <= COUNT_DIGITS_MAX) return "unknown";
  return bytes[at] === SPACE && (at + 1 === bytes.length || bytes[at + 1] === 0x3c) ? "counted" : "lines";
}

const isDigit = (byte: number) => byte >= ZERO && byte <= NINE;

/** Null: more bytes are needed to tell. */
function countAt(bytes: Uint8Array, start: number): { octets: number; from: number } | "bad" | null {
  let at = start, octets = 0;
  while (at < bytes.length && at - start < COUNT_DIGITS_MAX && isDigit(bytes[at]!)) {
    octets = octets * 10 + bytes[at++]! - ZERO;
  }
  if (at === bytes.length && at - start < COUNT_DIGITS_MAX) return null;
  return at > start && bytes[start] !== ZERO && bytes[at] === SPACE ? { octets, from: at + 1 } : "bad";
}

function lineEnd(bytes: Uint8Array, from: number): number {
  const feed = bytes.indexOf(LF, from), nul = bytes.indexOf(0, from);
  return feed < 0 ? nul : nul < 0 ? feed : Math.min(feed, nul);
}

/** Without the line end that a message may carry. */
function trimmed(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === LF || bytes[end - 1] === CR || bytes[end - 1] === 0)) end--;
  return bytes.subarray(0, end);
}
