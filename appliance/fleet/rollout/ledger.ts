/**
 * Duty: all that is known of roll-outs, as their rows say it: who is under way, who is held back by it, what fell back where.
 *
 * Roll-outs share one table of who is under way, so that two of them cannot take both members of a pair.
 */
import {
  type Bar,
  barKey,
  type Course,
  type Fleet,
  type FleetNode,
  isUnderWay,
  type Phase,
  type Rollout,
  type Row,
} from "./contract.ts";
import { Count } from "./count.ts";

export const OVER: readonly Phase[] = ["aborted", "done"];

export class Ledger {
  readonly rollouts = new Map<string, Rollout>();
  readonly underWay = new Map<string, Course>();
  /** By roll-out, then node. */
  readonly #courses = new Map<string, Map<string, Course>>();
  readonly #bars = new Map<string, Bar>();
  /** Who is under way, and with them their partners: node to the node that is updated. */
  readonly #held = new Map<string, string>();
  /** Of roll-outs that are not over. */
  readonly #counts = new Map<string, Count>();

  course(rollout: string, node: string): Course | undefined {
    return this.#courses.get(rollout)?.get(node);
  }

  courses(rollout: string): Iterable<Course> {
    return this.#courses.get(rollout)?.values() ?? [];
  }

  bar({ order }: Rollout, node: string): Bar | undefined {
    return this.#bars.size === 0 ? undefined : this.#bars.get(barKey(node, order.bundle.version));
  }

  bars(): Iterable<Bar> {
    return this.#bars.values();
  }

  /** Either of the two may name the other. */
  heldBy({ id, partner }: FleetNode): string | null {
    return this.#held.get(id) ?? (partner === null ? undefined : this.#held.get(partner)) ?? null;
  }

  count(rollout: Rollout, fleet: Fleet): Count {
    const { order, phase } = rollout, count = this.#counts.get(order.id) ?? new Count(order);
    // What is over is seldom asked for.
    if (!OVER.includes(phase)) this.#counts.set(order.id, count);
    count.refresh(rollout, fleet, {
      course: (node) => this.course(order.id, node),
      bar: (node) => this.bar(rollout, node),
    });
    return count;
  }

  set(row: Row): void {
    if (row.kind === "rollout") this.#setRollout(row.value);
    else if (row.kind === "bar") this.#setBar(row.value);
    else this.#setCourse(row.value);
  }

  forget(rollout: string): void {
    this.rollouts.delete(rollout);
    this.#courses.delete(rollout);
    this.#counts.delete(rollout);
  }

  #setRollout(value: Rollout): void {
    this.rollouts.set(value.order.id, value);
    if (OVER.includes(value.phase)) this.#counts.delete(value.order.id);
  }

  #setBar(value: Bar): void {
    this.#bars.set(barKey(value.node, value.version), value);
    for (const count of this.#counts.values()) count.touch(value.node);
  }

  #setCourse(course: Course): void {
    const { rollout, node, partner } = course;
    let courses = this.#courses.get(rollout);
    if (courses === undefined) this.#courses.set(rollout, courses = new Map());
    courses.set(node, course);
    this.#counts.get(rollout)?.touch(node);
    if (isUnderWay(course)) {
      this.underWay.set(node, course);
      this.#held.set(node, node);
      if (partner !== null) this.#held.set(partner, node);
    } else if (this.underWay.get(node)?.rollout === rollout) {
      this.underWay.delete(node);
      this.#held.delete(node);
      if (partner !== null && this.#held.get(partner) === node) this.#held.delete(partner);
    }
  }
}
