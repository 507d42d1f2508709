/**
 * Parser of frames, the twin of native/parse.c: same verdicts, same key, written from the comment of rm_parse()
 * in native/filter.h and not from the C.
 *
 * It is the oracle's eye and what "explain this packet" prints; it is not fast and need not be.
 */
import type { Parse } from "./names.ts";

export interface Packet {
  readonly verdict: Parse;
  /** VLAN tags passed, and the innermost id (0: none). */
  readonly tags: number;
  readonly vlan: number;
  /** Offset of the IP header from the start of the frame; 0 where there is none. */
  readonly ipOffset: number;
  readonly frameBytes: number;
  /** Tunnels this packet lies in; 0 unless parseInner() was asked. */
  readonly inner: number;
  /** Present for verdict "flow" only. */
  readonly flow?: FlowPart;
  /** Present for verdict "fragment" only. */
  readonly fragment?: FragmentPart;
}

export interface FragmentPart {
  /** bare: the first one, cut before the end of its transport header. */
  readonly kind: "first" | "bare" | "later";
  readonly id: number;
  readonly ipv6: boolean;
  readonly proto: number;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** Of a first one: as if it were a whole packet. */
  readonly flow?: FlowPart;
}

/** Key and transport fields of a packet that belongs to a flow. Index 0 is the lower (address, port) end. */
export interface FlowPart {
  readonly ipv6: boolean;
  /** IP protocol; for IPv6 the one after all extension headers. */
  readonly proto: number;
  /** Sixteen bytes each; IPv4 as ::ffff:a.b.c.d. */
  readonly addr: readonly [Uint8Array, Uint8Array];
  readonly port: readonly [number, number];
  /** Index of the end that sent it. */
  readonly dir: 0 | 1;
  readonly transportOffset: number;
  readonly payloadOffset: number;
  /** By IP length, never link padding. */
  readonly payloadBytes: number;
  readonly tcp?: TcpPart;
}

export interface TcpPart {
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly window: number;
  /** Shift of the window scale option of a SYN; absent without it. */
  readonly scale?: number;
  readonly sack: boolean;
}

export const TCP = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32 } as const;
export const PROTO = {
  hop: 0,
  icmp: 1,
  tcp: 6,
  udp: 17,
  routing: 43,
  fragment: 44,
  gre: 47,
  esp: 50,
  ah: 51,
  icmpv6: 58,
  destination: 60,
  sctp: 132,
} as const;
export const ETHERTYPE = {
  ipv4: 0x0800,
  arp: 0x0806,
  vlan: 0x8100,
  ipv6: 0x86dd,
  qinq: 0x88a8,
  qinqOld: 0x9100,
} as const;

/** RFC 4291 2.5.5.2. */
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255];
const TAGS_MAX = 4;
const EXTENSIONS_MAX = 8;
const EXTENSIONS: readonly number[] = [PROTO.hop, PROTO.routing, PROTO.destination, PROTO.fragment, PROTO.ah];

/** A stretch of the frame that knows its end: reading outside is a bug of the parser and throws. */
export class Bytes {
  readonly #frame: Uint8Array;
  constructor(readonly at: number, readonly end: number, frame: Uint8Array) {
    this.#frame = frame;
  }
  get length() {
    return this.end - this.at;
  }
  u8(i: number): number {
    return this.#frame[this.#place(i, 1)]!;
  }
  u16(i: number): number {
    const at = this.#place(i, 2);
    return this.#frame[at]! * 256 + this.#frame[at + 1]!;
  }
  u32(i: number): number {
    return this.u16(i) * 65536 + this.u16(i + 2);
  }
  /** From `i` on, at most `bytes` long. */
  part(i: number, bytes = this.length - i) {
    return new Bytes(this.at + i, this.at + i + bytes, this.#frame);
  }
  /** `bytes` bytes from `i` on, at the end of an address of sixteen whose start is given. */
  address(i: number, bytes: number, start: readonly number[]): Uint8Array {
    const address = new Uint8Array(16);
    address.set(start);
    const at = this.#place(i, bytes);
    for (let n = 0; n < bytes; n++) address[16 - bytes + n] = this.#frame[at + n]!;
    return address;
  }
  #place(i: number, bytes: number) {
    if (i < 0 || i + bytes > this.length) {
      throw new RangeError(`Cannot read byte ${this.at + i}: the frame ends`);
    }
    return this.at + i;
  }
}

/** Where a fragment belongs in its packet. */
interface Place {
  readonly id: number;
  readonly isFirst: boolean;
}

