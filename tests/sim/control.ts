/**
 * Control beside a simulated plane: takes events off the board, gives orders, judges failback, dies and returns.
 *
 * As appliance/node.ts does it, with the same parts: readEvents, judgePoint, writeOrder. What it has learnt by itself, chain
 * of paths included, is kept so that the oracle can ask whether control was told everything.
 */
import { writeOrder } from "../../appliance/board_command.ts";
import { readEvents, readPath } from "../../appliance/board_view.ts";
import {
  judgePoint,
  POINT_START,
  type PointConfig,
  type PointState,
} from "../../appliance/failover/point.ts";
import { type Box, BOXES, type EventView, type Path } from "../../appliance/view.ts";
import type { Reflex } from "./reflex.ts";
import { MS } from "./settings.ts";

const TICK_NS = 2 * MS;
const JUDGE_EVERY = 3;

export interface Order {
  readonly path: Path;
  readonly sequence: number;
  readonly by: "person" | "point";
}

export class Control {
  readonly #reflex: Reflex;
  readonly point: PointConfig;
  #state: PointState = POINT_START;
  #nextNs: number;
  #ticks = 0;
  #deadUntilNs = 0;
  /** Every event control has read, over all its lives. */
  read = 0;
  switchesRead = 0;
  lastSequence = 0;
  /** First thing that did not fit together; null: all did. */
  complaint: string | null = null;
  /** The orders it gave, the last one last. */
  orders: Order[] = [];

  constructor(reflex: Reflex, point: PointConfig, nowNs: number) {
    this.#reflex = reflex;
    this.point = point;
    this.#nextNs = nowNs;
  }

  alive(nowNs: number): boolean {
    return nowNs >= this.#deadUntilNs;
  }

  /** kill -9; what the next one knows is what stands on the board. */
  die(untilNs: number): void {
    this.#deadUntilNs = untilNs;
    this.#state = POINT_START;
  }

  /** One look, if its time has come. */
  tick(nowNs: number): void {
    if (!this.alive(nowNs) || nowNs < this.#nextNs) return;
    this.#nextNs = nowNs + TICK_NS;
    this.#takeEvents();
    if (this.#ticks++ % JUDGE_EVERY === 0) this.#judge(nowNs);
  }

  #takeEvents(): void {
    const board = this.#reflex.board;
    const read = board.number("live.event_read");
    if (board.number("live.event_sequence") === read) return;
    const events = readEvents(board, read);
    for (const event of events) this.#take(event);
    const last = events.at(-1);
    if (last !== undefined) board.setNumber("live.event_read", last.sequence);
  }

  #take(event: EventView): void {
    this.read++;
    if (event.sequence !== this.lastSequence + 1) {
      this.complaint ??= `event ${event.sequence} was read after event ${this.lastSequence}`;
    }
    this.lastSequence = event.sequence;
    if (event.kind === "switch") this.switchesRead++;
  }

  #judge(nowNs: number): void {
    const board = this.#reflex.board;
    const alive = (i: number) => board.number("box.alive", i) === 1;
    const verdict = judgePoint(
      this.#state,
      {
        path: readPath(board),
        alive: { primary: alive(0), redundant: alive(1) },
        primaryDownNs: board.number("box.down_ns", 0),
        suppressedUntilMs: null,
        ordered: false, // the hardest case: what a person moved may be moved back
      },
      this.point,
      nowNs / MS,
    );
    this.#state = verdict.state;
    if (verdict.order !== null) this.#order(verdict.order, "point");
  }

  /** Switchover or failback by a person. @returns whether an order was given */
  moveTo(box: Box, force: boolean): boolean {
    const board = this.#reflex.board;
    if (readPath(board) === box) return false;
    if (!force && board.number("box.alive", BOXES.indexOf(box)) !== 1) return false;
    return this.#order(box, "person");
  }

  /** An order that only the board allows: past both boxes. */
  orderPast(path: "wire" | "block"): boolean {
    return this.#order(path, "person");
  }

  /** One at a time: a second one waits, which here means that it is not given. */
  #order(path: Path, by: Order["by"]): boolean {
    const board = this.#reflex.board;
    if (board.number("command.order_sequence") !== board.number("live.order_done")) return false;
    this.orders.push({ path, sequence: writeOrder(board, this.#reflex.publish, path), by });
    return true;
  }
}
