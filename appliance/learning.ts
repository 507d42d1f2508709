/**
 * Whether this node is armed or learns: kept on disk, obeyed by the plane, told to people.
 *
 * An edge: one small file, replaced as a whole. The plane reads it when it starts, so that neither its restart nor the
 * machine's arms a node. A file that cannot be read counts as none: the configuration says how a node begins.
 */
import type { Board } from "../filter/board.ts";
import { CAUSE } from "../filter/names.ts";
import { reasonOf } from "../drivers/reason.ts";
import { type Now, readPath } from "./board_view.ts";
import type { Config } from "./config.ts";
import {
  judgeLearning,
  LEARNING_START,
  type LearningState,
  learningText,
  type LearningVerdict,
  type LearningView,
} from "./failover/learning.ts";
import { ownEvent } from "./node_views.ts";
import { modePath } from "./paths.ts";
import { type EventView, type NodeStatus, type OrderResult, type Path, PATHS } from "./view.ts";

export interface Mode {
  readonly learning: boolean;
  /** Null: since the node began. */
  readonly sinceMs: number | null;
}

export function readMode(config: Pick<Config, "node" | "failover">): Mode {
  try {
    const { learning, sinceMs } = JSON.parse(Deno.readTextFileSync(modePath(config as Config)));
    if (typeof learning === "boolean" && typeof sinceMs === "number") return { learning, sinceMs };
  } catch {
    // None yet, or none that can be read.
  }
  return { learning: config.failover.learningFirst, sinceMs: null };
}

/** @throws Error with one sentence; what was kept before is kept */
function writeMode(config: Config, mode: Mode): void {
  const path = modePath(config);
  try {
    Deno.writeTextFileSync(`${path}.new`, `${JSON.stringify(mode)}\n`, { mode: 0o640 });
    Deno.renameSync(`${path}.new`, path);
  } catch (cause) {
    throw new Error(`Cannot write ${path}: ${reasonOf(cause)}`, { cause });
  }
}

export interface LearningMeans {
  readonly config: () => Config;
  readonly board: () => Board | null;
  readonly tell: (event: EventView) => void;
  readonly now: () => Now;
  /** Have the plane obey. */
  readonly command: (learning: boolean) => void;
}

export class Learning {
  readonly #means: LearningMeans;
  #mode: Mode;
  #state: LearningState = LEARNING_START;
  readonly #beganMs: number;

  constructor(means: LearningMeans) {
    this.#means = means;
    this.#mode = readMode(means.config());
    this.#beganMs = means.now().wallMs;
  }

  get on(): boolean {
    return this.#mode.learning;
  }

  /** A configuration that has come anew says how a node that nobody armed begins. */
  configure(): void {
    if (this.#mode.sinceMs === null) this.#mode = readMode(this.#means.config());
  }

  /** A node that learns is never green: nothing would carry the traffic on. */
  shown(status: NodeStatus): NodeStatus {
    if (!this.on) return status;
    const { would, times } = this.#state;
    const learning: LearningView = { sinceMs: this.#mode.sinceMs ?? this.#beganMs, would, times };
    if (status.light !== "green") return { ...status, learning };
    return { ...status, learning, light: "yellow", reason: learningText(learning) };
  }

  /** What is left to carry out of an order of the point of failover. */
  look(board: Board, order: Path | null): Path | null {
    const path = readPath(board), now = this.#means.now();
    const verdict = judgeLearning(this.#state, {
      learning: this.on,
      path,
      reflex: wouldOf(board, path),
      order,
    }, now.wallMs);
    this.#state = verdict.state;
    if (verdict.told !== null) this.#means.tell(wouldEvent(verdict.told, path, board, now));
    return verdict.order;
  }

  arm(force: boolean): OrderResult {
    const board = this.#means.board(), path = board === null ? "block" : readPath(board);
    const said = (ok: boolean, text: string): OrderResult => ({ ok, path, text, tookUs: null });
    if (!this.on) return said(true, "the node is armed already");
    const would = board === null ? null : wouldOf(board, path);
    if (!force && would !== null && would.path !== path) {
      const why = `the traffic would move from ${path} to ${would.path} at once (${would.cause})`;
      return said(false, `${why}: look at the boxes first (--force arms anyway)`);
    }
    return said(true, this.#set(false, "the node is armed: it moves traffic by itself from now on"));
  }

  disarm(): OrderResult {
    const board = this.#means.board(), path = board === null ? "block" : readPath(board);
    if (this.on) return { ok: true, path, text: "the node learns already", tookUs: null };
    const alone = this.#means.config().switches.length > 0
      ? "; external switches go on by their own groups"
      : "";
    const text = `the node learns from now on: it judges, and moves nothing by itself${alone}`;
    return { ok: true, path, text: this.#set(true, text), tookUs: null };
  }

  /** @throws Error with one sentence; nothing has changed then */
  #set(learning: boolean, text: string): string {
    const { config, board, tell, now, command } = this.#means, at = now();
    const mode = { learning, sinceMs: at.wallMs };
    writeMode(config(), mode);
    this.#mode = mode;
    this.#state = LEARNING_START;
    command(learning);
    const boot = board()?.big("header.boot") ?? 0n;
    const event = ownEvent({ kind: "plane", cause: "order", text, boot, now: at });
    const [before, after] = learning ? ["armed", "learning"] : ["learning", "armed"];
    tell({ ...event, kind: "mode", subject: "node", before: before!, after: after! });
    return text;
  }
}

function wouldOf(board: Board, path: Path): { path: Path; cause: EventView["cause"] } {
  return {
    path: PATHS[board.number("live.would")] ?? path,
    cause: CAUSE[board.number("live.would_cause")] ?? "order",
  };
}

function wouldEvent(
  told: NonNullable<LearningVerdict["told"]>,
  path: Path,
  board: Board,
  now: Now,
): EventView {
  const text = told.over
    ? `learning: nothing would move the traffic from ${path} any more`
    : `learning: would have moved the traffic from ${path} to ${told.path} (${told.cause})`;
  const boot = board.big("header.boot");
  return {
    ...ownEvent({ kind: "plane", cause: told.cause, text, boot, now }),
    kind: "mode",
    subject: path,
    before: path,
    after: told.path,
  };
}
