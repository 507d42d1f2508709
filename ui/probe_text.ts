/** Probes and the traffic through the serving box as text for people. Pure. */
import type { Measured, ProbeListing, ProbeView, TrafficView } from "../appliance/view.ts";
import { count, duration, type Painter, percent, table } from "./paint.ts";

const US_PER_MS = 1000;

export function renderProbes({ probes, traffic }: ProbeListing, paint: Painter): string {
  const lines = probes.length === 0 ? ["No probes."] : probeTable(probes, paint);
  if (traffic.length > 0) lines.push("", ...trafficTable(traffic));
  return lines.join("\n") + "\n";
}

function probeTable(probes: readonly ProbeView[], paint: Painter): string[] {
  const head = [
    "PROBE",
    "BOX",
    "WAY",
    "LIGHT",
    "SENT",
    "CAME",
    "LOST",
    "LATE",
    "EXCUSED",
    "MIN",
    "P50",
    "P99",
    "MAX",
    "LAST",
    "",
  ];
  const rows = probes.map((probe) => {
    const { min, p50, p99, max } = probe.delayUs ?? { min: null, p50: null, p99: null, max: null };
    return [
      `${probe.name} (${probe.kind}, ${probe.expect})`,
      probe.box,
      probe.direction,
      probe.light,
      ...[probe.sent, probe.seen, probe.lost, probe.late, probe.excused].map((n) => count(n)),
      ...[min, p50, p99, max].map((us) => us === null ? "-" : duration(us / US_PER_MS)),
      probe.ageMs === null ? "never" : `${duration(probe.ageMs)} ago`,
      probe.reason,
    ];
  });
  const [title = "", ...lines] = table([head, ...rows], [4, 5, 6, 7, 8, 9, 10, 11, 12]);
  return [paint.bold(title), ...lines];
}

function trafficTable(traffic: readonly TrafficView[]): string[] {
  const share = ({ now, usual }: Measured) => `${percent(now)} (usual ${percent(usual)})`;
  const rows = traffic.map((way) => {
    const says = {
      "too-little": "too little of it so far to judge",
      changed: "the box changes packets, so their loss cannot be told",
      alike: "packets look alike, so their loss cannot be told",
      judged: [
        `loss ${share(way.loss)}`,
        `new connections that fail ${share(way.openings)}`,
        `sent again ${share(way.repeats)}`,
        `delay ${duration(way.delayUs.now / US_PER_MS)} (usual ${duration(way.delayUs.usual / US_PER_MS)})`,
      ].join(", "),
    }[way.state];
    return [`traffic ${way.direction}`, `${says}; ${count(way.sampled)} packets sampled`];
  });
  return table(rows, []);
}
