/** The first page: one word, what a failover would keep, the drawing, the last minutes, the ports. Pure. */
import { type Child } from "hono/jsx";
import type { EventView, MatchMinute, MatchReport, NodeStatus } from "../../appliance/view.ts";
import { compared, wouldLive } from "../../appliance/failover/match.ts";
import { count, duration, percent, wallTime } from "../paint.ts";
import { shortSpec } from "../text_channels.ts";
import { Drawing } from "./drawing.tsx";
import type { Sample } from "./hub.ts";
import type { LiveValues } from "./live.ts";
import { Card, type Fact, Facts, FixedLight, Offer, Table, Value } from "./parts.tsx";
import type { Visitor } from "../session.ts";

export interface OverviewProps {
  readonly status: NodeStatus;
  readonly values: LiveValues;
  readonly match: MatchReport;
  readonly samples: readonly Sample[];
  readonly visitor: Visitor;
  readonly nowMs: number;
}

export function Overview(props: OverviewProps) {
  const { status, values, visitor } = props;
  return (
    <>
      <div class="hero" id="hero" data-part="0">
        <section class="word" aria-label="State" data-s="state" data-state={values.state}>
          <p class="big" role="status">
            <Value of={values} name="state.word" class="t" />
          </p>
          <p class="reason">
            <Value of={values} name="state.reason" class="t" />
          </p>
          <p class="note">
            {status.learning === undefined ? null : <Learnt learning={status.learning} nowMs={props.nowMs} />}
            Serving: <Value of={values} name="serving" class="strong" />, for{" "}
            <Value of={values} name="path.since" />. Plane: <Value of={values} name="fresh.text" class="t" />.
          </p>
          {status.learning === undefined ? null : (
            <p class="actions">
              <Offer visitor={visitor} action="arm" />
            </p>
          )}
        </section>
        <section class="take" aria-label="If I failed over now">
          <h2>If I failed over now</h2>
          <p class="big-number" data-s="take.state" data-state={values["take.state"]}>
            <Value of={values} name="take.number" />
          </p>
          <p>
            <Value of={values} name="take.of" class="t" />
          </p>
          <p class="note">
            <Value of={values} name="take.more" class="t" />
          </p>
          <p class="actions">
            {status.plane.state === "running"
              ? <Offer visitor={visitor} action={status.path === "primary" ? "switchover" : "failback"} />
              : null}
          </p>
        </section>
      </div>
      <Card id="map" title="Traffic" wide>
        {status.boxes.length === 0
          ? <p class="empty">There is no plane: nothing is forwarded.</p>
          : <Drawing status={status} values={values} />}
      </Card>
      <Plots {...props} />
      <Ports status={status} values={values} />
      <Card id="now" title="Now">
        <Facts rows={nowFacts(props)} />
      </Card>
      <Card id="last" title="Last" note="What happened, and how good the prediction was.">
        <Facts rows={lastFacts(props)} />
      </Card>
    </>
  );
}

function Learnt({ learning, nowMs }: { learning: NonNullable<NodeStatus["learning"]>; nowMs: number }) {
  const { sinceMs, times } = learning;
  const moves = times === 0 ? "never" : times === 1 ? "once" : `${count(times)} times`;
  return (
    <>
      Learning for {duration(Math.max(0, nowMs - sinceMs))}; armed, it would have moved the traffic{" "}
      {moves}.{" "}
    </>
  );
}

function Plots({ samples, match, nowMs }: OverviewProps) {
  const history = match.standbys.flatMap((standby) => standby.history);
  return (
    <>
      <Card
        id="traffic"
        title="Last five minutes"
        note="Bits per second at the outside ports, and copied to standbys."
      >
        <div class="plot" data-plot="traffic" data-points={JSON.stringify(samples)}></div>
        <p class="note" data-plot-words>{trafficWords(samples)}</p>
      </Card>
      <Card id="matched" title="Match" note="Share of live flows that a standby would carry on, by minute.">
        {history.length === 0
          ? null
          : <div class="plot" data-plot="match" data-points={JSON.stringify(matchPoints(history))}></div>}
        <p class="note">{matchWords(history, nowMs)}</p>
      </Card>
    </>
  );
}

function trafficWords(samples: readonly Sample[]): string {
  return samples.length === 0 ? "Drawn from now on while this page is open." : "";
}

