/**
 * Status, flows, events and findings as text for people.
 *
 * Pure: `now` and the rates are handed in. What is zero and means nothing is left out, so that what is there
 * matters.
 */
import type {
  BoxView,
  CheckView,
  CounterView,
  DampingView,
  DetectorView,
  DrillSummary,
  EventView,
  MatchView,
  NodeStatus,
  PortView,
  ResyncView,
  Role,
  WorkerView,
} from "../appliance/view.ts";
import { resyncText } from "../appliance/resync_view.ts";
import { failbackText, tableText } from "./match_text.ts";
import { learningText } from "../appliance/failover/learning.ts";
import { compared, wouldLive } from "../appliance/failover/match.ts";
import { bitRate, byteSize, count, duration, type Painter, percent, table, wallTime } from "./paint.ts";
import { externalFacts } from "./text_external.ts";
import { drawNode, duty } from "./picture.ts";
import { channelLines, shortSpec } from "./text_channels.ts";

export interface Rates {
  readonly rxBits: number;
  readonly rxPackets: number;
  readonly txBits: number;
  readonly txPackets: number;
}

export interface StatusOptions {
  readonly paint: Painter;
  /** Since the epoch. */
  readonly nowMs: number;
  /** Absent: totals are shown in place of rates. */
  readonly rates?: ReadonlyMap<Role, Rates> | null;
}

/** Per second, from two readings `elapsedMs` apart; null when they are of different planes. */
export function ratesBetween(
  before: NodeStatus,
  after: NodeStatus,
  elapsedMs: number,
): ReadonlyMap<Role, Rates> | null {
  if (before.plane.startedMs !== after.plane.startedMs || elapsedMs <= 0) return null;
  const perSecond = (then: number, now: number) => Math.max(0, now - then) * 1000 / elapsedMs;
  const rates = new Map<Role, Rates>();
  for (const now of after.ports) {
    const then = before.ports.find((port) => port.role === now.role);
    if (then === undefined) continue;
    rates.set(now.role, {
      rxBits: perSecond(then.rxBytes, now.rxBytes) * 8,
      rxPackets: perSecond(then.rxPackets, now.rxPackets),
      txBits: perSecond(then.txBytes, now.txBytes) * 8,
      txPackets: perSecond(then.txPackets, now.txPackets),
    });
  }
  return rates;
}

export function renderStatus(status: NodeStatus, options: StatusOptions): string {
  const { paint, nowMs, rates = null } = options;
  const lines = [
    `${paint.bold(status.name)}: ${paint.light(status.light, status.light)}: ${status.reason}`,
    "",
    ...drawNode(status, paint),
    "",
    ...facts(status, nowMs),
  ];
  if (status.ports.length > 0) {
    lines.push("", ...ports(status.ports, rates, paint), ...channelLines(status.ports, paint));
  }
  const more = notes(status);
  if (more.length > 0) lines.push("", ...more);
  return lines.join("\n") + "\n";
}

function matchFacts(match: MatchView): string {
  const { different, followed, dropped, unknown, share } = match;
  const unlike = [
    ...(followed > 0 ? [`${count(followed)} of them translated`] : []),
    ...(different > followed ? [`${count(different - followed)} with another binding`] : []),
    ...(dropped > 0 ? [`${count(dropped)} dropped`] : []),
    ...(unknown > 0 ? [`${count(unknown)} not compared`] : []),
  ];
  const live = count(wouldLive(match)), known = count(compared(match));
  return [`match ${percent(share!)}: would carry on ${live} of ${known} flows`, ...unlike].join(", ");
}

function resyncFacts(view: ResyncView): string {
  const what = view.refresh ? "refresh" : "resync";
  return `${view.running ? `${what} goes on` : `last ${what}`}: ${resyncText(view)}`;
}

