/**
 * Holds the C core against the model: every verdict, every field of the packet, every field of the sender's half.
 */
import assert from "node:assert/strict";
import type { CoreResult, FilterCore, FrameInput } from "../../../filter/core.ts";
import type { Decision, FilterModel, ModelFlow, ModelHalf } from "../../../filter/model.ts";
import { FLOW_FLAG, HALF_FLAG, NATURE } from "../../../filter/names.ts";
import type { FlowPart, Packet } from "../../../filter/packet.ts";

type Facts = Record<string, unknown>;

function halfFlags(half: ModelHalf): number {
  return (half.sentSyn ? HALF_FLAG.syn : 0) | (half.ackDue ? HALF_FLAG.ack_due : 0) |
    (half.sentFin ? HALF_FLAG.fin : 0) | (half.sentAck ? HALF_FLAG.seq : 0) |
    (half.sackPermitted ? HALF_FLAG.sack : 0) | (half.finAckDue ? HALF_FLAG.fin_ack_due : 0) |
    (half.copied === undefined ? 0 : HALF_FLAG.copied) | (half.replyDue ? HALF_FLAG.reply_due : 0);
}

function packetOfModel(packet: Packet, part: FlowPart): Facts {
  return {
    dir: part.dir,
    proto: part.proto,
    ipv6: part.ipv6 ? 1 : 0,
    ip_offset: packet.ipOffset,
    transport_offset: part.transportOffset,
    payload_offset: part.payloadOffset,
    payload_bytes: part.payloadBytes,
    lowerPort: part.port[0],
    upperPort: part.port[1],
    tcp_flags: part.tcp?.flags ?? 0,
    seq: part.tcp?.seq ?? 0,
    ack: part.tcp?.ack ?? 0,
    window: part.tcp?.window ?? 0,
    scale: part.tcp?.scale ?? 0xff,
    sack: part.tcp?.sack ? 1 : 0,
  };
}

function packetOfCore(result: CoreResult): Facts {
  const packet = (name: string) => result.field(`packet.${name}`);
  const [lowerPort, upperPort] = result.port;
  return {
    dir: packet("dir"),
    proto: packet("proto"),
    ipv6: packet("ipv6"),
    ip_offset: packet("ip_offset"),
    transport_offset: packet("transport_offset"),
    payload_offset: packet("payload_offset"),
    payload_bytes: packet("payload_bytes"),
    lowerPort,
    upperPort,
    tcp_flags: packet("tcp_flags"),
    seq: packet("seq"),
    ack: packet("ack"),
    window: packet("window"),
    scale: packet("scale"),
    sack: packet("sack"),
  };
}

function flowFlags(flow: ModelFlow, ipv6: boolean): number {
  return FLOW_FLAG.used | (ipv6 ? FLOW_FLAG.ipv6 : 0) | (flow.reset ? FLOW_FLAG.reset : 0) |
    (flow.client === 1 ? FLOW_FLAG.client : 0) | (flow.talker === 1 ? FLOW_FLAG.talker : 0) |
    (flow.talker === undefined ? 0 : FLOW_FLAG.talked) | (flow.inner ? FLOW_FLAG.inner : 0);
}

function flowOfModel({ why, shed, rule, flow, packet, isQuiet = false }: Decision): Facts {
  const half = flow!.half[packet.flow!.dir];
  return {
    isQuiet,
    why,
    shed,
    rule,
    nature: flow!.nature,
    turn_left: flow!.turnLeft,
    turn_spent: flow!.turnSpent,
    copied: half.copied ?? 0,
    age: flow!.age,
    outer_dir: flow!.outerDir,
    flow_flags: flowFlags(flow!, packet.flow!.ipv6),
    bytes: half.bytes,
    payload_bytes: half.payloadBytes,
    mirrored_ns: half.mirroredNs,
    packets: half.packets,
    payload_packets: half.payloadPackets,
    mirrored: half.mirrored,
    next: half.next,
    ack: half.ack,
    window: half.window,
    scale: half.scale ?? 0xff,
    flags: halfFlags(half),
  };
}

