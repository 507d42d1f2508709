/**
 * Duty: `deno task bench:state`: how long a record takes from a source's driver, sealed, through a repository, into the drivers
 * of 1, 4 and 16 replicas.
 *
 * All replicas live in one process here, with one processor for all their opening of seals; in nodes of their own they do
 * not wait for each other.
 */
import { parseArgs } from "node:util";
import type { DriverConfig } from "../../appliance/config_state.ts";
import { openRepository, sleep } from "../../appliance/repository/open.ts";
import { REPOSITORY } from "../../appliance/config_keys.ts";
import { type RepositoryConfig, repositoryConfig } from "../../appliance/config_state.ts";
import { StateDrivers } from "../../appliance/state_drivers.ts";
import type { StateRecord } from "../../drivers/record.ts";
import { importSecret, SALT_BYTES, Sealer } from "../../drivers/seal.ts";
import { Random } from "../../filter/random.ts";
import { RedisServer } from "../lab/redis_server.ts";
import { type Found, runBench, say, wholeNumber } from "./frame.ts";
import { loadBetween, loadText, look } from "./load.ts";
import { quantile, stateBars, type StateRun, stateTable } from "./state_report.ts";

const REPLICAS = [1, 4, 16] as const;
const VALUE_BYTES = 200;
const PAUSE_MS = 5;
const WAIT_MS_MAX = 60_000;
const USAGE = `Usage: deno task bench:state [--records N] [--burst N] [--json] [--check]

The time of a record of 200 bytes from the driver of a source to the drivers of 1, 4 and 16 replicas, through the embedded
repository and through a Redis of its own on loopback; then many at once.

  --records N   one after the other, 5 ms apart (10 to 10000); default 300
  --burst N     at once (100 to 50000); default 3000
  --json        one JSON document on standard output
  --check       exit 1 where a bar is missed; the worst row is named last
`;

interface Plan {
  readonly repository: "embedded" | "redis";
  readonly replicas: number;
  readonly records: number;
  readonly burst: number;
}

function record(number: number): StateRecord {
  return {
    role: "supporting",
    partition: "shared",
    key: `record ${number}`,
    fields: {},
    codec: "bench/1",
    value: new Uint8Array(VALUE_BYTES).fill(number),
    version: 1,
    ttlMs: null,
    merge: null,
    ended: false,
  };
}

function driver(name: string, box: string, role: DriverConfig["role"]): DriverConfig {
  const from = role === "replica" ? ["a"] : [];
  return { name, kind: "memory", box, role, from, pollMs: 1_000, settings: { records_max: 1_000_000 } };
}

/** When each record came into each replica, as it comes. */
class Arrivals {
  readonly times: number[] = [];
  readonly last = new Map<string, number>();
  readonly #sent = new Map<string, number>();

  send(key: string): void {
    this.#sent.set(key, performance.now());
  }

  came(key: string): void {
    const tookMs = performance.now() - this.#sent.get(key)!;
    this.times.push(tookMs);
    this.last.set(key, Math.max(tookMs, this.last.get(key) ?? 0));
  }

  async until(count: number): Promise<void> {
    const deadline = Date.now() + WAIT_MS_MAX;
    while (this.times.length < count) {
      if (Date.now() > deadline) {
        throw new Error(`Cannot see ${count} arrivals: there are ${this.times.length}`);
      }
      await sleep(1, new AbortController().signal);
    }
  }
}

