/**
 * Frames with the verdict they deserve: a table that the parser in TypeScript and the one in C are both held to.
 */
import { ethernet, sctp } from "../../../filter/frame.ts";
import type { Parse } from "../../../filter/names.ts";
import { ETHERTYPE, PROTO } from "../../../filter/packet.ts";
import { type Options, packet, tcpFrame, udpFrame, UP, UP6 } from "./ends.ts";
import { CLIENT, DOWN, DOWN6, icmpFrame } from "./ends.ts";

export interface PacketCase {
  readonly says: string;
  readonly frame: Uint8Array;
  readonly verdict: Parse;
  /** Of a flow: what is expected beside the verdict. */
  readonly flow?: Expected;
}
export interface Expected {
  readonly dir?: 0 | 1;
  readonly port?: readonly [number, number];
  readonly proto?: number;
  readonly vlan?: number;
  readonly payloadBytes?: number;
  readonly scale?: number | undefined;
  readonly sack?: boolean;
}

const zeros = (bytes: number) => new Uint8Array(bytes);
const body = zeros(46);
const nowhere = (mac: readonly number[]) => [CLIENT, { mac, ip: [], port: 0 }] as const;
const syn = (tcpOptions: readonly number[]) => tcpFrame(UP, "S", { tcpOptions });
const extension = (proto: number, words = 0) => [proto, [0, words, ...zeros(6 + 8 * words)]] as const;
const fragment6 = (place: number) => [PROTO.fragment, [0, 0, place >> 8, place & 255, 0, 0, 0, 1]] as const;
const tagged = (tags: readonly number[], tagTypes: readonly number[] = [ETHERTYPE.vlan]): Options => ({
  tags,
  tagTypes,
});
/** A frame with one byte changed. */
function withByte(frame: Uint8Array, at: number, value: number): Uint8Array {
  const changed = frame.slice();
  changed[at] = value;
  return changed;
}

const FLOWS: readonly PacketCase[] = [
  {
    says: "a client's SYN",
    frame: tcpFrame(UP, "S"),
    verdict: "flow",
    flow: { dir: 0, port: [40000, 80], proto: 6 },
  },
  {
    says: "the answer has the same key",
    frame: tcpFrame(DOWN, "SA"),
    verdict: "flow",
    flow: { dir: 1, port: [40000, 80] },
  },
  {
    says: "link padding is no payload",
    frame: tcpFrame(UP, "A"),
    verdict: "flow",
    flow: { payloadBytes: 0 },
  },
  {
    says: "payload by IP length",
    frame: tcpFrame(UP, "PA", { payload: 3 }),
    verdict: "flow",
    flow: { payloadBytes: 3 },
  },
  {
    says: "IPv4 options",
    frame: udpFrame(UP, 9, { options: new Array(40).fill(1) }),
    verdict: "flow",
    flow: { payloadBytes: 9 },
  },
  { says: "do not fragment is no fragment", frame: udpFrame(UP, 1, { fragment: 0x4000 }), verdict: "flow" },
  {
    says: "UDP over IPv6",
    frame: udpFrame(DOWN6, 4),
    verdict: "flow",
    flow: { dir: 1, port: [40000, 443], payloadBytes: 4 },
  },
  {
    says: "SCTP has ports",
    frame: packet(UP, PROTO.sctp, sctp(UP, zeros(16))),
    verdict: "flow",
    flow: { port: [40000, 80], payloadBytes: 16 },
  },
  {
    says: "GRE is a flow by address",
    frame: packet(UP, PROTO.gre, zeros(30)),
    verdict: "flow",
    flow: { port: [0, 0], proto: 47, payloadBytes: 30 },
  },
  {
    says: "a header only, no payload",
    frame: packet(UP, PROTO.esp, zeros(0)),
    verdict: "flow",
    flow: { payloadBytes: 0 },
  },
  {
    says: "echo request: both ports are the identifier",
    frame: icmpFrame(UP, [8, 0, 0x1234_0001]),
    verdict: "flow",
    flow: { dir: 0, port: [0x1234, 0x1234] },
  },
  {
    says: "echo reply: the same flow",
    frame: icmpFrame(DOWN, [0, 0, 0x1234_0001]),
    verdict: "flow",
    flow: { dir: 1, port: [0x1234, 0x1234] },
  },
  {
    says: "ICMP unreachable has no identifier",
    frame: icmpFrame(UP, [3, 1, 0x1234_0001]),
    verdict: "flow",
    flow: { port: [0, 0] },
  },
  {
    says: "ICMPv6 echo",
    frame: icmpFrame(UP6, [128, 0, 0x0007_0001]),
    verdict: "flow",
    flow: { port: [7, 7] },
  },
  {
    says: "ICMPv6 type 8 is no echo",
    frame: icmpFrame(UP6, [8, 0, 0x0007_0001]),
    verdict: "flow",
    flow: { port: [0, 0] },
  },
  {
    says: "ICMP of the other IP version is a flow by address",
    frame: packet(UP6, PROTO.icmp, zeros(4)),
    verdict: "flow",
    flow: { port: [0, 0], payloadBytes: 4 },
  },
  {
    says: "one VLAN tag",
    frame: tcpFrame(UP, "S", {}, tagged([0x2064])),
    verdict: "flow",
    flow: { vlan: 100 },
  },
  {
    says: "QinQ: the inner tag counts",
    frame: udpFrame(UP, 0, tagged([5, 7], [ETHERTYPE.qinq, ETHERTYPE.vlan])),
    verdict: "flow",
    flow: { vlan: 7 },
  },
  {
    says: "four tags of the old kind",
    frame: udpFrame(UP, 0, tagged([1, 2, 3, 4], [ETHERTYPE.qinqOld])),
    verdict: "flow",
    flow: { vlan: 4 },
  },
  {
    says: "a priority tag has no id",
    frame: udpFrame(UP, 0, tagged([0xe000])),
    verdict: "flow",
    flow: { vlan: 0 },
  },
  {
    says: "IPv6 extension headers are passed",
    frame: udpFrame(UP6, 5, {
      extensions: [
        extension(PROTO.hop, 1),
        extension(PROTO.routing),
        [PROTO.ah, [0, 1, ...zeros(10)]],
        extension(PROTO.destination),
      ],
    }),
    verdict: "flow",
    flow: { proto: 17, payloadBytes: 5 },
  },
  {
    says: "eight extension headers",
    frame: udpFrame(UP6, 0, { extensions: new Array(8).fill(extension(60)) }),
    verdict: "flow",
  },
  {
    says: "a fragment header around a whole packet",
    frame: udpFrame(UP6, 2, { extensions: [fragment6(0)] }),
    verdict: "flow",
    flow: { payloadBytes: 2 },
  },
  { says: "no next header", frame: packet(UP6, 59, zeros(0)), verdict: "flow", flow: { proto: 59 } },
];

