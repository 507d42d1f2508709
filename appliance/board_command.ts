/**
 * From a configuration to the board: what the plane is set up with, and what it is told while it runs.
 *
 * Pure but for the memory it writes. Rules are bracketed by an odd and an even generation number, so that the plane
 * never takes over half of them.
 */
import type { Board } from "../filter/board.ts";
import { BYPASS, DETECTOR, PROPAGATE } from "../filter/names.ts";
import { type CompiledRule, encodeRule, type RuleLayout } from "../filter/rule.ts";
import type { Config } from "./config.ts";
import { type Path, PATHS, ROLES } from "./view.ts";

const NS_PER_MS = 1_000_000;
const NS_PER_S = 1_000_000_000;
const BYTES_PER_MIB = 1024 * 1024;
const NO_CORE = 0xffffffff;
/** What noticing takes beyond the silence itself: a turn that was late, and the switch. */
const HOLD_MARGIN_MS = 10;

/** Stores a word after everything written before it. */
export type Publish = (field: string, value: number) => void;

/** What is fixed for the life of a plane. `huge`: whether to use hugepages. */
export function writeSetup(board: Board, config: Config, huge: boolean): void {
  ROLES.forEach((role, i) => board.setText("setup.spec", config.ports[role].spec, i));
  board.setNumber("setup.frame_bytes_max", config.plane.frameBytesMax);
  board.setNumber("setup.huge", huge ? 1 : 0);
  board.setNumber("setup.memory_mib", config.plane.memoryMib);
  board.setNumber("setup.core", config.plane.core ?? NO_CORE);
  board.setNumber("setup.cores", config.plane.cores);
  board.setNumber("setup.spin_us", config.plane.spinUs);
  board.setNumber("setup.capture_room", config.capture.bufferMib * BYTES_PER_MIB);
  board.setNumber("setup.capture_bytes", config.capture.snapBytes);
}

/** What the reflexes go by. Takes effect with the next turn. */
export function writeReflexes(board: Board, config: Config): void {
  const { failover } = config;
  board.setNumber("command.silence_ns", failover.silenceMs * NS_PER_MS);
  board.setNumber("command.silence_packets", failover.silencePackets);
  board.setNumber("command.dead_path", PATHS.indexOf(failover.deadPolicy === "block" ? "block" : "wire"));
  board.setNumber("command.hold_up_ns", failover.holdUpMs * NS_PER_MS);
  board.setNumber("command.drain_ns", failover.drainMs * NS_PER_MS);
  board.setNumber("command.stall_ns", failover.stallMs * NS_PER_MS);
  board.setNumber("command.automatic", failover.automatic ? 1 : 0);
  board.setNumber("command.votes", 1);
  DETECTOR.forEach((_, i) => board.setNumber("command.weight", 1, i));
  board.setNumber("command.hold_ns", holdMs(config) * NS_PER_MS);
  board.setNumber("command.guard_ns", failover.guardMs * NS_PER_MS);
  board.setNumber("command.announce", failover.announce === "auto" ? 1 : 0);
  board.setNumber("command.propagate", PROPAGATE.indexOf(failover.propagateLink));
  board.setNumber("command.bypass", BYPASS.indexOf(failover.bypass === "on_failure" ? "on" : "none"));
}

/** What it costs is nothing beside a packet socket, and too much to be taken from a fast NIC unasked. */
function holdMs({ failover, ports }: Config): number {
  const cheap = ROLES.every((role) => ports[role].kind === "af_packet");
  return failover.holdRingMs ?? (cheap ? failover.silenceMs + HOLD_MARGIN_MS : 0);
}

/** All rules, ages and limits of the filter, as one change. Returns the generation that `live.rule_done` reaches with it. */
export function writeRules(
  board: Board,
  publish: Publish,
  rules: readonly CompiledRule[],
  { ages, budget, inner }: Pick<Config["filter"], "ages" | "budget" | "inner">,
): number {
  const limit = board.count("rule.name");
  if (rules.length > limit) {
    throw new RangeError(`Cannot use ${rules.length} filter rules: at most ${limit} fit`);
  }
  const layout: RuleLayout = {
    offset: (name) => board.offset(name) - board.offset("rule.name"),
    bytes: board.stride("rule.name"),
  };
  const encoded = rules.map(({ rule, program }) => encodeRule(rule, program, layout));
  // Odd from here on; a control that died while writing may have left it odd already.
  const odd = board.number("command.rule_generation") | 1;
  publish("command.rule_generation", odd);
  encoded.forEach((bytes, i) => board.setBytes(board.offset("rule.name", i), bytes));
  board.setNumber("command.rule_count", rules.length);
  const seconds = [ages.tcpOpeningS, ages.tcpS, ages.tcpClosingS, ages.udpS, ages.icmpS, ages.otherS];
  seconds.forEach((s, i) => board.setNumber("command.age_ns", s * NS_PER_S, i));
  board.setNumber("command.inner", inner ? 1 : 0);
  board.setNumber("command.budget_bytes", budget.bytesPerSecond);
  board.setNumber("command.budget_packets", budget.packetsPerSecond);
  const generation = (odd + 1) >>> 0;
  publish("command.rule_generation", generation);
  return generation;
}

/** Order a path. Returns the sequence number that `live.order_done` reaches when it is carried out. */
export function writeOrder(board: Board, publish: Publish, path: Path): number {
  const sequence = (board.number("command.order_sequence") + 1) >>> 0;
  board.setNumber("command.order_path", PATHS.indexOf(path));
  publish("command.order_sequence", sequence);
  return sequence;
}
