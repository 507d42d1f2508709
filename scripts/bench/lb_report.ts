/**
 * Duty: what runs of load balancers amount to: trouble above Base, and as a part of Simple's. Pure.
 */
import { align } from "../demo.d/table.ts";
import { type Balancer, BALANCER_TEXT } from "../lab/balancers.ts";
import type { WrkReport } from "../lab/wrk.ts";
import { type Setup, SETUP_TEXT } from "./setups.ts";
import { zeroBar } from "./failover_report.ts";
import type { Load } from "./load.ts";
import type { Bar } from "./statistics.ts";

export interface LbRun {
  readonly balancer: Balancer;
  readonly setup: Setup;
  readonly flips: number;
  readonly wrk: WrkReport;
  readonly longFlows: number;
  readonly longBroken: number;
  /** Neither broken nor moving in both directions at the end. */
  readonly longStuck: number;
  readonly load: Load;
}

export function resetsOf({ wrk }: LbRun): number {
  return wrk.readErrors + wrk.writeErrors + wrk.connectErrors;
}

/** Of one thing that is counted: ours above Base, and as a part of what Simple has above Base; null: Simple has none. */
export function excess(runs: readonly LbRun[], balancer: Balancer, count: (run: LbRun) => number) {
  const of = (setup: Setup) => runs.find((run) => run.balancer === balancer && run.setup === setup);
  const [base, simple, ours] = [of("base"), of("simple"), of("remediate")];
  if (!base || !ours) return null;
  const above = Math.max(0, count(ours) - count(base));
  const worst = simple ? count(simple) - count(base) : 0;
  return { above, ofSimple: worst > 0 ? above / worst : null };
}

const COUNTS: readonly { readonly what: string; readonly count: (run: LbRun) => number }[] = [
  { what: "resets", count: resetsOf },
  { what: "timeouts", count: (run) => run.wrk.timeouts },
  { what: "long flows lost", count: (run) => run.longBroken + run.longStuck },
];

/** No excess is allowed, for any balancer that was measured with and without flips. */
export function lbBars(runs: readonly LbRun[]): Bar[] {
  const balancers = [...new Set(runs.map((run) => run.balancer))];
  return balancers.flatMap((balancer) =>
    COUNTS.flatMap(({ what, count }) => {
      const found = excess(runs, balancer, count);
      if (!found) return [];
      const part = found.ofSimple === null ? "" : ` (${(found.ofSimple * 100).toFixed(1)} % of Simple's)`;
      return [zeroBar(`${BALANCER_TEXT[balancer]}, ${what} above Base${part}`, found.above)];
    })
  );
}

/** One line for each run. */
export function lbTable(runs: readonly LbRun[]): string {
  const head = [
    "balancer",
    "set-up",
    "flips",
    "requests",
    "resets",
    "timeouts",
    "long flows lost",
    "stuck",
    "of",
  ];
  const line = (run: LbRun) => [
    BALANCER_TEXT[run.balancer],
    SETUP_TEXT[run.setup],
    ...[run.flips, run.wrk.requests, resetsOf(run), run.wrk.timeouts].map(String),
    ...[run.longBroken + run.longStuck, run.longStuck, run.longFlows].map(String),
  ];
  return align([head, ...runs.map(line)], 2);
}
