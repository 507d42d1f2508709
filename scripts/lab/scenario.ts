/**
 * Duty: run one experiment in a lab that stands: start the workloads, let one box fail half way, gather what happened.
 *
 * A scenario is data. The load begins first and the probes a moment later, so that all of it is under way when the box
 * fails; every program ends by itself, and one that does not is ended with its namespace.
 */
import { type AfterFailure, aroundFailure, parseAccess } from "./access.ts";
import { isNat64, nat64Address } from "./boxes.ts";
import type { Lab } from "./engine.ts";
import { type Failure, failureAction } from "./failures.ts";
import type { Programs } from "./native.ts";
import { run, sleep } from "./process.ts";
import {
  judgeLong,
  judgeProbe,
  type LongFinding,
  parseLong,
  parseProbe,
  type ProbeFinding,
} from "./reports.ts";
import { accessLog, ECHO_PORT, LONG_PORT, type ObjectName } from "./servers.ts";
import { parseWrk, type WrkReport } from "./wrk.ts";

/** A machine that has more to do than it can is slow, not wrong. */
const PATH_MS_MAX = 30_000;
/** nginx writes its log every 100 ms. */
const LOG_MS = 500;

export type Workload =
  | { readonly kind: "wrk"; readonly from: string; readonly to: string; readonly object: ObjectName } & {
    readonly connections: number;
    /** Later answers count as timeouts. */
    readonly timeoutSeconds: number;
  }
  | { readonly kind: "long"; readonly from: string; readonly to: string; readonly flows: number } & {
    readonly bytesPerSecond: number;
  }
  | { readonly kind: "probe"; readonly from: string; readonly to: string; readonly intervalUs: number };

export interface Scenario {
  readonly workloads: readonly Workload[];
  readonly box: string;
  readonly failure: Failure;
  /** Length of the load; the box fails in the middle. */
  readonly seconds: number;
}

/** When a failure took effect: between the two, by CLOCK_MONOTONIC; `wallMs` goes with `beforeNs`. */
export interface Stamp {
  readonly beforeNs: number;
  readonly afterNs: number;
  readonly wallMs: number;
}

/** From when on the failure had taken effect for certain, by the wall clock. */
export function deadMs({ beforeNs, afterNs, wallMs }: Stamp): number {
  return wallMs + (afterNs - beforeNs) / 1e6;
}

export interface Outcome {
  readonly failed: Stamp;
  readonly wrk: WrkReport | null;
  readonly http: AfterFailure | null;
  readonly long: LongFinding | null;
  readonly probe: (ProbeFinding & { rttP50Us: number; rttP99Us: number; sent: number; late: number }) | null;
}

/** By which address clients reach a namespace: of its interface, or what a NAT64 makes of that. Throws RangeError when it has none. */
export function addressOf(lab: Lab, ns: string): string {
  const end = lab.topology.links.flatMap((link) => link.ends).find((one) => one.ns === ns && one.addresses);
  const address = end?.addresses?.[0]?.split("/")[0];
  if (address === undefined) throw new RangeError(`Cannot find an address of "${ns}": its links have none`);
  return lab.topology.boxes.some(isNat64) ? nat64Address(address) : address;
}

/** The command line of a workload. */
export function workloadArgv(work: Workload, address: string, programs: Programs, seconds: number): string[] {
  switch (work.kind) {
    case "wrk":
      return [
        "wrk",
        ...["--threads", "2", "--connections", String(work.connections), "--duration", `${seconds}s`],
        ...["--timeout", `${work.timeoutSeconds}s`, "--latency", `http://${address}/${work.object}`],
      ];
    case "long":
      return [
        ...[programs.longflows, "fetch", address, String(LONG_PORT), String(work.flows)],
        ...[String(work.bytesPerSecond), String(seconds * 1_000)],
      ];
    case "probe":
      return [
        ...[programs.probe, "send", address, String(ECHO_PORT), String(work.intervalUs)],
        String(seconds * 1_000),
      ];
  }
}

/** Makes a box fail and says when. */
export async function fail(lab: Lab, programs: Programs, box: string, failure: Failure): Promise<Stamp> {
  const spec = lab.topology.boxes.find((one) => one.name === box);
  if (!spec) throw new RangeError(`Cannot make "${box}" fail: this lab has no such box`);
  const { argv } = failureAction(failure, spec);
  return JSON.parse(await lab.exec(spec.name, [programs.stamp, ...argv])) as Stamp;
}

/**
 * Waits until datagrams pass from one namespace to a server and back: bridges have learnt, neighbours are known.
 * Throws Error when that does not happen in time.
 */
export async function waitForPath(lab: Lab, programs: Programs, from: string, to: string): Promise<void> {
  const argv = [programs.probe, "send", addressOf(lab, to), String(ECHO_PORT), "1000", "10"];
  const deadline = Date.now() + PATH_MS_MAX;
  while (Date.now() < deadline) {
    if (parseProbe(await lab.exec(from, argv)).received > 0) return;
  }
  throw new Error(`Cannot reach ${to} from ${from}: no datagram came back for ${PATH_MS_MAX / 1000} s`);
}

/** Runs a scenario to its end. Throws Error when a workload cannot run at all. */
export async function runScenario(lab: Lab, programs: Programs, scenario: Scenario): Promise<Outcome> {
  const { workloads, seconds } = scenario;
  await Promise.all(workloads.map((work) => waitForPath(lab, programs, work.from, work.to)));
  const started = Date.now();
  const running = workloads.map((work) => {
    const argv = workloadArgv(work, addressOf(lab, work.to), programs, seconds);
    return run(lab.argv(work.from, argv), { timeoutMs: (seconds + 30) * 1_000 });
  });
  const all = Promise.all(running);
  all.catch(() => {}); // Handled below; a workload may fail while we still sleep.
  await sleep(seconds * 500);
  const failed = await fail(lab, programs, scenario.box, scenario.failure);
  const texts = await all;
  const endMs = started + seconds * 1_000;
  await sleep(LOG_MS);
  const text = (kind: Workload["kind"]) => texts[workloads.findIndex((work) => work.kind === kind)];
  const wrkText = text("wrk"), longText = text("long"), probeText = text("probe");
  const probe = probeText === undefined ? null : parseProbe(probeText);
  const web = workloads.find((work) => work.kind === "wrk");
  return {
    failed,
    wrk: wrkText === undefined ? null : parseWrk(wrkText),
    http: web === undefined ? null : await readLog(lab, web.to, { failed, endMs }),
    long: longText === undefined ? null : judgeLong(parseLong(longText)),
    probe: probe && {
      ...judgeProbe(probe, failed.beforeNs),
      ...{ rttP50Us: probe.rttP50Us, rttP99Us: probe.rttP99Us, sent: probe.sent, late: probe.late },
    },
  };
}

async function readLog(
  lab: Lab,
  server: string,
  times: { failed: Stamp; endMs: number },
): Promise<AfterFailure> {
  const answers = parseAccess(await Deno.readTextFile(accessLog(lab, server)));
  const { failed, endMs } = times;
  return aroundFailure(answers, { failedMs: failed.wallMs, deadMs: deadMs(failed), endMs });
}
