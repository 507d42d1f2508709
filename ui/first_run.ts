/**
 * A machine that has not been told yet what is plugged in where: its page, until there is a configuration to run by.
 *
 * An edge. It begins only where the configuration names no ports and an address to listen on: who wrote that address
 * wants to be asked there. Nothing is forwarded meanwhile.
 */
import { setTimeout as delay } from "node:timers/promises";
import { LldpEar } from "../appliance/setup/ear.ts";
import { blink, listNics, type Nic, raise } from "../appliance/setup/nics.ts";
import { isFresh, parseBase } from "../appliance/setup/plan.ts";
import { bindPorts } from "../appliance/bind_ports.ts";
import { type Config, configuredRoles, describeProblem, parseConfig } from "../appliance/config.ts";
import { endpointOf } from "../appliance/config_keys_api.ts";
import { makeDirectory } from "../appliance/directories.ts";
import { reasonOf } from "../drivers/reason.ts";
import type { Terminal } from "./cli.ts";
import { EXIT, type Exit } from "./commands.ts";
import { type Level, logLine } from "./log.ts";
import { listen } from "./network.ts";
import { firstPages } from "./page/first_pages.tsx";
import { answering, openAccess, openAudit } from "./serve.ts";

/** What of the machine the pages need; tests have one of their own. */
export interface Machine {
  nics(): Promise<readonly Nic[]>;
  blink(name: string): Promise<string | null>;
  /** Gives PCI ports to the plane's driver. Returns why not; then none is moved. @throws Error with one sentence */
  bind(config: Config): Promise<readonly string[]>;
  /** Why neighbours are not heard; null: they are. */
  readonly deaf: string | null;
  close(): void;
}

/** For the answer to leave before the listener does. */
const LAST_WORDS_MS = 300;

/** Ask for a configuration if there is none to run by. @returns the exit code to end with; null: go on and run */
export async function firstRun(path: string, terminal: Terminal): Promise<Exit | null> {
  const base = await Deno.readTextFile(path).catch(() => null);
  if (base === null || !isFresh(base)) return null;
  const { config, problems } = parseBase(base, path);
  if (config === undefined) {
    for (const problem of problems) terminal.err(`${describeProblem(problem)}\n`);
    return EXIT.input;
  }
  if (config.api.listen === null) return null; // the check says what is missing
  const machine = await openMachine();
  const stop = new AbortController(), end = () => stop.abort();
  Deno.addSignalListener("SIGTERM", end);
  Deno.addSignalListener("SIGINT", end);
  try {
    const written = await askOnPage({
      base,
      path,
      config,
      machine,
      signal: stop.signal,
      say: sayer(config, terminal),
    });
    return written ? null : EXIT.ok;
  } finally {
    Deno.removeSignalListener("SIGTERM", end);
    Deno.removeSignalListener("SIGINT", end);
    machine.close();
  }
}

function sayer(config: Config, terminal: Terminal) {
  return (level: Level, text: string) => {
    const line = logLine({ level, text, more: {} }, config.log, terminal.now());
    if (line !== null) terminal.err(line);
  };
}

async function openMachine(): Promise<Machine> {
  let ear: LldpEar | null = null, deaf: string | null = null;
  try {
    ear = new LldpEar();
  } catch (error) {
    deaf = reasonOf(error);
  }
  await raise(await listNics(null));
  return { nics: () => listNics(ear), blink, bind: bound, deaf, close: () => ear?.close() };
}

const bound = async (config: Config) => (await bindPorts(config)).faults;

export interface Asking {
  /** The configuration so far, and its file. */
  readonly base: string;
  readonly path: string;
  /** Of the base, with ports that are none. */
  readonly config: Config;
  readonly machine: Machine;
  readonly signal: AbortSignal;
  readonly say: (level: Level, text: string) => void;
}

/** @returns whether a configuration was written; else the signal came. @throws Error with one sentence */
export async function askOnPage({ base, path, config, machine, signal, say }: Asking): Promise<boolean> {
  makeDirectory(config.node.stateDirectory);
  makeDirectory(config.node.runtimeDirectory);
  const audit = openAudit(config, say), opened = openAccess(config, { audit, say });
  const endpoint = endpointOf(config.api.listen ?? "");
  if (opened === null || endpoint === null) {
    throw new Error("Cannot ask for a configuration: nobody could log in");
  }
  const { access, identity } = opened, addresses = new WeakMap<Request, string>();
  let written = false;
  const ended = new AbortController();
  const pages = firstPages({
    node: config.node.name,
    base,
    access,
    address: (request) => addresses.get(request) ?? "",
    audit,
    nics: () => machine.nics(),
    deaf: machine.deaf,
    blink: (name) => machine.blink(name),
    write: async (text) => {
      await takePorts(machine, parseConfig(text, path).config);
      writeConfig(path, text);
    },
    done: () => {
      written = true;
      ended.abort();
    },
  });
  const app = { fetch: () => new Response("The node is not set up yet\n", { status: 503 }) };
  const answer = answering({ app, who: (headers) => access.visitorOf(headers), pages, addresses });
  const listener = await listen({ ...endpoint, identity, answer });
  const print = identity === null ? "without TLS" : `certificate SHA-256 ${identity.fingerprint}`;
  say("warn", `no ports are configured: set this node up at ${config.api.listen}, ${print}`);
  await delay(2 ** 31 - 1, undefined, { signal: AbortSignal.any([signal, ended.signal]) }).catch(() => {});
  if (written) await delay(LAST_WORDS_MS);
  await listener.close();
  if (written) say("info", `${path} is written; the node starts`);
  return written;
}

/** Before the configuration is kept: one that cannot have its ports would not be asked about again. */
async function takePorts(machine: Machine, config: Config | undefined): Promise<void> {
  if (config === undefined || configuredRoles(config).every((role) => config.ports[role]?.kind !== "pci")) {
    return;
  }
  const faults = await machine.bind(config);
  if (faults.length > 0) throw new Error(faults.join("; "));
}

function writeConfig(path: string, text: string): void {
  try {
    Deno.writeTextFileSync(`${path}.new`, text, { mode: 0o640 });
    Deno.renameSync(`${path}.new`, path);
  } catch (cause) {
    throw new Error(`Cannot write ${path}: ${reasonOf(cause)}`, { cause });
  }
}
