/**
 * A world for the reflexes: two to four boxes, flows, a clock, control and mishaps, all from one seed.
 *
 * A step is a turn of the plane (filter/native/plane.c): clock, frames from outside, frames from the boxes, order and
 * judgement, links. Where a frame goes, the world asks the reflexes. `log` tells what happened, for people.
 */
import { writeLeftBoxes } from "../../appliance/board_command.ts";
import { BOX, PATH } from "../../filter/names.ts";
import type { Random } from "../../filter/random.ts";
import { SimBox } from "./box.ts";
import { Control } from "./control.ts";
import { Detectors } from "./detectors.ts";
import { boxesOf, type BoxIndex, Reflex, type Side } from "./reflex.ts";
import {
  chooseLimits,
  chooseSettings,
  type Limits,
  MS,
  readSettings,
  type Settings,
  STEP_NS_MAX,
  US,
  writeSettings,
} from "./settings.ts";
import { type Arrival, retryNs, Traffic } from "./traffic.ts";
import type { Lamp, Voter } from "./votes.ts";
import { Warmth } from "./warmth.ts";

const START_NS = 1000 * 1000 * MS;
const SIDES = ["client side", "server side"] as const;
const WIRE = PATH.indexOf("wire");

/** A link change that the plane has not heard of yet. */
interface Tell {
  readonly dueNs: number;
  readonly box: BoxIndex;
  readonly side: Side;
  readonly up: boolean;
}

export interface Birth {
  readonly seed: number;
  readonly random: Random;
  /** No box ever fails in it. */
  readonly well: boolean;
  readonly logs: boolean;
}

/** What the oracle hears of a turn besides what stands on the board. */
export interface Witness {
  begin(nowNs: number): void;
  /** Frames of a turn went in by `side`. */
  put(arrival: Arrival): void;
  /** Frames came out of the serving box by `side`. */
  out(side: Side, frames: number): void;
  stalled(lostNs: number): void;
  heard(box: BoxIndex, side: Side, up: boolean): void;
  /** A detector of the plane has looked. */
  said(box: BoxIndex, told: { readonly voter: Voter; readonly light: Lamp }, settings: Settings): void;
}

export class World {
  readonly seed: number;
  readonly random: Random;
  readonly limits: Limits;
  readonly boxes: readonly SimBox[];
  readonly control: Control;
  /** Null: this world has none but links and silence. */
  readonly detectors: Detectors | null;
  readonly log: string[] = [];
  settings: Settings;
  /** Some worlds turn fast, some slowly. */
  readonly stepNsMax: number;
  nowNs = START_NS;
  step = 0;
  /** Time without stalls that the reflexes were told of. */
  awakeNs = 0;
  readonly #reflex: Reflex;
  readonly #traffic: Traffic;
  readonly #copies: number;
  readonly #logs: boolean;
  #tells: Tell[] = [];
  #toldNs = 0;
  /** The box that served before the last switch, and how long its output still passes. */
  #drain = { path: 9, untilNs: 0 };
  #path = 0;

  constructor(reflex: Reflex, { seed, random, well, logs }: Birth) {
    this.seed = seed;
    this.random = random;
    this.#logs = logs;
    this.#reflex = reflex;
    this.limits = chooseLimits(random, well);
    this.settings = chooseSettings(random, this.limits);
    this.stepNsMax = random.pick([STEP_NS_MAX / 8, STEP_NS_MAX / 2, STEP_NS_MAX]);
    const drops = this.limits.silencePacketsMin >= 8;
    const box = () =>
      new SimBox(
        (20 + random.below(280)) * US,
        drops ? this.nowNs + random.below(200 * MS) : Infinity,
        retryNs(this.limits),
      );
    this.boxes = boxesOf(random.pick([2, 2, 3, 4])).map(box);
    this.#copies = random.pick([0.05, 0.3, 1]);
    this.#traffic = new Traffic(random, this.limits, this.nowNs);
    reflex.reset();
    writeSettings(reflex.board, this.settings);
    // Some ranks are equal: then the number decides.
    this.indices.forEach((i) => reflex.board.setNumber("command.rank", i === 0 ? 0 : random.below(3), i));
    if (!well && random.chance(0.1)) this.#breakLinks();
    const failback = random.chance(0.5) ? "automatic" : "manual";
    const checks = random.chance(0.5), warmth = new Warmth(seed);
    this.control = new Control(reflex, {
      point: {
        failback,
        failbackAfterMs: 10 + random.below(60),
        ...(warmth.gate && { gate: warmth.gate }),
      },
      nowNs: this.nowNs,
      sight: {
        boxes: this.boxes.length,
        answers: (box) => checks ? this.boxes[box]!.answers : null,
        match: (atNs) => warmth.seen(atNs),
      },
      settings: this.settings,
    });
    this.detectors = random.chance(0.6) ? new Detectors(random, this.boxes.length, this.nowNs) : null;
    reflex.start(this.nowNs, this.boxes.map((one) => one.link));
    this.#path = reflex.board.number("live.path");
    this.say(() => `starts with ${JSON.stringify({ ...this.settings, ...this.control.point })}`);
  }

