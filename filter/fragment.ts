/**
 * What became of first fragments, the twin of the table in native/fragment.c: one place per hash, the same hash, so that
 * the two forget the same.
 */
import type { Packet } from "./packet.ts";
import { PROTO } from "./packet.ts";

const PLACES = 1024;
const LIFE_NS = 60_000_000_000n;

interface Kept {
  readonly key: string;
  readonly copied: boolean;
  readonly rule: number | undefined;
  readonly ns: bigint;
}

function mix(h: number, word: number): number {
  const product = Math.imul(h ^ word, 0x01000193) >>> 0;
  return (product ^ (product >>> 15)) >>> 0;
}

export class FragmentTable {
  readonly #places: (Kept | undefined)[] = new Array(PLACES).fill(undefined);

  keep(packet: Packet, outcome: Omit<Kept, "key">): void {
    const { key, place } = placeOf(packet);
    this.#places[place] = { key, ...outcome };
  }

  find(packet: Packet, nowNs: bigint): Kept | undefined {
    const { key, place } = placeOf(packet);
    const kept = this.#places[place];
    const isYoung = kept !== undefined && (nowNs <= kept.ns || nowNs - kept.ns < LIFE_NS);
    return isYoung && kept.key === key ? kept : undefined;
  }
}

function placeOf({ fragment, vlan }: Packet): { key: string; place: number } {
  if (!fragment) throw new TypeError("Cannot place a packet among fragments: it is none");
  const proto = fragment.ipv6 ? PROTO.fragment : fragment.proto;
  let h = mix(mix(0, fragment.id), ((vlan << 8) | proto) >>> 0);
  for (const address of [fragment.source, fragment.destination]) {
    const view = new DataView(address.buffer, address.byteOffset, 16);
    for (let i = 0; i < 16; i += 4) h = mix(h, view.getUint32(i));
  }
  const key = String.fromCharCode(...fragment.source, ...fragment.destination, vlan, proto) + fragment.id;
  return { key, place: (h ^ (h >>> 16)) & (PLACES - 1) };
}
