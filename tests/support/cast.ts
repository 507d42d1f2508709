/**
 * Duty: one frame of every kind that a wire has to carry, by name.
 *
 * Built, not copied from a capture, so that a reader sees what is special about each. All have whole headers; broken
 * ones come from captures.
 */
import { type End, ethernet, icmp, ip, type LinkOptions, sctp, tcp, udp } from "../../filter/frame.ts";
import { PROTO, TCP } from "../../filter/packet.ts";

export type Cast = Readonly<Record<string, Uint8Array>>;

const bytes = (length: number, seed = 1) => Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 255);
const MAC = { client: [2, 0, 0, 0, 1, 11], server: [2, 0, 0, 0, 2, 11] };

/** Two ends that talk IPv4. */
export const CLIENT4: End = { mac: MAC.client, ip: [10, 1, 0, 11], port: 40_000 };
export const SERVER4: End = { mac: MAC.server, ip: [10, 2, 0, 11], port: 80 };
const v6 = (last: number) => [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
/** Two ends that talk IPv6. */
export const CLIENT6: End = { mac: MAC.client, ip: v6(1), port: 40_000 };
export const SERVER6: End = { mac: MAC.server, ip: v6(2), port: 80 };

export type Ends = readonly [End, End];

/** An IP packet in its frame. */
export function packet(
  ends: Ends,
  proto: number,
  segment: readonly number[] | Uint8Array,
  link: LinkOptions = {},
): Uint8Array<ArrayBuffer> {
  const { type, body } = ip(ends, proto, segment);
  return ethernet(ends, type, body, link);
}

/** A UDP packet with `payload` bytes. */
export function datagram(ends: Ends, payload = 40, link: LinkOptions = {}): Uint8Array<ArrayBuffer> {
  return packet(ends, PROTO.udp, udp(ends, bytes(payload)), link);
}

/** A TCP segment. */
export function segment(
  ends: Ends,
  fields: Parameters<typeof tcp>[1],
  payload = new Uint8Array(0),
): Uint8Array<ArrayBuffer> {
  return packet(ends, PROTO.tcp, tcp(ends, fields, payload));
}

function to(ends: Ends, mac: readonly number[]): Ends {
  return [ends[0], { ...ends[1], mac }];
}

function tagged(ends: Ends): Cast {
  return {
    "VLAN": datagram(ends, 40, { tags: [0x0064] }),
    "VLAN with priority 7 and drop eligible": datagram(ends, 40, { tags: [0xf064] }),
    "priority tag, VLAN 0": datagram(ends, 40, { tags: [0xa000] }),
    "VLAN 4095": datagram(ends, 40, { tags: [0x0fff] }),
    "QinQ, 0x88a8 outside 0x8100": datagram(ends, 40, { tags: [0x0065, 0x2066], tagTypes: [0x88a8, 0x8100] }),
    "QinQ with priority tags, VLAN 0 twice": datagram(ends, 40, {
      tags: [0x2000, 0x4000],
      tagTypes: [0x88a8, 0x8100],
    }),
    "two tags of 0x8100": datagram(ends, 40, { tags: [0x0067, 0x0068] }),
    "0x88a8 alone": datagram(ends, 40, { tags: [0x0069], tagTypes: [0x88a8] }),
    "old QinQ, 0x9100": datagram(ends, 40, { tags: [0x006a, 0x006b], tagTypes: [0x9100, 0x8100] }),
    "five tags": datagram(ends, 40, { tags: [1, 2, 3, 4, 5] }),
    "a tag around an unknown EtherType": ethernet(ends, 0x1234, bytes(60), { tags: [0x0064] }),
  };
}

function sized(ends: Ends): Cast {
  return {
    "smallest, 60 bytes": ethernet(ends, 0x0800, ip(ends, PROTO.udp, udp(ends)).body),
    "60 bytes of padding that is not zero": ethernet(ends, 0x88b5, bytes(46, 7)),
    "largest without jumbo, 1514 bytes": datagram(ends, 1514 - 42),
    "jumbo, 9014 bytes": datagram(ends, 9014 - 42),
    "jumbo with a tag, 9018 bytes": datagram(ends, 9014 - 42, { tags: [0x0064] }),
  };
}

function ipKinds(v4: Ends, v6: Ends): Cast {
  const later = ip(v4, PROTO.udp, bytes(64), { fragment: 100 });
  const first = ip(v4, PROTO.udp, udp(v4, bytes(56)), { fragment: 0x2000 });
  const fragment6 = ip(v6, PROTO.udp, udp(v6, bytes(40)), { extensions: [[44, [0, 0, 0, 1, 0, 0, 0, 7]]] });
  return {
    "IPv4 UDP": datagram(v4),
    "IPv4 UDP without checksum": packet(v4, PROTO.udp, udp(v4).map((b, i) => i === 6 || i === 7 ? 0 : b)),
    "IPv4 TCP SYN": segment(v4, { flags: TCP.syn, options: [2, 4, 5, 180, 1, 3, 3, 7] }),
    "IPv4 ICMP": packet(v4, PROTO.icmp, icmp(v4, [8, 0, 0x12340001], bytes(48))),
    "IPv4 SCTP": packet(v4, PROTO.sctp, sctp(v4, bytes(32))),
    "IPv4 ESP": packet(v4, 50, bytes(64)),
    "IPv4 first fragment": ethernet(v4, first.type, first.body),
    "IPv4 later fragment": ethernet(v4, later.type, later.body),
    "IPv4 with a wrong header checksum": datagram(v4).map((b, i) => i === 24 ? b ^ 0xff : b),
    "IPv6 UDP": datagram(v6),
    "IPv6 TCP": segment(v6, { flags: TCP.ack, seq: 7, ack: 9 }, bytes(33)),
    "IPv6 ICMP": packet(v6, PROTO.icmpv6, icmp(v6, [128, 0, 0x12340001], bytes(48))),
    "IPv6 fragment": ethernet(v6, fragment6.type, fragment6.body),
    "IPv4 multicast": datagram(to(v4, [1, 0, 0x5e, 1, 2, 3])),
    "IPv6 multicast": datagram(to(v6, [0x33, 0x33, 0, 0, 0, 1])),
    "broadcast": datagram(to(v4, Array(6).fill(0xff))),
  };
}

function otherKinds(ends: Ends): Cast {
  const llc = (head: readonly number[], length: number) =>
    ethernet(ends, length, [...head, ...bytes(length - head.length)]);
  const [label, session] = [[0x00, 0x10, 0x01, 0x40], [0x11, 0x00, 0x00, 0x05, 0x00, 0x2a, 0x00, 0x21]];
  const inner = ip(ends, PROTO.udp, udp(ends, bytes(12))).body;
  return {
    "unknown EtherType 0xbeef": ethernet(ends, 0xbeef, bytes(100)),
    "LLC": llc([0x42, 0x42, 0x03], 60),
    "SNAP": llc([0xaa, 0xaa, 0x03, 0, 0, 0x0c, 0x01, 0x0b], 80),
    "Novell raw 802.3": llc([0xff, 0xff], 90),
    "MPLS": ethernet(ends, 0x8847, [...label, ...inner]),
    "MPLS multicast": ethernet(ends, 0x8848, [...label, ...inner]),
    "PPPoE discovery": ethernet(ends, 0x8863, [0x11, 0x09, 0, 0, 0, 4, 1, 1, 0, 0]),
    "PPPoE session": ethernet(ends, 0x8864, [...session, ...inner]),
    "MACsec": ethernet(ends, 0x88e5, bytes(64)),
    "PTP": ethernet(to(ends, [1, 0x1b, 0x19, 0, 0, 0]), 0x88f7, bytes(44)),
    "loopback test": ethernet(ends, 0x9000, bytes(46)),
    "wake-on-LAN": ethernet(ends, 0x0842, [...Array(6).fill(255), ...bytes(96)]),
    "Cisco discovery": ethernet(to(ends, [1, 0, 0x0c, 0xcc, 0xcc, 0xcc]), 60, [0xaa, 0xaa, 3, ...bytes(57)]),
    "ARP request": ethernet(to(ends, Array(6).fill(0xff)), 0x0806, arp(1, ends)),
    "ARP reply": ethernet(ends, 0x0806, arp(2, ends)),
  };
}

/** The body of an ARP message of the first end about the second. */
export function arp(operation: 1 | 2, [from, about]: Ends): number[] {
  const target = operation === 1 ? [0, 0, 0, 0, 0, 0] : about.mac;
  return [0, 1, 8, 0, 6, 4, 0, operation, ...from.mac, ...from.ip, ...target, ...about.ip];
}

/** What is sent to 01:80:C2:00:00:00-0F: each address with each protocol that lives there. */
export function linkLocal(ends: Ends): Cast {
  const kinds: Readonly<Record<string, (at: Ends) => Uint8Array>> = {
    "STP": (at) => ethernet(at, 38, [0x42, 0x42, 0x03, 0, 0, 0, 0, 0, ...bytes(30)]),
    "LACP": (at) => ethernet(at, 0x8809, [1, 1, 1, 20, ...bytes(106)]),
    "EAPOL": (at) => ethernet(at, 0x888e, [2, 1, 0, 0]),
    "LLDP": (at) => ethernet(at, 0x88cc, [2, 7, 4, ...MAC.client, 4, 3, 7, 48, 48, 6, 2, 0, 120, 0, 0]),
    "pause": (at) => ethernet(at, 0x8808, [0, 1, 0xff, 0xff]),
    "priority pause": (at) => ethernet(at, 0x8808, [1, 1, 0, 0xff, ...bytes(16)]),
  };
  const cast: Record<string, Uint8Array> = {};
  for (let last = 0; last < 16; last++) {
    const at = to(ends, [1, 0x80, 0xc2, 0, 0, last]);
    const address = `01:80:C2:00:00:${last.toString(16).toUpperCase().padStart(2, "0")}`;
    for (const [name, build] of Object.entries(kinds)) cast[`${name} to ${address}`] = build(at);
  }
  return cast;
}

/** Every kind, sent by the first ends to the second. */
export function cast(v4: Ends, v6: Ends): Cast {
  return { ...tagged(v4), ...sized(v4), ...ipKinds(v4, v6), ...otherKinds(v4), ...linkLocal(v4) };
}

/** What a client sends, and what a server sends. */
export const FROM_CLIENT: Cast = cast([CLIENT4, SERVER4], [CLIENT6, SERVER6]);
export const FROM_SERVER: Cast = cast([SERVER4, CLIENT4], [SERVER6, CLIENT6]);
