/**
 * Duty: all roll-outs of a fleet: who is offered what now, what is to be kept, and why others wait.
 *
 * A turn looks at what the nodes show and yields rows, offers and events. Whoever calls it commits the rows before the offers
 * leave; a controller that died in between makes the same offers again from its rows, under the same ids, and a node does an
 * id once.
 */
import {
  type Answer,
  type Bar,
  barKey,
  type Census,
  type Course,
  courseKey,
  type Fleet,
  type FleetNode,
  type Offer,
  type OfferKind,
  type Rollout,
  type RolloutEvent,
  type RolloutOrder,
  type Row,
  type Turn,
} from "./contract.ts";
import { hearAnswer, offerId, openOffer, stepCourse, youngestReportMs } from "./course.ts";
import { endsStage, haltReason } from "./judge.ts";
import { Ledger, OVER } from "./ledger.ts";
import { type Around, notNow, type Standing, standingOf } from "./ready.ts";
import { opensAtMs, stageOf } from "./stages.ts";

/** Kept after their end, the youngest; of older ones only what fell back is remembered. */
export const ROLLOUTS_MAX = 64;

interface Draft {
  readonly rows: Map<string, Row>;
  readonly drops: string[];
  readonly offers: Offer[];
  readonly events: RolloutEvent[];
}

export class Rollouts {
  readonly #ledger = new Ledger();
  #draft: Draft = { rows: new Map(), drops: [], offers: [], events: [] };

  constructor(rows: Iterable<Row> = []) {
    this.apply({ rows, drops: [] });
  }

  /** What was committed before, or by another controller. */
  apply({ rows, drops }: { readonly rows: Iterable<Row>; readonly drops: readonly string[] }): void {
    for (const id of drops) this.#ledger.forget(id);
    for (const row of rows) this.#ledger.set(row);
  }

  list(): readonly Rollout[] {
    return [...this.#ledger.rollouts.values()];
  }

  get(id: string): Rollout | undefined {
    return this.#ledger.rollouts.get(id);
  }

  course(rollout: string, node: string): Course | undefined {
    return this.#ledger.course(rollout, node);
  }

  bars(node: string): readonly Bar[] {
    return [...this.#ledger.bars()].filter((bar) => bar.node === node);
  }

  underWay(): Iterable<Course> {
    return this.#ledger.underWay.values();
  }

  /** Of each stage. */
  census(id: string, fleet: Fleet): readonly Census[] {
    return this.#ledger.count(this.#known(id), fleet).stages;
  }

  /** Where a node stands in a roll-out, in words; null: it is not of it. */
  why(id: string, fleet: Fleet, node: FleetNode, nowMs: number): Course | Standing | null {
    const course = this.course(id, node.id);
    if (course !== undefined && course.step !== "again") {
      const wait = course.step === "installed" ? this.#restartWait(course, fleet, nowMs) : null;
      return wait === null ? course : { ...course, reason: wait };
    }
    return standingOf(this.#known(id), node, this.#around(this.#known(id), fleet, node, nowMs));
  }

  /** @throws Error where there is one of this name */
  make(order: RolloutOrder, nowMs: number): Turn {
    if (this.#ledger.rollouts.has(order.id)) {
      throw new Error(`Cannot make the roll-out ${order.id}: there is one already`);
    }
    this.#makeRoom(order.id);
    this.#keepRollout({
      order,
      phase: "draft",
      stage: 0,
      throughMs: null,
      startedMs: nowMs,
      reason: "made, not started",
      madeMs: nowMs,
    });
    this.#tell(order.id, null, `made: ${order.bundle.version} in ${order.stages.length} stages`);
    return this.#take();
  }

  /** Of a draft, and of one that is paused or halted; failures so far are forgiven then. */
  start(id: string, by: string, nowMs: number): Turn {
    const rollout = this.#known(id);
    if (OVER.includes(rollout.phase)) {
      throw new Error(`Cannot start the roll-out ${id}: it is ${rollout.phase}`);
    }
    this.#keepRollout({ ...rollout, phase: "running", startedMs: nowMs, reason: `started by ${by}` });
    this.#tell(id, null, `started by ${by}`);
    return this.#take();
  }

  pause(id: string, by: string): Turn {
    const rollout = this.#known(id);
    if (rollout.phase !== "running") {
      throw new Error(`Cannot pause the roll-out ${id}: it is ${rollout.phase}`);
    }
    this.#keepRollout({ ...rollout, phase: "paused", reason: `paused by ${by}` });
    this.#tell(id, null, `paused by ${by}`);
    return this.#take();
  }

  /** Nothing is offered any more; what has restarted is watched to its end. */
  abort(id: string, by: string, nowMs: number): Turn {
    const rollout = this.#known(id);
    if (OVER.includes(rollout.phase)) {
      throw new Error(`Cannot abort the roll-out ${id}: it is ${rollout.phase}`);
    }
    this.#keepRollout({ ...rollout, phase: "aborted", reason: `aborted by ${by}` });
    for (const course of [...this.#ledger.courses(id)]) {
      if (course.step !== "installed") continue;
      this.#keepCourse({ ...course, step: "failed", sinceMs: nowMs, reason: "aborted before its restart" });
    }
    this.#tell(id, null, `aborted by ${by}`, "warning");
    return this.#take();
  }

  /** A person's word that a node may try again: a version that fell back there, or a course that failed. */
  allow(id: string, node: string, by: string, nowMs: number): Turn {
    const rollout = this.#known(id), { version } = rollout.order.bundle, course = this.course(id, node);
    if (course !== undefined && course.step !== "failed") {
      throw new Error(`Cannot allow ${version} on ${node} again: its update is at "${course.step}"`);
    }
    const bar = this.#ledger.bar(rollout, node);
    this.#keepBar({
      node,
      version,
      atMs: bar?.atMs ?? nowMs,
      reason: bar?.reason ?? course?.reason ?? "held for bad by the node",
      pardonedBy: by,
    });
    // The next offer is another attempt, under another id.
    if (course !== undefined) {
      this.#keepCourse({ ...course, step: "again", reason: `allowed again by ${by}` });
    }
    this.#tell(id, node, `${version} is allowed again by ${by}`);
    return this.#take();
  }

