/**
 * Duty: the timeline: every switch with its cause, what was seen just before, how long it took and what it cost; and all
 * events, newest first.
 *
 * Pure. What led to a switch are the events of the same plane in the moments before it, so their distances are exact.
 */
import type { EventView, MatchProof } from "../../appliance/view.ts";
import { fatesOf, proofText } from "../../appliance/match_proofs.ts";
import { count, duration, wallTime } from "../paint.ts";
import { UNKNOWN } from "./live.ts";
import { Card, type Fact, Facts, FixedLight, Table } from "./parts.tsx";
import { type Vote, Votes, votesOf, type Weights } from "./votes.tsx";

/** Before a switch, so long is looked back for what led to it. */
const BEFORE_US = 2_000_000;
const EVIDENCE_MAX = 6;

export interface Turn {
  readonly event: EventView;
  /** Oldest first, with how long before the switch they were. */
  readonly evidence: readonly { readonly event: EventView; readonly beforeUs: number }[];
  readonly votes: readonly Vote[];
}

/** The switches among events, newest first, each with what led to it. `events`: oldest first. */
export function turnsOf(events: readonly EventView[], weights: Weights | null = null): Turn[] {
  return events.filter(({ kind }) => kind === "switch").map((event) => ({
    event,
    evidence: events.filter((one) =>
      one !== event && one.boot === event.boot && one.kind !== "switch" && one.monoUs <= event.monoUs &&
      event.monoUs - one.monoUs <= BEFORE_US
    ).slice(-EVIDENCE_MAX).map((one) => ({ event: one, beforeUs: event.monoUs - one.monoUs })),
    votes: votesOf(events, event, weights),
  })).reverse();
}

export interface EventsProps {
  /** Oldest first. */
  readonly events: readonly EventView[];
  readonly proof: MatchProof | null;
  /** Of the configuration; null: it cannot be read here. */
  readonly weights: Weights | null;
  readonly captures: boolean;
}

export function Events({ events, proof, weights, captures }: EventsProps) {
  const turns = turnsOf(events, weights);
  const columns = [{ head: "When (UTC)" }, { head: "Kind" }, { head: "Cause" }, { head: "What" }];
  const rows = events.toReversed().map((event) => [
    <time class="code">{wallTime(event.wallMs)}</time>,
    event.kind,
    event.cause,
    event.text,
  ]);
  return (
    <>
      <Card id="switches" title="Switches" note="Newest first." everyMs={3000} wide>
        {turns.length === 0
          ? <p class="empty">The traffic has not been moved so far.</p>
          : (
            <ol class="timeline">
              {turns.map((turn, index) => (
                <TurnItem turn={turn} newest={index === 0} {...{ proof, weights, captures }} />
              ))}
            </ol>
          )}
      </Card>
      <Card
        id="all-events"
        title="All events"
        note={`The last ${count(events.length)}, newest first.`}
        everyMs={3000}
        wide
      >
        <Table name="Events" columns={columns} rows={rows} empty="Nothing has happened so far." />
      </Card>
    </>
  );
}

interface TurnProps extends Omit<EventsProps, "events"> {
  readonly turn: Turn;
  readonly newest: boolean;
}

/** Nothing had died, so there was nothing to notice in time. */
const ORDERED: ReadonlySet<EventView["cause"]> = new Set(["order", "return", "start"]);

function TurnItem({ turn: { event, evidence, votes }, newest, proof, weights, captures }: TurnProps) {
  const proven = proof !== null && Math.abs(proof.atMs - event.wallMs) < 1000 ? proof : null;
  const cause = event.cause === "order" ? "by order" : event.cause;
  return (
    <li>
      <p class="when">
        <time>{wallTime(event.wallMs).slice(0, 23)}</time> UTC
      </p>
      <h3>
        {event.before || "start"} <span aria-label="to">→</span> {event.after}{" "}
        <span class="tag">{cause}</span>
      </h3>
      <p>{event.text}</p>
      <Facts
        rows={[
          ...(votes.length === 0 ? [] : [["Votes", <Votes votes={votes} weights={weights} />] as Fact]),
          ...(ORDERED.has(event.cause) || event.silentUs === null
            ? []
            : [["Time to switch", duration(event.silentUs / 1000)] as Fact]),
          ["Packets lost, at most", event.lostPackets === null ? UNKNOWN : count(event.lostPackets)],
          ["Flows", proven === null ? "not counted" : <Fate proof={proven} />],
        ]}
      />
      {evidence.length === 0 ? null : (
        <details open={newest}>
          <summary>What was seen before ({evidence.length})</summary>
          <ul class="evidence">
            {evidence.map(({ event: one, beforeUs }) => (
              <li>
                <span class="v before">{duration(beforeUs / 1000)} before</span>{" "}
                <span class="tag">{one.kind}</span> {one.text}
              </li>
            ))}
          </ul>
        </details>
      )}
      {captures ? <Downloads event={event} /> : null}
    </li>
  );
}

function Fate({ proof }: { proof: MatchProof }) {
  const { lost } = fatesOf(proof);
  return (
    <>
      <FixedLight state={lost === 0 ? "green" : "yellow"} word={`${count(lost)} lost`} /> {proofText(proof)}
    </>
  );
}

const AROUND_S = 30;

/** What the rings on disk hold of the seconds around it. */
function Downloads({ event }: { event: EventView }) {
  const span = `around_s=${AROUND_S}&at_ms=${Math.round(event.wallMs)}`;
  const words = `${AROUND_S} s before and after`;
  return (
    <p class="actions">
      <a
        class="button quiet"
        href={`/api/v1/capture/kept?${span}`}
        download={`switch-${event.sequence}.pcapng`}
      >
        Copied frames, {words}
      </a>
      <a
        class="button quiet"
        href={`/api/v1/recorder/saved?${span}`}
        download={`decisions-${event.sequence}.pcapng`}
      >
        Decisions, {words}
      </a>
    </p>
  );
}