const SYN_OPTIONS: readonly PacketCase[] = [
  { says: "no options", frame: syn([]), verdict: "flow", flow: { scale: undefined, sack: false } },
  {
    says: "what Linux sends",
    frame: syn([2, 4, 5, 0xb4, 4, 2, 8, 10, ...zeros(8), 1, 3, 3, 7]),
    verdict: "flow",
    flow: { scale: 7, sack: true },
  },
  { says: "a scale above 14 counts as 14", frame: syn([3, 3, 200, 0]), verdict: "flow", flow: { scale: 14 } },
  { says: "a scale of 0 is an option too", frame: syn([1, 3, 3, 0]), verdict: "flow", flow: { scale: 0 } },
  {
    says: "nothing counts after the end of options",
    frame: syn([0, 3, 3, 7]),
    verdict: "flow",
    flow: { scale: undefined },
  },
  {
    says: "length 0 ends the walk",
    frame: syn([8, 0, 3, 3, 7, 4, 2, 0]),
    verdict: "flow",
    flow: { scale: undefined, sack: false },
  },
  {
    says: "length beyond the header ends the walk",
    frame: syn([4, 2, 3, 4]),
    verdict: "flow",
    flow: { scale: undefined, sack: true },
  },
  { says: "a kind without a length", frame: syn([1, 1, 1, 3]), verdict: "flow", flow: { scale: undefined } },
  {
    says: "a scale of a wrong length",
    frame: syn([3, 4, 7, 7]),
    verdict: "flow",
    flow: { scale: undefined },
  },
  {
    says: "options count in a SYN only",
    frame: tcpFrame(UP, "A", { tcpOptions: [3, 3, 7, 0] }),
    verdict: "flow",
    flow: { scale: undefined },
  },
];

const LINK: readonly PacketCase[] = [
  { says: "ARP", frame: ethernet(UP, ETHERTYPE.arp, body), verdict: "neighbour" },
  { says: "ARP in a VLAN", frame: ethernet(UP, ETHERTYPE.arp, body, tagged([9])), verdict: "neighbour" },
  ...[133, 134, 135, 136, 137].map((type): PacketCase => ({
    says: `ICMPv6 ${type}`,
    frame: icmpFrame(UP6, [type, 0, 0]),
    verdict: "neighbour",
  })),
  { says: "ICMPv6 132 is no neighbour discovery", frame: icmpFrame(UP6, [132, 0, 0]), verdict: "flow" },
  ...["STP 00 39", "pause 01 34824", "LACP 02 34825", "EAPOL 03 34958", "LLDP 0e 35020", "IPv4 0f 2048"].map(
    (text): PacketCase => {
      const [name, last, type] = text.split(" ");
      return {
        says: `${name} is link-local`,
        frame: ethernet(nowhere([1, 0x80, 0xc2, 0, 0, parseInt(last!, 16)]), Number(type), body),
        verdict: "link_local",
      };
    },
  ),
  {
    says: "the next address is not link-local",
    frame: ethernet(nowhere([1, 0x80, 0xc2, 0, 0, 16]), 39, body),
    verdict: "not_ip",
  },
  { says: "LLC", frame: ethernet(UP, 46, body), verdict: "not_ip" },
  { says: "MPLS", frame: ethernet(UP, 0x8847, body), verdict: "not_ip" },
  { says: "PPPoE", frame: ethernet(UP, 0x8864, body), verdict: "not_ip" },
  { says: "a first fragment", frame: udpFrame(UP, 8, { fragment: 0x2000 }), verdict: "fragment" },
  { says: "a last fragment", frame: udpFrame(UP, 8, { fragment: 0x0010 }), verdict: "fragment" },
  {
    says: "a first fragment of IPv6",
    frame: udpFrame(UP6, 8, { extensions: [fragment6(1)] }),
    verdict: "fragment",
  },
  {
    says: "a last fragment of IPv6",
    frame: udpFrame(UP6, 8, { extensions: [fragment6(8)] }),
    verdict: "fragment",
  },
];

