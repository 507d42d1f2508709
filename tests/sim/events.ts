/**
 * Events as they stand on the board, and as people read them in a log of the simulation.
 */
import type { Board } from "../../filter/board.ts";
import { BOX, CAUSE, type Cause, EVENT_KIND, type EventKind, LIGHT, PATH } from "../../filter/names.ts";

export interface SeenEvent {
  readonly kind: EventKind;
  readonly cause: Cause;
  readonly before: number;
  readonly after: number;
  readonly subject: number;
  readonly order: number;
}

/** The events above a sequence number, as they stand on the board. */
export function eventsSince(board: Board, after: number): SeenEvent[] {
  const last = board.number("live.event_sequence");
  const size = board.count("event.sequence");
  const seen: SeenEvent[] = [];
  for (let sequence = after + 1; sequence <= last; sequence++) {
    const field = (name: string) => board.number(`event.${name}`, sequence % size);
    seen.push({
      kind: EVENT_KIND[field("kind")]!,
      cause: CAUSE[field("cause")]!,
      before: field("before"),
      after: field("after"),
      subject: field("subject"),
      order: field("order"),
    });
  }
  return seen;
}

export function nameEvent(event: SeenEvent): string {
  if (event.kind === "switch") {
    const order = event.order === 0 ? "" : ` ${event.order}`;
    return `switch ${PATH[event.before]} -> ${PATH[event.after]} (${event.cause}${order})`;
  }
  if (event.kind === "box") {
    return `${BOX[event.subject]} ${event.after ? "alive" : "dead"} (${event.cause})`;
  }
  if (event.kind === "member") return `${BOX[event.subject]} ${event.after ? "joined" : "left"}`;
  if (event.kind === "detector") return `${event.cause} of ${BOX[event.subject]}: ${LIGHT[event.after]}`;
  return event.kind;
}
