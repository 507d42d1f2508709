/**
 * Duty: messages of the kernel's connection tracking: a flow from them, and a flow into them.
 *
 * To make a flow with NAT, the kernel wants its tuples without NAT and what the NAT shall choose, as a range of one. It
 * chooses nothing else then, and says "exists" if another flow has that already.
 *
 * @see linux/netfilter/nfnetlink_conntrack.h, net/netfilter/nf_conntrack_netlink.c
 */
import type { HeaderFields } from "../fields.ts";
import { parseIpAddress } from "../../filter/ip_address.ts";
import {
  type Adjustment,
  type Flow,
  hasPorts,
  inverse,
  isIcmp,
  type Mapping,
  natOf,
  PROTOCOL,
  type SctpState,
  type TcpState,
  type Tuple,
} from "./flow.ts";
import { type Attributes, FLAG, type MessageWriter, NetlinkError } from "./messages.ts";

const SUBSYSTEM = 1 << 8;
/** Types of messages. */
export const TYPE = {
  new: SUBSYSTEM,
  get: SUBSYSTEM | 1,
  delete: SUBSYSTEM | 2,
  stats: SUBSYSTEM | 5,
} as const;
/** Multicast groups: what was made, what changed, what went. */
export const GROUPS = [1, 2, 3] as const;
export const FAMILY = { any: 0, v4: 2, v6: 10 } as const;

const CTA = {
  original: 1,
  reply: 2,
  status: 3,
  protocol: 4,
  help: 5,
  natSource: 6,
  timeout: 7,
  mark: 8,
  natDestination: 13,
  master: 14,
  adjustOriginal: 15,
  adjustReply: 16,
  zone: 18,
  labels: 22,
  filter: 25,
} as const;
const TUPLE = { ip: 1, protocol: 2, zone: 3 } as const;
const IP = { v4Source: 1, v4Destination: 2, v6Source: 3, v6Destination: 4 } as const;
const PROTO = { number: 1, source: 2, destination: 3, icmp: 4, icmp6: 7 } as const;
const INFO = { tcp: 1, sctp: 3 } as const;
/** Bits by which a dump is filtered in the kernel (since 5.8). */
const BY = { source: 1, destination: 2, protocol: 8, sourcePort: 16, destinationPort: 32 } as const;

const SEEN_REPLY = 2, ASSURED = 4, CONFIRMED = 8, FIXED_TIMEOUT = 1 << 10;
/** Of a flow's status what can be given to another kernel; the rest it finds by itself. */
const STATUS_CARRIED = SEEN_REPLY | ASSURED | CONFIRMED | FIXED_TIMEOUT;
/** Of TCP: sequence numbers are not held against windows. */
export const LIBERAL = 8;
const SCALED = 1;

export const familyOf = (tuple: Tuple) => tuple.source.length === 4 ? FAMILY.v4 : FAMILY.v6;

interface TupleDraft {
  protocol: number;
  source: Uint8Array | null;
  destination: Uint8Array | null;
  first: number;
  second: number;
  zone: number;
}

function address(value: Attributes, bytes: 4 | 16): Uint8Array {
  if (value.length !== bytes) {
    throw new NetlinkError(`Cannot read a tuple: ${value.length} bytes are no address`);
  }
  return value.bytes();
}

function readAddresses(draft: TupleDraft, addresses: Attributes): void {
  addresses.each((type, value) => {
    if (type === IP.v4Source) draft.source = address(value, 4);
    else if (type === IP.v4Destination) draft.destination = address(value, 4);
    else if (type === IP.v6Source) draft.source = address(value, 16);
    else if (type === IP.v6Destination) draft.destination = address(value, 16);
  });
}

function readProtocol(draft: TupleDraft, protocol: Attributes): void {
  protocol.each((type, value) => {
    if (type === PROTO.number) draft.protocol = value.u8();
    else if (type === PROTO.source || type === PROTO.icmp || type === PROTO.icmp6) draft.first = value.u16();
    else if (type === PROTO.destination) draft.second = value.u16();
    else if (type === PROTO.icmp + 1 || type === PROTO.icmp6 + 1) draft.second |= value.u8() << 8;
    else if (type === PROTO.icmp + 2 || type === PROTO.icmp6 + 2) draft.second |= value.u8();
  });
}

