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
import { type Attributes, FLAG, type MessageWriter, NetlinkError, type Walk } from "./messages.ts";

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

interface ZonedTuple {
  readonly tuple: Tuple;
  /** Of this direction alone; 0: none. */
  readonly zone: number;
}

function address(value: Attributes, bytes: 4 | 16): Uint8Array {
  if (value.length !== bytes) {
    throw new NetlinkError(`Cannot read a tuple: ${value.length} bytes are no address`);
  }
  return value.bytes();
}

function readTuple(attribute: Attributes): ZonedTuple {
  let source: Uint8Array | null = null, destination: Uint8Array | null = null;
  let protocol = 0, first = 0, second = 0, zone = 0;
  for (const part = attribute.walk(); part.next();) {
    if (part.type === TUPLE.ip) {
      for (const at = part.walk(); at.next();) {
        if (at.type === IP.v4Source) source = address(at, 4);
        else if (at.type === IP.v4Destination) destination = address(at, 4);
        else if (at.type === IP.v6Source) source = address(at, 16);
        else if (at.type === IP.v6Destination) destination = address(at, 16);
      }
    } else if (part.type === TUPLE.protocol) {
      for (const at = part.walk(); at.next();) {
        const { type } = at;
        if (type === PROTO.number) protocol = at.u8();
        else if (type === PROTO.source || type === PROTO.icmp || type === PROTO.icmp6) first = at.u16();
        else if (type === PROTO.destination) second = at.u16();
        else if (type === PROTO.icmp + 1 || type === PROTO.icmp6 + 1) second |= at.u8() << 8;
        else if (type === PROTO.icmp + 2 || type === PROTO.icmp6 + 2) second |= at.u8();
      }
    } else if (part.type === TUPLE.zone) zone = part.u16();
  }
  if (source === null || destination === null || source.length !== destination.length) {
    throw new NetlinkError("Cannot read a tuple: it has not two addresses of one family");
  }
  return { tuple: { protocol, source, destination, first, second }, zone };
}

function readTcp(attribute: Attributes): TcpState {
  let state = 0, scale = 0, replyScale = 0, flags = 0, replyFlags = 0;
  for (const at = attribute.walk(); at.next();) {
    if (at.type === 1) state = at.u8();
    else if (at.type === 2) scale = at.u8();
    else if (at.type === 3) replyScale = at.u8();
    else if (at.type === 4) flags = at.u8();
    else if (at.type === 5) replyFlags = at.u8();
  }
  return { state, scales: [scale, replyScale], flags: [flags, replyFlags] };
}

function readSctp(attribute: Attributes): SctpState {
  let state = 0, tag = 0, replyTag = 0;
  for (const at = attribute.walk(); at.next();) {
    if (at.type === 1) state = at.u8();
    else if (at.type === 2) tag = at.u32();
    else if (at.type === 3) replyTag = at.u32();
  }
  return { state, tags: [tag, replyTag] };
}

function readAdjustment(attribute: Attributes): Adjustment | null {
  let position = 0, before = 0, after = 0;
  for (const at = attribute.walk(); at.next();) {
    if (at.type === 1) position = at.u32();
    else if (at.type === 2) before = at.u32();
    else if (at.type === 3) after = at.u32();
  }
  return position === 0 && before === 0 && after === 0 ? null : { position, before, after };
}

type Draft = { -readonly [Key in keyof Flow]: Flow[Key] };

function readInfo(draft: Draft, info: Attributes): void {
  for (const at = info.walk(); at.next();) {
    if (at.type === INFO.tcp) draft.tcp = readTcp(at);
    else if (at.type === INFO.sctp) draft.sctp = readSctp(at);
  }
}

function readHelper(draft: Draft, help: Attributes): void {
  for (const at = help.walk(); at.next();) if (at.type === 1) draft.helper = at.text();
}

/** All but its tuples; what is not carried is passed over. */
function readPart(draft: Draft, part: Walk): void {
  const { type } = part;
  if (type === CTA.status) draft.status = part.u32() & STATUS_CARRIED;
  else if (type === CTA.timeout) draft.timeoutS = part.u32();
  else if (type === CTA.mark) draft.mark = part.u32();
  else if (type === CTA.protocol) readInfo(draft, part);
  else if (type === CTA.zone) draft.zone = part.u16();
  else if (type === CTA.help) readHelper(draft, part);
  else if (type === CTA.labels) draft.labels = part.bytes();
  else if (type === CTA.master) draft.master = readTuple(part).tuple;
  else if (type === CTA.adjustOriginal) draft.adjustments = [readAdjustment(part), draft.adjustments[1]];
  else if (type === CTA.adjustReply) draft.adjustments = [draft.adjustments[0], readAdjustment(part)];
}

