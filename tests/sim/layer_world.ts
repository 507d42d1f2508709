/**
 * Flows through a plane with two boxes, frame by frame, for the layer to move about.
 *
 * Every frame has a number in its flow. Boxes keep state for each flow (a count and the last number) and for all (a sum, a
 * maximum, a set), and take time over their queues. The plane carries out the contract of the steering: rules, notes,
 * holds with bounds, releases in order. All chance comes from one seed.
 */
import type { HeaderFields } from "../../drivers/fields.ts";
import { fieldsText, holds as judge } from "../../drivers/fields.ts";
import type { SteeringMove, SteeringRule } from "../../appliance/layer/steering.ts";
import { trimmed, withRule } from "../../appliance/layer/steering.ts";
import type { Random } from "../../filter/random.ts";

const judged = new WeakMap<HeaderFields, WeakMap<HeaderFields, boolean>>();

/** As `holds()` of the drivers, asked once for each two lists: a frame asks it all the time. */
export function holds(outer: HeaderFields, inner: HeaderFields): boolean {
  const known = judged.get(outer) ?? new WeakMap<HeaderFields, boolean>();
  judged.set(outer, known);
  const before = known.get(inner) ?? judge(outer, inner);
  known.set(inner, before);
  return before;
}

export type BoxName = "a" | "b";

export interface Frame {
  readonly flow: SimFlow;
  readonly number: number;
}

export class SimFlow {
  sent = 0;
  /** Numbers in the order in which they left a box. */
  readonly out: number[] = [];
  /** Died with a box or a plane. */
  readonly lost: number[] = [];
  readonly key: string;

  constructor(readonly fields: HeaderFields, readonly born: number) {
    this.key = fieldsText(fields);
  }
}

export interface FlowState {
  count: number;
  last: number;
  version: number;
}

export type Told = { readonly key: string; readonly fields: HeaderFields };

export class SimBox {
  alive = true;
  died = false;
  queue: Frame[] = [];
  flows = new Map<string, FlowState & { fields: HeaderFields }>();
  total = { value: 0, version: 0 };
  longest = { value: 0, version: 0 };
  seen = { value: new Set<string>(), version: 0 };
  /** Each frame's change of a flow, for whoever watches. */
  changed: ((told: Told) => void) | null = null;

  constructor(readonly name: BoxName) {}

  /** `again`: its state is what counts, nothing else comes of it. */
  take({ flow, number }: Frame, again = false): void {
    const state = this.flows.get(flow.key) ?? { count: 0, last: 0, version: 0, fields: flow.fields };
    this.flows.set(flow.key, {
      ...state,
      count: state.count + 1,
      last: Math.max(state.last, number),
      version: state.version + 1,
    });
    if (again) return;
    this.total = { value: this.total.value + 1, version: this.total.version + 1 };
    if (number > this.longest.value) {
      this.longest = { value: number, version: this.longest.version + 1 };
    }
    if (!this.seen.value.has(flow.key)) {
      this.seen = { value: new Set([...this.seen.value, flow.key]), version: this.seen.version + 1 };
    }
    this.changed?.({ key: flow.key, fields: flow.fields });
    flow.out.push(number);
  }

  die(): void {
    this.alive = false;
    this.died = true;
    for (const { flow, number } of this.queue.splice(0)) flow.lost.push(number);
    this.flows.clear();
    this.forget();
    this.changed = null;
  }

  /** What it counted of all flows. Returns how many counts went. */
  forget(): number {
    const there = [this.total, this.longest, this.seen].filter(({ version }) => version > 0).length;
    this.total = { value: 0, version: 0 };
    this.longest = { value: 0, version: 0 };
    this.seen = { value: new Set(), version: 0 };
    return there;
  }
}

interface Moving {
  readonly move: SteeringMove;
  noted: Frame[];
  held: Frame[];
  hold: "none" | "intact" | "broken";
  sinceMs: number;
  routed: boolean;
  /** Where the held frames are on their way to, one or two a turn. */
  release: BoxName | null;
}

export class LayerWorld {
  nowMs = 1000;
  readonly boxes = { a: new SimBox("a"), b: new SimBox("b") };
  readonly flows: SimFlow[] = [];
  rules: SteeringRule[] = [];
  readonly moving = new Map<string, Moving>();
  planeDied = false;
  traffic = true;

  constructor(readonly random: Random, flows: number) {
    for (let i = 0; i < flows; i++) this.#bear();
  }

