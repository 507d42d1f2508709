/**
 * From a configuration to the board: what the plane is set up with, and what it is told while it runs.
 *
 * Pure but for the memory it writes. Rules are bracketed by an odd and an even generation number, so that the plane
 * never takes over half of them.
 */
import type { Board } from "../filter/board.ts";
import { BYPASS, DETECTOR, type Detector, PROPAGATE } from "../filter/names.ts";
import { lastBoxMs } from "./config_keys_votes.ts";
import { type CompiledRule, encodeRule, type RuleLayout } from "../filter/rule.ts";
import type { Config } from "./config.ts";
import { ALL_ROLES, type Box, BOXES, type Path, PATHS } from "./view.ts";

const NS_PER_MS = 1_000_000;
const NS_PER_S = 1_000_000_000;
const BYTES_PER_MIB = 1024 * 1024;
const NO_CORE = 0xffffffff;
/** What noticing takes beyond the silence itself: a turn that was late, and the switch. */
const HOLD_MARGIN_MS = 10;

/** Memory through which decisions leave the plane: seconds of the highest rate. */
const RECORDER_ROOM_MIB = 4;

/** Stores a word after everything written before it. */
export type Publish = (field: string, value: number) => void;

/** What is fixed for the life of a plane. `huge`: whether to use hugepages; `firstBox` serves first if it is alive. */
export function writeSetup(
  board: Board,
  config: Config,
  { huge, firstBox }: { readonly huge: boolean; readonly firstBox: Box },
): void {
  board.setNumber("setup.first_box", BOXES.indexOf(firstBox));
  writePorts(board, config.ports);
  board.setNumber("setup.frame_bytes_max", config.plane.frameBytesMax);
  board.setNumber("setup.huge", huge ? 1 : 0);
  board.setNumber("setup.memory_mib", config.plane.memoryMib);
  board.setNumber("setup.core", config.plane.core ?? NO_CORE);
  board.setNumber("setup.cores", config.plane.cores);
  board.setNumber("setup.spin_us", config.plane.spinUs);
  board.setNumber("setup.capture_room", config.capture.bufferMib * BYTES_PER_MIB);
  board.setNumber("setup.capture_bytes", config.capture.snapBytes);
  board.setNumber("setup.recorder_room", config.recorder.mib === 0 ? 0 : RECORDER_ROOM_MIB * BYTES_PER_MIB);
  board.setNumber("setup.recorder_bytes", config.recorder.snapBytes);
}

/** What the reflexes go by. Takes effect with the next turn. A node that learns keeps them from moving anything. */
export function writeReflexes(board: Board, config: Config, learning = false): void {
  const { failover } = config;
  board.setNumber("command.silence_ns", failover.silenceMs * NS_PER_MS);
  board.setNumber("command.silence_packets", failover.silencePackets);
  board.setNumber("command.dead_path", PATHS.indexOf(failover.deadPolicy === "block" ? "block" : "wire"));
  board.setNumber("command.hold_up_ns", failover.holdUpMs * NS_PER_MS);
  board.setNumber("command.drain_ns", failover.drainMs * NS_PER_MS);
  board.setNumber("command.pause_ns", failover.pauseMs * NS_PER_MS);
  board.setNumber("command.stall_ns", failover.stallMs * NS_PER_MS);
  board.setNumber("command.automatic", failover.automatic && !learning ? 1 : 0);
  board.setNumber("command.recorder_rate", config.recorder.rate);
  writeSilence(board, failover);
  writeVotes(board, failover);
  writeSwitching(board, config);
  writeSeed(board, config.seed);
  writeCapacity(board, config.capacity);
  writeRanks(board, config);
}

/** By weight they are moved later, by what the spares are worth then (preference.ts); until then by order. */
function writeRanks(board: Board, { boxes, failover }: Config): void {
  const isMoved = failover.choose === "weight" &&
    board.number("command.rank", BOXES.indexOf("redundant")) !== 0;
  if (isMoved) return;
  for (const { box, rank } of boxes) board.setNumber("command.rank", rank, BOXES.indexOf(box));
}

/** What a switch does besides moving the path. */
function writeSwitching(board: Board, config: Config): void {
  const { failover } = config;
  board.setNumber("command.hold_ns", holdMs(config) * NS_PER_MS);
  board.setNumber("command.guard_ns", failover.guardMs * NS_PER_MS);
  board.setNumber("command.fixup", failover.fixup ? 1 : 0);
  board.setNumber("command.announce", failover.announce === "auto" ? 1 : 0);
  board.setNumber("command.propagate", PROPAGATE.indexOf(failover.propagateLink));
  board.setNumber("command.bypass", BYPASS.indexOf(failover.bypass === "on_failure" ? "on" : "none"));
}

function writeSeed(board: Board, seed: Config["seed"]): void {
  board.setNumber("command.seed_rate", seed.rate);
  board.setNumber("command.seed_wait_ns", seed.waitMs * NS_PER_MS);
  board.setNumber("command.refresh_ns", seed.refreshS * NS_PER_S);
}