function flowOfCore(result: CoreResult): Facts {
  const half = (name: string) => result.field(`half.${name}`);
  return {
    isQuiet: result.field("result.quiet") === 1,
    why: result.why,
    shed: result.shed,
    rule: result.rule,
    nature: NATURE[result.field("result.nature")],
    turn_left: result.field("result.turn_left"),
    turn_spent: result.field("result.turn_spent"),
    copied: half("copied"),
    age: result.age,
    outer_dir: result.field("result.outer_dir"),
    flow_flags: result.field("result.flow_flags"),
    bytes: result.wide("half.bytes"),
    payload_bytes: half("payload_bytes"),
    mirrored_ns: result.wide("half.mirrored_ns"),
    packets: half("packets"),
    payload_packets: half("payload_packets"),
    mirrored: half("mirrored"),
    next: half("next"),
    ack: half("ack"),
    window: half("window"),
    scale: half("scale"),
    flags: half("flags"),
  };
}

function fragmentOfModel({ why, shed, rule, packet }: Decision): Facts {
  const { kind, id } = packet.fragment!;
  return { why, shed, rule, kind: ["none", "first", "bare", "later"].indexOf(kind), id };
}

function fragmentOfCore(result: CoreResult): Facts {
  const { why, shed, rule } = result;
  return { why, shed, rule, kind: result.field("packet.fragment"), id: result.field("packet.fragment_id") };
}

/** assert.deepEqual is a hundred times slower; it only writes the report. */
function same(of: Facts, and: Facts): boolean {
  for (const name in and) if (of[name] !== and[name]) return false;
  return true;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}

function compareOne(result: CoreResult, decision: Decision, where: () => string): void {
  const packet = decision.packet;
  const seen = {
    parse: result.parse,
    tags: result.field("packet.tags"),
    vlan: result.field("packet.vlan"),
    inner: result.field("packet.inner"),
  };
  const expected = { parse: decision.parse, tags: packet.tags, vlan: packet.vlan, inner: packet.inner };
  if (!same(seen, expected)) assert.deepEqual(seen, expected, where());
  if (result.field("result.peek") === 2) assert.fail(`the peek tells otherwise: ${where()}`);
  if (packet.fragment) {
    const [inCore, inModel] = [fragmentOfCore(result), fragmentOfModel(decision)];
    if (!same(inCore, inModel)) assert.deepEqual(inCore, inModel, where());
  }
  if (!packet.flow) return;
  const [inCore, inModel] = [packetOfCore(result), packetOfModel(packet, packet.flow)];
  if (!same(inCore, inModel)) assert.deepEqual(inCore, inModel, where());
  for (const end of [0, 1] as const) {
    const seenAddress = result.address(end);
    const expectedAddress: Uint8Array = packet.flow.addr[end];
    if (!sameBytes(seenAddress, expectedAddress)) assert.deepEqual(seenAddress, expectedAddress, where());
  }
  const [coreFlow, modelFlow] = [flowOfCore(result), flowOfModel(decision)];
  if (!same(coreFlow, modelFlow)) assert.deepEqual(coreFlow, modelFlow, where());
}

/** Copies by reason and frames by parser verdict, to show that a comparison met them all. */
export class Census {
  readonly why = new Map<string, number>();
  readonly parse = new Map<string, number>();
  /** By how deep in tunnels the packets lay, by nature, by why a copy was shed. */
  readonly inner = new Map<number, number>();
  readonly nature = new Map<string, number>();
  readonly shed = new Map<string, number>();
  frames = 0;
  quiet = 0;
  add({ why, parse, packet, flow, shed, isQuiet }: Decision): void {
    if (isQuiet) this.quiet++;
    this.inner.set(packet.inner, (this.inner.get(packet.inner) ?? 0) + 1);
    if (flow) this.nature.set(flow.nature, (this.nature.get(flow.nature) ?? 0) + 1);
    this.shed.set(shed, (this.shed.get(shed) ?? 0) + 1);
    this.why.set(why, (this.why.get(why) ?? 0) + 1);
    this.parse.set(parse, (this.parse.get(parse) ?? 0) + 1);
    this.frames++;
  }
}

/** Let both decide for the frames and compare everything; throws at the first difference, with the frame. */
export function compareFrames(
  core: FilterCore,
  model: FilterModel,
  frames: readonly FrameInput[],
  { census, source }: { readonly census: Census; readonly source: string },
): void {
  const results = core.decide(frames);
  frames.forEach(({ bytes, timeNs, observed }, i) => {
    const decision = model.decide(bytes, timeNs, observed);
    census.add(decision);
    compareOne(results[i]!, decision, () => `${source}, frame ${i}: ${bytes.toHex()}`);
  });
}
