/**
 * The match of every standby, judged at each look of control, and told when it gets bad or well again. Pure but for what
 * it is given to tell with.
 */
import type { Board } from "../filter/board.ts";
import { BOX as BOXES } from "../filter/names.ts";
import { type Now, readPath } from "./board_view.ts";
import type { Config } from "./config.ts";
import { judgeMatch, MATCH_START, type MatchState } from "./failover/match.ts";
import { carried, compared, type MatchCounts, readMatch } from "./match_view.ts";
import { ownEvent } from "./node_views.ts";
import type { Box, EventView } from "./view.ts";

/** "150 with another binding, 6 dropped": of those that it would not carry on. */
function unlikeText({ different, followed, dropped }: MatchCounts): string {
  const parts = [
    ...(different > followed ? [`${different - followed} with another binding`] : []),
    ...(dropped > 0 ? [`${dropped} dropped`] : []),
  ];
  return parts.length === 0 ? "" : `: ${parts.join(", ")}`;
}

function matchEvent(
  box: Box,
  counts: MatchCounts,
  alarm: boolean,
  { boot, now }: { boot: bigint; now: Now },
): EventView {
  const known = compared(counts);
  const share = counts.share === null ? "" : ` ${(100 * counts.share).toFixed(1)} % of`;
  const text = alarm
    ? `${box} would carry on only${share} ${known} flows${unlikeText(counts)}`
    : counts.share === null
    ? `${box} has no flows to be compared by any more`
    : `${box} would carry on${share} ${known} flows again`;
  return {
    ...ownEvent({ kind: "plane", cause: alarm ? "unlike" : "alike", text, boot, now }),
    kind: "match",
    subject: box,
    before: alarm ? "alike" : "unlike",
    after: alarm ? "unlike" : "alike",
  };
}

export class MatchAlarms {
  readonly #states = new Map<Box, MatchState>();
  /** While they stood by. */
  readonly #last = new Map<Box, MatchCounts>();

  constructor(readonly tell: (event: EventView) => void) {}

  has(box: Box): boolean {
    return this.#states.get(box)?.alarm ?? false;
  }

  /** A switch with what was known of the box before it: how many flows it carries on. */
  withMatch(event: EventView): EventView {
    const box = BOXES.find((one) => one === event.after);
    const counts = event.kind === "switch" && box ? this.#last.get(box) : undefined;
    if (counts === undefined || counts.share === null) return event;
    const known = compared(counts);
    const unlike = unlikeText(counts);
    const translated = counts.followed > 0 ? `, ${counts.followed} of them translated` : "";
    return {
      ...event,
      text: `${event.text}; it carries on ${
        carried(counts)
      } of ${known} flows compared${translated}${unlike}`,
    };
  }

  look(board: Board, rules: Config["match"], now: Now): void {
    const path = readPath(board);
    BOXES.forEach((box, i) => {
      const stands = box !== path && board.number("box.member", i) === 1;
      const counts = readMatch(board, i);
      const known = compared(counts);
      const before = this.#states.get(box) ?? MATCH_START;
      const after = judgeMatch(
        before,
        stands ? { known, carried: carried(counts) } : null,
        rules,
        now.wallMs,
      );
      this.#states.set(box, after);
      if (stands) this.#last.set(box, counts);
      // A box that begins to serve is compared no more, which is no news of its own.
      if (after.alarm === before.alarm || !stands) return;
      this.tell(matchEvent(box, counts, after.alarm, { boot: board.big("header.boot"), now }));
    });
  }
}
