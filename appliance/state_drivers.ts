/**
 * Duty: the drivers of a node around its repository: which source feeds which replica, who runs, what people may ask of them.
 *
 * A source appends under "NODE/DRIVER"; a replica reads the sources its configuration names. Everything that touches the
 * world is handed in.
 */
import type { DriverKind, StateDriver } from "../drivers/driver.ts";
import type { StateRecord } from "../drivers/record.ts";
import { DRIVER_KINDS, driverKind } from "../drivers/registry.ts";
import type { Sealer } from "../drivers/seal.ts";
import type { Random } from "../filter/random.ts";
import type { DriverConfig } from "./config_state.ts";
import { Extraction, type Hint } from "./extraction.ts";
import { Insertion } from "./insertion.ts";
import { LiveDriver } from "./live_driver.ts";
import { reasonOf } from "../drivers/reason.ts";
import type { Repository } from "./repository/contract.ts";
import { Restarts } from "./restarts.ts";
import type { DriversReport, DriverView, StateAnswer, StateControl, StateQuery } from "./view_state.ts";

export interface StateDriversOptions {
  readonly node: string;
  readonly repository: Repository;
  readonly secret: CryptoKey;
  /** A sealer for a source, with an epoch and a salt of this start. */
  readonly sealer: (source: string) => Promise<Sealer>;
  readonly tombstoneMs: number;
  /** Whether the traffic goes by this box now. */
  readonly serves: (box: string) => boolean;
  readonly random: Random;
  readonly nowMs: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly say: (level: "info" | "warn" | "error", text: string) => void;
  /** Worth an event: a driver failed, or works again. */
  readonly tell: (event: { kind: "failed" | "again"; driver: string; text: string }) => void;
  readonly hint: (hint: Hint, driver: string) => void;
}

interface Running {
  readonly config: DriverConfig;
  readonly live: LiveDriver;
  readonly extraction: Extraction | null;
  readonly insertions: readonly Insertion[];
}

export function sourceName(node: string, driver: string): string {
  return `${node}/${driver}`;
}

export class StateDrivers implements StateControl {
  readonly #options: StateDriversOptions;
  readonly #running = new Map<string, Running>();

  constructor(options: StateDriversOptions) {
    this.#options = options;
  }

  /** Those that are configured alike go on undisturbed. */
  async configure(configs: readonly DriverConfig[]): Promise<void> {
    const wanted = new Map(configs.map((config) => [config.name, config]));
    const gone = [...this.#running.values()].filter(({ config }) =>
      JSON.stringify(config) !== JSON.stringify(wanted.get(config.name))
    );
    await Promise.all(gone.map(({ live }) => live.stop()));
    for (const { config } of gone) this.#running.delete(config.name);
    for (const config of configs) {
      if (!this.#running.has(config.name)) this.#running.set(config.name, await this.#start(config));
    }
  }

  async #start(config: DriverConfig): Promise<Running> {
    const { node, sealer, nowMs, say, sleep, tell, random } = this.#options;
    const kind = driverKind(config.kind);
    if (kind === null) throw new TypeError(`Cannot start driver ${config.name}: no kind "${config.kind}"`);
    const source = sourceName(node, config.name);
    const extraction = config.role === "source"
      ? this.#extraction(config, source, await sealer(source))
      : null;
    const insertions = config.role === "replica"
      ? config.from.map((from) => this.#insertion(from, source, config.box))
      : [];
    const live = new LiveDriver({
      kind,
      settings: config.settings,
      context: {
        name: config.name,
        nowMs,
        say: (level, text) => say(level, `driver ${config.name}: ${text}`),
      },
      restarts: new Restarts(random),
      sleep,
      work: (driver, signal) =>
        extraction === null ? insertAll(insertions, driver, signal) : extraction.run(driver, signal),
      tell: (event) => tell({ ...event, driver: config.name }),
    });
    live.start();
    return { config, live, extraction, insertions };
  }

  #extraction(config: DriverConfig, source: string, sealer: Sealer): Extraction {
    const { hint, ...options } = this.#options;
    return new Extraction({
      ...options,
      source,
      sealer,
      pollMs: config.pollMs,
      hint: (told) => hint(told, config.name),
    });
  }

