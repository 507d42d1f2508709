/**
 * Duty: how long it takes from a divergence to the alarm: connections live through a pair of NATs that are alike, the spare
 * is made to differ, more connections open, and the event is waited for. Then all is healed, and the next one follows. Shorter
 * timeouts show in no opening: there the event is that of a drill whose canary was silent, begun at the moment of the fault.
 *
 * And the opposite: a time in which nothing differs and connections come and go, in which nothing may be told.
 */
import { compared } from "../../appliance/failover/match.ts";
import type { EventView } from "../../appliance/view.ts";
import type { RemoteNode } from "../../ui/client.ts";
import { Lab } from "../lab/engine.ts";
import { LabNode } from "../lab/node.ts";
import { run, sleep } from "../lab/process.ts";
import { waitForPath } from "../lab/scenario.ts";
import { LONG_PORT, startServers } from "../lab/servers.ts";
import { hotReplica } from "../lab/topology.ts";
import type { Kit } from "./failover_systems.ts";
import { loadBetween, look } from "./load.ts";
import { type Fault, healFault, makeFault } from "./match_faults.ts";
import type { AlarmRun, SoakRun } from "./match_report.ts";

const SERVER = "10.2.0.11";
const BYTES_PER_S = 4_096;
/** Those that are well, and those that open after the fault. */
const OLD = 20, NEW = 40;
const OLD_MS = 6_000, NEW_MS = 4_000;
const IDLE_S = 1;
const DRILL = [
  "[drill]",
  'client = "10.1.0.250"',
  'server = "10.2.0.250"',
  'gateway = "10.1.0.1"',
  `idle_s = ${IDLE_S}`,
  "twin = true",
];
const UNTIL_MS_MAX = 20_000;
export const ALARM_FAULTS = ["lost", "rule", "full", "random", "timeout"] as const satisfies readonly Fault[];

class AlarmLab {
  constructor(readonly lab: Lab, readonly kit: Kit, readonly api: RemoteNode) {}

  open(flows: number, ms: number): Promise<string> {
    const words = [SERVER, LONG_PORT, flows, BYTES_PER_S, ms].map(String);
    const argv = this.lab.argv("c1", [this.kit.programs.longflows, "fetch", ...words]);
    const running = run(argv, { timeoutMs: ms + 15_000 });
    running.catch(() => {}); // Awaited by whoever cares.
    return running;
  }

  /** What was told of the match behind an event. */
  async told(after: number): Promise<EventView[]> {
    const events = await this.api.events({ after, limit: 1000 });
    return events.filter(({ kind, cause }) => kind === "match" && (cause === "unlike" || cause === "alike"));
  }

  async last(): Promise<number> {
    return (await this.api.events({ after: 0, limit: 10_000 })).at(-1)?.sequence ?? 0;
  }

  /** Null: not in time. */
  async await(cause: "unlike" | "alike", after: number): Promise<EventView | null> {
    const deadline = Date.now() + UNTIL_MS_MAX;
    while (Date.now() < deadline) {
      const found = (await this.told(after)).find((event) => event.cause === cause);
      if (found) return found;
      await sleep(20);
    }
    return null;
  }

  async in(argvs: readonly (readonly string[])[]): Promise<void> {
    for (const argv of argvs) await this.lab.exec("redundant", [...argv]);
  }

  /** Connections of the last trial have ended, and nothing is told of them any more. */
  async untilCalm(): Promise<void> {
    const deadline = Date.now() + UNTIL_MS_MAX;
    for (;;) {
      const match = (await this.api.status()).boxes.find(({ box }) => box === "redundant")?.match;
      if (match && !match.alarm && compared(match.classes.tcp) === 0) return;
      if (Date.now() > deadline) throw new Error(`Cannot begin a trial: ${JSON.stringify(match)}`);
      await sleep(50);
    }
  }
}

/** From the fault to the event of a drill that found it. @throws Error if a drill fails where nothing is wrong */
async function timeoutTrial(s: AlarmLab): Promise<number | null> {
  await s.untilCalm();
  const well = await s.api.drill("redundant");
  if (!well.ok || !well.signed.report.ok) throw new Error(`Cannot begin a trial: ${JSON.stringify(well)}`);
  const after = await s.last();
  await s.in(makeFault("timeout", { share: 1, flows: NEW }));
  const sinceMs = Date.now();
  const found = await s.api.drill("redundant");
  await s.in(healFault("timeout"));
  if (!found.ok || !found.signed.report.canaries.some(({ forgotMs }) => forgotMs !== undefined)) return null;
  const told = (await s.api.events({ after, limit: 1000 })).find(({ kind }) => kind === "drill");
  return told === undefined ? null : told.wallMs - sinceMs;
}

async function trial(s: AlarmLab, fault: Fault): Promise<number | null> {
  if (fault === "timeout") return timeoutTrial(s);
  await s.untilCalm();
  const after = await s.last();
  const old = s.open(OLD, OLD_MS);
  await sleep(500);
  const full = fault === "full" ? { share: 1 - OLD / NEW, flows: NEW } : { share: 1, flows: NEW };
  await s.in(makeFault(fault, full));
  const sinceMs = Date.now();
  const fresh = s.open(NEW, NEW_MS);
  const alarm = await s.await("unlike", after);
  await s.in(healFault(fault));
  await Promise.all([old, fresh]);
  return alarm === null ? null : alarm.wallMs - sinceMs;
}

async function soak(s: AlarmLab, seconds: number): Promise<SoakRun> {
  await s.untilCalm();
  const after = await s.last(), from = look(), until = Date.now() + 1000 * seconds;
  let flows = 0;
  while (Date.now() < until) {
    await Promise.all([s.open(OLD, 2_000), s.open(NEW, 700)]);
    flows += OLD + NEW;
  }
  const alarms = (await s.told(after)).filter(({ cause }) => cause === "unlike").length;
  return { seconds, flows, alarms, load: loadBetween(from, look()) };
}

/** All trials and the soak, in one lab. `seconds` 0: no soak. */
export async function measureAlarms(
  kit: Kit,
  { trials, faults = ALARM_FAULTS, seconds }: { trials: number; faults?: readonly Fault[]; seconds: number },
  say: (text: string) => void,
): Promise<{ alarms: AlarmRun[]; soak: SoakRun | null }> {
  const topology = hotReplica({ clients: 1, servers: 1, serverMbit: null });
  await using lab = await Lab.up(topology, kit.lifetime);
  // What is translated is no loss, and nothing to be told.
  const node = await LabNode.start(lab, {
    top: kit.top,
    preset: "nat",
    failover: ["fixup = false"],
    more: DRILL,
  });
  const s = new AlarmLab(lab, kit, node.connect());
  try {
    await startServers(lab, kit.programs);
    await waitForPath(lab, kit.programs, "c1", "s1");
    await sleep(1_000);
    const alarms: AlarmRun[] = [];
    for (const fault of faults) {
      const from = look(), ms: (number | null)[] = [];
      for (let i = 0; i < trials; i++) ms.push(await trial(s, fault));
      alarms.push({ fault, ms, load: loadBetween(from, look()) });
      say(
        `alarm, ${fault}: ${ms.map((one) => one === null ? "never" : `${one.toFixed(0)} ms`).join(", ")}`,
      );
    }
    return { alarms, soak: seconds > 0 ? await soak(s, seconds) : null };
  } finally {
    s.api.close();
    await node.stop();
  }
}
