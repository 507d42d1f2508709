/**
 * Quiet packets, the twin of native/hot.h and of step 7 in native/decide.c: those for which nothing is to be done until
 * something happens to their flow.
 *
 * Written from steps 0 and 7 of rm_decide() in native/filter.h.
 */
import type { ModelFlow } from "./model.ts";
import { NATURE_PACKETS } from "./nature.ts";
import { type FlowPart, type Packet, PROTO, TCP } from "./packet.ts";
import { type FilterRule, keepaliveNs } from "./rule.ts";

const TICK_SHIFT = 30n;
const TICK_NS = 1n << TICK_SHIFT;
export const PATIENCE_MAX = 256n;
const TUNNEL_PORTS: readonly number[] = [4789, 2152];

/** Seconds of 2^30 ns. */
export const tickOf = (ns: bigint): bigint => ns >> TICK_SHIFT;
export const startOfTick = (tick: bigint): bigint => tick << TICK_SHIFT;

/** An everyday packet: rm_peek() says which. `inner`: tunnels are looked into. */
export function isPlain(frame: Uint8Array, packet: Packet, part: FlowPart, inner: boolean): boolean {
  const isTagged = packet.tags === 1 && frame[12] === 0x81 && frame[13] === 0;
  if (packet.inner > 0 || (packet.tags > 0 && !isTagged)) return false;
  if (part.transportOffset - packet.ipOffset !== (part.ipv6 ? 40 : 20)) return false;
  if (part.proto === PROTO.tcp) return true;
  const to = part.port[part.dir === 0 ? 1 : 0];
  return part.proto === PROTO.udp && !(inner && TUNNEL_PORTS.includes(to));
}

const bitOf = (dir: 0 | 1, hasPayload: boolean) => 1 << (dir * 2 + (hasPayload ? 1 : 0));

/** Are the packet's copies of turns over, now and for ever? */
export function turnsOver(rule: FilterRule, flow: ModelFlow): boolean {
  if (rule.turnBytesUp === 0 && rule.turnBytesDown === 0) return true;
  if (rule.plaintext && flow.nature === "opaque") return true;
  return rule.turnBytesMax > 0 && flow.turnSpent >= rule.turnBytesMax;
}

/** Step 0, but for whether the packet is plain and the rules are those of the flow. */
export function isQuiet(
  flow: ModelFlow,
  rule: FilterRule | undefined,
  { dir, tcp, payloadBytes }: FlowPart,
  { nowNs, observed, ageNs }: {
    readonly nowNs: bigint;
    readonly observed: boolean;
    /** After which a flow of its class is forgotten; 0: never. */
    readonly ageNs: bigint;
  },
): boolean {
  if (tcp && (tcp.flags & (TCP.syn | TCP.fin | TCP.rst)) !== 0) return false;
  if ((flow.quiet & bitOf(dir, payloadBytes > 0)) === 0) return false;
  if ((flow.outerDir === dir) === observed) return false;
  const since = tickOf(nowNs) - flow.tick;
  return since >= 0n && since <= (rule && keepaliveNs(rule) > 0n ? 0n : patienceOf(ageNs));
}

/** Ticks that a flow may pause and be quiet still: it cannot be aged by then. */
function patienceOf(ageNs: bigint): bigint {
  const ticks = ageNs >> TICK_SHIFT;
  if (ageNs === 0n || ticks > PATIENCE_MAX) return PATIENCE_MAX;
  return ticks > 0n ? ticks - 1n : 0n;
}

/** Step 7 for one direction. */
export function quietBits(rule: FilterRule | undefined, flow: ModelFlow, dir: 0 | 1, isTcp: boolean): number {
  const half = flow.half[dir];
  const bare = bitOf(dir, false);
  const both = bare | bitOf(dir, true);
  if (isTcp && !half.sentAck) return 0;
  if (!rule || rule.none) return both;
  const interval = keepaliveNs(rule);
  if (rule.all || rule.sample > 0 || (interval > 0n && interval < 2n * TICK_NS)) return 0;
  if (isTcp && (half.ackDue || half.finAckDue || half.replyDue)) return 0;
  if (half.packets < rule.firstPackets) return 0;
  if (rule.keepaliveWindow || half.payloadPackets < rule.firstPayloadPackets) return bare;
  if (rule.plaintext) {
    if (flow.nature === "opaque") return both;
    const isOpen = flow.nature === "unknown" || flow.nature === "plain";
    if (!isOpen || half.payloadPackets < NATURE_PACKETS) return bare;
  }
  if (half.payloadBytes < (dir === flow.client ? rule.firstBytesUp : rule.firstBytesDown)) return bare;
  return turnsOver(rule, flow) || (flow.talker === dir && flow.turnLeft === 0) ? both : bare;
}

/** Bits of the other direction, to be taken away when its state was touched. */
export const otherBits = (dir: 0 | 1): number => 3 << (dir === 0 ? 2 : 0);
