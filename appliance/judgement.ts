/**
 * What control judges at each look, ten times a second: who has died too often, what the checks say, whether to go back.
 *
 * Pure but for the board it writes to: the time and everything that was seen are handed in.
 */
import type { Board } from "../filter/board.ts";
import { BOX as BOXES, LIGHT } from "../filter/names.ts";
import { writeCheck, writeSuppressed } from "./board_command.ts";
import { type Now, readPath } from "./board_view.ts";
import type { Checks } from "./checks.ts";
import type { Config } from "./config.ts";
import { checkDetail } from "./detector_view.ts";
import { Flaps } from "./failover/flaps.ts";
import {
  judgePoint,
  POINT_START,
  type PointConfig,
  type PointInput,
  pointOf,
  type PointState,
  type PointVerdict,
} from "./failover/point.ts";
import { MatchAlarms } from "./match_alarms.ts";
import { dampingEvent } from "./node_views.ts";
import type { EventView, Path } from "./view.ts";

export interface Seen {
  readonly config: Config["failover"];
  readonly match: Config["match"];
  readonly checks: ReturnType<Checks["boxes"]>;
  /** The traffic is where it is by an order, not by reflex. */
  readonly ordered: boolean;
  readonly now: Now;
}

/** One look of the point of failover, with all it went by. */
export interface Judged {
  readonly state: PointState;
  readonly input: PointInput;
  readonly config: PointConfig;
  readonly nowMs: number;
  readonly verdict: PointVerdict;
}

export interface JudgementTells {
  readonly event: (event: EventView) => void;
  /** A look that came to something else than the one before. */
  readonly judged?: (judged: Judged) => void;
}

export class Judgement {
  readonly flaps = new Flaps();
  readonly matches: MatchAlarms;
  readonly #tells: JudgementTells;
  #point: PointState = POINT_START;
  #told = "";

  constructor(tells: JudgementTells) {
    this.#tells = tells;
    this.matches = new MatchAlarms(tells.event);
  }

  /** @returns a path to order now; null: leave things as they are */
  look(board: Board, seen: Seen): Path | null {
    const { config, now } = seen;
    this.#damp(board, seen);
    tellChecks(board, seen);
    this.matches.look(board, seen.match, now);
    const alive = (i: number) => board.number("box.alive", i) === 1;
    const input: PointInput = {
      path: readPath(board),
      alive: { primary: alive(0), redundant: alive(1) },
      primaryDownNs: board.number("box.down_ns", 0),
      suppressedUntilMs: this.flaps.reuseAtMs("primary", config.damping),
      ordered: seen.ordered,
    };
    const state = this.#point, point = pointOf(config);
    const verdict = judgePoint(state, input, point, now.wallMs);
    this.#tellJudged({ state, input, config: point, nowMs: now.wallMs, verdict });
    this.#point = verdict.state;
    return verdict.order;
  }

  #tellJudged(judged: Judged): void {
    const { order, failbackAtMs } = judged.verdict;
    const said = `${order} ${failbackAtMs}`;
    if (said === this.#told) return;
    this.#told = said;
    this.#tells.judged?.(judged);
  }

  /** Suppression begins with a death and ends by itself: both are told. */
  #damp(board: Board, { config: { damping }, now }: Seen): void {
    const told = BOXES.map((_, i) => board.number("command.suppressed", i) === 1);
    this.flaps.look(damping, now.wallMs);
    const suppressed = BOXES.map((box) => this.flaps.suppressed(box));
    writeSuppressed(board, suppressed);
    suppressed.forEach((is, i) => {
      if (is === told[i]) return;
      const view = this.flaps.view(BOXES[i]!, damping);
      const boot = board.big("header.boot");
      this.#tells.event(dampingEvent({ box: BOXES[i]!, suppressed: is, view, boot, now }));
    });
  }
}

/** With each look, also where nothing has changed: what is not repeated goes stale, as it must when control is gone. */
function tellChecks(board: Board, { checks, now: { monoNs } }: Seen): void {
  BOXES.forEach((box, i) => {
    const { light, worst, fault } = checks.get(box) ?? { light: "off", worst: 0, fault: "none" };
    // A box that has no checks has nothing to repeat, but perhaps something to take back.
    if (!checks.has(box) && board.number("check.light", i) === 0) return;
    writeCheck(board, i, { light: LIGHT.indexOf(light), detail: checkDetail(worst, fault), monoNs });
  });
}
