/**
 * Duty: `remediate fleet ...`: joins the commands with files, signals and sockets. An edge.
 */
import { type Config, parseConfig } from "../../appliance/config.ts";
import { consult } from "../../appliance/doctor.ts";
import { IdentityFile } from "../../appliance/fleet/identity.ts";
import type { Registry } from "../../appliance/fleet/contract.ts";
import { parseRedis, REDIS_FORM } from "../../appliance/repository/redis_address.ts";
import type { RedisClient } from "../../appliance/repository/redis_client.ts";
import { reasonOf } from "../../drivers/reason.ts";
import type { Invocation } from "../arguments.ts";
import { type Terminal, toJson } from "../cli.ts";
import { connectNode } from "../client.ts";
import { DEFAULT_CONFIG, EXIT, type Exit } from "../commands.ts";
import { logLine } from "../log.ts";
import { wallTime } from "../paint.ts";
import { readText } from "../standard_input.ts";
import { type AgentStatus, agentStatusPath, fleetDirectory, runAgent } from "./agent.ts";
import { fleetCommand } from "./cli.ts";
import { addBundle } from "../../appliance/fleet/transfer/bundles.ts";
import { updateExecutors, type UpdateMeans } from "../../appliance/fleet/transfer/executor.ts";
import { getPinned } from "../../appliance/fleet/transfer/get.ts";
import { parseMirrors } from "../../appliance/fleet/transfer/mirrors.ts";
import type { Updater } from "../../appliance/update/contract.ts";
import { beforeOf } from "../../appliance/update/gate_facts.ts";
import { openUpdater, readSlots } from "../../appliance/update/machine.ts";
import { bundlesPath, rolloutParts } from "./parts.ts";
import { serveFleet } from "./serve.ts";

/** Status files older than this are of an agent that ended. */
const STALE_MS = 15_000;
const TOKEN = /^rft_[0-9a-f]{12}_[A-Za-z0-9_-]{43}$/;

/** `loaded`: the configuration, for the commands of a node; null: it was bad, and that was told. */
export async function fleet(
  invocation: Invocation,
  terminal: Terminal,
  loaded: () => Promise<Config | null>,
): Promise<number> {
  switch (invocation.command.name) {
    case "fleet serve":
      return await serve(invocation, terminal);
    case "fleet bundle":
      return await bundle(invocation, terminal);
    case "fleet agent":
    case "fleet status":
    case "fleet enrol":
    case "fleet leave": {
      const config = await loaded();
      return config === null ? EXIT.input : await ofNode(config, invocation, terminal);
    }
  }
  const socket = invocation.options.text("socket")!, remote = connectNode(socket);
  const readFile = (path: string) => readText(path);
  const save = (path: string, output: string) => saveAnswer(socket, path, output);
  try {
    return await fleetCommand(remote, invocation, { terminal, readFile, save });
  } finally {
    remote.close();
  }
}

async function ofNode(config: Config, { command, options }: Invocation, terminal: Terminal): Promise<Exit> {
  const file = new IdentityFile(fleetDirectory(config));
  switch (command.name) {
    case "fleet agent":
      return await agent(config, options.text("config") ?? DEFAULT_CONFIG, terminal);
    case "fleet status":
      return await status(config, options.flag("json"), terminal);
    case "fleet enrol": {
      const token = (await new Response(Deno.stdin.readable).text()).trim();
      if (!TOKEN.test(token)) {
        terminal.err("Cannot enrol: standard input holds no one-time token, rft_...\n");
        return EXIT.input;
      }
      if ((await file.load())?.fleet) {
        terminal.err("Cannot enrol: this node belongs to a fleet; `remediate fleet leave` first\n");
        return EXIT.failed;
      }
      file.saveToken(token);
      terminal.out("The agent takes the token at its next try\n");
      return EXIT.ok;
    }
    default: {
      const left = await file.forget();
      terminal.out(left ? "This node has left its fleet\n" : "This node belonged to no fleet\n");
      return left ? EXIT.ok : EXIT.failed;
    }
  }
}

async function agent(config: Config, path: string, terminal: Terminal): Promise<Exit> {
  const stop = stopped();
  await runAgent({
    config: async () => {
      const parsed = parseConfig(await Deno.readTextFile(path), path);
      if (parsed.config === undefined) throw new Error(`Cannot use ${path}: there are problems in it`);
      return parsed.config;
    },
    consult,
    updater: await slotUpdater(config),
    executors: ({ updater }) => updater === null ? {} : updateExecutors(updateMeans(updater, config)),
    say: (level, text) => {
      const line = logLine({ level, text: `fleet: ${text}`, more: {} }, config.log, terminal.now());
      if (line !== null) terminal.err(line);
    },
    stop,
  });
  return EXIT.ok;
}

/** Of this machine's slots; null: it has none. */
async function slotUpdater({ api: { socket } }: Config): Promise<Updater | null> {
  if (await readSlots() === null) return null;
  return await openUpdater({
    before: async () => {
      const node = connectNode(socket);
      try {
        return beforeOf(await node.status());
      } finally {
        node.close();
      }
    },
  });
}

/** A proxy is not gone by: bundles come from a mirror then. */
function updateMeans(updater: Updater, config: Config): UpdateMeans {
  const { fleet: { url, fingerprint }, node: { stateDirectory } } = config;
  return {
    updater,
    directory: `${stateDirectory}/bundles`,
    controller: (url ?? "").replace(/^wss:/, "https:").replace(/\/$/, ""),
    get: getPinned(fingerprint),
  };
}

