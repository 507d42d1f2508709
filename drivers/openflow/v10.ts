/**
 * Messages of OpenFlow 1.0 that tell what a switch holds, read into the words of 1.3 (specification 1.0.0, 5.3).
 *
 * Only read: nothing here is ever sent. What is of no interest stays bytes. A flow has actions in 1.0; in 1.3 they
 * are applied by one instruction. What 1.3 cannot say is refused with its name, so that no entry comes out that does
 * something else.
 */
import type { Action, Instruction } from "./actions.ts";
import { Reader } from "./bytes.ts";
import type { Field } from "./match.ts";
import type { Body, Message } from "./messages.ts";
import type { FlowDescription, MultipartAnswer, MultipartQuery } from "./multipart.ts";
import { ALL_TABLES, FLOW_FLAG, GROUP_ANY, TYPE } from "./names.ts";
import { readMatch10, untranslatable, widePort } from "./v10_match.ts";

export const VERSION_10 = 1;
/** Where 1.0 counts otherwise than 1.3. */
const TYPE_10 = { statsRequest: 16, statsReply: 17, barrierRequest: 18, barrierReply: 19 } as const;
const STATS_FLOW = 1;
const EMERGENCY = 4;
const PRIORITY_EXACT = 0xffff;
/** Errors of 1.0 by type, in the types of 1.3. */
const ERROR_TYPES = [0, 1, 2, 5, 7, 9];

/** One whole message. @throws OpenFlowError for a malformed one, Untranslatable for one that 1.3 cannot say */
export function decode10(bytes: Uint8Array): Message {
  const reader = new Reader(bytes, "1.0 message");
  const [version, type, length, transaction] = [reader.u8(), reader.u8(), reader.u16(), reader.u32()];
  if (version !== VERSION_10) reader.fail(`version ${version}, not 1`);
  if (length !== bytes.length) reader.fail(`says ${length} bytes and has ${bytes.length}`);
  return { version, transaction, body: readBody(type, reader.part(reader.left, "1.0 message")) };
}

function readBody(type: number, reader: Reader): Body {
  switch (type) {
    case TYPE.error: {
      const [kind, code] = [reader.u16(), reader.u16()];
      return { kind: "error", type: ERROR_TYPES[kind] ?? kind, code, data: reader.rest() };
    }
    case TYPE.featuresReply: {
      const datapath = reader.u64();
      const [buffers, tables] = [reader.u32(), reader.u8()];
      reader.skip(3);
      return { kind: "features-reply", datapath, buffers, tables, auxiliary: 0, capabilities: reader.u32() };
    }
    case TYPE.flowRemoved:
      return readRemoved(reader);
    case TYPE.flowMod:
      return readFlowMod(reader);
    case TYPE_10.statsRequest:
      return { kind: "multipart-request", more: false, query: readQuery(reader) };
    case TYPE_10.statsReply: {
      const [part, flags] = [reader.u16(), reader.u16()];
      const answer: MultipartAnswer = part === STATS_FLOW
        ? { kind: "flow", flows: reader.each(readFlow) }
        : { kind: "unknown", type: part, data: reader.rest() };
      return { kind: "multipart-reply", more: (flags & 1) !== 0, answer };
    }
    case TYPE_10.barrierRequest:
      return { kind: "barrier-request" };
    case TYPE_10.barrierReply:
      return { kind: "barrier-reply" };
    default:
      return { kind: "unknown", type, data: reader.rest() };
  }
}

function readFlowMod(reader: Reader): Body {
  const { fields: match, exact } = readMatch10(reader);
  const [cookie, command] = [reader.u64(), reader.u16()];
  const [idleS, hardS, priority] = [reader.u16(), reader.u16(), reader.u16()];
  const [buffer, outPort, flags] = [reader.u32(), reader.u16(), reader.u16()];
  if (flags & EMERGENCY) untranslatable("an entry for emergencies");
  const instructions = applied(readActions10(reader, match));
  return {
    ...{ kind: "flow-mod", command, cookie, cookieMask: 0n, idleS, hardS, buffer, match, instructions },
    priority: exact ? PRIORITY_EXACT : priority,
    // A delete of 1.0 knows no tables: it is about all.
    table: command >= 3 ? ALL_TABLES : 0,
    // An add of 1.0 always begins to count anew.
    ...{ outPort: widePort(outPort), outGroup: GROUP_ANY, flags: flags | FLOW_FLAG.resetCounts },
  };
}

function readRemoved(reader: Reader): Body {
  const { fields: match, exact } = readMatch10(reader);
  const [cookie, priority, reason] = [reader.u64(), reader.u16(), reader.u8()];
  reader.skip(1);
  const [durationS, durationNs, idleS] = [reader.u32(), reader.u32(), reader.u16()];
  reader.skip(2);
  const counts = { packets: reader.u64(), bytes: reader.u64() };
  return {
    ...{ kind: "flow-removed", cookie, reason, durationS, durationNs, idleS, hardS: 0, ...counts, match },
    ...{ priority: exact ? PRIORITY_EXACT : priority, table: 0 },
  };
}

