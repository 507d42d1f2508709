/**
 * Builder of Ethernet frames for tests, generators and probes: name what matters, get valid bytes with right
 * lengths and checksums for the rest.
 *
 * A field that is set on purpose wins over the right value, which is how malformed frames are made.
 */
import { ETHERTYPE, PROTO } from "./packet.ts";

/** One end of a conversation. Addresses as sixteen or four bytes. */
export interface End {
  readonly mac: readonly number[];
  readonly ip: readonly number[];
  readonly port: number;
}

export interface LinkOptions {
  readonly tags?: readonly number[];
  /** EtherType of each tag; the last one is repeated. @default [0x8100] */
  readonly tagTypes?: readonly number[];
  /** Fill up to 60 bytes, as a network card does. @default true */
  readonly pad?: boolean;
}

export interface IpOptions {
  /** Bytes of IPv4 options; a multiple of four. */
  readonly options?: readonly number[];
  /** IPv6 extension headers, outermost first: [protocol number, whole header]. Byte 0 of each is filled in. */
  readonly extensions?: readonly (readonly [number, readonly number[]])[];
  /** Flags and fragment offset of IPv4, and what the fragments of a packet share. */
  readonly fragment?: number;
  readonly id?: number;
  readonly version?: number;
  /** Header length of IPv4 in words. */
  readonly headerWords?: number;
  /** Total length of IPv4, payload length of IPv6. */
  readonly length?: number;
}

export interface TcpFields {
  readonly seq?: number;
  readonly ack?: number;
  readonly flags: number;
  readonly window?: number;
  /** A multiple of four bytes. */
  readonly options?: readonly number[];
  readonly headerWords?: number;
}

const bytes16 = (value: number) => [(value >>> 8) & 255, value & 255];
const bytes32 = (
  value: number,
) => [(value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];

/** Ones' complement sum of RFC 1071, folded; over several parts of even length but the last. */
export function internetChecksum(...parts: readonly (readonly number[] | Uint8Array)[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let i = 0; i < part.length; i += 2) sum += part[i]! * 256 + (part[i + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

/** MACs, tags, EtherType and what follows. */
export function ethernet(
  [from, to]: readonly [End, End],
  type: number,
  body: readonly number[] | Uint8Array,
  { tags = [], tagTypes = [ETHERTYPE.vlan], pad = true }: LinkOptions = {},
): Uint8Array<ArrayBuffer> {
  const header = [...to.mac, ...from.mac];
  tags.forEach((tag, i) =>
    header.push(...bytes16(tagTypes[Math.min(i, tagTypes.length - 1)]!), ...bytes16(tag))
  );
  header.push(...bytes16(type));
  const bytes = header.length + body.length;
  const frame = new Uint8Array(pad ? Math.max(bytes, 60) : bytes);
  frame.set(header);
  frame.set(body, header.length);
  return frame;
}

/** An IP packet; the version follows the length of the addresses. */
export function ip(
  [from, to]: readonly [End, End],
  proto: number,
  segment: readonly number[] | Uint8Array,
  given: IpOptions = {},
): { readonly type: number; readonly body: Uint8Array } {
  const header = from.ip.length === 4
    ? ipv4Header([from, to], proto, segment.length, given)
    : ipv6Header([from, to], proto, segment.length, given);
  const body = new Uint8Array(header.length + segment.length);
  body.set(header);
  body.set(segment, header.length);
  return { type: from.ip.length === 4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6, body };
}

function ipv4Header(
  [from, to]: readonly [End, End],
  proto: number,
  segmentBytes: number,
  given: IpOptions,
): number[] {
  const { options = [], fragment = 0, id = 0, version = 4, headerWords = 5 + options.length / 4 } = given;
  const total = given.length ?? 20 + options.length + segmentBytes;
  const start = [
    (version << 4) | headerWords,
    0,
    ...bytes16(total),
    ...bytes16(id),
    ...bytes16(fragment),
    64,
    proto,
  ];
  const end = [...from.ip, ...to.ip, ...options];
  return [...start, ...bytes16(internetChecksum(start, end)), ...end];
}

function ipv6Header(
  [from, to]: readonly [End, End],
  proto: number,
  segmentBytes: number,
  { extensions = [], version = 6, length }: IpOptions,
): number[] {
  const next = [...extensions.map(([number]) => number), proto];
  const chain = extensions.flatMap(([, header], i) => [next[i + 1]!, ...header.slice(1)]);
  const payload = length ?? chain.length + segmentBytes;
  return [version << 4, 0, 0, 0, ...bytes16(payload), next[0]!, 64, ...from.ip, ...to.ip, ...chain];
}

/** A transport header and payload with the checksum at `place`. */
function withChecksum(
  [from, to]: readonly [End, End],
  proto: number,
  header: number[],
  { payload, place }: { readonly payload: Uint8Array; readonly place: number },
): Uint8Array {
  const segment = new Uint8Array(header.length + payload.length);
  segment.set(header);
  segment.set(payload, header.length);
  const isPseudo = proto !== PROTO.icmp;
  const pseudo = isPseudo ? [...from.ip, ...to.ip, ...bytes16(0), ...bytes16(segment.length), 0, proto] : [];
  const sum = internetChecksum(pseudo, segment);
  // RFC 768: a UDP checksum of zero means none was made.
  segment.set(bytes16(proto === PROTO.udp && sum === 0 ? 0xffff : sum), place);
  return segment;
}

/** A TCP segment from the first end to the second. */
export function tcp(ends: readonly [End, End], fields: TcpFields, payload = new Uint8Array(0)): Uint8Array {
  const { seq = 0, ack = 0, flags, window = 0xffff, options = [] } = fields;
  const headerWords = fields.headerWords ?? 5 + options.length / 4;
  const ports = [...bytes16(ends[0].port), ...bytes16(ends[1].port)];
  const header = [
    ...ports,
    ...bytes32(seq),
    ...bytes32(ack),
    headerWords << 4,
    flags,
    ...bytes16(window),
    0,
    0,
    0,
    0,
  ];
  return withChecksum(ends, PROTO.tcp, [...header, ...options], { payload, place: 16 });
}

export function udp(ends: readonly [End, End], payload = new Uint8Array(0)): Uint8Array {
  const header = [...bytes16(ends[0].port), ...bytes16(ends[1].port), ...bytes16(8 + payload.length), 0, 0];
  return withChecksum(ends, PROTO.udp, header, { payload, place: 6 });
}

/** An ICMP message, of ICMPv6 where the addresses are; `rest` is the second word of the header. */
export function icmp(
  ends: readonly [End, End],
  [type, code, rest]: readonly [number, number, number],
  payload = new Uint8Array(0),
): Uint8Array {
  const proto = ends[0].ip.length === 4 ? PROTO.icmp : PROTO.icmpv6;
  return withChecksum(ends, proto, [type, code, 0, 0, ...bytes32(rest)], { payload, place: 2 });
}

/** An SCTP packet without its CRC: common header, then chunks as they are. */
export function sctp(ends: readonly [End, End], chunks = new Uint8Array(0)): Uint8Array {
  const header = [...bytes16(ends[0].port), ...bytes16(ends[1].port), ...bytes32(0x5ca1ab1e), 0, 0, 0, 0];
  return Uint8Array.of(...header, ...chunks);
}
