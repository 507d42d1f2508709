/**
 * Duty: seals records, so that only drivers of the same pair of boxes read and write them, whoever keeps them meanwhile.
 *
 * AES-256-GCM over the value; all that stays readable is authenticated with it. Each start of a source has an epoch and a
 * random salt, hence a key of its own (HKDF-SHA256), under which the sequence is the nonce: none repeats, not even after a
 * restart or with a lost state directory. Who opens takes each place of a source once and in order.
 */
import { headOf, recordOfHead } from "./record_json.ts";
import { type StateRecord, VALUE_BYTES_MAX } from "./record.ts";

/**
 *      0       1         2            4       20       28         36
 *     +-------+---------+------------+-------+--------+----------+--------+------+------------------+
 *     | form  | source  | head bytes | salt  | epoch  | sequence | source | head | value, encrypted |
 *     | 1     | bytes   | big-endian | 16    | u64    | u64      |        | JSON | and tag of 16    |
 *     +-------+---------+------------+-------+--------+----------+--------+------+------------------+
 *     '---------------- authenticated, readable --------------------------------'
 */
const FORM = 1;
const FIXED_BYTES = 36;
const SALT_AT = 4, EPOCH_AT = 20, SEQUENCE_AT = 28;
export const SALT_BYTES = 16;
export const SECRET_BYTES = 32;
const TAG_BYTES = 16;
const HEAD_BYTES_MAX = 8_192;
export const SOURCE_BYTES_MAX = 128;
/** The bound on a sealed record. */
export const SEALED_BYTES_MAX = FIXED_BYTES + SOURCE_BYTES_MAX + HEAD_BYTES_MAX + VALUE_BYTES_MAX +
  TAG_BYTES;
/** Keys of starts of sources that are kept derived. */
const KEYS_MAX = 32;

/** Where a sealed record stands: epochs of a source grow with each start, sequences with each record, over starts too. */
export interface Place {
  readonly source: string;
  readonly epoch: number;
  readonly sequence: number;
}

/** Why a sealed record was refused; "forged" is a changed one as well as one of another key. */
export const SEAL_FAULTS = [
  "truncated",
  "oversized",
  "form",
  "source",
  "place",
  "replayed",
  "forged",
  "record",
] as const;
export type SealFault = (typeof SEAL_FAULTS)[number];

export type Opened =
  | { readonly ok: true; readonly record: StateRecord; readonly place: Place }
  /** `reason` is the end of a sentence. */
  | { readonly ok: false; readonly fault: SealFault; readonly reason: string };

const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { fatal: true });

/** The secret of a pair of boxes, as read from its file. @throws RangeError */
export async function importSecret(secret: Uint8Array): Promise<CryptoKey> {
  if (secret.length !== SECRET_BYTES) {
    throw new RangeError(`Cannot use a secret of ${secret.length} bytes: it has to have ${SECRET_BYTES}`);
  }
  return await crypto.subtle.importKey("raw", secret as BufferSource, "HKDF", false, ["deriveKey"]);
}

/** The key of one source's start. Its direction is in it: what a source seals only its readers open as such. */
function deriveKey(secret: CryptoKey, { source, epoch }: Place, salt: Uint8Array): Promise<CryptoKey> {
  const info = utf8.encode(`remediate state ${FORM}\0from ${source}\0${epoch}`);
  return crypto.subtle.deriveKey(
    { name: "HKDF", hash: "SHA-256", salt: salt as BufferSource, info },
    secret,
    { name: "AES-GCM", length: 256 },
    false,
    ["encrypt", "decrypt"],
  );
}

/** The sequence, big-endian, behind four zeros: unlike any other under one key. */
function nonceOf(readable: Uint8Array): Uint8Array {
  const nonce = new Uint8Array(12);
  nonce.set(readable.subarray(SEQUENCE_AT, SEQUENCE_AT + 8), 4);
  return nonce;
}

const algorithm = (readable: Uint8Array) => ({
  name: "AES-GCM",
  iv: nonceOf(readable) as BufferSource,
  additionalData: readable as BufferSource,
});

