/**
 * Orders to the plane: who serves, who is a member, which ports to open. One at a time, each answered or refused.
 *
 * The plane answers within a turn by writing a number back. What is refused here is refused in a sentence that says
 * what would help.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { MappedBoard } from "../filter/dpdk.ts";
import {
  writeFurtherPorts,
  writeLeftBoxes,
  writeOrder,
  writePorts,
  writeResync,
  writeResyncStop,
} from "./board_command.ts";
import { readPath } from "./board_view.ts";
import type { BoxConfig, Config } from "./config.ts";
import { lossOf } from "./failover/match.ts";
import { type Members, readMembers, writeMembers } from "./members.ts";
import { rankedBoxes } from "./preference.ts";
import { type Box, BOXES, type BoxView, type NodeStatus, type OrderResult, type Path } from "./view.ts";

const ORDER_MS_MAX = 2000;
/** Opening a port waits for the kernel. */
const OPEN_MS_MAX = 10_000;

/** `forced`: to a box that may be dead as well; `relief`: for work on another box, and not for good. */
export type OrderKind = "planned" | "forced" | "relief";

export interface OrderMeans {
  /** The board of the living plane; null: there is none. */
  readonly map: () => MappedBoard | null;
  readonly config: () => Config;
  readonly status: () => NodeStatus;
  readonly monoNs: () => bigint;
  /** Have the external switches move as well; why one of them does not, or null. */
  readonly external: (box: Box, how: OrderKind) => string | null;
  /** Have the external switches do without these boxes. */
  readonly left: (boxes: readonly Box[]) => void;
  /** The node learns: nothing is moved but by force. */
  readonly learning: () => boolean;
}

/** The box that people mean by a word: its name by its place, or the one the configuration gives it. */
export function namedBox(boxes: readonly BoxConfig[], word: string): Box | null {
  return boxes.find(({ box, name }) => box === word || name === word)?.box ?? null;
}

/** Where a switchover that names no box leads: of the spares the first by rank that is green, else the first. */
export function chooseSpare(views: readonly BoxView[], boxes: readonly BoxConfig[]): Box {
  const spares = boxes.filter(({ box }) => box !== "primary").toSorted((a, b) => a.rank - b.rank);
  const green = spares.find(({ box }) => views.some((view) => view.box === box && view.light === "green"));
  return (green ?? spares[0])?.box ?? "redundant";
}

/** Of the boxes that stand by the first by rank that is green, else the first. */
function chooseStandby(views: readonly BoxView[], others: readonly BoxConfig[]): Box | null {
  const spares = others.toSorted((a, b) => a.rank - b.rank);
  const green = spares.find(({ box }) => views.some((view) => view.box === box && view.light === "green"));
  return (green ?? spares[0])?.box ?? null;
}

/** Who relieves a box that is to be worked on: the first by rank of the others that are members and green; null: none. */
export function reliefFor(box: Box, views: readonly BoxView[], boxes: readonly BoxConfig[]): Box | null {
  const fit = (one: Box) => views.some((view) => view.box === one && view.member && view.light === "green");
  const others = boxes.filter((one) => one.box !== box).toSorted((a, b) => a.rank - b.rank);
  return others.find((one) => fit(one.box))?.box ?? null;
}

export class Orders {
  readonly #means: OrderMeans;
  #last: Promise<unknown> = Promise.resolve();
  #members: Members | null = null;

  constructor(means: OrderMeans) {
    this.#means = means;
  }

  /** The last order moved the traffic for work on a box, and not for good. */
  get relieved(): boolean {
    return this.#kept().relieved;
  }

