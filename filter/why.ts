/**
 * Why a packet is copied, the twin of step 3 in native/decide.c: written from step 3 of rm_decide() in native/filter.h.
 */
import type { ModelFlow } from "./model.ts";
import type { Why } from "./names.ts";
import { type FlowPart, TCP, type TcpPart } from "./packet.ts";
import { turnsOver } from "./quiet.ts";
import { type FilterRule, keepaliveNs } from "./rule.ts";

export const has = (tcp: TcpPart, flag: number) => (tcp.flags & flag) !== 0;
/** Later in sequence space. What is behind is so by no more than the largest window (RFC 7323 2.3); all else lies ahead. */
export const isLater = (a: number, b: number) => ((b - a) >>> 0) >= 2 ** 30;
export const later = (a: number, b: number) => (isLater(a, b) ? a : b);
export const elapsed = (since: bigint, now: bigint) => (now > since ? now - since : 0n);

export function segmentEnd(tcp: TcpPart, payloadBytes: number): number {
  return (tcp.seq + payloadBytes + (has(tcp, TCP.syn) ? 1 : 0) + (has(tcp, TCP.fin) ? 1 : 0)) >>> 0;
}

/** Step 3. */
export function whyCopy(rule: FilterRule, flow: ModelFlow, part: FlowPart, nowNs: bigint): Why {
  const half = flow.half[part.dir];
  if (rule.none) return "none";
  if (rule.all) return "all";
  const tcp = part.tcp;
  if (rule.handshake) {
    if (!tcp && half.packets === 0) return "handshake";
    if (tcp && has(tcp, TCP.syn)) return "handshake";
    if (tcp && half.ackDue && has(tcp, TCP.ack) && !has(tcp, TCP.rst | TCP.fin)) return "handshake";
  }
  if (rule.teardown && tcp) {
    if (has(tcp, TCP.fin | TCP.rst)) return "teardown";
    if (half.finAckDue && has(tcp, TCP.ack)) return "teardown";
  }
  if (half.packets < rule.firstPackets) return "first";
  if (part.payloadBytes > 0 && half.payloadPackets < rule.firstPayloadPackets) return "payload";
  if (part.payloadBytes > 0 && !(rule.plaintext && flow.nature === "opaque")) {
    const first = part.dir === flow.client ? rule.firstBytesUp : rule.firstBytesDown;
    if (half.payloadBytes < first) return "bytes";
    if (!turnsOver(rule, flow) && flow.turnLeft > 0) return "turn";
  }
  if (tcp && acknowledgesCopies(flow, part, tcp)) return "ack";
  const interval = keepaliveNs(rule);
  const silentSince = half.mirroredNs === 0n ? flow.firstNs : half.mirroredNs;
  if (interval > 0n && elapsed(silentSince, nowNs) >= interval) return "keepalive";
  if (tcp && rule.keepaliveWindow && isWindowDue(flow, part, tcp)) return "keepalive";
  const isSample = rule.sample > 0 && ((half.packets + flowSalt(part)) >>> 0) % rule.sample === 0;
  return isSample ? "sample" : "none";
}

function acknowledgesCopies({ half }: ModelFlow, { dir }: FlowPart, tcp: TcpPart): boolean {
  const copied = half[dir === 0 ? 1 : 0].copied;
  const isAck = has(tcp, TCP.ack) && !has(tcp, TCP.rst);
  return half[dir].replyDue && isAck && !isLater(copied ?? 0, tcp.ack);
}

/** More than half of the receive window since the last copy. */
function isWindowDue({ half }: ModelFlow, { dir, payloadBytes }: FlowPart, tcp: TcpPart): boolean {
  const sender = half[dir];
  const other = half[dir === 0 ? 1 : 0];
  if (payloadBytes === 0 || !sender.sentSyn || !other.sentSyn || !other.sentAck) return false;
  if (sender.copied === undefined) return false;
  const isScaled = sender.scale !== undefined && other.scale !== undefined;
  const window = other.window * 2 ** (isScaled ? other.scale! : 0);
  const end = segmentEnd(tcp, payloadBytes);
  return isLater(end, sender.copied) && ((end - sender.copied) >>> 0) > Math.floor(window / 2);
}

/** A number of the flow that spreads samples. */
function flowSalt({ addr, port }: FlowPart): number {
  const [a, b] = addr.map((address) => new DataView(address.buffer, address.byteOffset, 16).getUint32(12));
  let x = Math.imul(a! ^ ((port[0] << 16) | port[1]), 0x85ebca6b) >>> 0;
  x = Math.imul(x ^ (x >>> 15) ^ b!, 0xc2b2ae35) >>> 0;
  return (x ^ (x >>> 16)) >>> 0;
}
