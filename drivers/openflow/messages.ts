/**
 * Messages of OpenFlow 1.3 between bytes and values, both directions (1.3.5, chapter 7).
 *
 * A message is its transaction number and a body; the kind of the body says what it holds. Kinds of no interest keep
 * their bytes. A hello and an error may come with any version, for they are how two ends learn that they have none
 * in common; everything else has to be 1.3.
 */
import {
  type Action,
  type Instruction,
  readActions,
  readInstructions,
  writeActions,
  writeInstructions,
} from "./actions.ts";
import { Reader, Writer } from "./bytes.ts";
import { type MeterMod, readMeterMod, writeMeterMod } from "./meters.ts";
import { type Field, readMatch, writeMatch } from "./match.ts";
import {
  type MultipartAnswer,
  type MultipartQuery,
  multipartType,
  readAnswer,
  readQuery,
  writeAnswer,
  writeQuery,
} from "./multipart.ts";
import { MULTIPART_MORE, TYPE, typeName, VERSION } from "./names.ts";
import {
  type Bucket,
  type PortDescription,
  readBuckets,
  readPort,
  writeBuckets,
  writePort,
} from "./structures.ts";

export interface FlowMod {
  readonly kind: "flow-mod";
  readonly command: number;
  readonly cookie: bigint;
  readonly cookieMask: bigint;
  readonly table: number;
  readonly priority: number;
  readonly idleS: number;
  readonly hardS: number;
  readonly buffer: number;
  readonly outPort: number;
  readonly outGroup: number;
  readonly flags: number;
  readonly match: readonly Field[];
  readonly instructions: readonly Instruction[];
}

export interface GroupMod {
  readonly kind: "group-mod";
  readonly command: number;
  readonly type: number;
  readonly group: number;
  readonly buckets: readonly Bucket[];
}

export interface FlowRemoved {
  readonly kind: "flow-removed";
  readonly cookie: bigint;
  readonly priority: number;
  readonly reason: number;
  readonly table: number;
  readonly durationS: number;
  readonly durationNs: number;
  readonly idleS: number;
  readonly hardS: number;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly match: readonly Field[];
}

export interface PacketIn {
  readonly kind: "packet-in";
  readonly buffer: number;
  readonly totalBytes: number;
  readonly reason: number;
  readonly table: number;
  readonly cookie: bigint;
  readonly match: readonly Field[];
  readonly data: Uint8Array;
}

export interface Features {
  readonly kind: "features-reply";
  readonly datapath: bigint;
  readonly buffers: number;
  readonly tables: number;
  readonly auxiliary: number;
  readonly capabilities: number;
}

export type Body =
  /** `versions` is the bitmap; null: none was sent, and the header's version is the highest. */
  | { readonly kind: "hello"; readonly versions: number | null }
  | { readonly kind: "error"; readonly type: number; readonly code: number; readonly data: Uint8Array }
  | { readonly kind: "echo-request" | "echo-reply"; readonly data: Uint8Array }
  | { readonly kind: "features-request" | "get-config-request" | "barrier-request" | "barrier-reply" }
  | Features
  | { readonly kind: "get-config-reply" | "set-config"; readonly flags: number; readonly missBytes: number }
  | PacketIn
  | {
    readonly kind: "packet-out";
    readonly buffer: number;
    readonly inPort: number;
    readonly actions: readonly Action[];
    readonly data: Uint8Array;
  }
  | FlowRemoved
  | { readonly kind: "port-status"; readonly reason: number; readonly port: PortDescription }
  | FlowMod
  | GroupMod
  | MeterMod
  | { readonly kind: "multipart-request"; readonly more: boolean; readonly query: MultipartQuery }
  | { readonly kind: "multipart-reply"; readonly more: boolean; readonly answer: MultipartAnswer }
  | { readonly kind: "role-request" | "role-reply"; readonly role: number; readonly generation: bigint }
  | { readonly kind: "unknown"; readonly type: number; readonly data: Uint8Array };

export interface Message {
  readonly transaction: number;
  readonly body: Body;
  /** As received; 4 where nothing else is said. */
  readonly version?: number;
}

const KIND_TYPE: Readonly<Record<Exclude<Body["kind"], "unknown">, number>> = {
  hello: TYPE.hello,
  error: TYPE.error,
  "echo-request": TYPE.echoRequest,
  "echo-reply": TYPE.echoReply,
  "features-request": TYPE.featuresRequest,
  "features-reply": TYPE.featuresReply,
  "get-config-request": TYPE.getConfigRequest,
  "get-config-reply": TYPE.getConfigReply,
  "set-config": TYPE.setConfig,
  "packet-in": TYPE.packetIn,
  "flow-removed": TYPE.flowRemoved,
  "port-status": TYPE.portStatus,
  "packet-out": TYPE.packetOut,
  "flow-mod": TYPE.flowMod,
  "group-mod": TYPE.groupMod,
  "meter-mod": TYPE.meterMod,
  "multipart-request": TYPE.multipartRequest,
  "multipart-reply": TYPE.multipartReply,
  "barrier-request": TYPE.barrierRequest,
  "barrier-reply": TYPE.barrierReply,
  "role-request": TYPE.roleRequest,
  "role-reply": TYPE.roleReply,
};

