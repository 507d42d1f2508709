/**
 * Duty: the agent's process: reads [fleet], looks at the node as time passes, and keeps `fleet.json` for who asks.
 *
 * An edge. It only asks the node's socket, as a person would: whatever becomes of it or of the controller, the node and its
 * plane do not know.
 */
import type { Config } from "../../appliance/config.ts";
import { labelsOf } from "../../appliance/config_keys_fleet.ts";
import type { Finding } from "../../appliance/doctor_finding.ts";
import { AgentEdge } from "../../appliance/fleet/agent_edge.ts";
import type { AgentView } from "../../appliance/fleet/agent.ts";
import type { Backoff } from "../../appliance/fleet/backoff.ts";
import type { Executors } from "../../appliance/fleet/contract.ts";
import { type FleetIdentity, IdentityFile } from "../../appliance/fleet/identity.ts";
import { makeId } from "../../appliance/fleet/keys.ts";
import type { LinkOptions } from "../../appliance/fleet/link.ts";
import { EVENTS_MAX } from "../../appliance/fleet/messages.ts";
import { makeDirectory } from "../../appliance/directories.ts";
import type { Updater } from "../../appliance/update/contract.ts";
import { VERSION } from "../../appliance/version.ts";
import { reasonOf } from "../../drivers/reason.ts";
import { connectNode, type RemoteNode } from "../client.ts";
import { eventsOf, nodeExecutors, reportOf } from "./node_seam.ts";

export interface AgentOptions {
  /** The configuration as it is now; it is read again where it may have changed. @throws Error with one sentence */
  readonly config: () => Promise<Config>;
  /** Of the machine, at the start and then now and then. */
  readonly consult: (config: Config) => Promise<readonly Finding[]>;
  readonly updater: Updater | null;
  /** Besides those that every node has. */
  readonly executors?: (given: { readonly node: RemoteNode; readonly updater: Updater | null }) => Executors;
  readonly say: (level: "info" | "warn" | "error", text: string) => void;
  readonly stop: AbortSignal;
  readonly backoff?: Backoff;
}

/** What `fleet status` reads. */
export interface AgentStatus {
  readonly atMs: number;
  readonly pid: number;
  readonly url: string;
  readonly key: string;
  /** Commands that wait or are under way. */
  readonly busy: number;
  /** The last command and what came of it; null: none since the agent began. */
  readonly last: string | null;
  readonly view: AgentView | null;
  /** Why there is no connection to be had; empty: there may be one. */
  readonly waits: string;
}

const TICK_MS = 500;
const REPORT_EVERY_MS = 2000;
const STATUS_EVERY_MS = 2000;
const DOCTOR_EVERY_MS = 600_000;

export function fleetDirectory(config: Config): string {
  return `${config.node.stateDirectory}/fleet`;
}

export function agentStatusPath(config: Config): string {
  return `${config.node.runtimeDirectory}/fleet.json`;
}

/** As the agent wrote it last; null: none has, or it cannot be read. */
export function agentStatus(config: Config): AgentStatus | null {
  try {
    return JSON.parse(Deno.readTextFileSync(agentStatusPath(config))) as AgentStatus;
  } catch {
    return null; // an agent that never ran, or is just being started
  }
}

/** Until it is told to stop. @throws Error with one sentence */
export async function runAgent(options: AgentOptions): Promise<void> {
  const config = await options.config();
  if (config.fleet.url === null) {
    throw new Error("Cannot run the agent: the configuration names no controller, [fleet] url");
  }
  const agent = new Agent(options, config);
  await agent.run();
}

class Agent {
  readonly #options: AgentOptions;
  readonly #file: IdentityFile;
  readonly #node: RemoteNode;
  readonly #start = makeId(16);
  #config: Config;
  #edge: AgentEdge | null = null;
  #identity: FleetIdentity | null = null;
  #waits = "";
  #findings: readonly Finding[] = [];
  #doctorMs = 0;
  #reportMs = 0;
  #statusMs = 0;
  #asking = false;

  constructor(options: AgentOptions, config: Config) {
    this.#options = options;
    this.#config = config;
    this.#file = new IdentityFile(fleetDirectory(config));
    this.#node = connectNode(config.api.socket);
  }