  #bear(): void {
    const i = this.flows.length;
    this.flows.push(
      new SimFlow({
        protocol: 6,
        source: `10.1.${i % 2}.${1 + (i >> 1) % 250}`,
        sourcePort: 40_000 + i,
        destination: "10.2.0.11",
        destinationPort: 80,
      }, this.nowMs),
    );
  }

  boxOf(flow: HeaderFields): BoxName {
    return (this.rules.findLast(({ fields }) => holds(fields, flow))?.box ?? "a") as BoxName;
  }

  /** One millisecond. */
  turn(): void {
    const { random } = this;
    this.nowMs += 1;
    if (this.traffic) {
      if (random.chance(0.05) && this.flows.length < 60) this.#bear();
      for (let n = random.below(4); n > 0; n--) this.#arrive();
    }
    for (const moving of this.moving.values()) {
      const late = this.nowMs - moving.sinceMs > moving.move.holdMsMax;
      if (
        moving.hold === "intact" && !moving.routed && (late || moving.held.length > moving.move.framesMax)
      ) {
        this.#break(moving);
      }
      this.#release(moving, 1 + random.below(2));
    }
    for (const box of Object.values(this.boxes)) {
      if (!box.alive) continue;
      for (let n = random.below(4); n > 0 && box.queue.length > 0; n--) box.take(box.queue.shift()!);
    }
  }

  #arrive(): void {
    const flow = this.random.pick(this.flows);
    this.#dispatch({ flow, number: ++flow.sent });
  }

  #dispatch(frame: Frame): void {
    const moving = [...this.moving.values()].find(({ move }) => holds(move.fields, frame.flow.fields));
    const queues = moving !== undefined &&
      (moving.hold === "intact" && !moving.routed ||
        moving.held.length > 0 && (moving.move.guarantee === "order-preserving" || !moving.routed));
    if (queues) moving.held.push(frame);
    else this.#into(this.boxOf(frame.flow.fields), frame, moving);
  }

  #into(name: BoxName, frame: Frame, moving?: Moving): void {
    const box = this.boxes[name];
    if (!box.alive) return void frame.flow.lost.push(frame.number);
    box.queue.push(frame);
    if (moving === undefined || moving.move.source !== name) return;
    moving.noted.push(frame);
    if (moving.noted.length > moving.move.framesMax) moving.noted.shift();
  }

  #break(moving: Moving): void {
    moving.hold = "broken";
    moving.release = moving.move.source as BoxName;
    this.#release(moving, Infinity);
  }

  #release(moving: Moving, frames: number): void {
    const { release } = moving;
    if (release === null) return;
    for (const frame of moving.held.splice(0, frames)) this.#into(release, frame, moving);
    if (moving.held.length === 0) moving.release = null;
  }

  begin(move: SteeringMove): void {
    if (this.moving.has(move.id)) return;
    const nothing = { noted: [], held: [], sinceMs: 0, release: null } as const;
    this.moving.set(move.id, { ...nothing, noted: [], held: [], move, hold: "none", routed: false });
  }

  #of(id: string): Moving {
    const moving = this.moving.get(id);
    if (moving === undefined) throw new Error(`there is no move ${id}`);
    return moving;
  }

  hold(id: string): void {
    const moving = this.#of(id);
    if (moving.hold === "intact") return;
    moving.hold = "intact";
    moving.sinceMs = this.nowMs;
  }

  /** What of the move is still in the source. */
  inside(id: string): number {
    const { move } = this.#of(id);
    const { queue } = this.boxes[move.source as BoxName];
    return queue.filter(({ flow }) => holds(move.fields, flow.fields)).length;
  }

  heldBy(id: string): number {
    return this.#of(id).held.length;
  }

  reprocess(id: string, fields: HeaderFields, frames: number): number {
    const { noted, move } = this.#of(id), key = fieldsText(fields);
    const last = noted.filter(({ flow }) => flow.key === key).slice(-frames);
    const box = this.boxes[move.destination as BoxName];
    if (!box.alive) return 0;
    for (const frame of last) box.take(frame, true);
    return last.length;
  }

  route(id: string): boolean {
    const moving = this.#of(id), { move } = moving;
    if (moving.routed) return true;
    if (moving.hold === "broken") return false;
    moving.routed = true;
    this.rules = [...this.rules, { id, fields: move.fields, box: move.destination }];
    moving.release = move.destination as BoxName;
    return true;
  }

  cancel(id: string): void {
    const moving = this.moving.get(id);
    this.rules = this.rules.filter((rule) => rule.id !== id);
    if (moving === undefined) return;
    moving.routed = false;
    moving.hold = "broken";
    moving.release = moving.move.source as BoxName;
    this.#release(moving, Infinity);
  }

  end(id: string): void {
    const rule = this.rules.find((one) => one.id === id);
    // As the plane's steering does: a rule that leads to the box that serves by default goes with the move.
    if (rule !== undefined) this.rules = trimmed(withRule(this.rules, rule), "a");
    const moving = this.moving.get(id);
    if (moving === undefined) return;
    this.#release(moving, Infinity);
    this.moving.delete(id);
  }

  /** All frames in it are lost, and all it was told. */
  restartPlane(): void {
    this.planeDied = true;
    for (const { held } of this.moving.values()) {
      for (const { flow, number } of held) flow.lost.push(number);
    }
    this.moving.clear();
    this.rules = [];
  }

  /** Until nothing is under way any more. */
  settle(): void {
    this.traffic = false;
    for (let turns = 0; turns < 10_000 && this.#busy(); turns++) this.turn();
  }

  #busy(): boolean {
    return Object.values(this.boxes).some(({ queue }) => queue.length > 0) ||
      [...this.moving.values()].some(({ held }) => held.length > 0);
  }
}
