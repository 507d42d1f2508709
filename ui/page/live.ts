/**
 * Duty: everything on the pages that changes by itself, as one map of names to texts.
 *
 * Pure. A page is drawn from this map and kept up to date by the same map, so that a number reads the same before and
 * after the first update, and formats stand in one place. An element names its entry (`data-t` for its text, `data-s`
 * for its state); `shapeOf` changes when there is more or less to show than before, and then a page is fetched anew.
 */
import type { BoxView, DetectorView, NodeStatus, PortView, Role } from "../../appliance/view.ts";
import { compared, wouldLive } from "../../appliance/failover/match.ts";
import { failbackText } from "../match_text.ts";
import { bitRate, byteSize, count, duration, percent } from "../paint.ts";
import { duty } from "../picture.ts";
import type { Rates } from "../text.ts";
import { protection, sparesOf, STALE_MS } from "./state.ts";

export type LiveValues = Readonly<Record<string, string>>;
export type PortRates = ReadonlyMap<Role, Rates> | null;

/** Bits per second from which a line is drawn thicker. */
const LEVELS = [1, 1e6, 1e8, 1e9] as const;
export const UNKNOWN = "–";

/** What was not seen of late is not shown as if it were now: no rates, and no forecast of a failover. */
export function liveValues(status: NodeStatus, measured: PortRates, nowMs: number): LiveValues {
  const state = protection(status), rates = status.freshMs > STALE_MS ? null : measured;
  return {
    state: state.key,
    "state.word": state.word,
    "state.reason": sentence(state.reason),
    light: status.light,
    serving: servingText(status),
    fresh: status.freshMs > STALE_MS ? "stale" : "fresh",
    "fresh.text": freshText(status),
    "path.since": status.pathSinceMs > 0 ? duration(Math.max(0, nowMs - status.pathSinceMs)) : UNKNOWN,
    switches: count(status.switches),
    "flows.up": count(status.flows.upstream),
    "flows.down": count(status.flows.downstream),
    "mirror.packets": percent(status.mirror.share),
    "mirror.bytes": percent(status.mirror.shareBytes),
    ...planeValues(status, nowMs),
    ...takeoverValues(status),
    failback: status.failback === null ? UNKNOWN : failbackText(status.failback, nowMs),
    ...merged(status.boxes.map((box) => boxValues(box, status, nowMs))),
    ...merged(status.ports.map((port) => portValues(port, rates))),
    ...laneValues(status, rates),
    ...counterValues(status),
  };
}

/** Equal as long as a page that was drawn has a place for every value. */
export function shapeOf(status: NodeStatus): string {
  return JSON.stringify([
    status.name,
    status.boxes.map(({ box, name, detectors, damping, match, resync }) => [
      ...[box, name, detectors.map(({ detector }) => detector)],
      ...[damping?.suppressed, match === null, resync?.running],
    ]),
    status.ports.map(({ role, channel }) => [role, channel !== undefined]),
    [
      status.path,
      status.learning?.times,
      status.lastSwitch?.sequence,
      status.lastDrill?.startedMs,
      status.failback === null,
    ],
    [status.mirror.rules.map(({ name }) => name), status.plane.state, status.plane.workers.length],
    [status.checks.map(({ name }) => name), status.external.map(({ name }) => name)],
    [...status.counters, ...status.mirror.why, ...status.mirror.shed].map(({ packets }) => packets > 0),
  ]);
}

/** "x is y" -> "X is y." */
export function sentence(text: string): string {
  const first = text.slice(0, 1).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) || first === "" ? first : `${first}.`;
}

function merged(maps: readonly LiveValues[]): LiveValues {
  return Object.assign({}, ...maps);
}

function servingText(status: NodeStatus): string {
  const serving = status.boxes.find((box) => box.serving);
  if (serving !== undefined) return serving.name;
  return status.path === "wire" ? "nobody: around the boxes" : "nobody: blocked";
}

function freshText({ freshMs, plane }: NodeStatus): string {
  if (plane.state === "absent") return "no plane";
  return freshMs > STALE_MS ? `stale: seen ${duration(freshMs)} ago` : "seen just now";
}