export function messageType(body: Body): number {
  return body.kind === "unknown" ? body.type : KIND_TYPE[body.kind];
}

/** One whole message, header included. @throws OpenFlowError */
export function decode(bytes: Uint8Array): Message {
  const reader = new Reader(bytes, "header");
  const [version, type, length, transaction] = [reader.u8(), reader.u8(), reader.u16(), reader.u32()];
  if (length !== bytes.length) reader.fail(`says ${length} bytes and has ${bytes.length}`);
  const anyVersion = type === TYPE.hello || type === TYPE.error;
  if (version !== VERSION && !anyVersion) {
    reader.fail(`version ${version} of a ${typeName(type)}, only ${VERSION} (1.3) is spoken`);
  }
  const body = reader.part(reader.left, typeName(type));
  return { transaction, version, body: readBody(type, body) };
}

function readBody(type: number, reader: Reader): Body {
  switch (type) {
    case TYPE.hello:
      return { kind: "hello", versions: readVersions(reader) };
    case TYPE.error:
      return { kind: "error", type: reader.u16(), code: reader.u16(), data: reader.rest() };
    case TYPE.echoRequest:
      return { kind: "echo-request", data: reader.rest() };
    case TYPE.echoReply:
      return { kind: "echo-reply", data: reader.rest() };
    case TYPE.featuresRequest:
      return { kind: "features-request" };
    case TYPE.getConfigRequest:
      return { kind: "get-config-request" };
    case TYPE.barrierRequest:
      return { kind: "barrier-request" };
    case TYPE.barrierReply:
      return { kind: "barrier-reply" };
    case TYPE.getConfigReply:
      return { kind: "get-config-reply", flags: reader.u16(), missBytes: reader.u16() };
    case TYPE.setConfig:
      return { kind: "set-config", flags: reader.u16(), missBytes: reader.u16() };
    case TYPE.portStatus: {
      const reason = reader.u8();
      reader.skip(7);
      return { kind: "port-status", reason, port: readPort(reader) };
    }
    case TYPE.roleRequest:
    case TYPE.roleReply: {
      const role = reader.u32();
      reader.skip(4);
      const kind = type === TYPE.roleRequest ? "role-request" : "role-reply";
      return { kind, role, generation: reader.u64() };
    }
    default:
      return readLong(type, reader);
  }
}

function readLong(type: number, reader: Reader): Body {
  switch (type) {
    case TYPE.featuresReply: {
      const datapath = reader.u64();
      const [buffers, tables, auxiliary] = [reader.u32(), reader.u8(), reader.u8()];
      reader.skip(2);
      return { kind: "features-reply", datapath, buffers, tables, auxiliary, capabilities: reader.u32() };
    }
    case TYPE.packetIn: {
      const [buffer, totalBytes, reason, table] = [reader.u32(), reader.u16(), reader.u8(), reader.u8()];
      const [cookie, match] = [reader.u64(), readMatch(reader)];
      reader.skip(2);
      return { kind: "packet-in", buffer, totalBytes, reason, table, cookie, match, data: reader.rest() };
    }
    case TYPE.packetOut: {
      const [buffer, inPort, bytes] = [reader.u32(), reader.u32(), reader.u16()];
      reader.skip(6);
      const actions = readActions(reader.part(bytes, "packet out's actions"));
      return { kind: "packet-out", buffer, inPort, actions, data: reader.rest() };
    }
    case TYPE.flowRemoved:
      return readRemoved(reader);
    case TYPE.flowMod:
      return readFlowMod(reader);
    case TYPE.groupMod: {
      const [command, groupType] = [reader.u16(), reader.u8()];
      reader.skip(1);
      return {
        kind: "group-mod",
        command,
        type: groupType,
        group: reader.u32(),
        buckets: readBuckets(reader),
      };
    }
    case TYPE.meterMod:
      return readMeterMod(reader);
    case TYPE.multipartRequest:
    case TYPE.multipartReply: {
      const [part, flags] = [reader.u16(), reader.u16()];
      reader.skip(4);
      const more = (flags & MULTIPART_MORE) !== 0;
      return type === TYPE.multipartRequest
        ? { kind: "multipart-request", more, query: readQuery(part, reader) }
        : { kind: "multipart-reply", more, answer: readAnswer(part, reader) };
    }
    default:
      return { kind: "unknown", type, data: reader.rest() };
  }
}

const VERSION_BITMAP = 1;

