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
import { gateOf, waitText } from "./failover/gate.ts";
import { compared, wouldLive } from "./failover/match.ts";
import {
  judgePoint,
  POINT_START,
  type PointConfig,
  type PointInput,
  pointOf,
  type PointState,
  type PointVerdict,
} from "./failover/point.ts";
import { matchEvent } from "./match_alarms.ts";
import { readMatch } from "./match_view.ts";
import { MatchWatch, type MatchWatchOptions } from "./match_watch.ts";
import { dampingEvent } from "./node_views.ts";
import { Preference } from "./preference.ts";
import { Resyncs } from "./resyncs.ts";
import type { EventView, FailbackView, Path } from "./view.ts";

export interface Seen {
  readonly config: Pick<Config, "boxes" | "failover" | "match" | "restore" | "seed">;
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

export interface JudgementOptions extends MatchWatchOptions {
  /** Told of a look that came to something else than the one before. */
  readonly judged?: (judged: Judged) => void;
}

export class Judgement {
  readonly flaps = new Flaps();
  readonly matches: MatchWatch;
  readonly #resyncs: Resyncs;
  readonly #preference: Preference;
  readonly #tell: (event: EventView) => void;
  readonly #judged: JudgementOptions["judged"];
  /** What was told to the recorder last. */
  #said = "";
  #point: PointState = POINT_START;
  #failback: FailbackView | null = null;
  /** What was told of the gate last. */
  #gate: "open" | "waits" | "overdue" = "open";

  constructor(options: JudgementOptions) {
    this.#tell = options.tell;
    this.#judged = options.judged;
    this.matches = new MatchWatch(options);
    this.#resyncs = new Resyncs(options.tell);
    this.#preference = new Preference(options.tell);
  }

  /** When traffic goes back by itself, and what that waits for. */
  get failback(): FailbackView | null {
    return this.#failback;
  }

  /** @returns a path to order now; null: leave things as they are */
  look(board: Board, seen: Seen): Path | null {
    const { config: { failover, match, restore, seed }, now } = seen;
    this.#damp(board, seen);
    tellChecks(board, seen);
    this.matches.look(board, match, now);
    this.#resyncs.look(board, seed, now);
    this.#preference.look(board, seen.config, now);
    const alive = (i: number) => board.number("box.alive", i) === 1;
    const counts = readMatch(board, BOXES.indexOf("primary"));
    const input: PointInput = {
      path: readPath(board),
      alive: { primary: alive(0), redundant: alive(1) },
      primaryDownNs: board.number("box.down_ns", 0),
      suppressedUntilMs: this.flaps.reuseAtMs("primary", failover.damping),
      ordered: seen.ordered,
      match: { known: compared(counts), live: wouldLive(counts), unknown: counts.unknown },
    };
    const state = this.#point, point = { ...pointOf(failover), gate: gateOf(restore, match) };
    const verdict = judgePoint(state, input, point, now.wallMs);
    this.#tellJudged({ state, input, config: point, nowMs: now.wallMs, verdict });
    this.#point = verdict.state;
    this.#failback = verdict.failback;
    this.#tellGate(board, verdict, now);
    return verdict.order;
  }

  /** That the way back is waited for is told once, and so is that it was for long. */
  #tellGate(board: Board, { failback, overdue }: PointVerdict, now: Now): void {
    const wait = failback?.wait ?? null;
    const gate = overdue ? "overdue" : wait === null ? "open" : "waits";
    const before = this.#gate;
    this.#gate = gate;
    if (gate === before || gate === "open") return;
    const text = gate === "waits"
      ? `failback waits: ${waitText(wait!)}`
      : wait === null
      ? "failback goes on although the primary would not carry on enough flows: the wait is over"
      : `failback has waited for long, and goes on waiting: ${waitText(wait)}`;
    const boot = board.big("header.boot");
    this.#tell(matchEvent({ box: "primary", cause: gate, text, boot, now }));
  }

  #tellJudged(judged: Judged): void {
    const { order, failback } = judged.verdict;
    const said = `${order} ${failback?.atMs ?? null} ${(failback?.wait ?? null) !== null}`;
    if (said === this.#said) return;
    this.#said = said;
    this.#judged?.(judged);
  }

  /** Suppression begins with a death and ends by itself: both are told. */
  #damp(board: Board, { config: { failover: { damping } }, now }: Seen): void {
    const told = BOXES.map((_, i) => board.number("command.suppressed", i) === 1);
    this.flaps.look(damping, now.wallMs);
    const suppressed = BOXES.map((box) => this.flaps.suppressed(box));
    writeSuppressed(board, suppressed);
    suppressed.forEach((is, i) => {
      if (is === told[i]) return;
      const view = this.flaps.view(BOXES[i]!, damping);
      const boot = board.big("header.boot");
      this.#tell(dampingEvent({ box: BOXES[i]!, suppressed: is, view, boot, now }));
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