function writeCapacity(board: Board, capacity: Config["capacity"]): void {
  const { primary, redundant, redundant2, redundant3 } = capacity;
  for (const [box, flows] of [primary, redundant, redundant2, redundant3].entries()) {
    board.setNumber("command.capacity", flows, box);
  }
}

/** Have all live connections seeded into a box, anew if that goes on already. Returns the number of the order. */
export function writeResync(board: Board, box: number): number {
  const order = Math.max(1, (board.number("command.resync_order", box) + 1) >>> 0);
  board.setNumber("command.resync_order", order, box);
  return order;
}

/** End it before its time. */
export function writeResyncStop(board: Board, box: number): void {
  board.setNumber("command.resync_stop", board.number("command.resync_order", box), box);
}

function writeSilence(board: Board, failover: Config["failover"]): void {
  const least = failover.silenceMsMin === 0 ? 0 : Math.max(failover.silenceMsMin, failover.stallMs + 1);
  board.setNumber("command.silence_ns_min", least * NS_PER_MS);
  board.setNumber("command.silence_ns_max", (failover.silenceMsMax || failover.silenceMs) * NS_PER_MS);
  board.setNumber("command.silence_learn_ns", failover.silenceLearnS * NS_PER_S);
}

/** Which red detectors take traffic from a box that has no other beside it, by `failover.votes.last_box`. */
const LAST_BOX: Readonly<Record<Config["failover"]["votes"]["lastBox"], readonly Detector[]>> = {
  keep: [],
  proven: ["probe", "bfd"],
  leave: DETECTOR,
};

function writeVotes(board: Board, { votes, silenceMs }: Config["failover"]): void {
  const weight: Readonly<Record<Detector, number>> = {
    link: 0, // a lost link and silence suffice by themselves
    silence: 0,
    probe: votes.probe,
    bfd: votes.bfd,
    grey: votes.grey,
    check: votes.check,
  };
  const staleMs: Readonly<Record<Detector, number>> = {
    link: 0,
    silence: 0,
    probe: votes.probeStaleMs,
    bfd: votes.bfdStaleMs,
    grey: votes.greyStaleMs,
    check: votes.checkStaleMs,
  };
  board.setNumber("command.votes", votes.needed);
  DETECTOR.forEach((detector, i) => {
    board.setNumber("command.weight", weight[detector], i);
    board.setNumber("command.stale_ns", staleMs[detector] * NS_PER_MS, i);
  });
  const last = LAST_BOX[votes.lastBox];
  board.setNumber("command.last_mask", last.reduce((bits, one) => bits | 1 << DETECTOR.indexOf(one), 0));
  board.setNumber("command.last_ns", votes.lastBox === "leave" ? 0 : lastBoxMs(silenceMs) * NS_PER_MS);
}

/** What control's checks say of a box. The time last, which makes it heard: it has to change with every look. */
export function writeCheck(
  board: Board,
  box: number,
  said: { readonly light: number; readonly detail: number; readonly monoNs: number },
): void {
  board.setNumber("check.light", said.light, box);
  board.setNumber("check.detail", said.detail, box);
  board.setNumber("check.seen_ns", said.monoNs, box);
}

/** Boxes that died too often, by their index: they are taken only where there is no other. */
export function writeSuppressed(board: Board, suppressed: readonly boolean[]): void {
  suppressed.forEach((is, i) => board.setNumber("command.suppressed", is ? 1 : 0, i));
}

/** What it costs is nothing beside a packet socket, and too much to be taken from a fast NIC unasked. */
function holdMs({ failover, ports }: Config): number {
  const cheap = ALL_ROLES.every((role) => (ports[role]?.kind ?? "af_packet") === "af_packet");
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

/** Who has left: these and no others. Takes effect within a turn. */
export function writeLeftBoxes(board: Board, left: readonly Box[]): void {
  board.setNumber("command.left", left.reduce((bits, box) => bits | 1 << BOXES.indexOf(box), 0));
}

/** Have the plane open further ports. Returns the number that `live.open_done` reaches when it has tried. */
export function writeFurtherPorts(board: Board, publish: Publish, ports: Config["ports"]): number {
  const sequence = (board.number("command.open_sequence") + 1) >>> 0;
  writePorts(board, ports);
  publish("command.open_sequence", sequence);
  return sequence;
}

export function writePorts(board: Board, ports: Config["ports"]): void {
  ALL_ROLES.forEach((role, i) => board.setText("setup.spec", ports[role]?.spec ?? "", i));
}

/**
 * Order a path. `force`: detectors that are red at that moment do not count against the box while it serves. Returns the
 * sequence number that `live.order_done` reaches when it is carried out.
 */
export function writeOrder(board: Board, publish: Publish, path: Path, force = false): number {
  const sequence = (board.number("command.order_sequence") + 1) >>> 0;
  board.setNumber("command.order_path", PATHS.indexOf(path));
  board.setNumber("command.order_force", force ? 1 : 0);
  publish("command.order_sequence", sequence);
  return sequence;
}
