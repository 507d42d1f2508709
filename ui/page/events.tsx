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
import { Card, Facts, FixedLight, Table } from "./parts.tsx";

/** Before a switch, so long is looked back for what led to it. */
const BEFORE_US = 2_000_000;
const EVIDENCE_MAX = 6;

export interface Turn {
  readonly event: EventView;
  /** Oldest first, with how long before the switch they were. */
  readonly evidence: readonly { readonly event: EventView; readonly beforeUs: number }[];
}

/** The switches among events, newest first, each with what led to it. `events`: oldest first. */
export function turnsOf(events: readonly EventView[]): Turn[] {
  return events.filter(({ kind }) => kind === "switch").map((event) => ({
    event,
    evidence: events.filter((one) =>
      one !== event && one.boot === event.boot && one.kind !== "switch" && one.monoUs <= event.monoUs &&
      event.monoUs - one.monoUs <= BEFORE_US
    ).slice(-EVIDENCE_MAX).map((one) => ({ event: one, beforeUs: event.monoUs - one.monoUs })),
  })).reverse();
}

export interface EventsProps {
  /** Oldest first. */
  readonly events: readonly EventView[];
  readonly proof: MatchProof | null;
  readonly nowMs: number;
  readonly captures: boolean;
}

export function Events({ events, proof, nowMs, captures }: EventsProps) {
  const turns = turnsOf(events);
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
                <TurnItem turn={turn} newest={index === 0} {...{ proof, nowMs, captures }} />
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

function TurnItem({ turn: { event, evidence }, newest, proof, nowMs, captures }: TurnProps) {
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
          ["Time to switch", event.silentUs === null ? UNKNOWN : duration(event.silentUs / 1000)],
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
      {captures ? <Downloads event={event} newest={newest} nowMs={nowMs} /> : null}
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

/** Around the last switch exactly; of an older one, from shortly before it until now. */
function Downloads({ event, newest, nowMs }: { event: EventView; newest: boolean; nowMs: number }) {
  const lastS = Math.ceil(Math.max(0, nowMs - event.wallMs) / 1000) + AROUND_S;
  const span = newest ? `around_s=${AROUND_S}` : `last_s=${lastS}`;
  const words = newest ? `${AROUND_S} s before and after` : `from ${AROUND_S} s before until now`;
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
