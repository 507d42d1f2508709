/**
 * What the reflexes go by in a simulated world, and how a world chooses it.
 *
 * A world's longest silence bounds how thin its blocked flows must be, so it is fixed with the seed; everything else may
 * change while it runs, as after a reload.
 */
import { DETECTOR, PATH } from "../../filter/names.ts";
import type { Board } from "../../filter/board.ts";
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
    deadPath: random.pick(["wire", "block"] as const),
    holdUpNs: random.pick([0, 2, 5, 20, 50]) * MS,
    drainNs: random.pick([0, 1, 5]) * MS,
    stallNs: Math.min(random.pick([1, 3, 5]) * MS, silenceNs || 5 * MS),
    automatic: !random.chance(0.15),
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
  board.setNumber("command.votes", 1);
  DETECTOR.forEach((_, i) => board.setNumber("command.weight", 1, i));
}