function facts(status: NodeStatus, nowMs: number): string[] {
  const rows: [string, string][] = [];
  const since = status.pathSinceMs > 0 ? ` for ${duration(Math.max(0, nowMs - status.pathSinceMs))}` : "";
  rows.push(["path", `${status.path}${since}, ${plural(status.switches, "switch", "switches")} so far`]);
  if (status.learning) rows.push(["mode", learningText(status.learning)]);
  rows.push(["plane", planeFacts(status, nowMs)]);
  status.plane.workers.forEach((worker, i) =>
    rows.push([i === 0 ? "cores" : "", workerFacts(worker, status.plane.workers)])
  );
  const spares = status.boxes.filter(({ serving }) => !serving).length;
  for (const box of status.boxes) {
    const passed = `${count(box.inPackets)} packets in, ${count(box.outPackets)} out`;
    const called = box.name === box.box ? "" : `${box.name}: `;
    const next = spares > 1 && box.turn === 1 ? ", next in line" : "";
    rows.push([box.box, `${called}${box.light}, ${duty(box)}: ${box.reason}${next}; ${passed}`]);
    for (const one of box.detectors) if (tells(one)) rows.push(["", detectorFacts(one)]);
    const checks = status.checks.filter((check) => check.box === box.box);
    if (checks.length > 0) rows.push(["", `checks: ${checks.map(checkFacts).join(", ")}`]);
    if (box.match !== null && box.match.share !== null) rows.push(["", matchFacts(box.match)]);
    if (box.match?.table) rows.push(["", `table: ${tableText(box.match.table)}`]);
    if (box.resync !== null) rows.push(["", resyncFacts(box.resync)]);
    if (box.damping !== null) rows.push(["", dampingFacts(box.damping, nowMs)]);
  }
  if (status.failback !== null) rows.push(["failback", failbackText(status.failback, nowMs)]);
  rows.push(...externalFacts(status.external, nowMs));
  const { upstream, downstream, slots } = status.flows;
  rows.push([
    "flows",
    `${count(upstream)} upstream, ${count(downstream)} downstream; ${count(slots)} places each`,
  ]);
  const { share, shareBytes } = status.mirror;
  rows.push(["mirror", `${percent(share)} of packets, ${percent(shareBytes)} of bytes`]);
  if (status.lastSwitch) rows.push(["last", eventLine(status.lastSwitch)]);
  if (status.lastDrill) rows.push(["drill", drillLine(status.lastDrill)]);
  if (status.freshMs > 1000) {
    const age = duration(status.freshMs);
    rows.push(["stale", `control has not seen the plane for ${age}: what stands here is history`]);
  }
  return table(rows, []);
}

function drillLine({ startedMs, box, ok, text }: DrillSummary): string {
  return `${wallTime(startedMs)}  ${box} ${ok ? "good" : "failed"}: ${text}`;
}

/** Links and silence are in the box's own sentence. */
function tells({ detector }: DetectorView): boolean {
  return detector !== "link" && detector !== "silence";
}

function detectorFacts({ detector, light, reason, sinceMs, ageMs }: DetectorView): string {
  const since = sinceMs === null ? "" : ` for ${duration(sinceMs)}`;
  const age = ageMs === null ? "" : `, looked ${duration(ageMs)} ago`;
  return `${detector}: ${light}${since}${age}: ${reason}`;
}

/** Why the worst one fails stands with the detector. */
function checkFacts({ name, light, excused }: CheckView): string {
  return `${name} ${light}${excused > 0 ? ` (${count(excused)} excused)` : ""}`;
}

function dampingFacts({ points, suppressed, untilMs }: DampingView, nowMs: number): string {
  if (!suppressed) return `died lately: ${count(points)} points`;
  const until = untilMs === null ? "" : ` for another ${duration(Math.max(0, untilMs - nowMs))}`;
  return `suppressed${until}: died too often, ${count(points)} points; serves only while no other is alive`;
}