/** Seconds since the epoch, percent at worst in that minute; null: too few flows. */
export function matchPoints(history: readonly MatchMinute[]): readonly (readonly [number, number | null])[] {
  return history.map(({ startMs, worst }) => [
    Math.round(startMs / 1000),
    worst === null || compared(worst) === 0
      ? null
      : Math.round(1000 * wouldLive(worst) / compared(worst)) / 10,
  ]);
}

function matchWords(history: readonly MatchMinute[], nowMs: number): string {
  const known = history.filter(({ worst }) => worst !== null && compared(worst) > 0);
  if (known.length === 0) return "No minute had enough flows to compare so far.";
  const share = ({ worst }: MatchMinute) => wouldLive(worst!) / compared(worst!);
  const worst = known.reduce((low, minute) => share(minute) < share(low) ? minute : low);
  const ago = duration(Math.max(0, nowMs - worst.startMs));
  return `At worst ${percent(share(worst))} of ${count(compared(worst.worst!))} flows, ${ago} ago.`;
}

function Ports({ status, values }: { status: NodeStatus; values: LiveValues }) {
  const columns = [
    { head: "Port" },
    { head: "Is" },
    { head: "Link" },
    ...["Received", "packets", "Sent", "packets", "Copies", "Lost"].map((head) => ({ head, number: true })),
  ];
  const rows = status.ports.map(({ role, spec, channel }) => {
    const at = `port.${role}`;
    const numbers = ["rx", "rxp", "tx", "txp", "copies", "lost"];
    return [
      role,
      <span class="code">{shortSpec(spec)}</span>,
      <>
        <span class="link-state" data-s={`${at}.link`} data-state={values[`${at}.link`]}>
          <Value of={values} name={`${at}.link`} class="t" />
        </span>
        {channel
          ? (
            <span class="note block">
              <Value of={values} name={`${at}.channel`} class="t" />
            </span>
          )
          : null}
      </>,
      ...numbers.map((name) => <Value of={values} name={`${at}.${name}`} />),
    ];
  });
  return (
    <Card
      id="ports"
      title="Ports"
      note="Rates are of the last second; copies and losses since the plane started."
      wide
    >
      <Table name="Ports" columns={columns} rows={rows} empty="There is no plane." />
    </Card>
  );
}

function nowFacts({ status, values }: OverviewProps): Fact[] {
  const value = (name: string): Child => <Value of={values} name={name} />;
  return [
    ["Path", <>{status.path}, for {value("path.since")}</>],
    ["Switches so far", value("switches")],
    [
      "Flows",
      <>
        {value("flows.up")} upstream, {value("flows.down")} downstream; {count(status.flows.slots)}{" "}
        places each
      </>,
    ],
    ["Copied to standbys", <>{value("mirror.packets")} of packets, {value("mirror.bytes")} of bytes</>],
    ["Plane", <>{value("plane.state")}, up {value("plane.up")}</>],
    ["Plane's load", <>{value("plane.cpu")} of a core, longest turn {value("plane.turn")}</>],
    ["Planes restarted", value("plane.restarts")],
    ...(status.failback === null ? [] : [["Failback", value("failback")] as const]),
    ...status.external.map(({ name, light, reason }): Fact => [
      `Switch ${name}`,
      <>
        <FixedLight state={light} /> {reason}
      </>,
    ]),
  ];
}

function lastFacts({ status, match, nowMs }: OverviewProps): Fact[] {
  const ago = (ms: number) => `${duration(Math.max(0, nowMs - ms))} ago`;
  const none = <span class="dim">none yet</span>;
  const { failover, drill } = match;
  const proof: Child = failover === null ? none : (
    <>
      Predicted {count(failover.predicted)} of {count(failover.known)} flows; carried on{" "}
      {count(carried(failover))}, {ago(failover.atMs)}
    </>
  );
  const proven: Child = drill === null ? none : (
    <>
      <FixedLight state={drill.ok ? "green" : "red"} word={drill.ok ? "good" : "failed"} /> {drill.box}:{" "}
      {drill.text}, {ago(drill.startedMs)}
    </>
  );
  return [
    ["Switch", status.lastSwitch === null ? none : <SwitchLine event={status.lastSwitch} />],
    ["Prediction", proof],
    ["Drill", proven],
  ];
}

function carried({ equal, different, dropped }: NonNullable<MatchReport["failover"]>): number {
  return equal.carried + different.carried + dropped.carried;
}

function SwitchLine({ event }: { event: EventView }) {
  return (
    <>
      {event.text} <span class="dim">({wallTime(event.wallMs).slice(0, 19)} UTC)</span>
    </>
  );
}
