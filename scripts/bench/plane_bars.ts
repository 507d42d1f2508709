/**
 * Duty: which of the bars of the bench our own cases meet. Pure.
 */
import { CAPTURE, FLOW_BYTES, PLANE_CASES } from "./plane_cases.ts";
import type { Latency, Row } from "./plane_own.ts";
import { type Bar, type Speed, standing } from "./statistics.ts";
import type { TestpmdMode } from "./testpmd.ts";

export type Peers = Readonly<Partial<Record<TestpmdMode, Speed>>>;

export function barsOf(
  rows: readonly Row[],
  peers: Peers,
  latency: Latency | null,
  flowBytes: number,
): Bar[] {
  const bars: Bar[] = [];
  for (const one of PLANE_CASES) {
    const row = rows.find(({ name }) => name === one.name);
    if (!row) continue;
    const isPeer = one.name === CAPTURE;
    if (!isPeer) bars.push({ what: one.name, unit: "of io", value: row.ratio, bar: one.bar, goal: one.goal });
    if (one.mppsBar) {
      bars.push({ what: one.name, unit: "Mpps", value: row.mpps, bar: one.mppsBar, goal: one.mppsGoal! });
    }
    const against = (mode: TestpmdMode, bar: number, goal: number) => {
      const peer = peers[mode];
      if (!isPeer || !peer) return;
      const value = peer.bestNs / row.plane.bestNs;
      bars.push({ what: one.name, unit: `of testpmd ${mode}`, value, bar, goal });
    };
    against("io", one.bar, one.goal);
    against("5tswap", 0.8, 1);
  }
  for (const { share, calmNs, bar, goal } of latency?.shares ?? []) {
    const what = `p${share * 100}, ${latency!.name}`;
    bars.push({ what, unit: "ns", value: calmNs, bar, goal, lessIsBetter: true });
  }
  if (flowBytes > 0) {
    bars.push({
      what: "memory per flow",
      unit: "bytes",
      value: flowBytes,
      ...FLOW_BYTES,
      lessIsBetter: true,
    });
  }
  return bars;
}

export function barText(one: Bar): string {
  const verdict = standing(one) >= 1 ? "ok    " : "missed";
  return `${verdict}  ${one.what}: ${
    one.value.toPrecision(3)
  } ${one.unit} (bar ${one.bar}, goal ${one.goal})`;
}
