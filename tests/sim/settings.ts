/**
 * What the reflexes go by in a simulated world, and how a world chooses it.
 *
 * A world's longest silence bounds how thin its blocked flows must be, so it is fixed with the seed; everything else may
 * change while it runs, as after a reload.
 */
import type { Board } from "../../filter/board.ts";
import type { Random } from "../../filter/random.ts";

export const US = 1000;
export const MS = 1_000_000;

export interface Settings {
  readonly silenceNs: number;
  readonly silencePackets: number;
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
}

export const PLAIN: Settings = {
  silenceNs: 10 * MS,
  silencePackets: 8,
  deadPath: "wire",
  holdUpNs: 30 * MS,
  drainNs: 5 * MS,
  stallNs: 5 * MS,
  automatic: true,
};

export function chooseLimits(random: Random): Limits {
  return {
    silenceNsMax: random.pick([1, 3, 5, 10, 10, 20]) * MS,
    silencePacketsMin: random.pick([2, 4, 8, 8]),
  };
}

/** One choice within the limits. The checks of the configuration hold: a silence is no shorter than a stall. */
export function chooseSettings(random: Random, limits: Limits): Settings {
  const silenceNs = random.chance(0.08) ? 0 : limits.silenceNsMax / random.pick([1, 1, 1, 2]);
  return {
    silenceNs,
    silencePackets: limits.silencePacketsMin * random.pick([1, 1, 2]),
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
  board.setNumber("command.dead_path", settings.deadPath === "wire" ? 2 : 3);
  board.setNumber("command.hold_up_ns", settings.holdUpNs);
  board.setNumber("command.drain_ns", settings.drainNs);
  board.setNumber("command.stall_ns", settings.stallNs);
  board.setNumber("command.automatic", settings.automatic ? 1 : 0);
}
