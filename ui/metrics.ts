/**
 * The status as OpenMetrics 1.0 text.
 *
 * Pure. A state is the value of a gauge and never a label, so that a series lives on when it changes; labels name parts
 * of the node (ports, boxes, rules), of which there are few, and never flows or addresses. Base units, with the unit
 * last in the name.
 */
import type { BoxView, CounterView, NodeStatus, PortView } from "../appliance/view.ts";
import { PATHS } from "../appliance/view.ts";

export const METRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [Labels, number];

interface Family {
  /** Without `_total`. */
  readonly name: string;
  readonly type: "counter" | "gauge" | "info";
  /** The last word of the name, if it is a unit. */
  readonly unit?: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const LIGHT = { red: 0, yellow: 1, green: 2, off: -1 } as const;
const LIGHTS = "0: red, 1: yellow, 2: green";

export function metricsText(status: NodeStatus): string {
  const families = [
    ...nodeFamilies(status),
    ...planeFamilies(status),
    ...portFamilies(status.ports),
    ...boxFamilies(status.boxes),
    ...mirrorFamilies(status),
    ...counterFamilies(status),
    ...channelFamilies(status.ports),
  ];
  return `${families.map(familyText).join("")}# EOF\n`;
}

function familyText({ name, type, unit, help, samples }: Family): string {
  const suffix = { counter: "_total", info: "_info", gauge: "" }[type];
  const head = [
    `# TYPE ${name} ${type}`,
    ...(unit === undefined ? [] : [`# UNIT ${name} ${unit}`]),
    `# HELP ${name} ${escaped(help)}`,
  ];
  const lines = samples.map(([labels, value]) =>
    `${name}${suffix}${labelsText(labels)} ${numberText(value)}`
  );
  return `${[...head, ...lines].join("\n")}\n`;
}

function labelsText(labels: Labels): string {
  const list = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return list.length === 0 ? "" : `{${list.join(",")}}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}

function numberText(value: number): string {
  return Number.isNaN(value) ? "NaN" : Number.isFinite(value) ? String(value) : value > 0 ? "+Inf" : "-Inf";
}

function one(value: number): Sample[] {
  return [[{}, value]];
}

function gauge(name: string, help: string, samples: readonly Sample[], unit?: string): Family {
  return { name: `remediate_${name}`, type: "gauge", help, samples, ...(unit !== undefined && { unit }) };
}

function counter(name: string, help: string, samples: readonly Sample[], unit?: string): Family {
  return { name: `remediate_${name}`, type: "counter", help, samples, ...(unit !== undefined && { unit }) };
}

function nodeFamilies(status: NodeStatus): Family[] {
  const { name, version, light, path, pathSinceMs, freshMs, switches, flows } = status;
  const paths = PATHS.map((one, index) => `${index}: ${one}`).join(", ");
  return [
    {
      name: "remediate_node",
      type: "info",
      help: "Name and version of the node.",
      samples: [[{ name, version }, 1]],
    },
    gauge("node_light", `Light of the node (${LIGHTS}).`, one(LIGHT[light])),
    gauge("path", `Where traffic goes (${paths}).`, one(PATHS.indexOf(path))),
    gauge("path_since_timestamp_seconds", "When that began.", one(pathSinceMs / 1000), "seconds"),
    gauge("status_age_seconds", "Age of all this; above 1 it is history.", one(freshMs / 1000), "seconds"),
    counter("switches", "Moves of the path since the plane started.", one(switches)),
    gauge("flows", "Flows in the table of a side.", [
      [{ side: "upstream" }, flows.upstream],
      [{ side: "downstream" }, flows.downstream],
    ]),
    gauge("flow_slots", "Places of each side's table.", one(flows.slots)),
    gauge("armed", "1: the node moves traffic by itself; 0: it learns.", one(Number(!status.learning))),
    gauge(
      "drill_ok",
      "Whether the last drill passed; absent before the first.",
      status.lastDrill === null ? [] : one(Number(status.lastDrill.ok)),
    ),
    gauge(
      "external_switch_light",
      `Light of an external switch (${LIGHTS}).`,
      status.external.map(({ name, light }) => [{ switch: name }, LIGHT[light]]),
    ),
  ];
}

function planeFamilies({ plane }: NodeStatus): Family[] {
  return [
    gauge("plane_running", "1: the plane forwards.", one(Number(plane.state === "running"))),
    gauge("plane_start_timestamp_seconds", "When the plane started.", one(plane.startedMs / 1000), "seconds"),
    counter(
      "plane_restarts",
      "Planes that control started because the one before died.",
      one(plane.restarts),
    ),
    gauge("plane_cpu_ratio", "Cores used, all workers together.", one(plane.cpu), "ratio"),
    gauge("plane_loop_max_seconds", "The longest turn of its loop.", one(plane.loopMaxUs / 1e6), "seconds"),
  ];
}

function portFamilies(ports: readonly PortView[]): Family[] {
  const each = (value: (port: PortView) => number): Sample[] =>
    ports.map((port) => [{ port: port.role }, value(port)]);
  const count = (name: string, help: string, value: (port: PortView) => number, unit: "packets" | "bytes") =>
    counter(`port_${name}_${unit}`, help, each(value), unit);
  return [
    gauge("port_up", "1: the link is up.", each(({ link }) => Number(link === "up"))),
    counter("port_link_changes", "How often the link came or went.", each(({ linkChanges }) => linkChanges)),
    count("received", "Frames received.", ({ rxPackets }) => rxPackets, "packets"),
    count("received", "Bytes received.", ({ rxBytes }) => rxBytes, "bytes"),
    count("sent", "Frames sent.", ({ txPackets }) => txPackets, "packets"),
    count("sent", "Bytes sent.", ({ txBytes }) => txBytes, "bytes"),
    count("refused", "Frames that the port did not take: lost.", ({ txFull }) => txFull, "packets"),
    count("missed", "Frames lost before the plane saw them.", ({ rxMissed }) => rxMissed, "packets"),
    count("mirrored", "Copies sent.", ({ mirroredPackets }) => mirroredPackets, "packets"),
    count("mirrored", "Bytes of copies sent.", ({ mirroredBytes }) => mirroredBytes, "bytes"),
  ];
}

function boxFamilies(boxes: readonly BoxView[]): Family[] {
  const each = (value: (box: BoxView) => number): Sample[] =>
    boxes.map((box) => [{ box: box.box }, value(box)]);
  const matched = boxes.flatMap(({ box, match }) => match === null ? [] : [{ box, match }]);
  return [
    gauge("box_light", `Light of a box (${LIGHTS}).`, each(({ light }) => LIGHT[light])),
    gauge("box_serving", "1: it serves.", each(({ serving }) => Number(serving))),
    gauge("box_member", "1: it gets copies and may take over.", each(({ member }) => Number(member))),
    gauge(
      "box_suppressed",
      "1: it died too often.",
      each(({ damping }) => Number(damping?.suppressed ?? false)),
    ),
    gauge(
      "box_detector_light",
      `What a detector says of a box (${LIGHTS}, -1: off).`,
      boxes.flatMap(({ box, detectors }) =>
        detectors.map(({ detector, light }): Sample => [{ box, detector }, LIGHT[light]])
      ),
    ),
    counter("box_in_packets", "Frames put into a box.", each(({ inPackets }) => inPackets), "packets"),
    counter(
      "box_out_packets",
      "Frames that came out of it.",
      each(({ outPackets }) => outPackets),
      "packets",
    ),
    gauge(
      "match_ratio",
      "Of the live flows compared, those a standby would carry on; NaN: none.",
      matched.map(({ box, match }) => [{ box }, match.share ?? NaN]),
      "ratio",
    ),
    gauge(
      "match_alarm",
      "1: below the bar.",
      matched.map(({ box, match }) => [{ box }, Number(match.alarm)]),
    ),
    gauge(
      "match_flows",
      "Live flows by what a standby made of them.",
      matched.flatMap(({ box, match }) =>
        (["equal", "different", "followed", "dropped", "unknown"] as const).map((
          verdict,
        ): Sample => [{ box, verdict }, match[verdict]])
      ),
    ),
  ];
}

/** A packet and a byte counter of each name. */
function named(name: string, label: string, help: string, views: readonly CounterView[]): Family[] {
  const samples = (value: (view: CounterView) => number): Sample[] =>
    views.filter((view) => view.name !== "none").map((view) => [{ [label]: view.name }, value(view)]);
  return [
    counter(`${name}_packets`, `${help}, in packets.`, samples(({ packets }) => packets), "packets"),
    counter(`${name}_bytes`, `${help}, in bytes.`, samples(({ bytes }) => bytes), "bytes"),
  ];
}

function mirrorFamilies({ mirror }: NodeStatus): Family[] {
  return [
    gauge("mirror_ratio", "Copies by packets from outside.", one(mirror.share), "ratio"),
    ...named("mirror_why", "why", "Copies, by what they were made for", mirror.why),
    ...named("mirror_shed", "why", "Copies not made because the budget was spent", mirror.shed),
    ...named("mirror_rule", "rule", "Copies, by the rule", mirror.rules),
  ];
}

/** Counters of the plane count different things, so their unit is theirs to say: none is told. */
function counterFamilies({ counters, parse, bfd }: NodeStatus): Family[] {
  const each = (views: readonly CounterView[], label: string): Sample[] =>
    views.map(({ name, packets }) => [{ [label]: name }, packets]);
  return [
    counter(
      "plane_events",
      "Everything that the plane counts, by name; docs/operating.md.",
      each(counters, "counter"),
    ),
    counter("frames_parsed", "Frames by what the parser made of them.", each(parse, "kind")),
    counter("bfd_discarded", "Packets of BFD that were not taken.", each(bfd.discards, "reason")),
  ];
}

/** Of boxes at other sites. */
function channelFamilies(ports: readonly PortView[]): Family[] {
  const far = ports.flatMap(({ role, channel }) => channel === undefined ? [] : [{ role, channel }]);
  if (far.length === 0) return [];
  const each = (value: (channel: NonNullable<PortView["channel"]>) => number): Sample[] =>
    far.map(({ role, channel }) => [{ port: role }, value(channel)]);
  return [
    gauge("channel_open", "1: the far end answers.", each(({ open }) => Number(open))),
    gauge(
      "channel_round_trip_seconds",
      "There and back.",
      each(({ roundTripUs }) => roundTripUs / 1e6),
      "seconds",
    ),
    counter("channel_sent", "Units sent.", each(({ sent }) => sent)),
    counter("channel_lost", "Units given up on the way here.", each(({ lost }) => lost)),
    counter("channel_refused", "Datagrams without a good seal.", each(({ refused }) => refused)),
  ];
}
