/**
 * The match of every standby, judged at each look of control, and told when it gets bad or well again. Pure but for what
 * it is given to tell with.
 */
import type { Board } from "../filter/board.ts";
import { BOX as BOXES } from "../filter/names.ts";
import { type Now, readPath } from "./board_view.ts";
import type { Config } from "./config.ts";
import {
  compared,
  judgeMatch,
  MATCH_START,
  type MatchState,
  unlikeText,
  wouldLive,
} from "./failover/match.ts";
import { type CountedMatch, readMatch } from "./match_view.ts";
import { ownEvent } from "./node_views.ts";
import type { Box, EventView } from "./view.ts";

const behindColon = (text: string) => text === "" ? "" : `: ${text}`;

function matchText(box: Box, counts: CountedMatch, alarm: boolean): string {
  const known = compared(counts);
  const share = counts.share === null ? "" : ` ${(100 * counts.share).toFixed(1)} % of`;
  if (alarm) return `${box} would carry on only${share} ${known} flows${behindColon(unlikeText(counts))}`;
  return counts.share === null
    ? `${box} has no flows to be compared by any more`
    : `${box} would carry on${share} ${known} flows again`;
}

/** An event about the match of a box. */
export function matchEvent(
  given: { box: Box; cause: EventView["cause"]; text: string; boot: bigint; now: Now },
): EventView {
  const { box, cause, text, boot, now } = given;
  return { ...ownEvent({ kind: "plane", cause, text, boot, now }), kind: "match", subject: box };
}

export class MatchAlarms {
  readonly #states = new Map<Box, MatchState>();
  /** While they stood by. */
  readonly #last = new Map<Box, CountedMatch>();

  constructor(readonly tell: (event: EventView) => void) {}

  has(box: Box): boolean {
    return this.#states.get(box)?.alarm ?? false;
  }

  /** What was known of the box that serves since a switch just before it; null: no box does. */
  before(board: Board, event: EventView): CountedMatch | null {
    const box = BOXES.find((one) => one === event.after);
    if (event.kind !== "switch" || box === undefined) return null;
    // The plane has counted on since the last look; those that have ended by now do not count in it.
    const last = this.#last.get(box), now = readMatch(board, BOXES.indexOf(box));
    return last !== undefined && compared(last) > compared(now) ? last : now;
  }

  /** A switch with that: how many flows the box carries on. */
  withMatch(board: Board, event: EventView): EventView {
    const counts = this.before(board, event);
    if (counts === null) return event;
    const known = compared(counts);
    if (known === 0) return event;
    const unlike = behindColon(unlikeText(counts));
    const translated = counts.followed > 0 ? `, ${counts.followed} of them translated` : "";
    const carried = `it carries on ${wouldLive(counts)} of ${known} flows compared${translated}${unlike}`;
    return { ...event, text: `${event.text}; ${carried}` };
  }

  /** Returns the boxes that stand by. */
  look(board: Board, rules: Config["match"], now: Now): Map<Box, CountedMatch> {
    const path = readPath(board), standing = new Map<Box, CountedMatch>();
    BOXES.forEach((box, i) => {
      const stands = box !== path && board.number("box.member", i) === 1;
      const counts = readMatch(board, i);
      const before = this.#states.get(box) ?? MATCH_START;
      const after = judgeMatch(before, stands ? counts : null, rules, now.wallMs);
      this.#states.set(box, after);
      if (stands) standing.set(box, counts), this.#last.set(box, counts);
      // A box that begins to serve is compared no more, which is no news of its own.
      if (after.alarm !== before.alarm && stands) {
        this.#tellAlarm(board, { box, counts, alarm: after.alarm, now });
      }
    });
    return standing;
  }

  #tellAlarm(
    board: Board,
    { box, counts, alarm, now }: { box: Box; counts: CountedMatch; alarm: boolean; now: Now },
  ): void {
    const cause = alarm ? "unlike" : "alike", text = matchText(box, counts, alarm);
    const event = matchEvent({ box, cause, text, boot: board.big("header.boot"), now });
    this.tell({ ...event, before: alarm ? "alike" : "unlike", after: cause });
  }
}