function planeValues({ plane }: NodeStatus, nowMs: number): LiveValues {
  const runs = plane.state === "running";
  return {
    "plane.state": plane.error === "" ? plane.state : `${plane.state}: ${plane.error}`,
    "plane.up": runs ? duration(Math.max(0, nowMs - plane.startedMs)) : UNKNOWN,
    "plane.cpu": runs ? percent(plane.cpu) : UNKNOWN,
    "plane.turn": runs ? duration(plane.loopMaxUs / 1000) : UNKNOWN,
    "plane.restarts": count(plane.restarts),
  };
}

/** "If I failed over now": to whom, and what would live on. */
function takeoverValues(status: NodeStatus): LiveValues {
  const spare = sparesOf(status)[0], { freshMs } = status;
  if (freshMs > STALE_MS) {
    const of = `not known: the plane was last seen ${duration(freshMs)} ago`;
    return { "take.state": "off", "take.number": UNKNOWN, "take.of": of, "take.more": "" };
  }
  if (spare === undefined) {
    return {
      "take.state": "off",
      "take.number": UNKNOWN,
      "take.of": "no box would take over",
      "take.more": "",
    };
  }
  const { match } = spare;
  const known = match === null ? 0 : compared(match);
  if (match === null || known === 0) {
    const more = `${spare.name} would take over; no live flow could be compared so far`;
    return { "take.state": "off", "take.number": UNKNOWN, "take.of": "not known yet", "take.more": more };
  }
  const live = wouldLive(match);
  const more = [
    `${spare.name} would take over`,
    ...(match.followed > 0 ? [`${count(match.followed)} of them translated`] : []),
    ...(match.unknown > 0 ? [`${count(match.unknown)} flows not compared`] : []),
  ];
  return {
    "take.state": match.alarm ? "red" : live === known ? "green" : "yellow",
    "take.number": percent(live / known),
    "take.of": `${count(live)} of ${count(known)} flows would live on`,
    "take.more": more.join(", "),
  };
}

function boxValues(box: BoxView, status: NodeStatus, nowMs: number): LiveValues {
  const at = `box.${box.box}`;
  const { match } = box;
  const known = match === null ? 0 : compared(match);
  const checks = status.checks.filter((check) => check.box === box.box);
  return {
    [`${at}.light`]: box.light,
    [`${at}.reason`]: sentence(box.reason),
    [`${at}.duty`]: duty(box),
    [`${at}.in`]: count(box.inPackets),
    [`${at}.out`]: count(box.outPackets),
    [`${at}.match`]: match === null
      ? UNKNOWN
      : known === 0
      ? "nothing compared yet"
      : `${percent(wouldLive(match) / known)}, ${count(wouldLive(match))} of ${count(known)}`,
    [`${at}.share`]: match === null || known === 0 ? UNKNOWN : percent(wouldLive(match) / known),
    [`${at}.different`]: match === null ? UNKNOWN : count(match.different),
    [`${at}.followed`]: match === null ? UNKNOWN : count(match.followed),
    [`${at}.dropped`]: match === null ? UNKNOWN : count(match.dropped),
    [`${at}.unknown`]: match === null ? UNKNOWN : count(match.unknown),
    [`${at}.damping`]: dampingText(box, nowMs),
    ...resyncValues(box),
    ...merged(box.detectors.map((one) => detectorValues(at, one))),
    ...merged(checks.map(({ name, light, reason, ageMs }) => ({
      [`check.${name}.light`]: light,
      [`check.${name}.reason`]: sentence(reason),
      [`check.${name}.age`]: ageText(ageMs),
    }))),
  };
}

function dampingText({ damping }: BoxView, nowMs: number): string {
  if (damping === null) return "none";
  if (!damping.suppressed) return `${count(damping.points)} points`;
  const until = damping.untilMs === null
    ? ""
    : ` for another ${duration(Math.max(0, damping.untilMs - nowMs))}`;
  return `suppressed${until}: died too often, serves only while no other is alive`;
}

