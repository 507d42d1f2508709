/** The page of the boxes: lights of every detector, match and its causes, probes, checks, and what can be done. Pure. */
import type {
  BoxView,
  CheckView,
  MatchReport,
  NodeStatus,
  ProbeListing,
  ProbeView,
} from "../../appliance/view.ts";
import type { BfdSessionView, TrafficView } from "../../appliance/view.ts";
import { count, duration, percent } from "../paint.ts";
import { ageText, type LiveValues, UNKNOWN } from "./live.ts";
import { Card, type Fact, Facts, FixedLight, Light, Offer, Table, Value } from "./parts.tsx";
import type { Visitor } from "../session.ts";

export interface BoxesProps {
  readonly status: NodeStatus;
  readonly values: LiveValues;
  readonly match: MatchReport;
  readonly probes: ProbeListing;
  readonly visitor: Visitor;
}

export function Boxes({ status, values, match, probes, visitor }: BoxesProps) {
  if (status.boxes.length === 0) {
    return <p class="empty">There is no plane, so nothing is known of the boxes.</p>;
  }
  return (
    <>
      {status.boxes.map((box) => <BoxCard box={box} {...{ status, values, match, visitor }} />)}
      <Card id="probes" title="Probes" note="Frames of the node's own through each box." everyMs={1000} wide>
        <ProbeTable probes={probes.probes} />
      </Card>
      <Card
        id="real"
        title="What traffic shows"
        note="Of the box that serves, in the last second, beside what was learnt of it."
        everyMs={1000}
        wide
      >
        <TrafficTable traffic={probes.traffic} />
      </Card>
      {status.bfd.sessions.length === 0 ? null : (
        <Card id="bfd" title="BFD sessions" everyMs={1000} wide>
          <BfdTable sessions={status.bfd.sessions} />
        </Card>
      )}
    </>
  );
}

interface BoxProps extends Omit<BoxesProps, "probes"> {
  readonly box: BoxView;
}

function BoxCard({ box, status, values, match, visitor }: BoxProps) {
  const at = `box.${box.box}`, called = box.name === box.box ? box.box : `${box.name} (${box.box})`;
  const checks = status.checks.filter((check) => check.box === box.box);
  const causes = match.standbys.find((standby) => standby.box === box.box)?.causes ?? [];
  return (
    <Card id={`box-${box.box}`} title={called}>
      <p class="box-line">
        <Light of={values} name={`${at}.light`} /> <Value of={values} name={`${at}.duty`} class="tag" />
      </p>
      <p>
        <Value of={values} name={`${at}.reason`} class="t" />
      </p>
      <Detectors box={box} values={values} checks={checks} />
      <Facts rows={boxFacts(box, values)} />
      {causes.length === 0 ? null : (
        <>
          <h3>Why flows differ</h3>
          <ul class="plain-list">
            {causes.map(({ text, flows }) => <li>{text} ({count(flows)} flows)</li>)}
          </ul>
        </>
      )}
      <p class="actions">{orders(box, status, visitor)}</p>
    </Card>
  );
}

/** What makes sense for a box as it is. */
function orders(box: BoxView, status: NodeStatus, visitor: Visitor) {
  const fields = { box: box.box };
  if (!box.member) return <Offer visitor={visitor} action="maintenance-off" fields={fields} />;
  const back = box.box === "primary" && status.path !== "primary";
  return (
    <>
      {box.serving
        ? null
        : back
        ? <Offer visitor={visitor} action="failback" label="Fail back to it" />
        : <Offer visitor={visitor} action="switchover" fields={fields} label="Switch over to it" />}
      {box.serving ? null : <Offer visitor={visitor} action="drill" fields={fields} />}
      {box.serving
        ? null
        : <Offer visitor={visitor} action={box.resync?.running ? "resync-stop" : "resync"} fields={fields} />}
      <Offer visitor={visitor} action="maintenance-on" fields={fields} />
    </>
  );
}