async function drive(drivers: StateDrivers, plan: Plan, stop: AbortSignal) {
  const names = Array.from({ length: plan.replicas }, (_, index) => `r${index}`);
  await drivers.configure([
    driver("a", "primary", "source"),
    ...names.map((name) => driver(name, "redundant", "replica")),
  ]);
  const deadline = Date.now() + WAIT_MS_MAX;
  const isReady = () =>
    drivers.driver("a") !== null &&
    drivers.report().drivers.every(({ role, counters }) => role === "source" || counters.snapshots === 1);
  while (!isReady() && Date.now() < deadline) await sleep(5, stop);
  const source = drivers.driver("a");
  if (source === null) throw new Error("Cannot measure: the source does not run");
  let arrivals = new Arrivals();
  for (const name of names) {
    const changes = drivers.driver(name)!.watch(stop);
    void (async () => {
      for await (const event of changes) if (event.kind === "record") arrivals.came(event.record.key);
    })();
  }
  // The first of all are slow for reasons of their own: code that was never run, keys that are derived.
  for (let number = 0; number < 20; number++) {
    arrivals.send(record(number).key);
    await source.put([record(number)]);
  }
  await arrivals.until(20 * plan.replicas);
  arrivals = new Arrivals();
  for (let number = 20; number < 20 + plan.records; number++) {
    arrivals.send(record(number).key);
    await source.put([record(number)]);
    await sleep(PAUSE_MS, stop);
  }
  await arrivals.until(plan.records * plan.replicas);
  const slow = arrivals, first = 20 + plan.records, began = performance.now();
  arrivals = new Arrivals();
  for (let number = first; number < first + plan.burst; number += 100) {
    const many = Array.from(
      { length: Math.min(100, first + plan.burst - number) },
      (_, at) => record(number + at),
    );
    for (const { key } of many) arrivals.send(key);
    await source.put(many);
    await sleep(0, stop);
  }
  await arrivals.until(plan.burst * plan.replicas);
  return { slow, burstMs: performance.now() - began };
}

export async function stateRun(plan: Plan, url: string): Promise<StateRun> {
  const from = look(), stop = new AbortController();
  const directory = await Deno.makeTempDir({ prefix: "remediate-bench-state-" });
  const defaults = Object.fromEntries(
    Object.entries(REPOSITORY).map(([name, key]) => [
      name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      key.default,
    ]),
  );
  const prefix = `bench-${plan.replicas}-${Date.now()}`;
  const given = { ...defaults, kind: plan.repository, url, prefix, recordsMax: 1_000_000 };
  const config = repositoryConfig(given as unknown as RepositoryConfig, directory);
  const { repository, epoch } = await openRepository(config, ({ text }) => say(text));
  const secret = await importSecret(crypto.getRandomValues(new Uint8Array(32)));
  const drivers = new StateDrivers({
    node: "bench",
    repository,
    secret,
    sealer: (source) =>
      Sealer.open({
        secret,
        source,
        epoch: epoch(),
        salt: crypto.getRandomValues(new Uint8Array(SALT_BYTES)),
      }),
    tombstoneMs: 60_000,
    serves: () => false,
    random: new Random(1),
    nowMs: Date.now,
    sleep,
    say: () => {},
    tell: ({ text }) => say(text),
    hint: () => {},
  });
  try {
    const { slow, burstMs } = await drive(drivers, plan, stop.signal);
    const { repository: kind, replicas, records, burst } = plan;
    return {
      repository: kind,
      replicas,
      records,
      p50Ms: quantile(slow.times, 0.5),
      p99Ms: quantile(slow.times, 0.99),
      lastP50Ms: quantile([...slow.last.values()], 0.5),
      burst,
      perSecond: burst / (burstMs / 1_000),
      load: loadBetween(from, look()),
    };
  } finally {
    stop.abort();
    await drivers.close();
    await repository.close();
    await Deno.remove(directory, { recursive: true });
  }
}

function parseOptions(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      records: { type: "string", default: "300" },
      burst: { type: "string", default: "3000" },
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
    },
  });
  return {
    ...values,
    records: wholeNumber("records", values.records, [10, 10_000]),
    burst: wholeNumber("burst", values.burst, [100, 50_000]),
  };
}

async function measure({ records, burst }: ReturnType<typeof parseOptions>): Promise<Found> {
  await using server = await RedisServer.start();
  const runs: StateRun[] = [];
  for (const repository of ["embedded", "redis"] as const) {
    for (const replicas of REPLICAS) {
      const run = await stateRun({ repository, replicas, records, burst }, server.url);
      runs.push(run);
      say(`${repository}, ${replicas} replicas: p50 ${run.p50Ms.toFixed(2)} ms (${loadText(run.load)})`);
    }
  }
  return { format: 1, results: { runs }, table: stateTable(runs), bars: stateBars(runs) };
}

if (import.meta.main) await runBench({ usage: USAGE, parse: parseOptions, measure });
