/**
 * The state drivers of a running node: their clock, their secret, their repository, and the node's events of them.
 *
 * An edge. Nothing here can keep the node from forwarding: what fails is told and tried again, or left out. Without drivers
 * nothing is opened.
 */
import { importSecret, SALT_BYTES, Sealer } from "../drivers/seal.ts";
import { Random } from "../filter/random.ts";
import type { StateDriver } from "../drivers/driver.ts";
import type { StateRecord } from "../drivers/record.ts";
import type { Config } from "./config.ts";
import type { Hint } from "./extraction.ts";
import { reasonOf } from "../drivers/reason.ts";
import { openRepository, sleep } from "./repository/open.ts";
import type { RepositoryEvent } from "./repository/spooled.ts";
import { kindsReport, sourceName, StateDrivers } from "./state_drivers.ts";
import { readStateKey } from "./state_key.ts";
import type { EventView } from "./view.ts";
import type { DriversReport, StateControl, StateQuery } from "./view_state.ts";

const BEAT_MS = 2_000;

/** An event of state, before the node adds when and where. */
export interface StateTold {
  readonly cause: EventView["cause"];
  readonly subject: string;
  readonly text: string;
}

export interface NodeStateOptions {
  readonly say: (level: "info" | "warn" | "error", text: string) => void;
  readonly tell: (told: StateTold) => void;
  /** Whether the traffic goes by this box now. */
  readonly serves: (box: string) => boolean;
  /** A driver says that frames of a flow have to be seen again, or belong to another box. */
  readonly hint?: (hint: Hint, driver: string) => void;
}

export interface DriverSet {
  /** Of the configuration in force, also before they are open. */
  readonly names: readonly string[];
  /** Null: there is none of this name, or it is not open. */
  get(name: string): StateDriver | null;
  /** The box that it talks to; null: there is none of this name. */
  boxOf(name: string): string | null;
}

interface Open {
  readonly drivers: StateDrivers;
  /** The configuration that would need another one. */
  readonly by: string;
  readonly close: () => Promise<void>;
}

const CAUSES: Readonly<Record<RepositoryEvent["kind"], EventView["cause"]>> = {
  down: "lost",
  up: "connected",
  filling: "waits",
  full: "overdue",
  lost: "lost",
};

export class NodeState implements StateControl {
  readonly #options: NodeStateOptions;
  #open: Open | null = null;
  #last: Promise<void> = Promise.resolve();
  /** Boxes by the names of their drivers. */
  #boxes: ReadonlyMap<string, string> = new Map();

  constructor(options: NodeStateOptions) {
    this.#options = options;
  }

  /** Also after a reload: drivers that are configured alike go on undisturbed. Does not wait, never throws. */
  configure(config: Config): void {
    this.#boxes = new Map(config.drivers.map(({ name, box }) => [name, box]));
    this.#last = this.#last.then(() => this.#configure(config)).catch((error) => {
      this.#options.tell({
        cause: "lost",
        subject: "repository",
        text: `no state driver runs: ${reasonOf(error)}`,
      });
    });
  }

  async #configure(config: Config): Promise<void> {
    const by = JSON.stringify([config.node.name, config.repository]);
    if (this.#open !== null && (this.#open.by !== by || config.drivers.length === 0)) await this.#close();
    if (config.drivers.length === 0) return;
    this.#open ??= await this.#begin(config, by);
    await this.#open.drivers.configure(config.drivers);
  }

  async #begin(config: Config, by: string): Promise<Open> {
    const { node, repository: kept } = config, { say, tell, hint, serves } = this.#options;
    const secret = await importSecret(readStateKey(kept.keyFile, kept.makesKey));
    const { repository, epoch, resume } = await openRepository(kept, (event) => this.#told(event));
    const drivers = new StateDrivers({
      node: node.name,
      repository,
      secret,
      sealer: (source) => {
        const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
        return Sealer.open({ secret, source, epoch: epoch(), salt });
      },
      tombstoneMs: kept.tombstoneS * 1_000,
      serves,
      random: new Random(Date.now()),
      nowMs: Date.now,
      sleep,
      say,
      tell: ({ kind, driver, text }) =>
        tell({ cause: kind === "failed" ? "died" : "start", subject: driver, text }),
      hint: hint ?? (() => {}),
    });
    resume(config.drivers.map(({ name }) => sourceName(node.name, name)));
    const beat = setInterval(() => void drivers.beat(), BEAT_MS);
    const close = async () => {
      clearInterval(beat);
      await drivers.close();
      await repository.close();
    };
    return { drivers, by, close };
  }

  #told({ kind, source, text }: RepositoryEvent): void {
    if (source !== undefined) this.#open?.drivers.lost(source);
    this.#options.tell({ cause: CAUSES[kind], subject: "repository", text });
  }

  async #close(): Promise<void> {
    const open = this.#open;
    this.#open = null;
    await open?.close();
  }

  /** The drivers as they are now, for those who move state between boxes. */
  readonly set: DriverSet = stateSet(() => this.#boxes, (name) => this.#open?.drivers.driver(name) ?? null);

  report(): DriversReport {
    return this.#open?.drivers.report() ?? kindsReport();
  }

  get(query: StateQuery) {
    return this.#open?.drivers.get(query) ?? NONE;
  }

  async put(driver: string, records: readonly StateRecord[]) {
    return await this.#open?.drivers.put(driver, records) ?? NONE;
  }

  async del(query: StateQuery) {
    return await this.#open?.drivers.del(query) ?? NONE;
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#close();
  }
}

const NONE = {
  ok: false,
  text: "no state driver is configured: [driver.NAME] in the configuration",
} as const;

function stateSet(boxes: () => ReadonlyMap<string, string>, get: DriverSet["get"]): DriverSet {
  return {
    get names() {
      return [...boxes().keys()];
    },
    get,
    boxOf: (name) => boxes().get(name) ?? null,
  };
}