function readQuery(reader: Reader): MultipartQuery {
  const type = reader.u16();
  reader.skip(2);
  if (type !== STATS_FLOW) return { kind: "unknown", type, data: reader.rest() };
  const { fields: match } = readMatch10(reader);
  const table = reader.u8();
  reader.skip(1);
  const outPort = widePort(reader.u16());
  return { kind: "flow", table, outPort, outGroup: GROUP_ANY, cookie: 0n, cookieMask: 0n, match };
}

function readFlow(reader: Reader): FlowDescription {
  const place = reader.place;
  const length = reader.u16();
  if (length < 88) reader.fail(`flow at ${place} has ${length} bytes, at least 88 are needed`);
  const body = reader.part(length - 2, "1.0 flow");
  const table = body.u8();
  body.skip(1);
  const { fields: match, exact } = readMatch10(body);
  const [durationS, durationNs] = [body.u32(), body.u32()];
  const [priority, idleS, hardS] = [body.u16(), body.u16(), body.u16()];
  body.skip(6);
  const [cookie, packets, bytes] = [body.u64(), body.u64(), body.u64()];
  const instructions = applied(readActions10(body, match));
  const times = { durationS, durationNs, idleS, hardS };
  const flags = FLOW_FLAG.resetCounts;
  const rest = { priority: exact ? PRIORITY_EXACT : priority, flags, match, instructions };
  return { table, cookie, packets, bytes, ...times, ...rest };
}

function applied(actions: readonly Action[]): Instruction[] {
  return actions.length === 0 ? [] : [{ kind: "apply", actions }];
}

function readActions10(reader: Reader, match: readonly Field[]): Action[] {
  const valueOf = (name: string) => match.find((field) => field.name === name && field.mask === null)?.value;
  const context: Context = {
    isIp: valueOf("eth_type") === 0x0800n,
    proto: Number(valueOf("ip_proto") ?? -1n),
    tagged: match.some(({ name }) => name === "vlan_vid") ? valueOf("vlan_vid") !== 0n : null,
    queued: false,
  };
  return reader.each((one) => readAction(one, context)).flat();
}

/** What is known of the packets that an action meets. */
interface Context {
  readonly isIp: boolean;
  readonly proto: number;
  /** Null: some are and some are not. Changes as tags are pushed and popped. */
  tagged: boolean | null;
  /** A queue of 1.3 stays in force for what follows; that of 1.0 does not. */
  queued: boolean;
}

const VLAN_TYPE = 0x8100;
const PUSH_VLAN = 17;
const POP_VLAN = 18;

const set = (name: string, value: bigint | number): Action => ({
  kind: "set-field",
  field: { name, value: BigInt(value), mask: null },
});

function readAction(reader: Reader, context: Context): Action[] {
  const place = reader.place;
  const [type, length] = [reader.u16(), reader.u16()];
  if (length < 8 || length % 8 !== 0) {
    reader.fail(`action of type ${type} at ${place} has ${length} bytes, no multiple of 8`);
  }
  const body = reader.part(length - 4, `1.0 action of type ${type}`);
  if (context.queued) untranslatable("an action after one that puts packets into a queue");
  switch (type) {
    case 0:
      return [{ kind: "output", port: widePort(body.u16()), lengthMax: body.u16() }];
    case 4:
    case 5:
      return [set(type === 4 ? "eth_src" : "eth_dst", BigInt(`0x${body.take(6).toHex()}`))];
    case 11: {
      context.queued = true;
      const port = widePort(body.u16());
      body.skip(6);
      return [{ kind: "set-queue", queue: body.u32() }, { kind: "output", port, lengthMax: 0 }];
    }
    case 0xffff:
      return [{ kind: "experimenter", experimenter: body.u32(), data: body.rest() }];
    default:
      return type <= 3 ? vlanAction(type, body, context) : ipAction(type, body, context);
  }
}

function vlanAction(type: number, body: Reader, context: Context): Action[] {
  if (context.tagged === null) untranslatable("an action on a VLAN tag that may be there or not");
  const before = context.tagged;
  context.tagged = type !== 3;
  if (type === 3) return before ? [{ kind: "plain", type: POP_VLAN }] : [];
  const push: Action[] = before ? [] : [{ kind: "push", type: PUSH_VLAN, etherType: VLAN_TYPE }];
  const value = type === 1 ? set("vlan_vid", body.u16() & 0xfff | 0x1000) : set("vlan_pcp", body.u8() & 7);
  return [...push, value];
}

function ipAction(type: number, body: Reader, { isIp, proto }: Context): Action[] {
  if (type < 6 || type > 10) body.fail(`action of type ${type} is none of 1.0`);
  if (!isIp) untranslatable(`an action of type ${type} on packets that need not be IPv4`);
  if (type === 6) return [set("ipv4_src", body.u32())];
  if (type === 7) return [set("ipv4_dst", body.u32())];
  if (type === 8) return [set("ip_dscp", body.u8() >> 2)];
  const name = proto === 6 ? "tcp" : proto === 17 ? "udp" : null;
  if (name === null) untranslatable("a new port of packets that need be neither TCP nor UDP");
  return [set(`${name}_${type === 9 ? "src" : "dst"}`, body.u16())];
}