function planeFacts({ plane, version }: NodeStatus, nowMs: number): string {
  if (plane.state !== "running") return plane.error === "" ? plane.state : `${plane.state}: ${plane.error}`;
  const parts = [
    `running for ${duration(Math.max(0, nowMs - plane.startedMs))}`,
    `pid ${plane.pid}`,
    plane.polling === "busy" ? "polling" : "sleeping",
    `${percent(plane.cpu)} of a core`,
    `longest turn ${duration(plane.loopMaxUs / 1000)}`,
    plane.hugepages ? "hugepages" : "no hugepages",
  ];
  if (plane.restarts > 0) parts.push(`restarted ${plural(plane.restarts, "time", "times")}`);
  return `${parts.join(", ")}; version ${version}`;
}

/** One worker of the plane: where it runs, what it has, how busy it is. */
function workerFacts({ cpu, ports, queue, ...worker }: WorkerView, all: readonly WorkerView[]): string {
  const where = cpu === null ? "any CPU" : `CPU ${cpu}`;
  const shared = all.some((other) => other.queue > 0) ? `, queue ${queue}` : "";
  const has = (all.length === 1 ? "all ports" : ports.join(" ")) + shared;
  const busy = `${worker.polling === "busy" ? "polling" : "sleeping"}, ${percent(worker.share)}`;
  return `${where}: ${has}; ${busy}; ${count(worker.rxPackets)} packets in, ${count(worker.txPackets)} out`;
}

function ports(views: readonly PortView[], rates: ReadonlyMap<Role, Rates> | null, paint: Painter): string[] {
  const head = ["PORT", "IS", "LINK", "RECEIVED", "", "SENT", ""];
  const rows = views.map((port) => {
    const rate = rates?.get(port.role);
    const passed = rate
      ? [
        bitRate(rate.rxBits),
        `${count(rate.rxPackets)}/s`,
        bitRate(rate.txBits),
        `${count(rate.txPackets)}/s`,
      ]
      : [byteSize(port.rxBytes), count(port.rxPackets), byteSize(port.txBytes), count(port.txPackets)];
    return [port.role, shortSpec(port.spec), port.link, ...passed];
  });
  const [title = "", ...lines] = table([head, ...rows], [3, 4, 5, 6]);
  return [paint.bold(title), ...lines];
}

/** Counters that are not zero, and losses of ports. */
function notes(status: NodeStatus): string[] {
  const losses = status.ports.flatMap((port): CounterView[] => [
    { name: `${port.role} did not take`, packets: port.txFull, bytes: 0 },
    { name: `${port.role} missed`, packets: port.rxMissed, bytes: 0 },
  ]);
  const groups: [string, readonly CounterView[]][] = [
    ["copies", status.mirror.why],
    ["shed", status.mirror.shed],
    ["rules", status.mirror.rules],
    ["frames", status.parse],
    ["counters", status.counters],
    ["losses", losses],
  ];
  const rows = groups.flatMap(([title, counters]) => {
    const shown = counters.filter(({ packets, bytes }) => packets > 0 || bytes > 0);
    const words = shown.map(({ name, packets }) => `${name.replaceAll("_", " ")} ${count(packets)}`);
    return words.length === 0 ? [] : [[title, words.join(", ")]];
  });
  return table(rows, []);
}

export function renderBoxes(boxes: readonly BoxView[]): string {
  if (boxes.length === 0) return "No boxes: there is no plane.\n";
  const head = ["BOX", "NAME", "IS", "LIGHT", "PACKETS IN", "OUT", "REASON"];
  const rows = boxes.map((box) => [
    box.box,
    box.name === box.box ? "-" : box.name,
    duty(box),
    box.light,
    count(box.inPackets),
    count(box.outPackets),
    box.reason,
  ]);
  return table([head, ...rows], [4, 5]).join("\n") + "\n";
}

export function renderEvents(events: readonly EventView[]): string {
  return events.length === 0 ? "No events.\n" : events.map(eventLine).join("\n") + "\n";
}

/** The text of an event names its cause, times and losses itself. */
function eventLine(event: EventView): string {
  return `${wallTime(event.wallMs)}  ${event.kind}: ${event.text}`;
}

function plural(value: number, one: string, many: string): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}
