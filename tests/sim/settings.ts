/**
 * What the reflexes go by in a simulated world, and how a world chooses it.
 *
 * A world's longest silence bounds how thin its blocked flows must be, so it is fixed with the seed; everything else may
 * change while it runs, as after a reload.
 */
import { DETECTOR, PATH } from "../../filter/names.ts";
import type { Board } from "../../filter/board.ts";
import { type Voter, VOTERS } from "./votes.ts";
import type { Random } from "../../filter/random.ts";

export const US = 1000;
export const MS = 1_000_000;
/** Turns that are none of the node's stalls. */
export const STEP_NS_MIN = 50 * US;
export const STEP_NS_MAX = 2 * MS;
/** As filter/native/reflex.c has them. */
export const SPARSE = 4;
export const LAST_BOX = 10;
export const EXCUSES = 2;

export interface Settings {
  readonly silenceNs: number;
  readonly silencePackets: number;
  /** Learnt silence: its bounds, and how much has to be seen first. Min 0: nothing is learnt. */
  readonly silenceNsMin: number;
  readonly silenceNsMax: number;
  readonly learnNs: number;
  /** Votes: those needed, those each has, how long what was said holds; 0: for ever. */
  readonly needed: number;
  readonly weights: Readonly<Record<Voter, number>>;
  readonly staleNs: Readonly<Record<Voter, number>>;
  /** Whose votes take traffic from the last box, and after how long. */
  readonly lastBox: readonly Voter[];
  readonly lastNs: number;
  readonly deadPath: "wire" | "block";
  readonly holdUpNs: number;
  readonly drainNs: number;
  readonly stallNs: number;
  readonly automatic: boolean;
}

/** Bounds that hold for the whole run of a world. */
export interface Limits {
  readonly silenceNsMax: number;
  readonly silencePacketsMin: number;
  /** Longest time from the first frame of a window to a verdict, while the node is awake. */
  readonly windowNs: number;
}

export const PLAIN: Settings = {
  silenceNs: 10 * MS,
  silencePackets: 8,
  silenceNsMin: 0,
  silenceNsMax: 10 * MS,
  learnNs: 1000 * MS,
  needed: 1,
  weights: { probe: 1, bfd: 1, grey: 1, check: 1 },
  staleNs: { probe: 0, bfd: 0, grey: 0, check: 0 },
  lastBox: [],
  lastNs: 0,
  deadPath: "wire",
  holdUpNs: 30 * MS,
  drainNs: 5 * MS,
  stallNs: 5 * MS,
  automatic: true,
};

/** `well`: all boxes are alive throughout, so that no silence has to be a long one. */
export function chooseLimits(random: Random, well: boolean): Limits {
  const silenceNsMax = random.pick([1, 2, 3, 5, 5, 10]) * MS;
  return {
    silenceNsMax,
    silencePacketsMin: random.pick([2, 4, 8, 8]),
    windowNs: (SPARSE + 1) * silenceNsMax * (well ? 1 : LAST_BOX) + 4 * STEP_NS_MAX,
  };
}

/** One choice within the limits. The checks of the configuration hold: a silence is no shorter than a stall. */
export function chooseSettings(random: Random, limits: Limits): Settings {
  const silenceNs = random.chance(0.08) ? 0 : limits.silenceNsMax / random.pick([1, 1, 1, 2]);
  return {
    silenceNs,
    silencePackets: limits.silencePacketsMin * random.pick([1, 1, 2]),
    silenceNsMin: random.chance(0.3) ? 0 : Math.floor(silenceNs / random.pick([1, 2, 3])),
    silenceNsMax: silenceNs,
    learnNs: random.pick([0, 20, 100, 400]) * MS,
    ...chooseVotes(random),
    deadPath: random.pick(["wire", "block"] as const),
    holdUpNs: random.pick([0, 2, 5, 20, 50]) * MS,
    drainNs: random.pick([0, 1, 5]) * MS,
    stallNs: Math.min(random.pick([1, 3, 5]) * MS, silenceNs || 5 * MS),
    automatic: !random.chance(0.15),
  };
}

