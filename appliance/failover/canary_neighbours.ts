/**
 * Who is where, for canaries: the node answers for the ends it plays, and asks for the box's own addresses.
 *
 * ARP (RFC 826) and neighbour discovery (RFC 4861). Pure: frames in, frames out.
 */
import { type End, ethernet, icmp, ip } from "../../filter/frame.ts";
import { ETHERTYPE, parsePacket, PROTO } from "../../filter/packet.ts";
import type { Sent, Side } from "./canary.ts";

const BROADCAST = [255, 255, 255, 255, 255, 255];
const REQUEST = 1, REPLY = 2;
const SOLICITATION = 135, ADVERTISEMENT = 136;
const ALL_NODES_MAC = [0x33, 0x33, 0, 0, 0, 1];
const ALL_NODES = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/** Solicited, override. */
const FLAGS = 0x60000000;
const HOP_LIMIT = 255;

export interface Own {
  readonly side: Side;
  readonly end: End;
}

interface Said {
  readonly kind: "asks" | "tells";
  readonly from: End;
  /** Who is asked for, or who tells. */
  readonly ip: readonly number[];
  readonly mac: readonly number[];
}

export class CanaryNeighbours {
  readonly #own: readonly Own[];
  readonly #vlan: number;
  readonly #known = new Map<string, readonly number[]>();

  constructor(own: readonly Own[], vlan: number) {
    this.#own = own;
    this.#vlan = vlan;
  }

  /** The MAC that the box gave for its address on a side; null: it has not answered yet. */
  macOf(side: Side, address: readonly number[]): readonly number[] | null {
    return this.#known.get(`${side} ${address.join(".")}`) ?? null;
  }

  /** The question for an address of the box, from an end of ours on that side. */
  ask(side: Side, from: End, address: readonly number[]): Sent {
    const whole = { mac: BROADCAST, ip: address, port: 0 };
    if (address.length === 4) {
      return this.#sent(
        side,
        ethernet(
          [from, whole],
          ETHERTYPE.arp,
          arp(REQUEST, from, { ...whole, mac: Array(6).fill(0) }),
          this.#link,
        ),
      );
    }
    const group = {
      mac: [0x33, 0x33, 0xff, ...address.slice(13)],
      ip: [...ALL_NODES.slice(0, 11), 1, 0xff, ...address.slice(13)],
      port: 0,
    };
    return this.#sent(
      side,
      this.#discovery([from, group], SOLICITATION, { flags: 0, about: address, option: [1, 1, ...from.mac] }),
    );
  }

  /** A frame came out of the box on a side: answer questions for our ends, note what it says of itself. */
  hear(side: Side, frame: Uint8Array): readonly Sent[] {
    const said = read(frame, this.#vlan);
    if (said === null) return [];
    if (said.kind === "tells") {
      this.#known.set(`${side} ${said.ip.join(".")}`, said.mac);
      return [];
    }
    const own = this.#own.find((one) => one.side === side && same(one.end.ip, said.ip));
    if (own === undefined) return [];
    if (said.ip.length === 4) {
      return [
        this.#sent(
          side,
          ethernet([own.end, said.from], ETHERTYPE.arp, arp(REPLY, own.end, said.from), this.#link),
        ),
      ];
    }
    // Nobody may be asked back from an unspecified address: then everybody is told.
    const to = said.from.ip.some((byte) => byte !== 0)
      ? said.from
      : { mac: ALL_NODES_MAC, ip: ALL_NODES, port: 0 };
    return [
      this.#sent(
        side,
        this.#discovery([own.end, to], ADVERTISEMENT, {
          flags: FLAGS,
          about: said.ip,
          option: [2, 1, ...own.end.mac],
        }),
      ),
    ];
  }

  get #link() {
    return this.#vlan === 0 ? {} : { tags: [this.#vlan] };
  }

  #sent(side: Side, frame: Uint8Array): Sent {
    return { side, frame };
  }

  #discovery(
    ends: readonly [End, End],
    type: number,
    { flags, about, option }: { flags: number; about: readonly number[]; option: readonly number[] },
  ): Uint8Array {
    const message = icmp(ends, [type, 0, flags], Uint8Array.from([...about, ...option]));
    const { type: ethertype, body } = ip(ends, PROTO.icmpv6, message);
    body[7] = HOP_LIMIT;
    return ethernet(ends, ethertype, body, this.#link);
  }
}

function same(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function arp(operation: number, from: End, to: End): number[] {
  return [0, 1, 8, 0, 6, 4, 0, operation, ...from.mac, ...from.ip, ...to.mac, ...to.ip];
}

function read(frame: Uint8Array, vlan: number): Said | null {
  const packet = parsePacket(frame);
  if (packet.verdict !== "neighbour" || packet.vlan !== vlan) return null;
  const at = packet.ipOffset;
  const part = (from: number, bytes: number) => [...frame.subarray(from, from + bytes)];
  if (frame[at - 2] === 8 && frame[at - 1] === 6) {
    if (frame.length < at + 28) return null;
    const from = { mac: part(at + 8, 6), ip: part(at + 14, 4), port: 0 };
    return frame[at + 7] === REQUEST
      ? { kind: "asks", from, ip: part(at + 24, 4), mac: from.mac }
      : { kind: "tells", from, ip: from.ip, mac: from.mac };
  }
  const icmpAt = at + 40;
  if (frame.length < icmpAt + 24) return null;
  const from = { mac: part(6, 6), ip: part(at + 8, 16), port: 0 };
  const about = part(icmpAt + 8, 16);
  if (frame[icmpAt] === SOLICITATION) return { kind: "asks", from, ip: about, mac: from.mac };
  if (frame[icmpAt] !== ADVERTISEMENT) return null;
  const option = part(icmpAt + 24, 8);
  return { kind: "tells", from, ip: about, mac: option[0] === 2 ? option.slice(2) : from.mac };
}
