/**
 * Duty: BFD in C, as the product is built from it: codec, frames and sessions, with time and packets from the caller.
 */
import { BFD_DIAG, BFD_DISCARD, BFD_STATE, LIGHT } from "../../filter/names.ts";

const SYMBOLS = {
  // bytes, n, digest
  rm_bfd_sha1: { parameters: ["buffer", "u32", "buffer"], result: "void" },
  // bytes, n, out
  rm_bfd_parse: { parameters: ["buffer", "u32", "buffer"], result: "u32" },
  // terms, discriminator, seed, now
  rm_bfd_open: { parameters: ["buffer", "u32", "u64", "u64"], result: "pointer" },
  rm_bfd_close: { parameters: ["pointer"], result: "void" },
  // session, terms, now
  rm_bfd_retune: { parameters: ["pointer", "buffer", "u64"], result: "void" },
  // session, now
  rm_bfd_shut: { parameters: ["pointer", "u64"], result: "void" },
  // session, bytes, n, now
  rm_bfd_receive: { parameters: ["pointer", "buffer", "u32", "u64"], result: "u32" },
  // session, now, to
  rm_bfd_send: { parameters: ["pointer", "u64", "buffer"], result: "u32" },
  rm_bfd_send_echo: { parameters: ["pointer", "u64", "buffer"], result: "u32" },
  // session, bytes, n, now
  rm_bfd_take_echo: { parameters: ["pointer", "buffer", "u32", "u64"], result: "u32" },
  // session, now, looked
  rm_bfd_expire: { parameters: ["pointer", "u64", "u64"], result: "u32" },
  // session, lost
  rm_bfd_stalled: { parameters: ["pointer", "u64"], result: "void" },
  // session, now, out
  rm_bfd_look: { parameters: ["pointer", "u64", "buffer"], result: "void" },
  // frame, n, out
  rm_bfd_frame: { parameters: ["buffer", "u32", "buffer"], result: "u32" },
  // what, way, payload, to
  rm_bfd_build: { parameters: ["u32", "buffer", "buffer", "buffer"], result: "u32" },
} as const satisfies Deno.ForeignLibraryInterface;

export interface Terms {
  readonly minTxUs: number;
  readonly minRxUs: number;
  readonly echoUs: number;
  readonly multiplier: number;
  readonly passive: boolean;
  /** 0 none, 4 keyed SHA1, 5 meticulous. */
  readonly auth: number;
  readonly keyId: number;
  readonly key: string;
}

export const TERMS: Terms = {
  minTxUs: 10_000,
  minRxUs: 10_000,
  echoUs: 0,
  multiplier: 3,
  passive: false,
  auth: 0,
  keyId: 7,
  key: "swordfish",
};

export type State = (typeof BFD_STATE)[number];
export type Discard = (typeof BFD_DISCARD)[number];

/** What both a session in C and the model show of themselves. */
export interface Look {
  readonly state: State;
  readonly remoteState: State;
  readonly diag: string;
  readonly remoteDiag: number;
  readonly light: (typeof LIGHT)[number];
  readonly remoteDiscr: number;
  readonly txUs: number;
  readonly rxUs: number;
  readonly txUsedUs: number;
  readonly rxUsedUs: number;
  readonly intervalUs: number;
  readonly polling: boolean;
  readonly authRx: number;
  readonly authKnown: boolean;
  readonly echoUs: number;
  readonly late: number;
  readonly detectNs: number;
  /** Infinity: nothing is due. */
  readonly dueNs: number;
  readonly ups: number;
  readonly downs: number;
}

function termsBytes(terms: Terms): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(52);
  const key = new TextEncoder().encode(terms.key);
  const { minTxUs, minRxUs, echoUs, multiplier, passive, auth, keyId } = terms;
  const words = [minTxUs, minRxUs, echoUs, multiplier, passive ? 1 : 0, auth, keyId, auth ? key.length : 0];
  words.forEach((word, i) => new DataView(bytes.buffer).setUint32(4 * i, word, true));
  if (auth) bytes.set(key, 32);
  return bytes;
}

const owned = (bytes: Uint8Array) => bytes.slice();
const PACKET_BYTES_MAX = 52;

export class BfdLibrary implements Disposable {
  readonly #library: Deno.DynamicLibrary<typeof SYMBOLS>;

  constructor(path: string) {
    this.#library = Deno.dlopen(path, SYMBOLS);
  }

  sha1(bytes: Uint8Array): Uint8Array {
    const digest = new Uint8Array(20);
    this.#library.symbols.rm_bfd_sha1(owned(bytes), bytes.length, digest);
    return digest;
  }

  /** Why it is refused, and the words of what was read. */
  parse(bytes: Uint8Array): { why: Discard; words: number[] } {
    const out = new Uint32Array(12);
    const why = this.#library.symbols.rm_bfd_parse(owned(bytes), bytes.length, new Uint8Array(out.buffer));
    return { why: BFD_DISCARD[why]!, words: [...out] };
  }

