/**
 * Duty: BFD control packets once more in TypeScript, made and read as RFC 5880, 4.1 and 4.4 draw them.
 *
 * The oracle of the codec in C. The digest is that of the runtime, so it does not share a fault with ours.
 */
import { createHash } from "node:crypto";
import { BFD_STATE } from "../../filter/names.ts";
import type { Discard, State } from "./bfd.ts";

export interface Packet {
  readonly version: number;
  readonly diag: number;
  readonly state: State;
  readonly poll: boolean;
  readonly final: boolean;
  readonly independent: boolean;
  readonly demand: boolean;
  readonly multipoint: boolean;
  readonly multiplier: number;
  readonly myDiscr: number;
  readonly yourDiscr: number;
  readonly desiredTxUs: number;
  readonly requiredRxUs: number;
  readonly requiredEchoUs: number;
  /** Null: no authentication. */
  readonly auth: Auth | null;
}

export interface Auth {
  readonly type: number;
  readonly keyId: number;
  readonly sequence: number;
  readonly key: string;
}

export const PACKET: Packet = {
  version: 1,
  diag: 0,
  state: "down",
  poll: false,
  final: false,
  independent: false,
  demand: false,
  multipoint: false,
  multiplier: 3,
  myDiscr: 0x11111111,
  yourDiscr: 0,
  desiredTxUs: 1_000_000,
  requiredRxUs: 10_000,
  requiredEchoUs: 0,
  auth: null,
};

const BASE = 24;
const SECTION = 28;

export function packetBytes(given: Partial<Packet>): Uint8Array<ArrayBuffer> {
  const p = { ...PACKET, ...given };
  const length = BASE + (p.auth === null ? 0 : SECTION);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  const flags = [p.poll, p.final, p.independent, p.auth !== null, p.demand, p.multipoint];
  bytes[0] = p.version << 5 | p.diag;
  bytes[1] = flags.reduce((all, flag) => all << 1 | (flag ? 1 : 0), BFD_STATE.indexOf(p.state));
  bytes[2] = p.multiplier;
  bytes[3] = length;
  const words = [p.myDiscr, p.yourDiscr, p.desiredTxUs, p.requiredRxUs, p.requiredEchoUs];
  words.forEach((word, i) => view.setUint32(4 + 4 * i, word));
  if (p.auth === null) return bytes;
  bytes.set([p.auth.type, SECTION, p.auth.keyId, 0], BASE);
  view.setUint32(BASE + 4, p.auth.sequence);
  bytes.set(digestOf(bytes, p.auth.key), BASE + 8);
  return bytes;
}

/** RFC 5880, 6.7.4: over the packet with the key where the digest will be. */
function digestOf(bytes: Uint8Array, key: string): Uint8Array {
  const plain = bytes.slice();
  plain.fill(0, BASE + 8, BASE + SECTION).set(new TextEncoder().encode(key), BASE + 8);
  return createHash("sha1").update(plain).digest();
}

export interface Read extends Omit<Packet, "auth" | "version" | "multipoint"> {
  readonly auth: { readonly type: number; readonly keyId: number; readonly sequence: number } | null;
  /** Whether the digest is that of a key. */
  readonly fits: (key: string) => boolean;
}

/** The packet, or why it is none (6.8.6, what can be said of it alone). */
export function readPacket(bytes: Uint8Array): Read | Discard {
  if (bytes.length < BASE) return "length";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const flag = (bit: number) => (bytes[1]! >> bit & 1) === 1;
  if (bytes[0]! >> 5 !== 1) return "version";
  const length = bytes[3]!;
  if (length < BASE || length > bytes.length) return "length";
  const auth = flag(2) ? readSection(bytes.subarray(BASE, length)) : null;
  if (auth === undefined) return "length";
  if (bytes[2] === 0) return "multiplier";
  if (flag(0)) return "multipoint";
  const [myDiscr, yourDiscr] = [view.getUint32(4), view.getUint32(8)];
  const state = BFD_STATE[bytes[1]! >> 6]!;
  if (myDiscr === 0) return "my_discriminator";
  if (yourDiscr === 0 && (state === "init" || state === "up")) return "state";
  return {
    diag: bytes[0]! & 31,
    state,
    poll: flag(5),
    final: flag(4),
    independent: flag(3),
    demand: flag(1),
    multiplier: bytes[2]!,
    myDiscr,
    yourDiscr,
    desiredTxUs: view.getUint32(12),
    requiredRxUs: view.getUint32(16),
    requiredEchoUs: view.getUint32(20),
    auth,
    fits: (key) => {
      const digest = digestOf(bytes.subarray(0, length), key);
      return digest.every((byte, i) => byte === bytes[BASE + 8 + i]);
    },
  };
}

/** Undefined: it does not fit the packet. */
function readSection(section: Uint8Array): Read["auth"] | undefined {
  const [type = 0, length = 0, keyId = 0] = section;
  if (section.length < 2 || length < 2 || length > section.length) return undefined;
  if (type !== 4 && type !== 5) return { type, keyId: 0, sequence: 0 };
  if (length !== SECTION) return undefined;
  return { type, keyId, sequence: new DataView(section.buffer, section.byteOffset).getUint32(4) };
}