const bare = { pad: false };
const MALFORMED: readonly PacketCase[] = [
  { says: "nothing at all", frame: zeros(0), verdict: "short_ethernet" },
  { says: "thirteen bytes", frame: tcpFrame(UP, "S").slice(0, 13), verdict: "short_ethernet" },
  { says: "a tag without its type", frame: udpFrame(UP, 0, tagged([5])).slice(0, 17), verdict: "short_vlan" },
  {
    says: "a second tag that is missing",
    frame: udpFrame(UP, 0, tagged([5, 6])).slice(0, 18),
    verdict: "short_vlan",
  },
  { says: "five tags", frame: udpFrame(UP, 0, tagged([1, 2, 3, 4, 5])), verdict: "deep_vlan" },
  { says: "IPv4 with 19 bytes", frame: udpFrame(UP).slice(0, 33), verdict: "short_ip" },
  { says: "IPv6 with 39 bytes", frame: udpFrame(UP6).slice(0, 53), verdict: "short_ip" },
  { says: "no byte of IP", frame: udpFrame(UP).slice(0, 14), verdict: "short_ip" },
  { says: "version 6 in IPv4", frame: udpFrame(UP, 0, { version: 6 }), verdict: "bad_ip_version" },
  { says: "version 4 in IPv6", frame: udpFrame(UP6, 0, { version: 4 }), verdict: "bad_ip_version" },
  {
    says: "an IPv4 header of 16 bytes",
    frame: udpFrame(UP, 0, { headerWords: 4 }),
    verdict: "bad_ip_header",
  },
  {
    says: "an IPv4 header beyond the frame",
    frame: udpFrame(UP, 0, { headerWords: 8, ...bare }),
    verdict: "bad_ip_header",
  },
  {
    says: "an extension header beyond the payload",
    frame: udpFrame(UP6, 0, { extensions: [[PROTO.hop, [0, 9, ...zeros(6)]]] }),
    verdict: "bad_ip_header",
  },
  {
    says: "an extension header of four bytes",
    frame: packet(UP6, PROTO.destination, zeros(4)),
    verdict: "bad_ip_header",
  },
  {
    says: "a jumbogram",
    frame: udpFrame(UP6, 0, { extensions: [extension(PROTO.hop)], length: 0 }),
    verdict: "bad_ip_header",
  },
  {
    says: "a total length below the header",
    frame: udpFrame(UP, 0, { length: 19 }),
    verdict: "bad_ip_length",
  },
  { says: "a total length of zero", frame: udpFrame(UP, 0, { length: 0 }), verdict: "bad_ip_length" },
  {
    says: "a total length beyond the frame",
    frame: udpFrame(UP, 4, { length: 33, ...bare }),
    verdict: "bad_ip_length",
  },
  {
    says: "an IPv6 length beyond the frame",
    frame: udpFrame(UP6, 4, { length: 13, ...bare }),
    verdict: "bad_ip_length",
  },
  {
    says: "nine extension headers",
    frame: udpFrame(UP6, 0, { extensions: new Array(9).fill(extension(60)) }),
    verdict: "deep_ipv6",
  },
  { says: "TCP with 19 bytes", frame: packet(UP, PROTO.tcp, zeros(19)), verdict: "short_transport" },
  { says: "UDP with 7 bytes, padded", frame: packet(UP, PROTO.udp, zeros(7)), verdict: "short_transport" },
  { says: "SCTP with 11 bytes", frame: packet(UP, PROTO.sctp, zeros(11)), verdict: "short_transport" },
  { says: "ICMP with 7 bytes", frame: packet(UP, PROTO.icmp, zeros(7)), verdict: "short_transport" },
  { says: "ICMPv6 with 7 bytes", frame: packet(UP6, PROTO.icmpv6, zeros(7)), verdict: "short_transport" },
  {
    says: "a TCP header of 16 bytes",
    frame: tcpFrame(UP, "S", { headerWords: 4 }),
    verdict: "bad_tcp_offset",
  },
  {
    says: "a TCP header beyond the segment",
    frame: tcpFrame(UP, "S", { headerWords: 6 }),
    verdict: "bad_tcp_offset",
  },
  {
    says: "a broken byte of the version",
    frame: withByte(udpFrame(UP), 14, 0x05),
    verdict: "bad_ip_version",
  },
];

export const PACKET_CASES: readonly PacketCase[] = [...FLOWS, ...SYN_OPTIONS, ...LINK, ...MALFORMED];