  /** Kind of a frame: other, ask, tell, udp, ip, broken, checksum. */
  frame(bytes: Uint8Array): string {
    const kinds = ["other", "ask", "tell", "udp", "ip", "broken", "checksum"];
    return kinds[this.#library.symbols.rm_bfd_frame(owned(bytes), bytes.length, new Uint8Array(256))]!;
  }

  build(what: "udp" | "ask" | "tell", way: Way, payload: Uint8Array): Uint8Array {
    const to = new Uint8Array(160);
    const number = ["udp", "ask", "tell"].indexOf(what);
    const n = this.#library.symbols.rm_bfd_build(number, wayBytes(way), owned(payload), to);
    return to.slice(0, n);
  }

  session(terms: Terms, discr: number, seed: bigint, now: number): BfdSession {
    const { symbols } = this.#library;
    const session = symbols.rm_bfd_open(termsBytes(terms), discr, seed, BigInt(now));
    if (session === null) throw new Error("Cannot open a BFD session: no memory");
    return new BfdSession(symbols, session);
  }

  [Symbol.dispose](): void {
    this.#library.close();
  }
}

export interface Way {
  readonly fromMac: readonly number[];
  readonly toMac: readonly number[];
  readonly vlan: number;
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  readonly fromPort: number;
  readonly toPort: number;
  readonly ttl: number;
}

/** As struct bfd_way lies in memory. */
function wayBytes(way: Way): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(56);
  const view = new DataView(bytes.buffer);
  bytes.set(way.fromMac, 0);
  bytes.set(way.toMac, 6);
  view.setUint32(12, way.vlan, true);
  bytes.set(way.from, 16);
  bytes.set(way.to, 32);
  view.setUint16(48, way.fromPort, true);
  view.setUint16(50, way.toPort, true);
  view.setUint8(52, way.ttl);
  return bytes;
}

export class BfdSession implements Disposable {
  constructor(
    readonly symbols: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"],
    readonly pointer: Deno.PointerObject,
  ) {}

  receive(bytes: Uint8Array, now: number): Discard {
    const why = this.symbols.rm_bfd_receive(this.pointer, owned(bytes), bytes.length, BigInt(now));
    return BFD_DISCARD[why]!;
  }

  /** Null: nothing is due. */
  send(now: number): Uint8Array | null {
    const to = new Uint8Array(PACKET_BYTES_MAX);
    const n = this.symbols.rm_bfd_send(this.pointer, BigInt(now), to);
    return n === 0 ? null : to.slice(0, n);
  }

  sendEcho(now: number): Uint8Array | null {
    const to = new Uint8Array(PACKET_BYTES_MAX);
    const n = this.symbols.rm_bfd_send_echo(this.pointer, BigInt(now), to);
    return n === 0 ? null : to.slice(0, n);
  }

  takeEcho(bytes: Uint8Array, now: number): boolean {
    return this.symbols.rm_bfd_take_echo(this.pointer, owned(bytes), bytes.length, BigInt(now)) === 1;
  }

  expire(now: number, looked = now): boolean {
    return this.symbols.rm_bfd_expire(this.pointer, BigInt(now), BigInt(looked)) === 1;
  }

  stalled(lostNs: number): void {
    this.symbols.rm_bfd_stalled(this.pointer, BigInt(lostNs));
  }

  retune(terms: Terms, now: number): void {
    this.symbols.rm_bfd_retune(this.pointer, termsBytes(terms), BigInt(now));
  }

  shut(now: number): void {
    this.symbols.rm_bfd_shut(this.pointer, BigInt(now));
  }

  look(now: number): Look {
    const out = new Uint8Array(4 * 16 + 8 * 4);
    this.symbols.rm_bfd_look(this.pointer, BigInt(now), out);
    const view = new DataView(out.buffer);
    const word = (i: number) => view.getUint32(4 * i, true);
    const wide = (i: number) => view.getBigUint64(64 + 8 * i, true);
    const due = wide(1);
    return {
      state: BFD_STATE[word(0)]!,
      remoteState: BFD_STATE[word(1)]!,
      diag: BFD_DIAG[word(2)]!,
      remoteDiag: word(3),
      light: LIGHT[word(4)]!,
      remoteDiscr: word(5),
      txUs: word(6),
      rxUs: word(7),
      txUsedUs: word(8),
      rxUsedUs: word(9),
      intervalUs: word(10),
      polling: word(11) === 1,
      authRx: word(12),
      authKnown: word(13) === 1,
      echoUs: word(14),
      late: word(15),
      detectNs: Number(wide(0)),
      dueNs: due === 0xffff_ffff_ffff_ffffn ? Infinity : Number(due),
      ups: Number(wide(2)),
      downs: Number(wide(3)),
    };
  }

  [Symbol.dispose](): void {
    this.symbols.rm_bfd_close(this.pointer);
  }
}
