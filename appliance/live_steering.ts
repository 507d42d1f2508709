/**
 * Duty: the steering of a running plane, by the board: what the layer asks is written there, and what came of it is read.
 *
 * Nothing is remembered between two calls, so a control that starts anew goes on where the last one ended. One change is
 * written at a time; the plane takes it over with its next turn, and a call waits until it has.
 */
import type { Board } from "../filter/board.ts";
import type { Publish } from "./board_command.ts";
import { holds } from "../drivers/fields.ts";
import { PATH } from "../filter/names.ts";
import { type Steering, type SteeringMove, type SteeringRule, trimmed, withRule } from "./layer/steering.ts";
import {
  type BoardMove,
  type BoardView,
  change,
  encodeFields,
  readMove,
  readMoves,
  readMoveView,
  readRules,
  writeMove,
  writePhase,
  writeSteerRules,
} from "./steering_board.ts";

const LOOK_MS = 1;
/** The plane has mostly done it by the second look: no timer is as quick. */
const LOOKS_AT_ONCE = 20;
/** The plane looks once a turn; a machine that is busy lets it wait. */
const TAKE_MS_MAX = 2_000;
/** What is in a box comes out by then, or stays there. */
const DRAIN_MS_MAX = 1_000;
const END_MS_MAX = 5_000;

export interface LiveSteeringOptions {
  /** Null: there is no plane now. */
  readonly map: () => { readonly board: Board; readonly publish: Publish } | null;
  readonly nowMs: () => number;
  /** 0: for as short as can be. */
  readonly sleep: (ms: number) => Promise<void>;
}

type Mapped = NonNullable<ReturnType<LiveSteeringOptions["map"]>>;

export class LiveSteering implements Steering {
  readonly #options: LiveSteeringOptions;

  constructor(options: LiveSteeringOptions) {
    this.#options = options;
  }

  fault(): string | null {
    const map = this.#options.map();
    if (map === null) return "no plane runs";
    const { board } = map, cores = board.number("setup.cores");
    if (cores > 1) return `the plane has ${cores} cores, and leads single flows with plane.cores = 1 alone`;
    const places = board.count("steer.rule.id"),
      used = board.number("steer.rule_count") + readMoves(board).length;
    return used < places ? null : `there are ${places} rules for flows already: bring some back first`;
  }

