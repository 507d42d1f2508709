/**
 * Duty: what runs of `deno task bench:seed` amount to: what lives, how soon, and whether anything of a seed got out. Pure.
 */
import { align } from "../demo.d/table.ts";
import type { Load } from "./load.ts";
import type { Bar } from "./statistics.ts";

export const WAYS = ["lazy", "before", "after"] as const;
/** When connections are seeded: each with its first packet, or all by resync before the failure or after it. */
export type Way = (typeof WAYS)[number];
export const WAY_TEXT: Readonly<Record<Way, string>> = {
  lazy: "with its first packet",
  before: "resync before",
  after: "resync after",
};

export interface SeedRun {
  readonly flows: number;
  readonly way: Way;
  readonly death: string;
  /** Answered after the failure. */
  readonly alive: number;
  /** Of them, those whose first packet was. */
  readonly first: number;
  /** From the first packet after the failure until the last connection was answered. */
  readonly lastMs: number;
  /** By resync; null: there was none. */
  readonly resync: { readonly done: number; readonly tookMs: number } | null;
  /** Packets of the same connections that were not answered at once while resync went on; null: there was none. */
  readonly disturbed: number | null;
  /** Frames at the ends that neither end sent. */
  readonly leaked: number;
  /** Longest turn of the plane in the run. */
  readonly loopMaxUs: number;
  readonly load: Load;
}

const percent = (part: number, whole: number) => `${(100 * part / whole).toFixed(2)} %`;
const perSecond = ({ done, tookMs }: { done: number; tookMs: number }) =>
  Math.round(done * 1000 / Math.max(1, tookMs));

/** "3000 flows, silent, resync before". */
export function nameOf({ flows, way, death }: Pick<SeedRun, "flows" | "way" | "death">): string {
  return `${flows} flows, ${death}, ${WAY_TEXT[way]}`;
}

/** One line for each run. */
export function seedTable(runs: readonly SeedRun[]): string {
  const head = [
    "flows",
    "death",
    "seeded",
    "alive",
    "at once",
    "last through",
    "resync",
    "seeds/s",
    "disturbed",
    "leaked",
    "longest turn",
  ];
  const rows = runs.map((run) => [
    String(run.flows),
    run.death,
    WAY_TEXT[run.way],
    percent(run.alive, run.flows),
    percent(run.first, run.flows),
    `${run.lastMs.toFixed(0)} ms`,
    run.resync === null ? "-" : `${run.resync.tookMs} ms`,
    run.resync === null ? "-" : String(perSecond(run.resync)),
    run.disturbed === null ? "-" : String(run.disturbed),
    String(run.leaked),
    `${run.loopMaxUs.toFixed(0)} us`,
  ]);
  return align([head, ...rows], 3);
}

/** What lives, what was disturbed and what got out. */
export function seedBars(runs: readonly SeedRun[]): Bar[] {
  return runs.flatMap((run): Bar[] => {
    const what = nameOf(run), none = { unit: "packets", bar: 0, goal: 0, lessIsBetter: true };
    return [
      { what: `${what}, alive`, unit: "%", value: 100 * run.alive / run.flows, bar: 99.9, goal: 100 },
      { what: `${what}, leaked to end hosts`, value: run.leaked, ...none },
      ...(run.disturbed === null
        ? []
        : [{ what: `${what}, lost while resync went on`, value: run.disturbed, ...none }]),
    ];
  });
}