  async run(): Promise<void> {
    const { stop, say } = this.#options;
    while (!stop.aborted) {
      try {
        await this.#turn(Date.now());
      } catch (error) {
        if (reasonOf(error) !== this.#waits) say("error", reasonOf(error));
        this.#waits = reasonOf(error);
      }
      await sleep(TICK_MS, stop);
    }
    await this.#edge?.close();
    this.#node.close();
    await Deno.remove(agentStatusPath(this.#config)).catch(() => {}); // a node that never ran has no such directory
  }

  async #turn(nowMs: number): Promise<void> {
    await this.#beSomebody();
    this.#edge?.tick(nowMs);
    if (nowMs - this.#reportMs >= REPORT_EVERY_MS || nowMs < this.#reportMs) {
      this.#reportMs = nowMs;
      // A node that answers late must not keep the connection from being looked after.
      void this.#look(nowMs);
    }
    if (nowMs - this.#statusMs < STATUS_EVERY_MS && nowMs >= this.#statusMs) return;
    this.#statusMs = nowMs;
    await this.#tell(nowMs);
  }

  /** The identity on disk is the truth: a person may have it leave, or bring a token. */
  async #beSomebody(): Promise<void> {
    const { say, updater, executors } = this.#options, kept = await this.#file.load();
    const gone = this.#identity !== null && kept === null;
    if (gone) {
      say("info", "the node has left its fleet");
      await this.#edge?.close();
      this.#edge = null;
    }
    if (this.#edge !== null) return;
    const identity = this.#identity = kept ?? await this.#file.open();
    const { tokenFile } = this.#config.fleet;
    const token = identity.fleet === null ? await this.#file.token(tokenFile) : null;
    this.#waits = identity.fleet === null && token === null
      ? "not enrolled: give it a one-time token with `remediate fleet enrol`"
      : "";
    if (this.#waits !== "") return;
    const node = this.#node;
    this.#edge = new AgentEdge({
      name: this.#config.node.name,
      file: this.#file,
      identity,
      token,
      link: await this.#link(),
      executors: {
        ...nodeExecutors({
          node,
          reconnect: (withinMs) => this.#reconnect(withinMs),
          sleep: (ms) => sleep(ms, this.#options.stop),
          nowMs: () => Date.now(),
        }),
        ...executors?.({ node, updater }),
      },
      enrolled: () => void this.#file.dropToken(tokenFile),
      say,
      ...(this.#options.backoff && { backoff: this.#options.backoff }),
    });
  }

  async #reconnect(withinMs: number): Promise<boolean> {
    this.#config = await this.#options.config();
    return await this.#edge?.reconnect(await this.#link(), withinMs) ?? false;
  }

  async #link(): Promise<LinkOptions> {
    const { url, fingerprint, ca, proxy } = this.#config.fleet;
    if (url === null) throw new Error("Cannot connect: the configuration names no controller any more");
    return { url, fingerprint, proxy, ca: ca === null ? null : await readText(ca) };
  }

  async #look(nowMs: number): Promise<void> {
    const edge = this.#edge;
    if (edge === null || this.#asking) return;
    this.#asking = true;
    try {
      const { updater, consult } = this.#options;
      if (nowMs - this.#doctorMs >= DOCTOR_EVERY_MS) {
        this.#doctorMs = nowMs;
        this.#findings = await consult(this.#config);
      }
      const told = {
        name: this.#config.node.name,
        version: VERSION,
        labels: labelsOf(this.#config.fleet.labels) ?? {},
        start: this.#start,
        machine: Deno.hostname().slice(0, 128),
      };
      const looked = { updater, findings: this.#findings, atMs: this.#doctorMs };
      edge.report(await reportOf(this.#node, told, looked));
      const after = edge.eventsAfter;
      if (after !== null) edge.events(await eventsOf(this.#node, after, EVENTS_MAX));
    } catch (error) {
      const silent = error instanceof Error && error.name === "NodeSilentError"; // the report says so
      if (!silent) this.#options.say("error", `Cannot report: ${reasonOf(error)}`);
    } finally {
      this.#asking = false;
    }
  }

  async #tell(nowMs: number): Promise<void> {
    const path = agentStatusPath(this.#config), edge = this.#edge;
    const status: AgentStatus = {
      atMs: nowMs,
      pid: Deno.pid,
      url: this.#config.fleet.url ?? "",
      key: this.#identity?.keys[0].key ?? "",
      busy: edge?.view.busy ?? 0,
      last: edge?.view.last ?? null,
      view: edge?.view ?? null,
      waits: this.#waits,
    };
    makeDirectory(this.#config.node.runtimeDirectory);
    await Deno.writeTextFile(`${path}.new`, JSON.stringify(status), { mode: 0o640 });
    await Deno.rename(`${path}.new`, path);
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new Error(`Cannot read ${path}: ${reasonOf(cause)}`, { cause });
  }
}

function sleep(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      stop.removeEventListener("abort", end);
      done();
    };
    const timer = setTimeout(end, ms);
    stop.addEventListener("abort", end);
  });
}
