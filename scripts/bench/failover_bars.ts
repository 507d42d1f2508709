/**
 * Duty: what switches under load and quiet hours must reach, and one line of text for each. Pure.
 */
import { missingBar, zeroBar } from "./failover_report.ts";
import type { PlannedRun } from "./failover_planned.ts";
import type { Quiet } from "./failover_quiet.ts";
import { loadText } from "./load.ts";
import type { Bar } from "./statistics.ts";

/** The same load, undisturbed, with ordered switches, and with deaths. A part that was not asked for is null. */
export interface Planned {
  readonly base: PlannedRun;
  readonly ordered: PlannedRun | null;
  readonly deaths: PlannedRun | null;
}

export function resets({ small, bulk }: PlannedRun): number {
  return [small, bulk].reduce((sum, one) => sum + one.readErrors + one.writeErrors + one.connectErrors, 0);
}

export function timeouts({ small, bulk }: PlannedRun): number {
  return small.timeouts + bulk.timeouts;
}

function sum(run: PlannedRun, key: "lost" | "reordered" | "duplicates"): number {
  return run.streams.reduce((total, stream) => total + stream[key], 0);
}

const above = (value: number, base: number) => Math.max(0, value - base);

/** Bars of ordered switches and of deaths, each above what the undisturbed load has. */
export function plannedBars({ base, ordered, deaths }: Planned): Bar[] {
  const bars: Bar[] = [];
  if (ordered) {
    bars.push(
      zeroBar("planned switches there was no time for", ordered.leftOut),
      zeroBar("planned switches, datagrams lost", above(sum(ordered, "lost"), sum(base, "lost"))),
      zeroBar("planned switches, datagrams out of order", sum(ordered, "reordered")),
      zeroBar("planned switches, datagrams twice", sum(ordered, "duplicates")),
      zeroBar("planned switches, TCP segments sent again", above(ordered.tcp.resent, base.tcp.resent)),
      zeroBar(
        "planned switches, TCP segments out of order",
        above(ordered.tcp.outOfOrder, base.tcp.outOfOrder),
      ),
      zeroBar("planned switches, resets and timeouts", resets(ordered) + timeouts(ordered)),
      zeroBar("planned switches, connections that hang", above(ordered.hung, base.hung)),
    );
  }
  if (deaths) {
    bars.push(
      zeroBar("cycles of failing and coming back there was no time for", deaths.leftOut),
      zeroBar("cycles of failing and coming back, resets", above(resets(deaths), resets(base))),
      zeroBar("cycles of failing and coming back, connections that hang", above(deaths.hung, base.hung)),
    );
  }
  return bars;
}

function runText(name: string, run: PlannedRun): string {
  const { small, bulk, tcp } = run;
  return `${name}: ${run.switches} switches in ${run.seconds} s; ${small.requests} small and ${bulk.requests} large ` +
    `answers, ${resets(run)} resets, ${
      timeouts(run)
    } timeouts, ${run.hung} hang; TCP: ${tcp.resent} sent again, ` +
    `${tcp.outOfOrder} out of order; UDP: ${sum(run, "lost")} lost, ${sum(run, "reordered")} out of order, ` +
    `${sum(run, "duplicates")} twice of ${run.streams[0].sent + run.streams[1].sent} (${loadText(run.load)})`;
}

export function plannedText({ base, ordered, deaths }: Planned): string {
  return [
    runText("under wrk, bulk TCP and 11,000 datagrams a second, undisturbed", base),
    ...(ordered ? [runText("the same with ordered switches", ordered)] : []),
    ...(deaths ? [runText("the same with deaths and returns", deaths)] : []),
  ].join("\n");
}

export function quietBars(quiet: Quiet): Bar[] {
  return [zeroBar(`quiet hours of ${quiet.seconds} s, switches`, quiet.switches)];
}

/** Times of service before a first death, `ms` each: none may move traffic. */
export function serviceBars(causes: readonly (string | null)[], ms: number): Bar[] {
  if (causes.length === 0) return [];
  const moved = causes.filter((cause) => cause !== null).length;
  return [zeroBar(`false switches in ${causes.length} times ${Math.round(ms / 1_000)} s of service`, moved)];
}

export function quietText(quiet: Quiet): string {
  const said = quiet.events.length === 0 ? "" : `; the node: ${quiet.events.join("; ")}`;
  return `quiet hours: ${quiet.switches} switches in ${quiet.seconds} s; ${quiet.bursts} bursts, ${quiet.lost} of ` +
    `${quiet.sent} datagrams lost, control restarted ${quiet.restarts} times, ${quiet.stalls} stalls of the plane ` +
    `(${loadText(quiet.load)})${said}`;
}

/** What the node's configuration does not know yet. */
export function featureBars(missing: readonly { readonly name: string }[]): Bar[] {
  return missing.map(({ name }) => missingBar(name));
}