function resyncValues({ box, resync }: BoxView): LiveValues {
  if (resync === null) return {};
  const { running, flows, done, unlike, unheard, failed, gone, tookMs } = resync;
  const rest = [
    ...(unlike > 0 ? [`${count(unlike)} with another binding`] : []),
    ...(unheard > 0 ? [`${count(unheard)} not handed over`] : []),
    ...(failed > 0 ? [`${count(failed)} failed`] : []),
    ...(gone > 0 ? [`${count(gone)} ended meanwhile`] : []),
  ];
  const head = `${running ? "goes on" : "done"}: ${count(done)} of ${count(flows)} flows in ${
    duration(tookMs)
  }`;
  return { [`box.${box}.resync`]: [head, ...rest].join(", ") };
}

function detectorValues(at: string, one: DetectorView): LiveValues {
  const key = `${at}.${one.detector}`;
  return {
    [`${key}.light`]: one.light,
    [`${key}.reason`]: sentence(one.reason),
    [`${key}.since`]: one.sinceMs === null ? "since the start" : duration(one.sinceMs),
    [`${key}.age`]: ageText(one.ageMs),
  };
}

export function ageText(ageMs: number | null): string {
  if (ageMs === null) return "not yet";
  // Below a second it would only flicker.
  return ageMs < STALE_MS ? "just now" : `${duration(ageMs)} ago`;
}

function portValues(port: PortView, rates: PortRates): LiveValues {
  const at = `port.${port.role}`;
  const rate = rates?.get(port.role);
  return {
    [`${at}.link`]: port.link,
    [`${at}.rx`]: rate ? bitRate(rate.rxBits) : UNKNOWN,
    [`${at}.tx`]: rate ? bitRate(rate.txBits) : UNKNOWN,
    [`${at}.rxp`]: rate ? `${count(rate.rxPackets)}/s` : UNKNOWN,
    [`${at}.txp`]: rate ? `${count(rate.txPackets)}/s` : UNKNOWN,
    [`${at}.rxBytes`]: byteSize(port.rxBytes),
    [`${at}.txBytes`]: byteSize(port.txBytes),
    [`${at}.copies`]: count(port.mirroredPackets),
    [`${at}.lost`]: count(port.txFull + port.rxMissed),
    ...(port.channel && {
      [`${at}.channel`]: port.channel.open
        ? `channel open, ${duration(port.channel.roundTripUs / 1000)} there and back, ${
          count(port.channel.lost + port.channel.farLost)
        } lost`
        : "channel closed",
    }),
  };
}

/** Of a line in the drawing: what it carries, and how much by a step from 0 to 4. */
function laneValues(status: NodeStatus, rates: PortRates): LiveValues {
  const bits = (role: Role) => {
    const rate = rates?.get(role);
    return rate ? rate.rxBits + rate.txBits : 0;
  };
  const level = (value: number) => LEVELS.filter((from) => value >= from).length;
  const outer = level(Math.max(bits("upstream"), bits("downstream")));
  const passes = status.path !== "block";
  const lanes = status.boxes.map(({ box, light, member }) => {
    const own = level(Math.max(bits(`${box}-in`), bits(`${box}-out`)));
    const carries = status.path === box ? "traffic" : passes && member && light !== "red" ? "copies" : "none";
    return [`lane.${box}`, `${carries}-${own}`] as const;
  });
  return {
    "lane.outer": `${passes ? "traffic" : "none"}-${outer}`,
    "lane.wire": `${status.path === "wire" ? "traffic" : "none"}-${outer}`,
    ...Object.fromEntries(lanes),
  };
}

function counterValues(status: NodeStatus): LiveValues {
  const { mirror, counters, parse } = status;
  const groups = { rule: mirror.rules, why: mirror.why, shed: mirror.shed, counter: counters, parse };
  return Object.fromEntries(
    Object.entries(groups).flatMap(([group, list]) =>
      list.flatMap(({ name, packets, bytes }) => [
        [`${group}.${name}`, count(packets)],
        [`${group}.${name}.bytes`, byteSize(bytes)],
      ])
    ),
  );
}
