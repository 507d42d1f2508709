/**
 * Duty: how many nodes of each stage are where, and who of them waits; kept by what has changed.
 *
 * A turn comes every second and a fleet has a hundred thousand nodes, of which few have changed: only those are looked at.
 */
import { NO_MARK } from "./changes.ts";
import { type Bar, type Census, type Course, type Fleet, type FleetNode, isUnderWay } from "./contract.ts";
import type { Rollout } from "./contract.ts";
import { leftBecause, runsGood } from "./ready.ts";
import { stageOf } from "./stages.ts";

export interface Known {
  course(node: string): Course | undefined;
  bar(node: string): Bar | undefined;
}

/** fresh: failed since a person last started the roll-out. */
const PLACES = ["good", "failed", "fresh", "underWay", "left", "waiting"] as const;
type Place = (typeof PLACES)[number];
type Tally = { -readonly [Name in keyof Census]: Census[Name] };

function placeOf({ order, startedMs }: Rollout, node: FleetNode, known: Known): Place {
  const course = known.course(node.id);
  if (course !== undefined && isUnderWay(course)) return "underWay";
  if (course?.step === "failed") return course.sinceMs > startedMs ? "fresh" : "failed";
  if (course?.step === "good" || runsGood(node, order.bundle.digest)) return "good";
  return leftBecause(node, order.bundle, known.bar(node.id)) === null ? "waiting" : "left";
}

function emptyTally(): Tally {
  return { size: 0, good: 0, failed: 0, fresh: 0, underWay: 0, left: 0, waiting: 0 };
}

export class Count {
  /** By node: its stage and its place, as one small number. */
  readonly #places = new Map<string, number>();
  readonly #touched = new Set<string>();
  readonly #stages: Tally[];
  readonly #waiting: Set<string>[];
  #mark = NO_MARK;
  #startedMs = NaN;

  constructor({ stages }: Rollout["order"]) {
    this.#stages = stages.map(emptyTally);
    this.#waiting = stages.map(() => new Set());
  }

  get stages(): readonly Census[] {
    return this.#stages.map((tally) => ({ ...tally }));
  }

  /** Nodes of a stage to which something may be offered. */
  waiting(stage: number): ReadonlySet<string> {
    return this.#waiting[stage]!;
  }

  /** Its course or its bar has changed. */
  touch(node: string): void {
    this.#touched.add(node);
  }

  refresh(rollout: Rollout, fleet: Fleet, known: Known): void {
    const { ids, mark } = fleet.changed?.(this.#mark) ?? { ids: null, mark: NO_MARK };
    this.#mark = mark;
    // Which failures are fresh is another question then.
    const isOther = this.#startedMs !== rollout.startedMs;
    this.#startedMs = rollout.startedMs;
    if (ids === null || isOther) this.#all(rollout, fleet, known);
    else {
      for (const id of ids) this.#look(rollout, fleet.node(id) ?? id, known);
      for (const id of this.#touched) this.#look(rollout, fleet.node(id) ?? id, known);
    }
    this.#touched.clear();
  }

  #all(rollout: Rollout, fleet: Fleet, known: Known): void {
    this.#places.clear();
    for (const waiting of this.#waiting) waiting.clear();
    for (const tally of this.#stages) Object.assign(tally, emptyTally());
    for (const node of fleet.nodes()) this.#look(rollout, node, known);
  }

  /** An id alone: there is no such node any more. */
  #look(rollout: Rollout, node: FleetNode | string, known: Known): void {
    const id = typeof node === "string" ? node : node.id, before = this.#places.get(id) ?? null;
    const stage = typeof node === "string" ? null : stageOf(rollout.order, node);
    const place = stage === null ? null : placeOf(rollout, node as FleetNode, known);
    const now = place === null ? null : stage! * PLACES.length + PLACES.indexOf(place);
    if (now === before) return;
    if (before !== null) this.#tally(id, before, -1);
    if (now === null) this.#places.delete(id);
    else {
      this.#places.set(id, now);
      this.#tally(id, now, 1);
    }
  }

  #tally(id: string, at: number, by: 1 | -1): void {
    const stage = Math.floor(at / PLACES.length), place = PLACES[at % PLACES.length]!;
    const tally = this.#stages[stage]!, waiting = this.#waiting[stage]!;
    tally.size += by;
    tally[place] += by;
    if (place === "fresh") tally.failed += by;
    if (place !== "waiting") return;
    if (by > 0) waiting.add(id);
    else waiting.delete(id);
  }
}

/** Of each stage, counted from nothing. */
export function takeCensus(rollout: Rollout, fleet: Fleet, known: Known): readonly Census[] {
  const count = new Count(rollout.order);
  count.refresh(rollout, fleet, known);
  return count.stages;
}