  #kept(): Members {
    return this.#members ??= readMembers(this.#means.config());
  }

  #keep(change: Partial<Members>): void {
    const members = { ...this.#kept(), ...change };
    writeMembers(this.#means.config(), members);
    this.#members = members;
  }

  /** Move the traffic to a box, by a person's word and for good; null: to the spare that comes first. */
  async moveTo(word: string | null, force: boolean): Promise<OrderResult> {
    const result = await this.#moveTo(word, force ? "forced" : "planned");
    if (result.ok && this.relieved) this.#keep({ relieved: false });
    return result;
  }

  #moveTo(word: string | null, how: OrderKind): Promise<OrderResult> {
    const force = how === "forced";
    const board = this.#means.map()?.board;
    if (board === undefined) return Promise.resolve(refuse("block", "there is no plane"));
    const path = readPath(board), { boxes } = this.#means.config(), views = this.#means.status().boxes;
    const box = word === null ? this.#spare(path, views) : namedBox(boxes, word);
    if (box === null) return Promise.resolve(refuse(path, noBox(boxes, word)));
    const view = views.find((one) => one.box === box);
    if (path !== box && !force && this.#means.learning()) {
      return Promise.resolve(
        refuse(path, "the node learns and moves nothing: `remediate arm` first (--force moves anyway)"),
      );
    }
    if (path !== box && !force && view !== undefined && board.number("box.alive", BOXES.indexOf(box)) !== 1) {
      return Promise.resolve(
        refuse(path, `the ${box} is not known to be alive: ${view.reason} (--force moves anyway)`),
      );
    }
    const loss = lossOf(path === box ? null : view?.match ?? null, this.#means.config().match);
    if (loss.tooMany && !force) {
      return Promise.resolve(refuse(path, `the ${box} would ${loss.text} (--force moves anyway)`));
    }
    const unmoved = this.#means.external(box, how);
    if (unmoved !== null) return Promise.resolve(refuse(path, `${unmoved} (--force moves anyway)`));
    if (path === box) {
      return Promise.resolve({ ok: true, path, text: `the ${box} serves already`, tookUs: null });
    }
    return this.#moveWith(loss.text, box, force);
  }

  /** What is lost by it is told with the result. */
  async #moveWith(loss: string, box: Box, force: boolean): Promise<OrderResult> {
    const result = await this.order(box, force);
    return result.ok && loss !== "" ? { ...result, text: `${result.text}; expected to ${loss}` } : result;
  }

  #spare(path: Path, views: readonly BoxView[]): Box {
    const serving = BOXES.find((box) => box === path);
    return serving !== undefined && serving !== "primary" ? serving : chooseSpare(views, this.#ranked());
  }

  /** As the plane ranks them now. */
  #ranked(): BoxConfig[] {
    const { boxes } = this.#means.config(), board = this.#means.map()?.board;
    return board === undefined ? [...boxes] : rankedBoxes(board, boxes);
  }

  /** One order at a time; the plane answers within a turn. `force` overrules the detectors that are red by then. */
  order(path: Path, force = false): Promise<OrderResult> {
    return this.#next(() => this.#carryOut(path, force));
  }

  #next<T>(run: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(run);
    this.#last = mine.catch(() => {});
    return mine;
  }

  async #carryOut(path: Path, force: boolean): Promise<OrderResult> {
    const map = this.#means.map();
    if (map === null) return refuse("block", "there is no plane");
    const startNs = Number(this.#means.monoNs());
    const sequence = writeOrder(map.board, map.publish, path, force);
    if (!await this.answers("live.order_done", sequence)) {
      return refuse(readPath(map.board), "the plane did not carry out the order in time");
    }
    const now = readPath(map.board);
    // Its own stamp, not the time until we looked.
    const tookUs = Math.max(0, (map.board.number("live.path_since_ns") - startNs) / 1000);
    if (now !== path) return refuse(now, `the plane moved on to ${now} at once: the ${path} is not alive`);
    return { ok: true, path: now, text: `traffic goes by the ${now} box`, tookUs };
  }

  /** Wait until the plane has written a number back. False: not in time. */
  async answers(field: string, number: number, msMax = ORDER_MS_MAX, index = 0): Promise<boolean> {
    const until = Date.now() + msMax;
    for (;;) {
      const map = this.#means.map();
      if (map === null || map.board.number(field, index) === number) return true;
      if (Date.now() > until) return false;
      await delay(1);
    }
  }

  /** Have a box out of the way for work on it, or back: traffic that it serves moves first, hitless, to the best other. */
  async maintain(word: string, on: boolean): Promise<OrderResult> {
    const { boxes } = this.#means.config(), board = this.#means.map()?.board;
    const box = namedBox(boxes, word);
    if (!on || board === undefined || box === null || readPath(board) !== box) return this.member(word, !on);
    const relief = reliefFor(box, this.#means.status().boxes, this.#ranked());
    if (relief === null) {
      return refuse(box, `the ${box} serves, and no other box is alive and warm to relieve it`);
    }
    const isForGood = this.#means.status().lastSwitch?.cause === "order" && !this.relieved;
    const moved = await this.#moveTo(relief, "relief");
    if (!moved.ok) {
      return { ...moved, text: `${moved.text}, by \`remediate switchover ${relief} --force\`` };
    }
    const left = await this.member(word, false);
    // Only now: the primary has left, and may not be gone back to at once.
    if (left.ok) this.#keep({ relieved: box === "primary" || !isForGood });
    return { ...left, text: `${moved.text}; ${left.text}`, tookUs: moved.tookUs };
  }

  /** Seed all live connections into a box, or stop that; null: into the spare that comes first. */
  resync(word: string | null, stop: boolean): Promise<OrderResult> {
    return this.#next(() => this.#resync(word, stop));
  }

  async #resync(word: string | null, stop: boolean): Promise<OrderResult> {
    const board = this.#means.map()?.board, { boxes } = this.#means.config();
    if (board === undefined) return refuse("block", "there is no plane");
    const path = readPath(board), views = this.#means.status().boxes;
    const others = this.#ranked().filter((one) => one.box !== path);
    const box = word === null ? chooseStandby(views, others) : namedBox(boxes, word);
    if (box === null) return refuse(path, noBox(boxes, word));
    const i = BOXES.indexOf(box), view = views.find((one) => one.box === box);
    if (stop) {
      if (board.number("resync.running", i) === 0) return refuse(path, `no resync of the ${box} goes on`);
      writeResyncStop(board, i);
      return { ok: true, path, text: `the resync of the ${box} ends`, tookUs: null };
    }
    if (!view?.member) return refuse(path, `the ${box} has left: let it join first`);
    if (board.number("box.alive", i) !== 1) return refuse(path, `the ${box} is not alive: ${view.reason}`);
    const order = writeResync(board, i);
    if (!await this.answers("resync.order", order, ORDER_MS_MAX, i)) {
      return refuse(path, "the plane did not begin in time");
    }
    return { ok: true, path, text: `all live flows are seeded into the ${box} box`, tookUs: null };
  }

  /** Let a box join or leave, for good. */
  member(word: string, joins: boolean): Promise<OrderResult> {
    return this.#next(() => this.#changeMember(word, joins));
  }

  async #changeMember(word: string, joins: boolean): Promise<OrderResult> {
    const { boxes, failover } = this.#means.config();
    const board = this.#means.map()?.board;
    if (board === undefined) return refuse("block", "there is no plane");
    const path = readPath(board), box = namedBox(boxes, word);
    const result = (ok: boolean, text: string): OrderResult => ({ ok, path, text, tookUs: null });
    if (box === null) return refuse(path, noBox(boxes, word));
    const { left } = this.#kept();
    if (left.includes(box) !== joins) {
      return result(true, `the ${box} has ${joins ? "joined" : "left"} already`);
    }
    if (!joins && path === box) {
      return refuse(
        path,
        `the ${box} serves: move the traffic first, with \`remediate switchover\` or \`failback\``,
      );
    }
    const fresh = joins ? left.filter((one) => one !== box) : [...left, box];
    this.#keep({ left: fresh });
    writeLeftBoxes(board, fresh);
    this.#means.left(fresh);
    if (!await this.answers("box.member", joins ? 1 : 0, ORDER_MS_MAX, BOXES.indexOf(box))) {
      return refuse(path, "the plane did not take it over in time");
    }
    const warm = failover.holdUpMs / 1000;
    return result(
      true,
      joins
        ? `the ${box} joined: it gets copies, and takes over when it has been there for ${warm} s`
        : `the ${box} left: it gets no copies and does not take over`,
    );
  }

  /** Have the plane open the ports of further boxes. Null: they are open; else why not. */
  async openPorts(before: Config, after: Config): Promise<string | null> {
    const map = this.#means.map();
    if (map === null) return "there is no plane";
    const sequence = writeFurtherPorts(map.board, map.publish, after.ports);
    const done = await this.answers("live.open_done", sequence, OPEN_MS_MAX);
    if (done && map.board.number("live.open_failed") === 0) return null;
    writePorts(map.board, before.ports);
    return done ? map.board.text("header.error") : "the plane did not open the ports in time";
  }
}

function noBox(boxes: readonly BoxConfig[], word: string | null): string {
  const names = boxes.map(({ box, name }) => box === name ? box : `${box} (${name})`);
  return `there is no box "${word}": there are ${names.join(", ")}`;
}

function refuse(path: Path, text: string): OrderResult {
  return { ok: false, path, text, tookUs: null };
}