async function status(config: Config, json: boolean, terminal: Terminal): Promise<Exit> {
  let told: AgentStatus;
  try {
    told = JSON.parse(await Deno.readTextFile(agentStatusPath(config))) as AgentStatus;
  } catch (error) {
    const absent = error instanceof Deno.errors.NotFound;
    const why = absent ? "no agent runs; start one with `remediate fleet agent`" : reasonOf(error);
    terminal.err(`Cannot tell: ${why}\n`);
    return EXIT.failed;
  }
  const { view, atMs, url, waits, busy } = told, live = view?.phase === "live";
  const stale = terminal.now() - atMs > STALE_MS;
  if (json) terminal.out(toJson({ ...told, stale }));
  else {
    const state = stale
      ? `the agent has not written since ${wallTime(atMs)}`
      : waits !== ""
      ? waits
      : live
      ? `connected as ${view.node} since ${
        wallTime(view.sinceMs)
      }, protocol ${view.version}, ${busy} commands`
      : `${view?.phase}: ${view?.reason}${view?.retryMs ? `; again at ${wallTime(view.retryMs)}` : ""}`;
    terminal.out(`${url}: ${state}\n`);
  }
  return live && !stale ? EXIT.ok : EXIT.degraded;
}

async function serve({ options }: Invocation, terminal: Terminal): Promise<Exit> {
  const stop = stopped();
  const say = (level: "info" | "warn" | "error", text: string) =>
    terminal.err(`${new Date(terminal.now()).toISOString()} ${level} ${text}\n`);
  if ((options.text("certificate") === null) !== (options.text("key") === null)) {
    terminal.err("Cannot serve: --certificate and --key belong together\n");
    return EXIT.input;
  }
  const mirrors = parseMirrors(options.text("mirrors") ?? "");
  if (typeof mirrors === "string") {
    terminal.err(`Cannot serve: --mirrors ${mirrors}\n`);
    return EXIT.input;
  }
  const bytesPerSecondMax = options.given("transfer-kib-s") ? options.number("transfer-kib-s") * 1024 : null;
  const redis = options.text("redis");
  const registry = redis === null ? null : await sharedRegistry(redis, options.text("name")!, say);
  const running = await serveFleet({
    ...(registry && { registry }),
    name: options.text("name")!,
    listen: options.text("listen")!,
    stateDirectory: options.text("state")!,
    runtimeDirectory: options.text("runtime")!,
    certificate: options.text("certificate"),
    key: options.text("key"),
    heartbeatS: options.number("heartbeat-s"),
    connectionsMax: options.number("connections"),
    say,
    parts: (given) =>
      rolloutParts(given, { stateDirectory: options.text("state")!, say, mirrors, bytesPerSecondMax }),
  });
  if (!stop.aborted) await new Promise((done) => stop.addEventListener("abort", done));
  await running.close();
  return EXIT.ok;
}

async function bundle(
  { arguments: [path = ""], options }: Invocation,
  terminal: Terminal,
): Promise<Exit> {
  const file = await Deno.open(path).catch((cause) => {
    throw new Error(`Cannot read ${path}: ${reasonOf(cause)}`, { cause });
  });
  const { digest, bytes } = await addBundle(bundlesPath(options.text("state")!), file.readable);
  terminal.out(options.flag("json") ? toJson({ digest, bytes }) : `${digest} ${bytes}\n`);
  return EXIT.ok;
}

type Say = (level: "info" | "warn" | "error", text: string) => void;

/** @throws Error with one sentence */
async function sharedRegistry(url: string, name: string, say: Say): Promise<Registry> {
  const address = parseRedis(url);
  if (address === null) throw new Error(`Cannot use --redis ${url}: accepted is ${REDIS_FORM}`);
  const { openRedis } = await import("../../appliance/repository/redis_client.ts");
  const { openRedisRegistry } = await import("../../appliance/fleet/registry_redis.ts");
  const password = Deno.env.get("REMEDIATE_REDIS_PASSWORD") ?? null;
  const options = { address, password, user: null, ca: null, certificate: null, key: null, commandMs: 5000 };
  let told = "";
  const client = openRedis(options, (reason) => {
    if (reason !== told) say("error", `Redis: ${reason}`);
    told = reason;
  });
  try {
    await readySoon(client);
    return await openRedisRegistry(client, name);
  } catch (cause) {
    await client.close();
    throw new Error(`Cannot use the registry in ${url}: ${reasonOf(cause)}`, { cause });
  }
}

async function readySoon(client: RedisClient): Promise<void> {
  for (let look = 0; look < 100 && !client.ready; look++) await new Promise((done) => setTimeout(done, 100));
}

function stopped(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, () => stop.abort());
  return stop.signal;
}

/** The client's answers are JSON; a file is not. */
async function saveAnswer(socket: string, path: string, output: string): Promise<number> {
  using client = Deno.createHttpClient({ proxy: { transport: "unix", path: socket } });
  const response = await fetch(`http://controller${path}`, { client });
  if (!response.ok || response.body === null) {
    throw new Error(`Cannot fetch the file: HTTP ${response.status}`);
  }
  try {
    using file = await Deno.open(output, { write: true, create: true, truncate: true, mode: 0o600 });
    await response.body.pipeTo(file.writable, { preventClose: true });
    return (await file.stat()).size;
  } catch (cause) {
    throw new Error(`Cannot write ${output}: ${reasonOf(cause)}`, { cause });
  }
}