  hear(answer: Answer, nowMs: number): Turn {
    // Neither a name of a roll-out nor an id of a node has a slash in it.
    const [rollout = "", node = ""] = answer.id.split("/"), course = this.course(rollout, node);
    const next = course && hearAnswer(course, answer, nowMs);
    if (next !== undefined && next !== course) this.#ended(next);
    return this.#take();
  }

  /** Offers that are open, to be made again after a start. */
  open(nowMs: number): readonly Offer[] {
    return [...this.#ledger.underWay.values()].flatMap((course) => {
      const kind = openOffer(course), rollout = this.#ledger.rollouts.get(course.rollout);
      return kind === null || rollout === undefined ? [] : [this.#offer(course, kind, rollout, nowMs)];
    });
  }

  turn(fleet: Fleet, nowMs: number): Turn {
    for (const course of [...this.#ledger.underWay.values()]) this.#step(course, fleet, nowMs);
    // What was just heard may halt it all: so before anybody restarts.
    for (const rollout of this.list()) if (rollout.phase === "running") this.#judge(rollout, fleet, nowMs);
    for (const course of [...this.#ledger.underWay.values()]) this.#restart(course, fleet, nowMs);
    for (const rollout of this.list()) if (rollout.phase === "running") this.#fill(rollout, fleet, nowMs);
    return this.#take();
  }

  #step(course: Course, fleet: Fleet, nowMs: number): void {
    const rollout = this.#ledger.rollouts.get(course.rollout);
    if (rollout === undefined) return;
    const next = stepCourse(course, rollout.order, fleet.node(course.node), nowMs);
    if (next !== course) this.#ended(next);
  }

  #restart(course: Course, fleet: Fleet, nowMs: number): void {
    const rollout = this.#ledger.rollouts.get(course.rollout);
    if (rollout === undefined || course.step !== "installed") return;
    if (this.#restartWait(course, fleet, nowMs) !== null) return;
    const node = fleet.node(course.node)!;
    const restarting: Course = {
      ...course,
      step: "restarting",
      sinceMs: nowMs,
      healthBefore: node.health,
      reportMs: youngestReportMs(node),
      reason: "restarts into the new slot",
    };
    this.#keepCourse(restarting);
    this.#draft.offers.push(this.#offer(restarting, "restart", rollout, nowMs));
  }

  #restartWait(course: Course, fleet: Fleet, nowMs: number): string | null {
    const rollout = this.#ledger.rollouts.get(course.rollout), node = fleet.node(course.node);
    if (rollout === undefined || node === undefined) return "the node is not known";
    if (rollout.phase !== "running") return `waits for its restart: the roll-out is ${rollout.phase}`;
    const opensMs = opensAtMs(rollout.order.windows, nowMs);
    if (opensMs > nowMs) return "waits for its restart: no window is open";
    // The node itself is under way; what matters is whoever would carry on.
    const against = notNow(node, { ...this.#around(rollout, fleet, node, nowMs), heldBy: null });
    return against === null ? null : `waits for its restart: ${against}`;
  }

  /** A course that has moved on; where it ended, what follows of that. */
  #ended(course: Course): void {
    this.#keepCourse(course);
    const rollout = this.#ledger.rollouts.get(course.rollout)!;
    if (course.step === "good") {
      this.#tell(course.rollout, course.node, `runs ${rollout.order.bundle.version}`);
    }
    if (course.step !== "failed") return;
    this.#tell(course.rollout, course.node, course.reason, "warning");
    if (!course.reason.startsWith("fell back")) return;
    const { version } = rollout.order.bundle;
    this.#keepBar({
      node: course.node,
      version,
      atMs: course.sinceMs,
      reason: course.reason,
      pardonedBy: null,
    });
  }

  #judge(rollout: Rollout, fleet: Fleet, nowMs: number): void {
    const { order } = rollout, censuses = this.#ledger.count(rollout, fleet).stages;
    const halt = haltReason(rollout, censuses);
    if (halt !== null) {
      this.#keepRollout({ ...rollout, phase: "halted", reason: halt });
      this.#tell(order.id, null, `halted: ${halt}`, "warning");
      return;
    }
    const next = endsStage(rollout, censuses, nowMs);
    if (next === rollout) return;
    this.#keepRollout(next);
    if (next.stage !== rollout.stage || next.phase !== rollout.phase) this.#tell(order.id, null, next.reason);
  }