export interface SealerOptions {
  readonly secret: CryptoKey;
  readonly source: string;
  /** Larger than that of any start before. */
  readonly epoch: number;
  /** 16 random bytes, drawn for this start. */
  readonly salt: Uint8Array;
}

/** Seals what one source sends, from one start to its end. */
export class Sealer {
  readonly #key: CryptoKey;
  readonly #options: SealerOptions;
  #last = 0;

  private constructor(key: CryptoKey, options: SealerOptions) {
    this.#key = key;
    this.#options = options;
  }

  static async open(options: SealerOptions): Promise<Sealer> {
    const { secret, source, epoch, salt } = options;
    const bytes = utf8.encode(source).length;
    if (bytes === 0 || bytes > SOURCE_BYTES_MAX || salt.length !== SALT_BYTES) {
      throw new RangeError(`Cannot seal for source "${source}": its name or salt is of a wrong length`);
    }
    return new Sealer(await deriveKey(secret, { source, epoch, sequence: 0 }, salt), options);
  }

  /** @throws RangeError where a sequence would come twice, or the record is larger than its bounds */
  async seal(record: StateRecord, sequence: number): Promise<Uint8Array> {
    if (!Number.isSafeInteger(sequence) || sequence <= this.#last) {
      throw new RangeError(`Cannot seal ${record.key}: sequence ${sequence} is not above ${this.#last}`);
    }
    const head = utf8.encode(JSON.stringify(headOf(record)));
    if (head.length > HEAD_BYTES_MAX || record.value.length > VALUE_BYTES_MAX) {
      throw new RangeError(`Cannot seal ${record.key.slice(0, 80)}: it is larger than its bounds`);
    }
    this.#last = sequence;
    const readable = this.#readable(head, sequence);
    const sealed = new Uint8Array(
      await crypto.subtle.encrypt(algorithm(readable), this.#key, record.value as BufferSource),
    );
    const whole = new Uint8Array(readable.length + sealed.length);
    whole.set(readable);
    whole.set(sealed, readable.length);
    return whole;
  }

  #readable(head: Uint8Array, sequence: number): Uint8Array {
    const source = utf8.encode(this.#options.source);
    const bytes = new Uint8Array(FIXED_BYTES + source.length + head.length);
    const view = new DataView(bytes.buffer);
    view.setUint8(0, FORM);
    view.setUint8(1, source.length);
    view.setUint16(2, head.length);
    bytes.set(this.#options.salt, SALT_AT);
    view.setBigUint64(EPOCH_AT, BigInt(this.#options.epoch));
    view.setBigUint64(SEQUENCE_AT, BigInt(sequence));
    bytes.set(source, FIXED_BYTES);
    bytes.set(head, FIXED_BYTES + source.length);
    return bytes;
  }
}

export interface OpenHow {
  /** Where whoever keeps it says that it stands. */
  readonly source: string;
  readonly sequence: number;
  /**
   * It comes from a snapshot: it may have been taken before. Who reads one asks that its sequences grow, and leaves what is
   * older than what is there to the version.
   */
  readonly again?: boolean;
}

interface Parts {
  readonly place: Place;
  readonly salt: Uint8Array;
  readonly readable: Uint8Array;
  readonly head: Uint8Array;
  readonly sealed: Uint8Array;
}

/** Opens what the sources of one pair of boxes have sealed, for one reader. */
export class Opener {
  readonly #secret: CryptoKey;
  readonly #keys = new Map<string, CryptoKey>();
  readonly #taken = new Map<string, Place>();
  readonly #counts = Object.fromEntries(SEAL_FAULTS.map((fault) => [`seal_${fault}`, 0]));

  constructor(secret: CryptoKey) {
    this.#secret = secret;
  }

  /** Refused ones, by fault. */
  counters(): Readonly<Record<string, number>> {
    return { ...this.#counts };
  }

  /** What is refused is counted and changes nothing else. Never throws for what is in `chunk`. */
  async open(chunk: Uint8Array, how: OpenHow): Promise<Opened> {
    const opened = await this.#open(chunk, how);
    if (!opened.ok) this.#counts[`seal_${opened.fault}`]!++;
    return opened;
  }

  async #open(chunk: Uint8Array, how: OpenHow): Promise<Opened> {
    const parts = partsOf(chunk);
    if ("fault" in parts) return parts;
    const { place, readable, sealed, salt } = parts;
    if (place.source !== how.source) return no("source", `it is of source "${place.source.slice(0, 80)}"`);
    if (place.sequence !== how.sequence) {
      return no("place", `its own sequence is ${place.sequence}, not ${how.sequence}`);
    }
    const late = () => how.again ? null : this.#replayed(place);
    const before = late();
    if (before !== null) return before;
    let value;
    try {
      const key = await this.#keyOf(place, salt);
      value = new Uint8Array(await crypto.subtle.decrypt(algorithm(readable), key, sealed as BufferSource));
    } catch {
      return no("forged", "it was changed, or sealed with another key");
    }
    const record = recordOf(parts.head, value);
    if (typeof record === "string") return no("record", record);
    // Another may have been taken meanwhile.
    const after = late();
    if (after !== null) return after;
    if (isAfter(place, this.#taken.get(place.source))) this.#taken.set(place.source, place);
    return { ok: true, record, place };
  }

  #replayed(place: Place): Opened | null {
    const taken = this.#taken.get(place.source);
    if (isAfter(place, taken)) return null;
    const where = `${taken?.epoch}/${taken?.sequence}`;
    return no("replayed", `its place ${place.epoch}/${place.sequence} is not behind ${where}`);
  }

  async #keyOf(place: Place, salt: Uint8Array): Promise<CryptoKey> {
    const name = `${place.source}\0${place.epoch}\0${salt.toHex()}`;
    const known = this.#keys.get(name);
    const key = known ?? await deriveKey(this.#secret, place, salt);
    this.#keys.delete(name);
    this.#keys.set(name, key);
    const [oldest] = this.#keys.keys();
    if (this.#keys.size > KEYS_MAX && oldest !== undefined) this.#keys.delete(oldest);
    return key;
  }
}

function no(fault: SealFault, reason: string): Opened & { ok: false } {
  return { ok: false, fault, reason };
}

function isAfter(place: Place, taken: Place | undefined): boolean {
  if (taken === undefined || place.epoch > taken.epoch) return true;
  return place.epoch === taken.epoch && place.sequence > taken.sequence;
}

function partsOf(chunk: Uint8Array): Parts | (Opened & { ok: false }) {
  if (chunk.length > SEALED_BYTES_MAX) return no("oversized", `it has ${chunk.length} bytes`);
  if (chunk.length < FIXED_BYTES) return no("truncated", `it has ${chunk.length} bytes`);
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (view.getUint8(0) !== FORM) return no("form", `its form is ${view.getUint8(0)}, not ${FORM}`);
  const sourceEnd = FIXED_BYTES + view.getUint8(1), headEnd = sourceEnd + view.getUint16(2);
  if (chunk.length < headEnd + TAG_BYTES) return no("truncated", `it has ${chunk.length} bytes`);
  if (headEnd - sourceEnd > HEAD_BYTES_MAX) return no("oversized", "its head is too long");
  const [epoch, sequence] = [Number(view.getBigUint64(EPOCH_AT)), Number(view.getBigUint64(SEQUENCE_AT))];
  if (!Number.isSafeInteger(epoch) || !Number.isSafeInteger(sequence)) {
    return no("place", "its epoch or sequence is no number that a source counts to");
  }
  try {
    const source = text.decode(chunk.subarray(FIXED_BYTES, sourceEnd));
    return {
      place: { source, epoch, sequence },
      salt: chunk.slice(SALT_AT, SALT_AT + SALT_BYTES),
      readable: chunk.slice(0, headEnd),
      head: chunk.subarray(sourceEnd, headEnd),
      sealed: chunk.slice(headEnd),
    };
  } catch {
    return no("source", "its source is no text");
  }
}

function recordOf(head: Uint8Array, value: Uint8Array): StateRecord | string {
  try {
    return recordOfHead(JSON.parse(text.decode(head)), value);
  } catch {
    return "its head is no JSON";
  }
}