function readTuple(attribute: Attributes): Tuple & { zone: number } {
  const draft: TupleDraft = { protocol: 0, source: null, destination: null, first: 0, second: 0, zone: 0 };
  attribute.each((type, value) => {
    if (type === TUPLE.ip) readAddresses(draft, value);
    else if (type === TUPLE.protocol) readProtocol(draft, value);
    else if (type === TUPLE.zone) draft.zone = value.u16();
  });
  const { source, destination } = draft;
  if (source === null || destination === null || source.length !== destination.length) {
    throw new NetlinkError("Cannot read a tuple: it has not two addresses of one family");
  }
  return { ...draft, source, destination };
}

function readTcp(attribute: Attributes): TcpState {
  const scales: [number, number] = [0, 0], flags: [number, number] = [0, 0];
  let state = 0;
  attribute.each((type, value) => {
    if (type === 1) state = value.u8();
    else if (type === 2 || type === 3) scales[type - 2] = value.u8();
    else if (type === 4 || type === 5) flags[type - 4] = value.u8();
  });
  return { state, scales, flags };
}

function readSctp(attribute: Attributes): SctpState {
  const tags: [number, number] = [0, 0];
  let state = 0;
  attribute.each((type, value) => {
    if (type === 1) state = value.u8();
    else if (type === 2 || type === 3) tags[type - 2] = value.u32();
  });
  return { state, tags };
}

function readAdjustment(attribute: Attributes): Adjustment | null {
  const words: [number, number, number] = [0, 0, 0];
  attribute.each((type, value) => {
    if (type >= 1 && type <= 3) words[type - 1] = value.u32();
  });
  const [position, before, after] = words;
  return position === 0 && before === 0 && after === 0 ? null : { position, before, after };
}

type Draft = { -readonly [Key in keyof Flow]: Flow[Key] };
type Take = (draft: Draft, value: Attributes) => void;

function readInfo(draft: Draft, info: Attributes): void {
  info.each((type, value) => {
    if (type === INFO.tcp) draft.tcp = readTcp(value);
    else if (type === INFO.sctp) draft.sctp = readSctp(value);
  });
}

const TAKES: Readonly<Record<number, Take>> = {
  [CTA.status]: (draft, value) => draft.status = value.u32() & STATUS_CARRIED,
  [CTA.protocol]: readInfo,
  [CTA.help]: (draft, value) => value.each((type, name) => type === 1 && (draft.helper = name.text())),
  [CTA.timeout]: (draft, value) => draft.timeoutS = value.u32(),
  [CTA.mark]: (draft, value) => draft.mark = value.u32(),
  [CTA.master]: (draft, value) => draft.master = readTuple(value),
  [CTA.adjustOriginal]: (draft, value) => draft.adjustments = [readAdjustment(value), draft.adjustments[1]],
  [CTA.adjustReply]: (draft, value) => draft.adjustments = [draft.adjustments[0], readAdjustment(value)],
  [CTA.zone]: (draft, value) => draft.zone = value.u16(),
  [CTA.labels]: (draft, value) => draft.labels = value.bytes(),
};

/** What a message of the kernel says of a flow; null: one direction has a zone of its own. @throws NetlinkError */
export function readFlow(body: Attributes): Flow | null {
  const draft: Partial<Draft> & Omit<Draft, "original" | "reply"> = {
    zone: 0,
    status: 0,
    timeoutS: 0,
    tcp: null,
    sctp: null,
    mark: 0,
    helper: "",
    labels: new Uint8Array(),
    adjustments: [null, null],
    master: null,
  };
  let oneSided = false;
  body.behindFamily().each((type, value) => {
    if (type === CTA.original || type === CTA.reply) {
      const { zone, ...tuple } = readTuple(value);
      oneSided ||= zone !== 0;
      draft[type === CTA.original ? "original" : "reply"] = tuple;
    } else TAKES[type]?.(draft as Draft, value);
  });
  const { original, reply } = draft;
  if (original === undefined || reply === undefined) {
    throw new NetlinkError("Cannot read a flow: it has not two tuples");
  }
  return oneSided ? null : { ...draft, original, reply };
}