/** Of the elements only the bitmap matters, and of that the first word: later versions are beyond 31. */
function readVersions(reader: Reader): number | null {
  let versions: number | null = null;
  while (reader.left > 0) {
    const [type, length] = [reader.u16(), reader.u16()];
    if (length < 4) reader.fail(`element of ${length} bytes at ${reader.place - 4}, at least 4 are needed`);
    const element = reader.part(length - 4, "hello element");
    if (type === VERSION_BITMAP && element.left >= 4) versions = element.u32();
    reader.skip(Math.min((8 - length % 8) % 8, reader.left)); // some leave the last padding out
  }
  return versions;
}

function readRemoved(reader: Reader): FlowRemoved {
  const cookie = reader.u64();
  const [priority, reason, table] = [reader.u16(), reader.u8(), reader.u8()];
  const [durationS, durationNs, idleS, hardS] = [reader.u32(), reader.u32(), reader.u16(), reader.u16()];
  const [packets, bytes] = [reader.u64(), reader.u64()];
  const times = { durationS, durationNs, idleS, hardS };
  const match = readMatch(reader);
  return { kind: "flow-removed", cookie, priority, reason, table, ...times, packets, bytes, match };
}

function readFlowMod(reader: Reader): FlowMod {
  const [cookie, cookieMask] = [reader.u64(), reader.u64()];
  const [table, command, idleS, hardS] = [reader.u8(), reader.u8(), reader.u16(), reader.u16()];
  const [priority, buffer] = [reader.u16(), reader.u32()];
  const [outPort, outGroup, flags] = [reader.u32(), reader.u32(), reader.u16()];
  reader.skip(2);
  const match = readMatch(reader);
  const instructions = readInstructions(reader);
  const head = { cookie, cookieMask, table, command, idleS, hardS, priority };
  return { kind: "flow-mod", ...head, buffer, outPort, outGroup, flags, match, instructions };
}

/** @throws OpenFlowError when it is longer than a message can be */
export function encode({ transaction, body, version = VERSION }: Message): Uint8Array {
  const writer = new Writer();
  writer.u8(version).u8(messageType(body)).u16(0).u32(transaction);
  writeBody(writer, body);
  return writer.lengthAt(2, writer.length).done();
}

function writeBody(writer: Writer, body: Body): void {
  switch (body.kind) {
    case "hello":
      if (body.versions !== null) writer.u16(VERSION_BITMAP).u16(8).u32(body.versions);
      break;
    case "error":
      writer.u16(body.type).u16(body.code).put(body.data);
      break;
    case "echo-request":
    case "echo-reply":
    case "unknown":
      writer.put(body.data);
      break;
    case "get-config-reply":
    case "set-config":
      writer.u16(body.flags).u16(body.missBytes);
      break;
    case "port-status":
      writer.u8(body.reason).zeros(7);
      writePort(writer, body.port);
      break;
    case "role-request":
    case "role-reply":
      writer.u32(body.role).zeros(4).u64(body.generation);
      break;
    default:
      writeLong(writer, body);
  }
}

function writeLong(writer: Writer, body: Body): void {
  switch (body.kind) {
    case "features-reply":
      writer.u64(body.datapath).u32(body.buffers).u8(body.tables).u8(body.auxiliary).zeros(2);
      writer.u32(body.capabilities).zeros(4);
      break;
    case "packet-in":
      writer.u32(body.buffer).u16(body.totalBytes).u8(body.reason).u8(body.table).u64(body.cookie);
      writeMatch(writer, body.match);
      writer.zeros(2).put(body.data);
      break;
    case "packet-out": {
      writer.u32(body.buffer).u32(body.inPort).u16(0).zeros(6);
      const start = writer.length;
      writeActions(writer, body.actions);
      writer.lengthAt(start - 8, writer.length - start).put(body.data);
      break;
    }
    case "flow-removed":
      writer.u64(body.cookie).u16(body.priority).u8(body.reason).u8(body.table);
      writer.u32(body.durationS).u32(body.durationNs).u16(body.idleS).u16(body.hardS);
      writer.u64(body.packets).u64(body.bytes);
      writeMatch(writer, body.match);
      break;
    case "flow-mod":
      writer.u64(body.cookie).u64(body.cookieMask).u8(body.table).u8(body.command);
      writer.u16(body.idleS).u16(body.hardS).u16(body.priority).u32(body.buffer);
      writer.u32(body.outPort).u32(body.outGroup).u16(body.flags).zeros(2);
      writeMatch(writer, body.match);
      writeInstructions(writer, body.instructions);
      break;
    case "group-mod":
      writer.u16(body.command).u8(body.type).zeros(1).u32(body.group);
      writeBuckets(writer, body.buckets);
      break;
    case "meter-mod":
      writeMeterMod(writer, body);
      break;
    case "multipart-request":
      writer.u16(multipartType(body.query)).u16(body.more ? MULTIPART_MORE : 0).zeros(4);
      writeQuery(writer, body.query);
      break;
    case "multipart-reply":
      writer.u16(multipartType(body.answer)).u16(body.more ? MULTIPART_MORE : 0).zeros(4);
      writeAnswer(writer, body.answer);
  }
}