const NO_LABELS = new Uint8Array();
const NO_TUPLE: Tuple = { protocol: 0, source: NO_LABELS, destination: NO_LABELS, first: 0, second: 0 };

/** What a message of the kernel says of a flow; null: one direction has a zone of its own. @throws NetlinkError */
export function readFlow(body: Attributes): Flow | null {
  const draft: Draft = {
    original: NO_TUPLE,
    reply: NO_TUPLE,
    zone: 0,
    status: 0,
    timeoutS: 0,
    tcp: null,
    sctp: null,
    mark: 0,
    helper: "",
    labels: NO_LABELS,
    adjustments: [null, null],
    master: null,
  };
  let oneSided = false;
  for (const part = body.behindFamily().walk(); part.next();) {
    if (part.type !== CTA.original && part.type !== CTA.reply) {
      readPart(draft, part);
      continue;
    }
    const { tuple, zone } = readTuple(part);
    if (part.type === CTA.original) draft.original = tuple;
    else draft.reply = tuple;
    oneSided ||= zone !== 0;
  }
  if (draft.original === NO_TUPLE || draft.reply === NO_TUPLE) {
    throw new NetlinkError("Cannot read a flow: it has not two tuples");
  }
  return oneSided ? null : draft;
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
  const whole = writer.open(type), addresses = writer.open(TUPLE.ip);
  writer.put(v4 ? IP.v4Source : IP.v6Source, tuple.source);
  writer.put(v4 ? IP.v4Destination : IP.v6Destination, tuple.destination);
  writer.close(addresses);
  const protocol = writer.open(TUPLE.protocol);
  writePorts(writer, tuple);
  writer.close(protocol).close(whole);
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
  const info = writer.open(CTA.protocol), tcp = writer.open(INFO.tcp);
  writer.u8(1, state);
  // A scale counts only where both ends have said one.
  if (flags[0] & flags[1] & SCALED) writer.u8(2, scales[0]).u8(3, scales[1]);
  // Which flags, and which of them are meant.
  writer.u16(4, (flags[0] | more) << 8 | flags[0] | more).u16(5, (flags[1] | more) << 8 | flags[1] | more);
  writer.close(tcp).close(info);
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

/** Whole addresses of IPv4 and single ports of the fields: what the kernel itself can filter by. */
export interface DumpFilter {
  readonly bits: number;
  readonly tuple: Tuple;
}

const ADDRESS_BYTES = 4;

/**
 * Null: the kernel has nothing to filter by. IPv6 is left to the driver: the kernel compares its addresses the wrong way
 * round and passes over the very flows that were asked for (seen with Linux 6.18).
 */
export function dumpFilter(fields: HeaderFields): DumpFilter | null {
  const source = parseIpAddress(fields.source ?? ""), destination = parseIpAddress(fields.destination ?? "");
  const ends = [source, destination].filter((end) => end !== null);
  if (ends.length === 0 || ends.some((end) => end.length !== ADDRESS_BYTES)) return null;
  const { protocol, sourcePort, destinationPort } = fields;
  const ports = protocol !== undefined && hasPorts(protocol);
  const port = (range: HeaderFields["sourcePort"]) => ports && typeof range === "number" ? range : null;
  const [from, to] = [port(sourcePort), port(destinationPort)];
  const bits = (source ? BY.source : 0) | (destination ? BY.destination : 0) |
    (protocol === undefined ? 0 : BY.protocol) | (from === null ? 0 : BY.sourcePort) |
    (to === null ? 0 : BY.destinationPort);
  const bytes = (end: readonly number[] | null) => Uint8Array.from(end ?? [0, 0, 0, 0]);
  const tuple = { source: bytes(source), destination: bytes(destination), first: from ?? 0, second: to ?? 0 };
  return { bits, tuple: { protocol: protocol ?? 0, ...tuple } };
}

/** All flows, or those that the filter takes. */
export function writeDump(writer: MessageWriter, sequence: number, filter: DumpFilter | null): void {
  const family = filter === null ? FAMILY.any : FAMILY.v4;
  writer.message({ type: TYPE.get, flags: FLAG.request | FLAG.dump, sequence, family }, () => {
    if (filter === null) return;
    const { bits, tuple } = filter;
    const order = new DataView(new ArrayBuffer(4));
    // The only number of these messages in the order of the host.
    order.setUint32(0, bits, true);
    writer.nest(CTA.original, () => {
      writer.nest(TUPLE.ip, () => {
        if (bits & BY.source) writer.put(IP.v4Source, tuple.source);
        if (bits & BY.destination) writer.put(IP.v4Destination, tuple.destination);
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