  #map(): Mapped {
    const map = this.#options.map();
    if (map === null) throw new Error("Cannot steer flows: no plane runs");
    return map;
  }

  /** False: not in time. */
  async #until(msMax: number, holds: () => boolean): Promise<boolean> {
    const { nowMs, sleep } = this.#options;
    for (let end = nowMs() + msMax, looks = 0; !holds(); looks++) {
      if (nowMs() > end) return false;
      await sleep(looks < LOOKS_AT_ONCE ? 0 : LOOK_MS);
    }
    return true;
  }

  /** Written, and taken over by the plane. */
  async #change({ board, publish }: Mapped, write: () => void): Promise<void> {
    const generation = change(board, publish, write);
    // A change behind it is taken over with it.
    const done = () => ((board.number("steer.done") - generation) | 0) >= 0;
    if (!await this.#until(TAKE_MS_MAX, done)) {
      throw new Error(`the plane did not take over the steering within ${TAKE_MS_MAX} ms`);
    }
  }

  #move(board: Board, id: string): BoardMove {
    const move = readMove(board, id);
    if (move === null) throw new Error(`Cannot go on with the move ${id}: the plane has not heard of it`);
    return move;
  }

  async begin(move: SteeringMove): Promise<void> {
    const map = this.#map(), { board } = map, open = readMoves(board);
    if (open.some(({ id }) => id === move.id)) return;
    const taken = new Set(open.map(({ slot }) => slot)), places = board.count("steer.move.id");
    const slot = Array.from({ length: places }, (_, i) => i).find((i) => !taken.has(i));
    if (slot === undefined) throw new RangeError(`Cannot begin another move: ${places} are under way`);
    await this.#change(map, () => writeMove(board, slot, move));
  }

  async hold(id: string): Promise<{ held: number; drained: boolean }> {
    const map = this.#map(), { board } = map, { slot, holdOrder } = this.#move(board, id);
    if (this.#view(board, slot).state !== "holding") {
      await this.#change(map, () => {
        writePhase(board, slot, "hold");
        board.setNumber("steer.move.hold_order", Math.max(1, (holdOrder + 1) >>> 0), slot);
      });
    }
    const over = () => this.#view(board, slot).state !== "holding";
    await this.#until(DRAIN_MS_MAX, () => over() || this.#view(board, slot).drained);
    const { heldAll, drained } = this.#view(board, slot);
    return { held: heldAll, drained: drained || over() };
  }

  #view(board: Board, slot: number): BoardView {
    const view = readMoveView(board, slot);
    if (view === null) throw new Error("the plane has not taken over the move");
    return view;
  }

  async reprocess(id: string, fields: SteeringRule["fields"], frames: number): Promise<number> {
    if (frames === 0) return 0;
    const map = this.#map(), { board } = map, { slot, againOrder } = this.#move(board, id);
    const order = Math.max(1, (againOrder + 1) >>> 0), bytes = encodeFields(fields);
    await this.#change(map, () => {
      board.setBytes(board.offset("steer.move.again_fields", slot), bytes);
      board.setNumber("steer.move.again_frames", frames, slot);
      board.setNumber("steer.move.again_order", order, slot);
    });
    const done = await this.#until(TAKE_MS_MAX, () => this.#view(board, slot).againDone === order);
    if (!done) throw new Error(`frames were not processed again within ${TAKE_MS_MAX} ms`);
    return this.#view(board, slot).againPlayed;
  }

  async route(id: string): Promise<boolean> {
    const map = this.#map(), { board } = map, { slot, phase } = this.#move(board, id);
    if (phase !== "route") await this.#change(map, () => writePhase(board, slot, "route"));
    // What was played into the destination may still come out; the hold's own limit ends that.
    const settled = () => !["noting", "holding"].includes(this.#view(board, slot).state);
    if (!await this.#until(TAKE_MS_MAX, settled)) throw new Error("the plane did not change the route");
    if (this.#view(board, slot).state === "routed") return true;
    await this.#change(map, () => writePhase(board, slot, "hold"));
    return false;
  }

  async cancel(id: string): Promise<void> {
    const map = this.#map(), { board } = map, move = readMove(board, id), rules = readRules(board);
    if (move === null && rules.every((rule) => rule.id !== id)) return;
    await this.#change(map, () => {
      if (move !== null) writePhase(board, move.slot, "cancel");
      writeSteerRules(board, rules.filter((rule) => rule.id !== id));
    });
  }

  async end(id: string): Promise<void> {
    const map = this.#map(), { board } = map, move = readMove(board, id);
    if (move === null) return this.#settle(map, id);
    const { slot, fields, destination: box } = move;
    if (this.#view(board, slot).state === "holding") await this.cancel(id);
    // Held frames are on their way, or the source still hands over what it had.
    await this.#until(END_MS_MAX, () => !this.#view(board, slot).busy);
    const routed = this.#view(board, slot).state === "routed", rules = readRules(board);
    const serving = PATH[board.number("live.path")] ?? null;
    const after = routed ? trimmed(withRule(rules, { id, fields, box }), serving) : rules;
    await this.#change(map, () => {
      writeSteerRules(board, after);
      writePhase(board, slot, "none");
    });
  }

  /** A rule that was added without a move: those that it covers go. */
  async #settle(map: Mapped, id: string): Promise<void> {
    const rules = readRules(map.board), rule = rules.find((one) => one.id === id);
    if (rule === undefined || !rules.some((one) => one.id !== id && holds(rule.fields, one.fields))) return;
    await this.#change(map, () => writeSteerRules(map.board, withRule(rules, rule)));
  }

  look(id: string): ReturnType<Steering["look"]> {
    const { board } = this.#map(), move = readMove(board, id);
    const view = move === null ? null : readMoveView(board, move.slot);
    if (view === null) return Promise.resolve(null);
    const hold = view.state === "holding" ? "intact" : view.state === "broken" ? "broken" : "none";
    return Promise.resolve({ routed: view.state === "routed", hold });
  }

  /** Those whose box died since lead nowhere, and are none. */
  rules(): Promise<readonly SteeringRule[]> {
    if (this.#options.map() === null) return Promise.resolve([]);
    const { board } = this.#options.map()!;
    const there = readRules(board).filter(({ over }) => !over).map(({ id, fields, box }) => ({
      id,
      fields,
      box,
    }));
    const routed = readMoves(board).filter(({ slot }) => readMoveView(board, slot)?.state === "routed");
    const fresh = routed.map(({ id, fields, destination: box }) => ({ id, fields, box }));
    return Promise.resolve([...there, ...fresh]);
  }

  async add(rule: SteeringRule): Promise<void> {
    const map = this.#map(), rules = readRules(map.board);
    if (rules.some(({ id }) => id === rule.id)) return;
    await this.#change(map, () => writeSteerRules(map.board, [...rules, rule]));
  }

  async remove(id: string): Promise<void> {
    const map = this.#map(), rules = readRules(map.board);
    if (rules.every((rule) => rule.id !== id)) return;
    await this.#change(map, () => writeSteerRules(map.board, rules.filter((rule) => rule.id !== id)));
  }
}