function Detectors(
  { box, values, checks }: { box: BoxView; values: LiveValues; checks: readonly CheckView[] },
) {
  const row = (title: string, key: string, since: boolean) => [
    title,
    <Light of={values} name={`${key}.light`} />,
    <Value of={values} name={`${key}.reason`} class="t" />,
    since ? <Value of={values} name={`${key}.since`} /> : UNKNOWN,
    <Value of={values} name={`${key}.age`} />,
  ];
  const rows = [
    ...box.detectors.map(({ detector }) => row(detector, `box.${box.box}.${detector}`, true)),
    ...checks.map(({ name }) => row(`check ${name}`, `check.${name}`, false)),
  ];
  const columns = [
    { head: "Detector" },
    { head: "Light" },
    { head: "Why" },
    { head: "For", number: true },
    { head: "Looked", number: true },
  ];
  return (
    <Table
      name={`Detectors of ${box.name}`}
      columns={columns}
      rows={rows}
      empty="No detector says anything of it."
    />
  );
}

function boxFacts(box: BoxView, values: LiveValues): Fact[] {
  const at = `box.${box.box}`;
  const value = (name: string) => <Value of={values} name={`${at}.${name}`} />;
  return [
    ["Packets", <>{value("in")} in, {value("out")} out</>],
    ...(box.match === null ? [] : [
      ["Match", value("match")] as const,
      [
        "Of these",
        <>
          {value("different")} with another binding ({value("followed")} translated), {value("dropped")}{" "}
          dropped, {value("unknown")} not compared
        </>,
      ] as const,
    ]),
    ...(box.resync === null ? [] : [[box.resync.refresh ? "Refresh" : "Resync", value("resync")] as const]),
    ["Held against it", value("damping")],
  ];
}

function ProbeTable({ probes }: { probes: readonly ProbeView[] }) {
  const head = ["Probe", "Box", "Way", "Light", "Why"].map((name) => ({ head: name }));
  const numbers = ["Sent", "Lost", "p50", "p99", "Last"].map((name) => ({ head: name, number: true }));
  const rows = probes.map((probe) => [
    `${probe.name} (${probe.kind})`,
    probe.box,
    probe.direction === "up" ? "to servers" : "to clients",
    <FixedLight state={probe.light} />,
    probe.reason,
    count(probe.sent),
    count(probe.lost),
    probe.delayUs === null ? UNKNOWN : duration(probe.delayUs.p50 / 1000),
    probe.delayUs === null ? UNKNOWN : duration(probe.delayUs.p99 / 1000),
    ageText(probe.ageMs),
  ]);
  return (
    <Table
      name="Probes"
      columns={[...head, ...numbers]}
      rows={rows}
      empty="No probes are configured."
    />
  );
}

const TRAFFIC_TEXT = {
  judged: "judged",
  "too-little": "too little traffic to judge",
  changed: "not judged: the box changes packets",
  alike: "not judged: packets look alike",
} as const;

function TrafficTable({ traffic }: { traffic: readonly TrafficView[] }) {
  const columns = [
    { head: "Way" },
    { head: "State" },
    ...["Sampled", "Loss", "Openings that fail", "Repeats", "Delay"].map((head) => ({ head, number: true })),
  ];
  const pair = (one: { now: number; usual: number }, text: (value: number) => string) => (
    <>
      {text(one.now)} <span class="dim">usually {text(one.usual)}</span>
    </>
  );
  const rows = traffic.map((one) => [
    one.direction === "up" ? "to servers" : "to clients",
    TRAFFIC_TEXT[one.state],
    count(one.sampled),
    pair(one.loss, percent),
    pair(one.openings, percent),
    pair(one.repeats, percent),
    pair(one.delayUs, (us) => duration(us / 1000)),
  ]);
  return (
    <Table name="What traffic shows" columns={columns} rows={rows} empty="Nothing is judged by traffic." />
  );
}

function BfdTable({ sessions }: { sessions: readonly BfdSessionView[] }) {
  const columns = [
    ...["Session", "Box", "Peer", "Light", "State"].map((head) => ({ head })),
    ...["Detects in", "Heard", "Late"].map((head) => ({ head, number: true })),
  ];
  const rows = sessions.map((one) => [
    one.name,
    one.box,
    <span class="code">{one.peer}</span>,
    <FixedLight state={one.light} />,
    `${one.state}, the peer says ${one.remoteState}`,
    one.detectMs === 0 ? UNKNOWN : duration(one.detectMs),
    ageText(one.heardMs),
    count(one.late),
  ]);
  return <Table name="BFD sessions" columns={columns} rows={rows} empty="No BFD sessions are configured." />;
}