interface Network {
  readonly ipv6: boolean;
  readonly proto: number;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** From the transport header to the end that IP names; of a fragment that has none, why. */
  readonly rest: Bytes | Parse;
  readonly place?: Place;
}
type Transport = Pick<FlowPart, "transportOffset" | "payloadOffset" | "payloadBytes"> & {
  readonly ports: readonly [number, number];
  readonly tcp?: TcpPart;
};

/** Parse one Ethernet frame. Never throws: what cannot be parsed has a verdict of its own. */
export function parsePacket(frame: Uint8Array): Packet {
  const all = new Bytes(0, frame.length, frame);
  const link = { tags: 0, vlan: 0, ipOffset: 0, frameBytes: frame.length, inner: 0 };
  if (all.length < 14) return { ...link, verdict: "short_ethernet" };
  if (all.u32(0) === 0x0180c200 && all.u16(4) < 16) return { ...link, verdict: "link_local" };
  return parseLink(all, link);
}

/** What is known of a packet before its IP header is read. */
export type LinkPart = Omit<Packet, "verdict" | "flow" | "fragment">;

/** From an Ethernet header on; `start` is what is known already, `tags` of it are counted from. */
export function parseLink(all: Bytes, start: LinkPart): Packet {
  const link = { ...start };
  if (all.length < 14) return { ...link, verdict: "short_ethernet" };
  let at = 14;
  let type = all.u16(12);
  while (type === ETHERTYPE.vlan || type === ETHERTYPE.qinq || type === ETHERTYPE.qinqOld) {
    if (link.tags === TAGS_MAX) return { ...link, verdict: "deep_vlan" };
    if (all.length < at + 4) return { ...link, verdict: "short_vlan" };
    link.vlan = all.u16(at) & 0xfff;
    type = all.u16(at + 2);
    link.tags++;
    at += 4;
  }
  return parseIp(all.part(at), type, link);
}

/** From the header after Ethernet on, of this EtherType. */
export function parseIp(rest: Bytes, type: number, start: LinkPart): Packet {
  const link = { ...start, ipOffset: rest.at };
  if (type === ETHERTYPE.arp) return { ...link, verdict: "neighbour" };
  if (type !== ETHERTYPE.ipv4 && type !== ETHERTYPE.ipv6) return { ...link, verdict: "not_ip" };
  const network = type === ETHERTYPE.ipv4 ? parseIpv4(rest) : parseIpv6(rest);
  if (typeof network === "string") return { ...link, verdict: network };
  const transport = typeof network.rest === "string" ? network.rest : parseTransport(network, network.rest);
  const flow = typeof transport === "string" ? undefined : inKeyOrder(network, transport);
  if (network.place) return { ...link, verdict: "fragment", fragment: fragmentPart(network, flow) };
  if (!flow) return { ...link, verdict: transport as Parse };
  return { ...link, verdict: "flow", flow };
}

function fragmentPart(network: Network, flow: FlowPart | undefined): FragmentPart {
  const { ipv6, proto, source, destination } = network;
  const { id, isFirst } = network.place!;
  const common = { id, ipv6, proto, source, destination };
  if (!isFirst) return { kind: "later", ...common };
  return flow ? { kind: "first", ...common, flow } : { kind: "bare", ...common };
}

function parseIpv4(ip: Bytes): Network | Parse {
  if (ip.length < 20) return "short_ip";
  if (ip.u8(0) >> 4 !== 4) return "bad_ip_version";
  const header = (ip.u8(0) & 15) * 4;
  if (header < 20 || header > ip.length) return "bad_ip_header";
  const total = ip.u16(2);
  if (total < header || total > ip.length) return "bad_ip_length";
  const moreFragments = (ip.u16(6) & 0x2000) !== 0;
  const isFirst = (ip.u16(6) & 0x1fff) === 0;
  const source = ip.address(12, 4, MAPPED);
  const destination = ip.address(16, 4, MAPPED);
  const whole = { ipv6: false, proto: ip.u8(9), source, destination, rest: ip.part(header, total - header) };
  if (!moreFragments && isFirst) return whole;
  return { ...whole, ...(isFirst ? {} : { rest: "fragment" as const }), place: { id: ip.u16(4), isFirst } };
}

function parseIpv6(ip: Bytes): Network | Parse {
  if (ip.length < 40) return "short_ip";
  if (ip.u8(0) >> 4 !== 6) return "bad_ip_version";
  if (ip.u16(4) > ip.length - 40) return "bad_ip_length";
  const beyond = passExtensions(ip.u8(6), ip.part(40, ip.u16(4)));
  if (typeof beyond.rest === "string" && !beyond.place) return beyond.rest;
  return { ipv6: true, source: ip.address(8, 16, []), destination: ip.address(24, 16, []), ...beyond };
}