  #insertion(source: string, replica: string, box: string): Insertion {
    const { serves, ...options } = this.#options;
    return new Insertion({
      ...options,
      source: this.#full(source),
      replica,
      serves: () => serves(box),
    });
  }

  /** A name without a node is of this one. */
  #full(source: string): string {
    return source.includes("/") ? source : sourceName(this.#options.node, source);
  }

  /** The repository has lost what a source told. */
  lost(source: string): void {
    for (const { config, extraction } of this.#running.values()) {
      if (sourceName(this.#options.node, config.name) === source) extraction?.resend();
    }
  }

  /** Now and then: replicas tell that they live, logs are trimmed. */
  async beat(): Promise<void> {
    const work = [...this.#running.values()].flatMap(({ config, extraction, insertions }) => [
      ...insertions.map((insertion) => insertion.beat()),
      ...(extraction === null
        ? []
        : [this.#options.repository.trim(sourceName(this.#options.node, config.name))]),
    ]);
    // Whoever needs the repository has said that it is out of reach.
    await Promise.allSettled(work);
  }

  /** An open driver by its name, for those who move state between boxes; null: there is none. */
  driver(name: string): StateDriver | null {
    return this.#running.get(name)?.live.driver ?? null;
  }

  report(): DriversReport {
    const { repository } = this.#options;
    return {
      ...kindsReport(),
      drivers: [...this.#running.values()].map(viewOf),
      repository: { kind: repository.kind, ...repository.health(), counters: repository.counters() },
    };
  }

  #ask(name: string): StateAnswer<StateDriver> {
    const running = this.#running.get(name);
    if (running === undefined) {
      const known = [...this.#running.keys()].join(", ");
      return {
        ok: false,
        text: `there is no driver "${name}"; there ${known === "" ? "is none" : `are ${known}`}`,
      };
    }
    const { driver, reason, state } = running.live;
    return driver === null
      ? { ok: false, text: `driver ${name} is ${state}: ${reason}` }
      : { ok: true, value: driver };
  }

  get({ driver: name, role, fields }: StateQuery): StateAnswer<AsyncIterable<StateRecord>> {
    const asked = this.#ask(name);
    if (!asked.ok) return asked;
    const roles = asked.value.abilities.get.filter((known) => role === null || known === role);
    if (roles.length === 0) return { ok: false, text: `driver ${name} cannot get ${role ?? "any"} state` };
    return { ok: true, value: allOf(asked.value, roles, fields) };
  }

  async put(
    name: string,
    records: readonly StateRecord[],
  ): Promise<StateAnswer<Awaited<ReturnType<StateDriver["put"]>>>> {
    const asked = this.#ask(name);
    if (!asked.ok) return asked;
    if (asked.value.abilities.put.length === 0) return { ok: false, text: `driver ${name} cannot put state` };
    return await answered(name, () => asked.value.put(records));
  }

  async del({ driver: name, role, fields }: StateQuery): Promise<StateAnswer<number>> {
    const asked = this.#ask(name);
    if (!asked.ok) return asked;
    const roles = asked.value.abilities.del.filter((known) => role === null || known === role);
    if (roles.length === 0) return { ok: false, text: `driver ${name} cannot delete ${role ?? "any"} state` };
    return await answered(name, async () => {
      let gone = 0;
      for (const one of roles) gone += await asked.value.del(one, fields);
      return gone;
    });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running.values()].map(({ live }) => live.stop()));
    this.#running.clear();
  }
}

async function answered<T>(name: string, work: () => Promise<T>): Promise<StateAnswer<T>> {
  try {
    return { ok: true, value: await work() };
  } catch (error) {
    return { ok: false, text: `driver ${name} failed: ${reasonOf(error)}` };
  }
}

async function* allOf(driver: StateDriver, roles: StateQuery["role"][], fields: StateQuery["fields"]) {
  const never = new AbortController().signal;
  for (const role of roles) yield* driver.get(role!, fields, never);
}

/** All sources of one replica; the driver hears of one at a time. The first failure ends them all. */
async function insertAll(insertions: readonly Insertion[], driver: StateDriver, signal: AbortSignal) {
  const stop = new AbortController(), either = AbortSignal.any([signal, stop.signal]);
  const one = inTurn(driver);
  try {
    await Promise.all(insertions.map((insertion) => insertion.run(one, either)));
  } finally {
    stop.abort();
  }
}

/** The same driver, which is put to by one after the other. */
function inTurn(driver: StateDriver): StateDriver {
  let last: Promise<unknown> = Promise.resolve();
  return {
    kind: driver.kind,
    abilities: driver.abilities,
    get: (role, fields, signal) => driver.get(role, fields, signal),
    put: (records) => {
      const turn = last.then(() => driver.put(records));
      last = turn.catch(() => {}); // Whoever has put hears of it.
      return turn;
    },
    del: (role, fields) => driver.del(role, fields),
    watch: (signal) => driver.watch(signal),
    counters: () => driver.counters(),
    close: () => driver.close(),
  };
}

function viewOf({ config, live, extraction, insertions }: Running): DriverView {
  const counters: Record<string, number> = {};
  for (const part of extraction === null ? insertions : [extraction]) {
    for (const [name, count] of Object.entries(part.counters())) {
      counters[name] = (counters[name] ?? 0) + count;
    }
  }
  return {
    name: config.name,
    kind: config.kind,
    box: config.box,
    role: config.role,
    state: live.state,
    reason: live.reason,
    sinceMs: live.sinceMs,
    failures: live.failures,
    sequence: extraction?.sequence ?? null,
    places: insertions.map(({ source, place }) => ({ source, ...place })),
    counters,
    driverCounters: live.driver?.counters() ?? {},
  };
}

/** What kinds there are, also where no driver runs. */
export function kindsReport(): DriversReport {
  const kinds = DRIVER_KINDS.map(({ kind, summary, abilities }: DriverKind) => ({
    kind,
    summary,
    get: abilities.get,
    put: abilities.put,
    del: abilities.del,
    watch: abilities.watch,
    codecs: abilities.codecs,
  }));
  return { kinds, drivers: [], repository: null };
}
