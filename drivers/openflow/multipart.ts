/**
 * Multipart requests and replies (1.3.5, 7.3.5): what a switch tells of itself, its flows, groups and ports.
 *
 * A long answer comes in several messages with the same transaction; each is read on its own and says whether more
 * follow.
 */
import { type Instruction, readInstructions, writeInstructions } from "./actions.ts";
import type { Reader, Writer } from "./bytes.ts";
import { type Field, readMatch, writeMatch } from "./match.ts";
import { type MeterDescription, readMeter, writeMeter } from "./meters.ts";
import { METER_ALL, MULTIPART } from "./names.ts";
import {
  type GroupDescription,
  type PortDescription,
  readBuckets,
  readPort,
  writeBuckets,
  writePort,
} from "./structures.ts";

export interface FlowQuery {
  readonly kind: "flow";
  readonly table: number;
  readonly outPort: number;
  readonly outGroup: number;
  readonly cookie: bigint;
  readonly cookieMask: bigint;
  readonly match: readonly Field[];
}

export type MultipartQuery =
  | { readonly kind: "desc" | "group-desc" | "group-features" | "port-desc" }
  /** Of all meters. */
  | { readonly kind: "meter-config" }
  | FlowQuery
  | { readonly kind: "group"; readonly group: number }
  | { readonly kind: "unknown"; readonly type: number; readonly data: Uint8Array };

export interface FlowDescription {
  readonly table: number;
  readonly priority: number;
  readonly idleS: number;
  readonly hardS: number;
  readonly flags: number;
  readonly cookie: bigint;
  readonly durationS: number;
  readonly durationNs: number;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly match: readonly Field[];
  readonly instructions: readonly Instruction[];
}

export interface GroupCounts {
  readonly group: number;
  readonly references: number;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly durationS: number;
  readonly durationNs: number;
  readonly buckets: readonly { readonly packets: bigint; readonly bytes: bigint }[];
}

export interface GroupFeatures {
  /** Bit n: groups of type n. */
  readonly types: number;
  readonly capabilities: number;
  /** By type of group. */
  readonly groupsMax: readonly number[];
  readonly actions: readonly number[];
}

/** Manufacturer, hardware, software, serial number, and what people call it. */
export interface SwitchDescription {
  readonly maker: string;
  readonly hardware: string;
  readonly software: string;
  readonly serial: string;
  readonly datapath: string;
}

export type MultipartAnswer =
  | { readonly kind: "desc"; readonly description: SwitchDescription }
  | { readonly kind: "flow"; readonly flows: readonly FlowDescription[] }
  | { readonly kind: "group"; readonly groups: readonly GroupCounts[] }
  | { readonly kind: "group-desc"; readonly groups: readonly GroupDescription[] }
  | { readonly kind: "group-features"; readonly features: GroupFeatures }
  | { readonly kind: "meter-config"; readonly meters: readonly MeterDescription[] }
  | { readonly kind: "port-desc"; readonly ports: readonly PortDescription[] }
  | { readonly kind: "unknown"; readonly type: number; readonly data: Uint8Array };

const NUMBER = {
  desc: MULTIPART.desc,
  flow: MULTIPART.flow,
  group: MULTIPART.group,
  "group-desc": MULTIPART.groupDesc,
  "group-features": MULTIPART.groupFeatures,
  "meter-config": MULTIPART.meterConfig,
  "port-desc": MULTIPART.portDesc,
} as const;

export function multipartType(body: MultipartQuery | MultipartAnswer): number {
  return body.kind === "unknown" ? body.type : NUMBER[body.kind];
}

export function readQuery(type: number, reader: Reader): MultipartQuery {
  if (type === MULTIPART.flow) return readFlowQuery(reader);
  if (type === MULTIPART.group) {
    const group = reader.u32();
    reader.skip(4);
    return { kind: "group", group };
  }
  if (type === MULTIPART.desc) return { kind: "desc" };
  if (type === MULTIPART.groupDesc) return { kind: "group-desc" };
  if (type === MULTIPART.groupFeatures) return { kind: "group-features" };
  if (type === MULTIPART.portDesc) return { kind: "port-desc" };
  if (type === MULTIPART.meterConfig) return readMeterQuery(reader);
  return { kind: "unknown", type, data: reader.rest() };
}

/** Of one meter it stays bytes: nobody here asks so. */
function readMeterQuery(reader: Reader): MultipartQuery {
  const data = reader.rest();
  if (data.length === 8 && data.subarray(0, 4).every((byte) => byte === 0xff)) {
    return { kind: "meter-config" };
  }
  return { kind: "unknown", type: MULTIPART.meterConfig, data };
}

function readFlowQuery(reader: Reader): FlowQuery {
  const table = reader.u8();
  reader.skip(3);
  const outPort = reader.u32();
  const outGroup = reader.u32();
  reader.skip(4);
  const cookie = reader.u64();
  const cookieMask = reader.u64();
  return { kind: "flow", table, outPort, outGroup, cookie, cookieMask, match: readMatch(reader) };
}

export function writeQuery(writer: Writer, query: MultipartQuery): void {
  if (query.kind === "flow") {
    writer.u8(query.table).zeros(3).u32(query.outPort).u32(query.outGroup).zeros(4);
    writer.u64(query.cookie).u64(query.cookieMask);
    writeMatch(writer, query.match);
  } else if (query.kind === "group") writer.u32(query.group).zeros(4);
  else if (query.kind === "meter-config") writer.u32(METER_ALL).zeros(4);
  else if (query.kind === "unknown") writer.put(query.data);
}

