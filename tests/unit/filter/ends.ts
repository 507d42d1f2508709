/** The two ends that the filter's tests talk about, and short words for their frames. */
import {
  type End,
  ethernet,
  icmp,
  ip,
  type IpOptions,
  type LinkOptions,
  tcp,
  udp,
} from "../../../filter/frame.ts";
import { PROTO, TCP } from "../../../filter/packet.ts";

const clientMac = [2, 0, 0, 0, 1, 10];
const serverMac = [2, 0, 0, 0, 2, 20];
const v6 = (last: number) => [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];

/** The client is the lower end of the key. */
export const CLIENT: End = { mac: clientMac, ip: [10, 1, 0, 5], port: 40_000 };
export const SERVER: End = { mac: serverMac, ip: [10, 2, 0, 9], port: 80 };
export const CLIENT6: End = { mac: clientMac, ip: v6(1), port: 40_000 };
export const SERVER6: End = { mac: serverMac, ip: v6(2), port: 443 };

export type Way = readonly [End, End];
export const UP: Way = [CLIENT, SERVER];
export const DOWN: Way = [SERVER, CLIENT];
export const UP6: Way = [CLIENT6, SERVER6];
export const DOWN6: Way = [SERVER6, CLIENT6];

export type Options = IpOptions & LinkOptions;

/** An IP packet of any protocol in an Ethernet frame. */
export function packet(
  way: Way,
  proto: number,
  segment: Uint8Array,
  options: Options = {},
): Uint8Array<ArrayBuffer> {
  const { type, body } = ip(way, proto, segment, options);
  return ethernet(way, type, body, options);
}

const LETTERS: Readonly<Record<string, number>> = {
  S: TCP.syn,
  A: TCP.ack,
  F: TCP.fin,
  R: TCP.rst,
  P: TCP.psh,
};

/** Flags from their letters, as tcpdump prints them: "SA" is SYN and ACK, "" none. */
export function tcpFlags(letters: string): number {
  return [...letters].reduce((flags, letter) => {
    const flag = LETTERS[letter];
    if (flag === undefined) {
      throw new RangeError(`Cannot read TCP flags "${letters}": no flag is called ${letter}`);
    }
    return flags | flag;
  }, 0);
}

interface Segment {
  readonly seq?: number;
  readonly ack?: number;
  readonly window?: number;
  readonly payload?: number;
  readonly tcpOptions?: readonly number[];
  readonly headerWords?: number;
}

/** A TCP frame; `payload` is a number of bytes. */
export function tcpFrame(way: Way, letters: string, segment: Segment = {}, options: Options = {}) {
  const { payload = 0, tcpOptions = [], ...fields } = segment;
  const bytes = tcp(
    way,
    { ...fields, flags: tcpFlags(letters), options: tcpOptions },
    new Uint8Array(payload),
  );
  return packet(way, PROTO.tcp, bytes, options);
}

export function udpFrame(way: Way, payload = 0, options: Options = {}) {
  return packet(way, PROTO.udp, udp(way, new Uint8Array(payload)), options);
}

/** `message`: type, code and the second word of the header (identifier and sequence number of an echo). */
export function icmpFrame(way: Way, message: readonly [number, number, number], options: Options = {}) {
  const proto = way[0].ip.length === 4 ? PROTO.icmp : PROTO.icmpv6;
  return packet(way, proto, icmp(way, message, new Uint8Array(8)), options);
}
