/**
 * Duty: what the kernel's connection tracking knows of one flow, as a value.
 *
 * A flow has two tuples, one a direction. Without NAT the second is the first turned around; what differs is the NAT,
 * so it is written down nowhere else.
 */
import { type HeaderFields, parsePrefix, type PortRange } from "../fields.ts";
import { fieldsText } from "../fields.ts";
import { mappedAddress, parseIpAddress } from "../../filter/ip_address.ts";

export const PROTOCOL = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  dccp: 33,
  gre: 47,
  icmp6: 58,
  sctp: 132,
  udplite: 136,
} as const;

/** What goes in one direction. */
export interface Tuple {
  readonly protocol: number;
  /** Four bytes or sixteen. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** Source port; of ICMP the identifier; 0 where the protocol has none. */
  readonly first: number;
  /** Destination port; of ICMP type and code, one byte each. */
  readonly second: number;
}

/** How much sequence numbers of one direction are moved, by helpers that change lengths. */
export interface Adjustment {
  readonly position: number;
  readonly before: number;
  readonly after: number;
}

/** Of TCP; pairs are original and reply direction. */
export interface TcpState {
  /** As in nf_conntrack_tcp.h: 3 is established. */
  readonly state: number;
  readonly scales: readonly [number, number];
  readonly flags: readonly [number, number];
}

export interface SctpState {
  readonly state: number;
  readonly tags: readonly [number, number];
}

export interface Flow {
  readonly original: Tuple;
  readonly reply: Tuple;
  /** 0: none. */
  readonly zone: number;
  /** Of IPS_* in nf_conntrack_common.h those that can be carried: answered, assured, confirmed, of fixed timeout. */
  readonly status: number;
  /** Left of it; 0 of a flow that ended. */
  readonly timeoutS: number;
  readonly tcp: TcpState | null;
  readonly sctp: SctpState | null;
  readonly mark: number;
  /** Empty: none. */
  readonly helper: string;
  /** Empty: none. */
  readonly labels: Uint8Array;
  readonly adjustments: readonly [Adjustment | null, Adjustment | null];
  /** The flow that announced this one, of a helper. */
  readonly master: Tuple | null;
}

const ICMP_ECHO = 8 << 8, ICMP6_ECHO = 128 << 8;

export const isIcmp = (protocol: number) => protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmp6;

const WITH_PORTS = new Set<number>([
  PROTOCOL.tcp,
  PROTOCOL.udp,
  PROTOCOL.dccp,
  PROTOCOL.gre,
  PROTOCOL.sctp,
  PROTOCOL.udplite,
]);

export const hasPorts = (protocol: number) => WITH_PORTS.has(protocol);

/** Types of ICMP that are asked and answered: type by the type that answers. */
const ANSWERS = new Map([[8, 0], [13, 14], [15, 16], [17, 18]]);
const ANSWERS_6 = new Map([[128, 129], [139, 140]]);

const opposite = (types: ReadonlyMap<number, number>, type: number) =>
  types.get(type) ?? [...types].find(([, answer]) => answer === type)?.[0] ?? type;

/** What answers, without NAT. */
export function inverse(tuple: Tuple): Tuple {
  const { protocol, source, destination, first, second } = tuple;
  if (!isIcmp(protocol)) {
    return { protocol, source: destination, destination: source, first: second, second: first };
  }
  const type = opposite(protocol === PROTOCOL.icmp ? ANSWERS : ANSWERS_6, second >> 8);
  return { protocol, source: destination, destination: source, first, second: type << 8 | second & 255 };
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export const sameTuple = (a: Tuple, b: Tuple) =>
  a.protocol === b.protocol && a.first === b.first && a.second === b.second &&
  sameBytes(a.source, b.source) && sameBytes(a.destination, b.destination);

/** An address and a port that a NAT gives an end. */
export interface Mapping {
  readonly address: Uint8Array;
  /** Null: the protocol has none that could change. */
  readonly port: number | null;
}

/** What the NAT makes of the client's end and of the server's; null: nothing. */
export function natOf({ original, reply }: Flow): { source: Mapping | null; destination: Mapping | null } {
  const plain = inverse(original);
  const { protocol } = original;
  const ports = hasPorts(protocol);
  const changed = (port: number, plainPort: number) => ports && port !== plainPort;
  const identifier = isIcmp(protocol) && reply.first !== plain.first;
  const source = !sameBytes(reply.destination, plain.destination) || changed(reply.second, plain.second) ||
    identifier;
  const destination = !sameBytes(reply.source, plain.source) || changed(reply.first, plain.first);
  const port = isIcmp(protocol) ? reply.first : ports ? reply.second : null;
  return {
    source: source ? { address: reply.destination, port } : null,
    destination: destination ? { address: reply.source, port: ports ? reply.first : null } : null,
  };
}

function groupsText(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes[2 * i]! << 8 | bytes[2 * i + 1]!);
  let best = 0, length = 1;
  for (let from = 0; from < 8; from++) {
    let run = 0;
    while (groups[from + run] === 0) run++;
    if (run > length) [best, length] = [from, run];
  }
  const hex = (some: readonly number[]) => some.map((group) => group.toString(16)).join(":");
  return length < 2 ? hex(groups) : `${hex(groups.slice(0, best))}::${hex(groups.slice(best + length))}`;
}

