/**
 * Duty: what each detector said of the box that traffic left, and what its word was worth: the votes of a switch.
 *
 * Pure. A detector tells when its light changes, so what it said last before the switch is what it said at the switch.
 */
import type { Config } from "../../appliance/config.ts";
import type { EventView } from "../../appliance/view.ts";
import { DETECTOR, LIGHT } from "../../filter/names.ts";
import { VOTERS } from "../../appliance/config_keys_votes.ts";
import { FixedLight } from "./parts.tsx";

export type Weights = Pick<Config["failover"]["votes"], "needed" | typeof VOTERS[number]>;

export interface Vote {
  readonly detector: typeof DETECTOR[number];
  readonly light: "green" | "yellow" | "red";
  /** Null: its word suffices by itself. */
  readonly votes: number | null;
}

/** Orders, returns and starts are nobody's vote. */
const JUDGED: ReadonlySet<string> = new Set<EventView["cause"]>(DETECTOR);

/** Those that had said something, in the order of detectors. `events`: oldest first. Empty: it was no detector's doing. */
export function votesOf(events: readonly EventView[], turn: EventView, weights: Weights | null): Vote[] {
  if (turn.kind !== "switch" || !JUDGED.has(turn.cause)) return [];
  const before = events.slice(0, events.indexOf(turn));
  return DETECTOR.flatMap((detector): Vote[] => {
    const said = before.findLast((one) =>
      one.kind === "detector" && one.boot === turn.boot && one.subject === turn.before &&
      one.cause === detector
    );
    // The cause itself moved the traffic, whether its own event was kept or not.
    const light = detector === turn.cause ? "red" : LIGHT.find((known) => known === said?.after) ?? "off";
    return light === "off" ? [] : [{ detector, light, votes: votesFor(detector, light, weights) }];
  });
}

function votesFor(detector: Vote["detector"], light: Vote["light"], weights: Weights | null): number | null {
  if (light !== "red") return 0;
  const voter = VOTERS.find((known) => known === detector);
  return voter === undefined ? null : weights?.[voter] ?? null;
}

const NOT_KNOWN = "its votes are not known";

function worth({ detector, light, votes }: Vote): string {
  if (light !== "red") return "no vote";
  if (votes !== null) return `${votes} ${votes === 1 ? "vote" : "votes"}`;
  return VOTERS.some((known) => known === detector) ? NOT_KNOWN : "suffices by itself";
}

export function Votes({ votes, weights }: { votes: readonly Vote[]; weights: Weights | null }) {
  const sum = votes.reduce((total, one) => total + (one.votes ?? 0), 0);
  const alone = votes.some((one) => one.light === "red" && worth(one) === "suffices by itself");
  return (
    <ul class="votes">
      {votes.map((one) => (
        <li>
          <FixedLight state={one.light} word={`${one.detector} ${one.light}`} />{" "}
          <span class="dim">{worth(one)}</span>
        </li>
      ))}
      {alone || weights === null ? null : (
        <li class="dim">
          {sum} of {weights.needed} needed, as the configuration counts now
        </li>
      )}
    </ul>
  );
}