function writePorts(writer: MessageWriter, { protocol, first, second }: Tuple): void {
  writer.u8(PROTO.number, protocol);
  if (isIcmp(protocol)) {
    const base = protocol === PROTOCOL.icmp ? PROTO.icmp : PROTO.icmp6;
    writer.u16(base, first).u8(base + 1, second >> 8).u8(base + 2, second & 255);
  } else if (hasPorts(protocol)) writer.u16(PROTO.source, first).u16(PROTO.destination, second);
}

export function writeTuple(writer: MessageWriter, type: number, tuple: Tuple): void {
  const v4 = tuple.source.length === 4;
  writer.nest(type, () => {
    writer.nest(TUPLE.ip, () => {
      writer.put(v4 ? IP.v4Source : IP.v6Source, tuple.source);
      writer.put(v4 ? IP.v4Destination : IP.v6Destination, tuple.destination);
    });
    writer.nest(TUPLE.protocol, () => writePorts(writer, tuple));
  });
}

function writeMapping(writer: MessageWriter, type: number, { address, port }: Mapping): void {
  const [min, max] = address.length === 4 ? [1, 2] : [4, 5];
  writer.nest(type, () => {
    writer.put(min, address).put(max, address);
    if (port !== null) writer.nest(3, () => void writer.u16(1, port).u16(2, port));
  });
}

function writeTcp(writer: MessageWriter, { state, scales, flags }: TcpState, liberal: boolean): void {
  const more = liberal ? LIBERAL : 0;
  writer.nest(CTA.protocol, () =>
    void writer.nest(INFO.tcp, () => {
      writer.u8(1, state);
      // A scale counts only where both ends have said one.
      if (flags[0] & flags[1] & SCALED) writer.u8(2, scales[0]).u8(3, scales[1]);
      // Which flags, and which of them are meant.
      for (const way of [0, 1] as const) writer.u16(4 + way, (flags[way] | more) << 8 | flags[way] | more);
    }));
}

function writeSctp(writer: MessageWriter, { state, tags }: SctpState): void {
  writer.nest(
    CTA.protocol,
    () => void writer.nest(INFO.sctp, () => void writer.u8(1, state).u32(2, tags[0]).u32(3, tags[1])),
  );
}

function writeAdjustment(writer: MessageWriter, type: number, adjustment: Adjustment | null): void {
  if (adjustment === null) return;
  const { position, before, after } = adjustment;
  writer.nest(type, () => void writer.u32(1, position).u32(2, before).u32(3, after));
}

/** What a kernel may be without. */
export interface Extras {
  readonly helper: boolean;
  readonly labels: boolean;
  readonly liberal: boolean;
}

export const ALL_EXTRAS: Extras = { helper: true, labels: true, liberal: false };

/** Parts of a flow that may also be changed while it is there. */
function writeChanging(writer: MessageWriter, flow: Flow, { labels, liberal }: Extras): void {
  writer.u32(CTA.status, flow.status | CONFIRMED).u32(CTA.timeout, Math.max(1, flow.timeoutS));
  if (flow.tcp) writeTcp(writer, flow.tcp, liberal);
  if (flow.sctp) writeSctp(writer, flow.sctp);
  if (flow.mark !== 0) writer.u32(CTA.mark, flow.mark);
  if (labels && flow.labels.length > 0) writer.put(CTA.labels, flow.labels);
  writeAdjustment(writer, CTA.adjustOriginal, flow.adjustments[0]);
  writeAdjustment(writer, CTA.adjustReply, flow.adjustments[1]);
}

/** Make the flow; it must not be there. */
export function writeNew(writer: MessageWriter, sequence: number, flow: Flow, extras: Extras): void {
  const { original, zone, helper, master } = flow;
  const nat = natOf(flow);
  const flags = FLAG.request | FLAG.create | FLAG.exclusive;
  writer.message({ type: TYPE.new, flags, sequence, family: familyOf(original) }, () => {
    writeTuple(writer, CTA.original, original);
    writeTuple(writer, CTA.reply, inverse(original));
    writeChanging(writer, flow, extras);
    if (zone !== 0) writer.u16(CTA.zone, zone);
    if (master) writeTuple(writer, CTA.master, master);
    if (extras.helper && helper !== "") writer.nest(CTA.help, () => void writer.text(1, helper));
    if (nat.source) writeMapping(writer, CTA.natSource, nat.source);
    if (nat.destination) writeMapping(writer, CTA.natDestination, nat.destination);
  });
}

