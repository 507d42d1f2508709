/**
 * Duty: which deaths are tried on which systems, how long each trial waits, and what must be reached. Pure.
 */
import type { Failure } from "../lab/failures.ts";

export const SYSTEMS = [
  "remediate",
  "remediate-10",
  "ovs",
  "keepalived-10",
  "keepalived-100",
  "conntrackd",
] as const;
export type System = (typeof SYSTEMS)[number];

export const SYSTEM_TEXT: Readonly<Record<System, string>> = {
  remediate: "Remediate",
  "remediate-10": "Remediate, silence_ms = 10",
  ovs: "Open vSwitch, BFD 100 ms",
  "keepalived-10": "keepalived, 10 ms",
  "keepalived-100": "keepalived, 100 ms",
  conntrackd: "keepalived 100 ms, conntrackd",
};

export function isOurs(system: System): boolean {
  return system.startsWith("remediate");
}

/** Deaths in the order of the table. `link` is both links of the box, as when it loses power. */
export const DEATHS = ["link-both", "silent", "silent-out", "silent-in", "forwarding", "grey"] as const;
export type Death = Extract<Failure, (typeof DEATHS)[number]>;

export const DEATH_TEXT: Readonly<Record<Death, string>> = {
  "link-both": "link down",
  silent: "silent death",
  "silent-out": "one direction, to servers",
  "silent-in": "one direction, to clients",
  forwarding: "forwarding dead, box answers",
  grey: "grey, 5 % lost",
};

export interface Cell {
  readonly system: System;
  readonly death: Death;
  readonly trials: number;
  /** How long after the event a switch is waited for. */
  readonly afterMs: number;
}

/** Longest wait for a switch that may never come. */
const NEVER_MS = 3_000;

/** Where the primary is known to be noticed at all. */
function afterMs(system: System, death: Death): number {
  if (death === "grey") return isOurs(system) ? 1_500 : NEVER_MS;
  if (isOurs(system)) return 300;
  if (death === "forwarding") return NEVER_MS;
  if (system === "keepalived-10") return death.startsWith("silent-") ? NEVER_MS : 500;
  return death.startsWith("silent-") ? NEVER_MS : 1_000;
}

export interface Wanted {
  readonly trials: number;
  readonly peerTrials: number;
  /** Cells whose text has this. */
  readonly only: string;
}

export function cellText({ system, death }: Pick<Cell, "system" | "death">): string {
  return `${DEATH_TEXT[death]}, ${SYSTEM_TEXT[system]}`;
}

/** The cells of a run. Trials that can only end by waiting are few. */
export function cells({ trials, peerTrials, only }: Wanted): Cell[] {
  return SYSTEMS.flatMap((system) =>
    DEATHS.filter((death) => system !== "remediate-10" || death === "silent").map((death) => {
      const after = afterMs(system, death);
      const many = isOurs(system) ? trials : after < NEVER_MS ? peerTrials : Math.min(peerTrials, 3);
      return { system, death, trials: many, afterMs: after };
    })
  ).filter((cell) => cellText(cell).includes(only) || cell.death.includes(only));
}

/** Trials of a cell that fall into one of `rounds`: as even as can be. */
export function share(trials: number, round: number, rounds: number): number {
  return Math.floor((trials * (round + 1)) / rounds) - Math.floor((trials * round) / rounds);
}

/** Bars in ms from the event to the first frame by the other path; shares of trials. */
export const BARS: readonly { readonly death: Death; readonly share: number; readonly ms: number }[] = [
  { death: "link-both", share: 0.5, ms: 1 },
  { death: "link-both", share: 0.99, ms: 5 },
  { death: "silent", share: 0.99, ms: 10 },
  { death: "silent-out", share: 0.99, ms: 20 },
  { death: "silent-in", share: 0.99, ms: 20 },
  { death: "forwarding", share: 0.99, ms: 20 },
  { death: "grey", share: 0.99, ms: 1_000 },
];