  /** As many as there is room for. */
  #fill(rollout: Rollout, fleet: Fleet, nowMs: number): void {
    const { order } = rollout;
    let room = order.concurrentMax;
    for (const { rollout: id } of this.#ledger.underWay.values()) if (id === order.id) room--;
    if (room <= 0 || opensAtMs(order.windows, nowMs) > nowMs) return;
    const count = this.#ledger.count(rollout, fleet);
    for (let stage = 0; stage <= rollout.stage; stage++) {
      for (const id of count.waiting(stage)) {
        if (room <= 0) return;
        const node = fleet.node(id);
        if (node?.connected && this.#begin(rollout, fleet, node, nowMs)) room--;
      }
    }
  }

  #begin(rollout: Rollout, fleet: Fleet, node: FleetNode, nowMs: number): boolean {
    const { order } = rollout, past = this.course(order.id, node.id);
    const standing = standingOf(rollout, node, this.#around(rollout, fleet, node, nowMs));
    if (standing?.is !== "ready") return false;
    const course: Course = {
      rollout: order.id,
      node: node.id,
      attempt: (past?.attempt ?? 0) + 1,
      step: "installing",
      stage: stageOf(order, node)!,
      partner: node.partner,
      force: standing.force,
      healthBefore: node.health,
      reportMs: youngestReportMs(node),
      sinceMs: nowMs,
      reason: "fetches and installs the bundle",
    };
    this.#keepCourse(course);
    this.#draft.offers.push(this.#offer(course, "install", rollout, nowMs));
    return true;
  }

  #offer(course: Course, kind: OfferKind, { order }: Rollout, nowMs: number): Offer {
    const { node, force } = course, id = offerId(course, kind);
    const expiresMs = Math.max(nowMs, course.sinceMs + order.deadlineMs);
    return { id, node, kind, bundle: order.bundle, force, expiresMs };
  }

  #around(rollout: Rollout, fleet: Fleet, node: FleetNode, nowMs: number): Around {
    const partner = node.partner === null ? undefined : fleet.node(node.partner);
    return { nowMs, partner, bar: this.#ledger.bar(rollout, node.id), heldBy: this.#ledger.heldBy(node) };
  }

  /** The oldest that is over goes; of its nodes what fell back stays known. */
  #makeRoom(id: string): void {
    if (this.#ledger.rollouts.size < ROLLOUTS_MAX) return;
    const busy = new Set([...this.#ledger.underWay.values()].map(({ rollout }) => rollout));
    const over = this.list().filter(({ order, phase }) => OVER.includes(phase) && !busy.has(order.id));
    const oldest = over.toSorted((a, b) => a.madeMs - b.madeMs)[0]?.order.id;
    if (oldest === undefined) {
      throw new Error(`Cannot make the roll-out ${id}: ${ROLLOUTS_MAX} are not over, and no more are kept`);
    }
    this.#ledger.forget(oldest);
    this.#draft.drops.push(oldest);
  }

  #known(id: string): Rollout {
    const rollout = this.#ledger.rollouts.get(id);
    if (rollout === undefined) throw new Error(`Cannot find the roll-out ${id}: there is none of this name`);
    return rollout;
  }

  #keep(row: Row): void {
    this.#ledger.set(row);
    this.#draft.rows.set(`${row.kind} ${row.key}`, row);
  }

  #keepCourse(value: Course): void {
    this.#keep({ kind: "course", key: courseKey(value.rollout, value.node), value });
  }

  #keepRollout(value: Rollout): void {
    this.#keep({ kind: "rollout", key: value.order.id, value });
  }

  #keepBar(value: Bar): void {
    this.#keep({ kind: "bar", key: barKey(value.node, value.version), value });
  }

  #tell(rollout: string, node: string | null, text: string, level: RolloutEvent["level"] = "info"): void {
    this.#draft.events.push({ rollout, node, level, text });
  }

  #take(): Turn {
    const { rows, drops, offers, events } = this.#draft;
    this.#draft = { rows: new Map(), drops: [], offers: [], events: [] };
    return { rows: [...rows.values()], drops, offers, events };
  }
}