/** Change what can be changed of a flow that is there. */
export function writeChange(writer: MessageWriter, sequence: number, flow: Flow, extras: Extras): void {
  const { original, zone } = flow;
  writer.message({ type: TYPE.new, flags: FLAG.request, sequence, family: familyOf(original) }, () => {
    writeTuple(writer, CTA.original, original);
    if (zone !== 0) writer.u16(CTA.zone, zone);
    writeChanging(writer, flow, extras);
  });
}

/** Ask for one flow, or take it away. */
export function writeNamed(
  writer: MessageWriter,
  type: typeof TYPE.get | typeof TYPE.delete,
  sequence: number,
  { tuple, zone }: { readonly tuple: Tuple; readonly zone: number },
): void {
  writer.message({ type, flags: FLAG.request, sequence, family: familyOf(tuple) }, () => {
    writeTuple(writer, CTA.original, tuple);
    if (zone !== 0) writer.u16(CTA.zone, zone);
  });
}

/** Whole addresses and single ports of the fields: what the kernel itself can filter by. */
export interface DumpFilter {
  readonly family: number;
  readonly bits: number;
  readonly tuple: Tuple;
}

/** Null: the kernel has nothing to filter by. */
export function dumpFilter(fields: HeaderFields): DumpFilter | null {
  const source = parseIpAddress(fields.source ?? ""), destination = parseIpAddress(fields.destination ?? "");
  const length = (source ?? destination)?.length;
  if (length === undefined || (source && destination && source.length !== destination.length)) return null;
  const { protocol, sourcePort, destinationPort } = fields;
  const ports = protocol !== undefined && hasPorts(protocol);
  const port = (range: HeaderFields["sourcePort"]) => ports && typeof range === "number" ? range : null;
  const [from, to] = [port(sourcePort), port(destinationPort)];
  const bits = (source ? BY.source : 0) | (destination ? BY.destination : 0) |
    (protocol === undefined ? 0 : BY.protocol) | (from === null ? 0 : BY.sourcePort) |
    (to === null ? 0 : BY.destinationPort);
  const ends = {
    source: Uint8Array.from(source ?? Array(length).fill(0)),
    destination: Uint8Array.from(destination ?? Array(length).fill(0)),
  };
  const family = length === 4 ? FAMILY.v4 : FAMILY.v6;
  return { family, bits, tuple: { protocol: protocol ?? 0, ...ends, first: from ?? 0, second: to ?? 0 } };
}

/** All flows, or those that the filter takes. */
export function writeDump(writer: MessageWriter, sequence: number, filter: DumpFilter | null): void {
  const family = filter?.family ?? FAMILY.any;
  writer.message({ type: TYPE.get, flags: FLAG.request | FLAG.dump, sequence, family }, () => {
    if (filter === null) return;
    const { bits, tuple } = filter;
    const v4 = tuple.source.length === 4;
    const order = new DataView(new ArrayBuffer(4));
    // The only number of these messages in the order of the host.
    order.setUint32(0, bits, true);
    writer.nest(CTA.original, () => {
      writer.nest(TUPLE.ip, () => {
        if (bits & BY.source) writer.put(v4 ? IP.v4Source : IP.v6Source, tuple.source);
        if (bits & BY.destination) writer.put(v4 ? IP.v4Destination : IP.v6Destination, tuple.destination);
      });
      if (bits & BY.protocol) {
        writer.nest(TUPLE.protocol, () => {
          writer.u8(PROTO.number, tuple.protocol);
          if (bits & BY.sourcePort) writer.u16(PROTO.source, tuple.first);
          if (bits & BY.destinationPort) writer.u16(PROTO.destination, tuple.second);
        });
      }
    });
    writer.nest(CTA.filter, () => void writer.put(1, new Uint8Array(order.buffer)));
  });
}