export function readAnswer(type: number, reader: Reader): MultipartAnswer {
  switch (type) {
    case MULTIPART.desc: {
      const [maker, hardware, software] = [reader.text(256), reader.text(256), reader.text(256)];
      const serial = reader.text(32);
      const description = { maker, hardware, software, serial, datapath: reader.text(256) };
      return { kind: "desc", description };
    }
    case MULTIPART.flow:
      return { kind: "flow", flows: reader.each(readFlow) };
    case MULTIPART.group:
      return { kind: "group", groups: reader.each(readCounts) };
    case MULTIPART.groupDesc:
      return { kind: "group-desc", groups: reader.each(readGroup) };
    case MULTIPART.groupFeatures: {
      const four = () => [reader.u32(), reader.u32(), reader.u32(), reader.u32()];
      const [types, capabilities] = [reader.u32(), reader.u32()];
      return {
        kind: "group-features",
        features: { types, capabilities, groupsMax: four(), actions: four() },
      };
    }
    case MULTIPART.meterConfig:
      return { kind: "meter-config", meters: reader.each(readMeter) };
    case MULTIPART.portDesc:
      return { kind: "port-desc", ports: reader.each(readPort) };
    default:
      return { kind: "unknown", type, data: reader.rest() };
  }
}

export function writeAnswer(writer: Writer, answer: MultipartAnswer): void {
  switch (answer.kind) {
    case "desc": {
      const { maker, hardware, software, serial, datapath } = answer.description;
      writer.text(maker, 256).text(hardware, 256).text(software, 256).text(serial, 32).text(datapath, 256);
      break;
    }
    case "flow":
      for (const flow of answer.flows) writeFlow(writer, flow);
      break;
    case "group":
      for (const counts of answer.groups) writeCounts(writer, counts);
      break;
    case "group-desc":
      for (const group of answer.groups) writeGroup(writer, group);
      break;
    case "group-features": {
      const { types, capabilities, groupsMax, actions } = answer.features;
      for (const number of [types, capabilities, ...groupsMax, ...actions]) writer.u32(number);
      break;
    }
    case "meter-config":
      for (const meter of answer.meters) writeMeter(writer, meter);
      break;
    case "port-desc":
      for (const port of answer.ports) writePort(writer, port);
      break;
    case "unknown":
      writer.put(answer.data);
  }
}

/** The part of an answer that says its own length in its first two bytes. */
function sized(reader: Reader, bytesMin: number, what: string): Reader {
  const place = reader.place;
  const length = reader.u16();
  if (length < bytesMin) {
    reader.fail(`${what} at ${place} has ${length} bytes, at least ${bytesMin} are needed`);
  }
  return reader.part(length - 2, what);
}

function readFlow(reader: Reader): FlowDescription {
  const body = sized(reader, 56, "flow");
  const table = body.u8();
  body.skip(1);
  const [durationS, durationNs] = [body.u32(), body.u32()];
  const [priority, idleS, hardS, flags] = [body.u16(), body.u16(), body.u16(), body.u16()];
  body.skip(4);
  const [cookie, packets, bytes] = [body.u64(), body.u64(), body.u64()];
  const match = readMatch(body);
  const instructions = readInstructions(body);
  const times = { idleS, hardS, durationS, durationNs };
  return { table, priority, flags, cookie, packets, bytes, match, instructions, ...times };
}

function writeFlow(writer: Writer, flow: FlowDescription): void {
  const start = writer.length;
  writer.u16(0).u8(flow.table).zeros(1).u32(flow.durationS).u32(flow.durationNs);
  writer.u16(flow.priority).u16(flow.idleS).u16(flow.hardS).u16(flow.flags).zeros(4);
  writer.u64(flow.cookie).u64(flow.packets).u64(flow.bytes);
  writeMatch(writer, flow.match);
  writeInstructions(writer, flow.instructions);
  writer.lengthAt(start, writer.length - start);
}

function readCounts(reader: Reader): GroupCounts {
  const body = sized(reader, 40, "group counters");
  body.skip(2);
  const [group, references] = [body.u32(), body.u32()];
  body.skip(4);
  const [packets, bytes] = [body.u64(), body.u64()];
  const [durationS, durationNs] = [body.u32(), body.u32()];
  const buckets = body.each((one) => ({ packets: one.u64(), bytes: one.u64() }));
  return { group, references, packets, bytes, durationS, durationNs, buckets };
}

function writeCounts(writer: Writer, counts: GroupCounts): void {
  const start = writer.length;
  writer.u16(0).zeros(2).u32(counts.group).u32(counts.references).zeros(4);
  writer.u64(counts.packets).u64(counts.bytes).u32(counts.durationS).u32(counts.durationNs);
  for (const { packets, bytes } of counts.buckets) writer.u64(packets).u64(bytes);
  writer.lengthAt(start, writer.length - start);
}

function readGroup(reader: Reader): GroupDescription {
  const body = sized(reader, 8, "group");
  const type = body.u8();
  body.skip(1);
  return { type, group: body.u32(), buckets: readBuckets(body) };
}

function writeGroup(writer: Writer, { group, type, buckets }: GroupDescription): void {
  const start = writer.length;
  writer.u16(0).u8(type).zeros(1).u32(group);
  writeBuckets(writer, buckets);
  writer.lengthAt(start, writer.length - start);
}
