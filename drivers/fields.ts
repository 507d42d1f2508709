/**
 * Duty: header field lists, by which state is asked for, moved and deleted.
 *
 * A list says of which flows, seen as clients send them. What it leaves out matches everything, so the empty list means
 * all. Addresses are prefixes; a flow's own list has whole addresses and both ports.
 */
import { mappedAddress, parseIpAddress } from "../filter/ip_address.ts";

export interface HeaderFields {
  /** IP protocol number: 6 TCP, 17 UDP, 1 ICMP. */
  readonly protocol?: number;
  /** Address or prefix, IPv4 or IPv6: "10.0.0.0/8", "2001:db8::1". */
  readonly source?: string;
  readonly destination?: string;
  /** A port or a range, both ends included; of ICMP: the identifier of an echo. */
  readonly sourcePort?: PortRange;
  readonly destinationPort?: PortRange;
}

export type PortRange = number | readonly [first: number, last: number];

export const ALL: HeaderFields = {};

const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, icmp6: 58, sctp: 132 };
const NAMES = new Map(Object.entries(PROTOCOLS).map(([name, number]) => [number, name]));
const PORT_MAX = 65_535;

/** 128 bits; IPv4 as ::ffff:a.b.c.d. Null: this is no address. */
function addressBits(text: string): bigint | null {
  const bytes = parseIpAddress(text);
  return bytes && mappedAddress(bytes).reduce((bits, byte) => bits << 8n | BigInt(byte), 0n);
}

interface Prefix {
  readonly bits: bigint;
  readonly length: number;
}

/** "10.0.0.0/8"; without a length the whole address. Null: this is no prefix. */
export function parsePrefix(text: string): Prefix | null {
  const [address = "", length, ...rest] = text.split("/");
  const bits = addressBits(address);
  const wide = address.includes(":") ? 128 : 32;
  if (bits === null || rest.length > 0) return null;
  if (length === undefined) return { bits, length: 128 };
  if (!/^\d{1,3}$/.test(length) || Number(length) > wide) return null;
  return { bits, length: 128 - wide + Number(length) };
}

const within = (inner: Prefix, outer: Prefix) =>
  inner.length >= outer.length && (inner.bits ^ outer.bits) >> BigInt(128 - outer.length) === 0n;

function prefixHolds(outer: string | undefined, inner: string | undefined): boolean {
  if (outer === undefined) return true;
  const [wide, narrow] = [parsePrefix(outer), inner === undefined ? null : parsePrefix(inner)];
  return wide !== null && narrow !== null && within(narrow, wide);
}

const ends = (range: PortRange): readonly [number, number] =>
  typeof range === "number" ? [range, range] : range;

function rangeHolds(outer: PortRange | undefined, inner: PortRange | undefined): boolean {
  if (outer === undefined) return true;
  if (inner === undefined) return false;
  const [[from, to], [first, last]] = [ends(outer), ends(inner)];
  return from <= first && last <= to;
}

/** Whether every flow of `inner` is one of `outer`. */
export function holds(outer: HeaderFields, inner: HeaderFields): boolean {
  return (outer.protocol === undefined || outer.protocol === inner.protocol) &&
    prefixHolds(outer.source, inner.source) && prefixHolds(outer.destination, inner.destination) &&
    rangeHolds(outer.sourcePort, inner.sourcePort) &&
    rangeHolds(outer.destinationPort, inner.destinationPort);
}

const portText = (range: PortRange | undefined) => {
  if (range === undefined) return "*";
  const [first, last] = ends(range);
  return first === last ? String(first) : `${first}-${last}`;
};

/** "tcp 10.1.0.11 40000 > 10.2.0.11 80"; what is left out is a star. */
export function fieldsText(fields: HeaderFields): string {
  const { protocol, source = "*", destination = "*" } = fields;
  const name = protocol === undefined ? "*" : NAMES.get(protocol) ?? String(protocol);
  return `${name} ${source} ${portText(fields.sourcePort)} > ${destination} ${
    portText(fields.destinationPort)
  }`;
}

function readProtocol(word: string): number {
  const number = PROTOCOLS[word] ?? (/^\d{1,3}$/.test(word) ? Number(word) : NaN);
  if (!(number <= 255)) {
    throw new SyntaxError(`"${word}" is no protocol: a name like tcp or a number up to 255`);
  }
  return number;
}

function readPrefix(word: string): string {
  if (parsePrefix(word) === null) throw new SyntaxError(`"${word}" is no address or prefix`);
  return word;
}

function readPorts(word: string): PortRange {
  const [, first = "", last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(word) ?? [];
  const range = [Number(first), Number(last)] as const;
  if (first === "" || range[1] > PORT_MAX || range[0] > range[1]) {
    throw new SyntaxError(`"${word}" is no port or range of ports`);
  }
  return range[0] === range[1] ? range[0] : range;
}

/**
 * Reads what `fieldsText()` writes; stars and missing words at the end match everything: "tcp 10.1.0.0/16",
 * "* * * > 10.2.0.11 80", "all". Throws a SyntaxError that names the word.
 */
export function parseFields(text: string): HeaderFields {
  if (text.trim() === "all" || text.trim() === "") return ALL;
  const [from = "", to = "", ...rest] = text.split(">").map((half) => half.trim());
  const [protocol = "*", source = "*", sourcePort = "*", ...more] = from.split(/\s+/);
  const [destination = "*", destinationPort = "*", ...after] = to === "" ? [] : to.split(/\s+/);
  if (rest.length + more.length + after.length > 0) {
    throw new SyntaxError(`"${text}" has too many words: PROTOCOL SOURCE PORT > DESTINATION PORT`);
  }
  return {
    ...(protocol !== "*" && { protocol: readProtocol(protocol) }),
    ...(source !== "*" && { source: readPrefix(source) }),
    ...(sourcePort !== "*" && { sourcePort: readPorts(sourcePort) }),
    ...(destination !== "*" && { destination: readPrefix(destination) }),
    ...(destinationPort !== "*" && { destinationPort: readPorts(destinationPort) }),
  };
}