  /** Some worlds begin with a broken box. */
  #breakLinks(): void {
    for (const box of this.boxes) {
      if (this.random.chance(0.7)) box.link[this.random.below(2)] = false;
      box.look(this.awakeNs);
    }
  }

  say(text: () => string): void {
    if (!this.#logs) return;
    const ms = ((this.nowNs - START_NS) / MS).toFixed(3);
    this.log.push(`${String(this.step).padStart(5)}  ${ms.padStart(10)} ms  ${text()}`);
  }

  /** One turn up to the judgement, which has been made when this returns; then `afterTurn`. */
  turn(stepNs: number, lateNs: number, witness: Witness): void {
    this.step++;
    const before = this.nowNs;
    const took = stepNs + lateNs;
    this.nowNs += took;
    const late = took > this.settings.stallNs;
    if (!late) this.awakeNs += took;
    for (const box of this.boxes) box.look(this.awakeNs);
    witness.begin(this.nowNs);
    // Half of them are noticed on waking up, before the clock is read anew.
    const asleep = late && this.random.chance(0.5);
    if (asleep) this.#stall(took, witness);
    this.#reflex.clock(this.nowNs);
    if (late && !asleep) this.#stall(took, witness);
    const path = this.#reflex.board.number("live.path");
    for (const arrival of this.#traffic.arrive(before, this.nowNs)) this.#enter(arrival, path, witness);
    for (const box of this.indices) this.#leave(box, path, witness);
    this.detectors?.look(this.boxes, this.nowNs, (box, voter, light) => {
      this.#reflex.detect(box, voter, light);
      witness.said(box, { voter, light }, this.settings);
    });
    this.#reflex.turn();
    this.#notePath();
  }

  #stall(lostNs: number, witness: Witness): void {
    this.say(() => `the node stood still for ${(lostNs / MS).toFixed(3)} ms`);
    this.#reflex.stall(lostNs);
    witness.stalled(lostNs);
  }

  #enter(arrival: Arrival, path: number, witness: Witness): void {
    this.#reflex.put(arrival.side, arrival.flow, arrival.frames);
    witness.put(arrival);
    const passes = this.#traffic.passes(arrival.flow);
    if (path >= WIRE) {
      if (path === WIRE && passes) this.#traffic.answered(arrival.flow);
      return;
    }
    if (!passes) return;
    this.boxes[path]!.accept(this.nowNs, arrival);
    const frames = Math.ceil(arrival.frames * this.#copies);
    for (const box of this.indices) {
      if (box === path || (box === this.#drain.path && this.nowNs < this.#drain.untilNs)) continue;
      if (this.isMember(box)) this.boxes[box]!.accept(this.nowNs, { ...arrival, frames });
    }
  }

  #leave(box: BoxIndex, path: number, witness: Witness): void {
    for (const { side, flow, frames } of this.boxes[box]!.emerge(this.nowNs)) {
      if (box === path) {
        this.#reflex.out(side, frames);
        witness.out(side, frames);
        this.#traffic.answered(flow);
      } else if (this.nowNs >= this.#drain.untilNs || box !== this.#drain.path) {
        this.#reflex.shadow(box, side, frames);
      }
    }
  }

  #notePath(): void {
    const path = this.#reflex.board.number("live.path");
    if (path === this.#path) return;
    this.#drain = { path: this.#path, untilNs: this.nowNs + this.settings.drainNs };
    this.#path = path;
  }

  /** The plane hears of links after its turn; NICs from user space are asked only now and then. */
  hearLinks(witness: Witness): void {
    while (this.#tells.length > 0 && this.#tells[0]!.dueNs <= this.nowNs) {
      const { box, side, up } = this.#tells.shift()!;
      this.#reflex.link(box, side, up);
      witness.heard(box, side, up);
      this.say(() => `the plane hears: ${BOX[box]} ${SIDES[side]} link ${up ? "up" : "down"}`);
    }
  }

  setLink(box: BoxIndex, side: Side, up: boolean): void {
    const one = this.boxes[box]!;
    if (one.link[side] === up) return;
    one.link[side] = up;
    one.look(this.awakeNs);
    if (!up) one.clear();
    const delayNs = this.random.chance(0.8) ? 0 : this.random.below(10 * MS);
    this.#toldNs = Math.max(this.#toldNs, this.nowNs + delayNs);
    this.#tells.push({ dueNs: this.#toldNs, box, side, up });
    this.say(() => `${BOX[box]}: ${SIDES[side]} link ${up ? "up" : "down"}`);
  }

  /** Which ways a box passes, by the side where frames enter. */
  setPasses(box: BoxIndex, passes: readonly [boolean, boolean]): void {
    const one = this.boxes[box]!;
    [one.passes[0], one.passes[1]] = passes;
    one.look(this.awakeNs);
    if (this.random.chance(0.3)) one.clear();
    this.say(() => `${BOX[box]}: passes ${passes[0] ? "in" : "-"}/${passes[1] ? "out" : "-"}`);
  }

  get indices(): readonly BoxIndex[] {
    return boxesOf(this.boxes.length);
  }

  isMember(box: BoxIndex): boolean {
    return (this.#reflex.board.number("command.left") >> box & 1) === 0;
  }

  setMember(box: BoxIndex, joins: boolean): void {
    const left = this.indices.filter((one) => one === box ? !joins : !this.isMember(one));
    writeLeftBoxes(this.#reflex.board, left.map((one) => BOX[one]!));
    this.say(() => `${BOX[box]} ${joins ? "joins" : "leaves"}`);
  }

  change(settings: Settings): void {
    const whole = this.control.change(settings, this.nowNs);
    this.say(() => `settings${whole ? "" : ", control dies over them"}: ${JSON.stringify(settings)}`);
    this.look();
  }

  /** Go by what stands on the board, whoever wrote how much of it. */
  look(): void {
    this.settings = readSettings(this.#reflex.board);
  }
}
