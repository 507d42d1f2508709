/**
 * Control beside a simulated plane: takes events off the board, gives orders, judges failback, dies and returns.
 *
 * As appliance/node.ts does it, with the same parts: readEvents, judgePoint, writeOrder. What it has learnt by itself, chain
 * of paths included, is kept so that the oracle can ask whether control was told everything.
 */
import { writeCheck, writeOrder, writeSuppressed } from "../../appliance/board_command.ts";
import { readEvents, readPath } from "../../appliance/board_view.ts";
import { Flaps } from "../../appliance/failover/flaps.ts";
import type { DampingConfig } from "../../appliance/failover/damping.ts";
import type { GateSeen } from "../../appliance/failover/gate.ts";
import { LIGHT } from "../../filter/names.ts";
import {
  judgePoint,
  POINT_START,
  type PointConfig,
  type PointState,
} from "../../appliance/failover/point.ts";
import { type Box, BOXES, type EventView, type Path } from "../../appliance/view.ts";
import type { Board } from "../../filter/board.ts";
import type { Reflex } from "./reflex.ts";
import { MS, type Settings, Torn, tornBoard, writeSettings } from "./settings.ts";

const TICK_NS = 2 * MS;
const JUDGE_EVERY = 3;

export interface Order {
  readonly path: Path;
  readonly sequence: number;
  readonly by: "person" | "point";
  readonly force: boolean;
  /** The primary was suppressed when it was given. */
  readonly suppressed: boolean;
  /** The primary's match at that moment. */
  readonly match: GateSeen;
}

/** As the defaults, a second for an hour. */
const DAMPING: DampingConfig = { halfLifeS: 0.25, suppressAbove: 2000, reuseBelow: 750, suppressSMax: 1 };
/** It dies within its next so many words. */
const WORDS = 40;

/** What control can see of the world without the plane. */
export interface Sight {
  readonly boxes: number;
  /** Whether a box answers for itself; null: control has no checks of it. */
  readonly answers: (box: number) => boolean | null;
  /** What the match of the primary is. */
  readonly match: (nowNs: number) => GateSeen;
}

export class Control {
  readonly #reflex: Reflex;
  readonly #sight: Sight;
  /** What it would have everybody go by; not what stands on the board if it died while writing. */
  #settings: Settings;
  #flaps = new Flaps();
  readonly #journal: EventView[] = [];
  /** Words that it has still to write in its life; null: it lives on. */
  #lastWords: number | null = null;
  #torn = false;
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

  constructor(
    reflex: Reflex,
    { point, nowNs, sight, settings }: {
      point: PointConfig;
      nowNs: number;
      sight: Sight;
      settings: Settings;
    },
  ) {
    this.#reflex = reflex;
    this.#sight = sight;
    this.#settings = settings;
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
    this.#flaps = new Flaps();
    this.#flaps.note(this.#journal, DAMPING);
    this.#lastWords = null;
    this.#torn = true;
  }

  /** Let it die in the middle of whatever it writes next. */
  doom(words: number): void {
    this.#lastWords = words % WORDS;
  }

  /** Write what `write` writes; a doomed control gets no further than its last word. @returns whether it lives on */
  #write(nowNs: number, write: (board: Board) => void): boolean {
    const { board } = this.#reflex;
    if (this.#lastWords === null) {
      write(board);
      return true;
    }
    try {
      write(tornBoard(board, this.#lastWords));
    } catch (error) {
      if (!(error instanceof Torn)) throw error;
    }
    this.die(nowNs + 50 * MS);
    return false;
  }

  /** @returns whether all of it was written */
  change(settings: Settings, nowNs: number): boolean {
    this.#settings = settings;
    return this.#write(nowNs, (board) => writeSettings(board, settings));
  }

  /** One look, if its time has come. @returns whether it has written all settings anew, as a control does that starts */
  tick(nowNs: number): boolean {
    if (!this.alive(nowNs) || nowNs < this.#nextNs) return false;
    const anew = this.#torn;
    this.#nextNs = nowNs + TICK_NS;
    if (this.#torn) writeSettings(this.#reflex.board, this.#settings);
    this.#torn = false;
    this.#takeEvents();
    if (this.#tellBoxes(nowNs) && this.#ticks++ % JUDGE_EVERY === 0) this.#judge(nowNs);
    return anew;
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
    const inTime = { ...event, wallMs: event.monoUs / 1000 };
    this.#journal.push(inTime);
    this.#flaps.note([inTime], DAMPING);
  }

  /** What the checks say, and who is suppressed. */
  #tellBoxes(nowNs: number): boolean {
    const boxes = BOXES.slice(0, this.#sight.boxes);
    this.#flaps.look(DAMPING, nowNs / MS);
    return this.#write(nowNs, (board) => {
      writeSuppressed(board, boxes.map((box) => this.#flaps.suppressed(box)));
      boxes.forEach((_, i) => {
        const answers = this.#sight.answers(i);
        if (answers === null) return;
        writeCheck(board, i, { light: LIGHT.indexOf(answers ? "green" : "red"), detail: 0, monoNs: nowNs });
      });
    });
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
        suppressedUntilMs: this.#flaps.reuseAtMs("primary", DAMPING),
        match: this.#sight.match(nowNs),
        ordered: false, // the hardest case: what a person moved may be moved back
      },
      this.point,
      nowNs / MS,
    );
    this.#state = verdict.state;
    if (verdict.order !== null) this.#order(verdict.order, { by: "point", force: false });
  }

  /** Switchover or failback by a person. @returns whether an order was given */
  moveTo(box: Box, force: boolean): boolean {
    const board = this.#reflex.board;
    if (readPath(board) === box) return false;
    if (!force && board.number("box.alive", BOXES.indexOf(box)) !== 1) return false;
    return this.#order(box, { by: "person", force });
  }

  /** An order that only the board allows: past both boxes. */
  orderPast(path: "wire" | "block"): boolean {
    return this.#order(path, { by: "person", force: false });
  }

  /** One at a time: a second one waits, which here means that it is not given. */
  #order(path: Path, { by, force }: Pick<Order, "by" | "force">): boolean {
    const { board, publish } = this.#reflex;
    if (board.number("command.order_sequence") !== board.number("live.order_done")) return false;
    const suppressed = board.number("command.suppressed", 0) === 1;
    let sequence = 0;
    this.#write(this.#nextNs, (writable) => sequence = writeOrder(writable, publish, path, force));
    if (sequence === 0) return false; // it died before anybody could hear of it
    this.orders.push({
      path,
      sequence,
      by,
      force,
      suppressed,
      match: this.#sight.match(this.#nextNs - TICK_NS),
    });
    return true;
  }
}