/** As people write it; of IPv6 the form of RFC 5952. */
export function addressText(bytes: Uint8Array): string {
  return bytes.length === 4 ? `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}` : groupsText(bytes);
}

/** The flow as its client sends it. */
export function fieldsOf({ protocol, source, destination, first, second }: Tuple): HeaderFields {
  return {
    protocol,
    source: addressText(source),
    destination: addressText(destination),
    ...((hasPorts(protocol) || isIcmp(protocol)) && { sourcePort: first }),
    ...(hasPorts(protocol) && { destinationPort: second }),
  };
}

const echoOf = (protocol: number) => protocol === PROTOCOL.icmp ? ICMP_ECHO : ICMP6_ECHO;

/** The text of its fields; what they do not tell of it follows: the zone, and of ICMP what is no echo. */
export function keyOf(flow: Flow, fields = fieldsOf(flow.original)): string {
  const { protocol, second } = flow.original;
  const type = isIcmp(protocol) && second !== echoOf(protocol) ? ` type ${second}` : "";
  return fieldsText(fields) + type + (flow.zone === 0 ? "" : ` zone ${flow.zone}`);
}

/** The original tuple that fields and key of a record name; null: they name more than one flow. */
export function tupleOf(fields: HeaderFields, key: string): { tuple: Tuple; zone: number } | null {
  const { protocol, sourcePort = 0, destinationPort = 0 } = fields;
  const source = parseIpAddress(fields.source ?? ""), destination = parseIpAddress(fields.destination ?? "");
  if (protocol === undefined || source === null || destination === null) return null;
  if (typeof sourcePort !== "number" || typeof destinationPort !== "number") return null;
  if (source.length !== destination.length) return null;
  const said = (word: string) => Number(new RegExp(` ${word} (\\d{1,5})`).exec(key)?.[1] ?? NaN);
  const type = said("type");
  const second = !isIcmp(protocol) ? destinationPort : Number.isNaN(type) ? echoOf(protocol) : type;
  const ends = { source: Uint8Array.from(source), destination: Uint8Array.from(destination) };
  return { tuple: { protocol, ...ends, first: sourcePort, second }, zone: said("zone") || 0 };
}

type Test = (bytes: Uint8Array) => boolean;

function prefixTest(text: string | undefined): Test {
  if (text === undefined) return () => true;
  const prefix = parsePrefix(text);
  if (prefix === null) return () => false;
  const wanted = Uint8Array.from(
    { length: 16 },
    (_, i) => Number(prefix.bits >> BigInt(8 * (15 - i)) & 255n),
  );
  const whole = prefix.length >> 3, rest = 0xff00 >> (prefix.length & 7) & 255;
  return (bytes) => {
    const full = bytes.length === 16 ? bytes : mappedAddress([...bytes]);
    for (let i = 0; i < whole; i++) if (full[i] !== wanted[i]) return false;
    return whole === 16 || (full[whole]! & rest) === (wanted[whole]! & rest);
  };
}

function portTest(range: PortRange | undefined): (port: number | null) => boolean {
  if (range === undefined) return () => true;
  const [first, last] = typeof range === "number" ? [range, range] : range;
  return (port) => port !== null && first <= port && port <= last;
}

/** Whether the fields hold a flow, without making a text of each one. The same as `holds(fields, fieldsOf(tuple))`. */
export function tupleTest(fields: HeaderFields): (tuple: Tuple) => boolean {
  const { protocol } = fields;
  const source = prefixTest(fields.source), destination = prefixTest(fields.destination);
  const sourcePort = portTest(fields.sourcePort), destinationPort = portTest(fields.destinationPort);
  return (tuple) => {
    const ports = hasPorts(tuple.protocol);
    return (protocol === undefined || protocol === tuple.protocol) && source(tuple.source) &&
      destination(tuple.destination) && sourcePort(ports || isIcmp(tuple.protocol) ? tuple.first : null) &&
      destinationPort(ports ? tuple.second : null);
  };
}