function passExtensions(first: number, headers: Bytes): Pick<Network, "proto" | "rest" | "place"> {
  let proto = first;
  let rest = headers;
  let place: { place?: Place } = {};
  const bad = (rest: Parse) => ({ proto, rest, ...place });
  for (let passed = 0; EXTENSIONS.includes(proto); passed++) {
    if (passed === EXTENSIONS_MAX) return bad("deep_ipv6");
    if (rest.length < 8) return bad("bad_ip_header");
    let bytes = (rest.u8(1) + 1) * 8;
    if (proto === PROTO.ah) bytes = (rest.u8(1) + 2) * 4;
    if (proto === PROTO.fragment) {
      const isFirst = rest.u16(2) >> 3 === 0;
      const isWhole = isFirst && (rest.u16(2) & 1) === 0;
      if (!isWhole && place.place) return bad("fragment");
      if (!isWhole) place = { place: { id: rest.u32(4), isFirst } };
      if (!isFirst) return bad("fragment");
      bytes = 8;
    }
    if (bytes > rest.length) return bad("bad_ip_header");
    proto = rest.u8(0);
    rest = rest.part(bytes);
  }
  return { proto, rest, ...place };
}

function parseTransport({ ipv6, proto }: Network, rest: Bytes): Transport | Parse {
  const payload = (header: number) => ({
    transportOffset: rest.at,
    payloadOffset: rest.at + header,
    payloadBytes: rest.length - header,
  });
  switch (proto) {
    case PROTO.tcp: {
      if (rest.length < 20) return "short_transport";
      const header = (rest.u8(12) >> 4) * 4;
      if (header < 20 || header > rest.length) return "bad_tcp_offset";
      return { ports: [rest.u16(0), rest.u16(2)], ...payload(header), tcp: parseTcp(rest, header) };
    }
    case PROTO.udp:
    case PROTO.sctp: {
      const header = proto === PROTO.udp ? 8 : 12;
      if (rest.length < header) return "short_transport";
      return { ports: [rest.u16(0), rest.u16(2)], ...payload(header) };
    }
    case ipv6 ? PROTO.icmpv6 : PROTO.icmp: {
      if (rest.length < 8) return "short_transport";
      const type = rest.u8(0);
      if (ipv6 && type >= 133 && type <= 137) return "neighbour";
      const isEcho = ipv6 ? type === 128 || type === 129 : type === 8 || type === 0;
      const identifier = isEcho ? rest.u16(4) : 0;
      return { ports: [identifier, identifier], ...payload(8) };
    }
    default:
      return { ports: [0, 0], ...payload(0) };
  }
}

function parseTcp(segment: Bytes, header: number): TcpPart {
  const flags = segment.u8(13);
  const fixed = { seq: segment.u32(4), ack: segment.u32(8), flags, window: segment.u16(14) };
  const options = (flags & TCP.syn) !== 0 ? parseSynOptions(segment.part(20, header - 20)) : { sack: false };
  return { ...fixed, ...options };
}

function parseSynOptions(options: Bytes): Pick<TcpPart, "scale" | "sack"> {
  const found: { scale?: number; sack: boolean } = { sack: false };
  for (let i = 0; i < options.length;) {
    const kind = options.u8(i);
    if (kind === 0) break;
    if (kind === 1) {
      i++;
      continue;
    }
    if (i + 1 >= options.length) break;
    const length = options.u8(i + 1);
    if (length < 2 || i + length > options.length) break;
    if (kind === 3 && length === 3) found.scale = Math.min(options.u8(i + 2), 14); // RFC 7323 2.3
    if (kind === 4 && length === 2) found.sack = true;
    i += length;
  }
  return found;
}

function inKeyOrder(network: Network, transport: Transport): FlowPart {
  const { source, destination, ipv6, proto } = network;
  const { ports, ...others } = transport;
  const order = compareBytes(source, destination) || ports[0] - ports[1];
  const common = { ipv6, proto, ...others };
  return order <= 0
    ? { ...common, addr: [source, destination], port: ports, dir: 0 }
    : { ...common, addr: [destination, source], port: [ports[1], ports[0]], dir: 1 };
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) return a[i]! - b[i]!;
  }
  return 0;
}

/** The flow's key as a string: equal for both directions, different for every other flow. */
export function flowKey(packet: Packet): string {
  const flow = packet.flow ?? packet.fragment?.flow;
  if (!flow) throw new TypeError(`Cannot name the flow of a packet with verdict "${packet.verdict}"`);
  const numbers = [flow.port[0], flow.port[1], packet.vlan, flow.proto, flow.ipv6 ? 1 : 0];
  return String.fromCharCode(...flow.addr[0], ...flow.addr[1], ...numbers);
}