function chooseVotes(
  random: Random,
): Pick<Settings, "needed" | "weights" | "staleNs" | "lastBox" | "lastNs"> {
  const weight = () => random.below(4), stale = () => random.pick([0, 10, 30, 100]) * MS;
  return {
    needed: 1 + random.below(4),
    weights: { probe: weight(), bfd: weight(), grey: weight(), check: weight() },
    staleNs: { probe: stale(), bfd: stale(), grey: stale(), check: stale() },
    lastBox: random.pick([[], ["probe", "bfd"], VOTERS] as const),
    lastNs: random.pick([0, 5, 40]) * MS,
  };
}

export function writeSettings(board: Board, settings: Settings): void {
  board.setNumber("command.silence_ns", settings.silenceNs);
  board.setNumber("command.silence_packets", settings.silencePackets);
  board.setNumber("command.silence_ns_min", settings.silenceNsMin);
  board.setNumber("command.silence_ns_max", settings.silenceNsMax);
  board.setNumber("command.silence_learn_ns", settings.learnNs);
  board.setNumber("command.dead_path", PATH.indexOf(settings.deadPath));
  board.setNumber("command.hold_up_ns", settings.holdUpNs);
  board.setNumber("command.drain_ns", settings.drainNs);
  board.setNumber("command.stall_ns", settings.stallNs);
  board.setNumber("command.automatic", settings.automatic ? 1 : 0);
  board.setNumber("command.votes", settings.needed);
  const bit = (voter: Voter) => 1 << DETECTOR.indexOf(voter);
  board.setNumber("command.last_mask", settings.lastBox.reduce((bits, voter) => bits | bit(voter), 0));
  board.setNumber("command.last_ns", settings.lastNs);
  for (const voter of VOTERS) {
    board.setNumber("command.weight", settings.weights[voter], DETECTOR.indexOf(voter));
  }
  for (const voter of VOTERS) {
    board.setNumber("command.stale_ns", settings.staleNs[voter], DETECTOR.indexOf(voter));
  }
}

/** What the plane goes by, which after a crash of control in the middle of writing is some of each. */
export function readSettings(board: Board): Settings {
  const ns = (name: string) => board.number(`command.${name}`);
  const weight = (voter: Voter) => board.number("command.weight", DETECTOR.indexOf(voter));
  const stale = (voter: Voter) => board.number("command.stale_ns", DETECTOR.indexOf(voter));
  const mask = ns("last_mask");
  return {
    silenceNs: ns("silence_ns"),
    silencePackets: ns("silence_packets"),
    silenceNsMin: ns("silence_ns_min"),
    silenceNsMax: ns("silence_ns_max"),
    learnNs: ns("silence_learn_ns"),
    needed: ns("votes"),
    weights: { probe: weight("probe"), bfd: weight("bfd"), grey: weight("grey"), check: weight("check") },
    staleNs: { probe: stale("probe"), bfd: stale("bfd"), grey: stale("grey"), check: stale("check") },
    lastBox: VOTERS.filter((voter) => mask >> DETECTOR.indexOf(voter) & 1),
    lastNs: ns("last_ns"),
    deadPath: ns("dead_path") === PATH.indexOf("wire") ? "wire" : "block",
    holdUpNs: ns("hold_up_ns"),
    drainNs: ns("drain_ns"),
    stallNs: ns("stall_ns"),
    automatic: ns("automatic") === 1,
  };
}

/** Control dies while it writes. */
export class Torn extends Error {}

/** The board for a writer that dies after so many words. */
export function tornBoard(board: Board, words: number): Board {
  let left = words;
  const torn: Pick<Board, "number" | "setNumber"> = {
    number: (name, index, base) => board.number(name, index, base),
    setNumber: (name, value, index) => {
      if (left-- <= 0) throw new Torn();
      board.setNumber(name, value, index);
    },
  };
  return torn as Board;
}
