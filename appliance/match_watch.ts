/**
 * All that control knows of matches: alarms, the history of each standby, the proof after a switch, and causes on demand.
 *
 * Looked at ten times a second. What is to outlive control goes to a file of its own, through `keep`.
 */
import type { Board } from "../filter/board.ts";
import { BOX as BOXES, COUNTER, ROLE, WHY } from "../filter/names.ts";
import { type Now, readPath } from "./board_view.ts";
import type { Config } from "./config.ts";
import { readDrift } from "./drift_view.ts";
import { likelyCauses } from "./failover/drift.ts";
import { MatchHistory, MINUTE_MS } from "./failover/match_history.ts";
import { MatchAlarms, matchEvent } from "./match_alarms.ts";
import { MatchProofs, proofText } from "./match_proofs.ts";
import { readMatch } from "./match_view.ts";
import type {
  Box,
  DrillSummary,
  EventView,
  MatchMinute,
  MatchProof,
  MatchReport,
  StandbyMatch,
} from "./view.ts";

/** Losses of copies count as a cause for so long. */
const LOST_MINUTES = 10;
const HOUR_MINUTES = 60, DAY_MINUTES = 1440;

/** A line of the file. */
export type Kept = { readonly minute: MatchMinute } | { readonly proof: MatchProof };

export interface MatchWatchOptions {
  readonly tell: (event: EventView) => void;
  /** Keep a line for the next control. @default nothing is kept */
  readonly keep?: (line: Kept) => void;
}

export interface ReportOptions {
  readonly history: boolean;
  readonly rules: Config["match"];
  readonly nowMs: number;
  /** The last one; null: there was none. */
  readonly drill: DrillSummary | null;
}

/** Copies of openings that did not go out, since the plane started. */
function readLostCopies(board: Board): number {
  const shed = (why: (typeof WHY)[number]) => board.number("shed.packets", WHY.indexOf(why));
  return shed("handshake") + shed("first") + board.number("counter.packets", COUNTER.indexOf("mirror_full"));
}

export class MatchWatch {
  readonly alarms: MatchAlarms;
  readonly #history = new MatchHistory();
  readonly #proofs = new MatchProofs();
  readonly #options: MatchWatchOptions;

  constructor(options: MatchWatchOptions) {
    this.#options = options;
    this.alarms = new MatchAlarms(options.tell);
  }

  /** Take in what an earlier control has kept. Lines of another kind are left out. */
  load(lines: readonly object[]): void {
    for (const line of lines) {
      if ("minute" in line) this.#history.keep(line.minute as MatchMinute);
      else if ("proof" in line) this.#proofs.keep(line.proof as MatchProof);
    }
  }

  /** An event of the plane; a switch is told with what was known before it, and begins a proof. */
  withMatch(board: Board, event: EventView): EventView {
    if (event.kind === "switch") {
      this.#proofs.begin(board, event, this.alarms.before(board, event)?.followed ?? 0);
    }
    return this.alarms.withMatch(board, event);
  }

  look(board: Board, rules: Config["match"], now: Now): void {
    const standing = this.alarms.look(board, rules, now), lostCopies = readLostCopies(board);
    for (const [box, counts] of standing) {
      const minute = this.#history.note({ box, counts, lostCopies }, rules.flowsMin, now.wallMs);
      if (minute !== null && minute.worst !== null) this.#options.keep?.({ minute });
    }
    const proof = this.#proofs.look(board, now);
    if (proof === null) return;
    this.#options.keep?.({ proof });
    const boot = board.big("header.boot"), text = `${proof.box}: ${proofText(proof)}`;
    this.#options.tell(matchEvent({ box: proof.box, cause: "proof", text, boot, now }));
  }

  #standby(board: Board, box: Box, { history, nowMs, drill }: ReportOptions): StandbyMatch {
    const i = BOXES.indexOf(box), counts = readMatch(board, i);
    const since = (minutes: number) => nowMs - minutes * MINUTE_MS;
    const lately = this.#history.minutes(box, since(LOST_MINUTES));
    const lostCopies = lately.reduce((sum, minute) => sum + minute.lostCopies, 0);
    const forgotMs = drill?.box === box ? drill.forgotMs : undefined;
    const seen = { flows: readDrift(board, i), unknown: counts.unknown, lostCopies };
    return {
      box,
      now: { ...counts, alarm: this.alarms.has(box) },
      worstHour: this.#history.worst(box, since(HOUR_MINUTES)),
      worstDay: this.#history.worst(box, since(DAY_MINUTES)),
      causes: likelyCauses({ ...seen, ...(forgotMs !== undefined && { forgotMs }) }),
      history: history ? this.#history.minutes(box) : [],
    };
  }

  /** Everything; `board` null: there is no plane. */
  report(
    board: Board | null,
    given: ReportOptions,
  ): Omit<MatchReport, "drill" | "failback"> {
    const path = board === null ? null : readPath(board);
    const stands = (box: Box, i: number) =>
      board !== null && box !== path && board.number("box.member", i) === 1 &&
      board.text("port.driver", ROLE.indexOf(`${box}-in`)) !== "";
    return {
      standbys: board === null ? [] : BOXES.filter(stands).map((box) => this.#standby(board, box, given)),
      alarmBelow: given.rules.alarmBelow,
      failover: this.#proofs.last,
    };
  }
}
