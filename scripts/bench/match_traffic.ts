/**
 * Duty: what clients run while `deno task bench:match` lets a primary fail: connections or sessions, at what pace and for how long,
 * how much has come to each, and which of them live in the end.
 */
import type { Lab } from "../lab/engine.ts";
import { run, sleep } from "../lab/process.ts";
import { judgeLong, parseLong, parseSessions } from "../lab/reports.ts";
import { addressOf } from "../lab/scenario.ts";
import { LONG_PORT, SESSION_PORT } from "../lab/servers.ts";
import type { Kit } from "./failover_systems.ts";
import { say } from "./frame.ts";
import type { Proto } from "./match_report.ts";
import { serviceAddress, type Strain } from "./match_strains.ts";

const BYTES_PER_S = 4_096;
const EVERY_MS = 200;
const CLIENTS = ["c1", "c2"] as const;
/** Of a run, in which all that is to be moved would be, were the machine quick enough. */
const PACE_SHARE = 0.3;
/** What is to be moved has as many times as long as the run itself. */
const BULK_TIMES = 30;
const LOOK_MS = 100;
/** A connection that moves does so in this time, unless the machine is too busy; then it is looked at once more, for so long. */
const MOVE_MS = 500, MOVE_MS_MAX = 15_000;
const PROVED_MS_MAX = 30_000;
/** Said once more, a moment after the primary has failed, by connections that were silent before. */
const SPEAK_MS = 500;

export interface Traffic {
  readonly flows: number;
  /** From the beginning to the failure. */
  readonly beforeMs: number;
  /** From there to the end. */
  readonly afterMs: number;
  readonly proto: Proto;
  readonly strain: Strain;
}

/** How many of the connections each client has. */
const countsOf = (flows: number) => [Math.ceil(flows / 2), Math.floor(flows / 2)];

/** All that may be waited for before the failure. */
function boundMs({ beforeMs, strain }: Traffic): number {
  return strain.bytes === undefined ? beforeMs : BULK_TIMES * beforeMs;
}

/** All of it. One that moves much is asked to end before. */
function runMs(traffic: Traffic): number {
  const more = traffic.strain.bytes === undefined ? 0 : PROVED_MS_MAX + MOVE_MS_MAX;
  return boundMs(traffic) + traffic.afterMs + more;
}

/** What one client runs, for `count` connections to `server`. */
function argvOf(
  { programs }: Kit,
  traffic: Traffic,
  { count, server }: { readonly count: number; readonly server: string },
): readonly (string | number)[] {
  const { beforeMs, proto, strain } = traffic, ms = runMs(traffic);
  if (proto === "udp") return [programs.datagrams, "talk", server, SESSION_PORT, count, EVERY_MS, ms];
  const pace = Math.ceil((strain.bytes ?? 0) * 1_000 / (2 * PACE_SHARE * beforeMs));
  const { silentMs } = strain;
  const silence = silentMs === undefined ? [] : [beforeMs - silentMs, silentMs + SPEAK_MS];
  return [
    programs.longflows,
    "fetch",
    server,
    LONG_PORT,
    count,
    Math.max(BYTES_PER_S, pace),
    ms,
    ...silence,
  ];
}

/** What lived, and the longest time for which one of these stood still. */
export interface Lived {
  readonly alive: number;
  readonly standstillMs: number;
}

/** What is running. */
export interface Running {
  /** Bytes that have come to the connection that got least. */
  moved(): Promise<number>;
  /** Returns when the primary may fail: what is to be moved has been, or takes too long. */
  ready(): Promise<void>;
  /** Says that the primary has failed; what lives when it is over, but not before `proved`. */
  lived(proved: () => Promise<unknown>): Promise<Lived>;
}

/** Payload that came to each connection at one of its ends, in an order that stays. */
async function receivedBy(lab: Lab, ns: string, end: "dport" | "sport"): Promise<number[]> {
  const text = await run(lab.argv(ns, ["ss", "-HtinO", end, "=", `:${LONG_PORT}`]), { timeoutMs: 30_000 });
  const lines = text.split("\n").filter((line) => line !== "").sort();
  return lines.map((line) => Number(/ bytes_received:(\d+)/.exec(line)?.[1] ?? 0));
}

/** Of all connections, at both ends. */
async function receivedAll(lab: Lab): Promise<{ readonly down: number[]; readonly up: number[] }> {
  const down = (await Promise.all(CLIENTS.map((client) => receivedBy(lab, client, "dport")))).flat();
  return { down, up: await receivedBy(lab, "s1", "sport") };
}

/** Those that did not live are said, for a bench that loses some has to show how. */
function judge(proto: Proto, text: string): Lived {
  if (proto === "udp") return { alive: parseSessions(text).alive, standstillMs: 0 };
  const report = parseLong(text), { ok, gapMsMax } = judgeLong(report);
  for (const [state, gapMs, atNs, bytes, alive] of report.flows) {
    if (alive) continue;
    const ago = ((report.endedNs - atNs) / 1e6).toFixed(0);
    say(`  not alive: ${state}, ${bytes} bytes, stood still for ${gapMs} ms from ${ago} ms before the end`);
  }
  return { alive: ok, standstillMs: gapMsMax };
}

/**
 * A busy machine lets a connection that moves much wait for a second now and then: what is judged is a moment at which all
 * move both ways. One that does not live has none, and is waited for in vain.
 */
async function untilAllMove(lab: Lab, flows: number): Promise<void> {
  const until = performance.now() + MOVE_MS_MAX;
  for (let last = await receivedAll(lab); performance.now() < until;) {
    await sleep(MOVE_MS);
    const next = await receivedAll(lab);
    const moves = (is: readonly number[], was: readonly number[]) =>
      is.length === flows && is.every((bytes, i) => bytes > was[i]!);
    if (moves(next.down, last.down) && moves(next.up, last.up)) return;
    last = next;
  }
}

/** Opens all connections. */
export function startTraffic(lab: Lab, kit: Kit, traffic: Traffic): Running {
  const { strain, proto, afterMs, beforeMs, flows } = traffic, counts = countsOf(flows);
  const enough = Promise.withResolvers<void>(), from = performance.now();
  const timeoutMs = runMs(traffic) + 15_000, { bytes } = strain;
  const server = serviceAddress(strain, addressOf(lab, "s1"));
  const texts = Promise.all(CLIENTS.flatMap((client, i) => {
    if (counts[i] === 0) return [];
    const argv = lab.argv(client, argvOf(kit, traffic, { count: counts[i]!, server }).map(String));
    return [run(argv, { timeoutMs, enough: enough.promise })];
  }));
  texts.catch(() => {}); // Awaited below.
  const moved = async () => {
    const { down } = await receivedAll(lab);
    return down.length < flows ? 0 : Math.min(...down);
  };
  return {
    moved,
    async ready() {
      if (bytes === undefined) return await sleep(beforeMs);
      while (performance.now() - from < boundMs(traffic) && await moved() < bytes) await sleep(LOOK_MS);
    },
    async lived(proved) {
      if (bytes !== undefined) {
        await sleep(afterMs);
        await proved();
        await untilAllMove(lab, flows);
        enough.resolve();
      }
      const each = (await texts).map((text) => judge(proto, text));
      const alive = each.reduce((sum, one) => sum + one.alive, 0);
      return { alive, standstillMs: Math.max(...each.map((one) => one.standstillMs)) };
    },
  };
}
