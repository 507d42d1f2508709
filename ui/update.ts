/**
 * Duty: `remediate update`: what a person asks of the slots, and what the machine itself asks at each start.
 *
 * Works without a running node, for a machine whose node does not come up is one that needs an update. An edge: files, the
 * clock, the units of systemd behind `restart`.
 */
import { DEFAULT_SOCKET, describeProblem, parseConfig } from "../appliance/config.ts";
import { matchFault } from "../appliance/config_match.ts";
import { answerRauc } from "../appliance/update/backend.ts";
import { readBoot, writeBoot } from "../appliance/update/boot_copies.ts";
import type { Updater } from "../appliance/update/contract.ts";
import {
  begun,
  type GateFacts,
  gateFaults,
  gateRules,
  judged,
  NOTHING_BEFORE,
} from "../appliance/update/gate.ts";
import { beforeOf, nodeFacts } from "../appliance/update/gate_facts.ts";
import { openMachine, openUpdater, readSlots, SLOTS_FILE } from "../appliance/update/machine.ts";
import type { UpdateMemory } from "../appliance/update/memory.ts";
import { passed, rejected, settle, type Settled } from "../appliance/update/settle.ts";
import { chooseSettings, type SettingsFiles } from "../appliance/update/settings.ts";
import type { Machine } from "../appliance/update/updater.ts";
import { otherSlot } from "../appliance/update/boot_state.ts";
import type { NodeStatus } from "../appliance/view.ts";
import { reasonOf } from "../drivers/reason.ts";
import type { Invocation } from "./arguments.ts";
import { type Terminal, toJson } from "./cli.ts";
import { connectNode } from "./client.ts";
import { DEFAULT_CONFIG, EXIT, type Exit } from "./commands.ts";
import { reportText, updateText } from "./update_text.ts";

const LOOK_MS = 1000;

/** The configuration's problems, and where its node answers. Null: there is none. */
async function settings(): Promise<{ problems: readonly string[]; socket: string } | null> {
  const text = await Deno.readTextFile(DEFAULT_CONFIG).catch(() => null);
  if (text === null) return null;
  const { config, problems } = parseConfig(text, DEFAULT_CONFIG, { matchFault });
  return { problems: problems.map(describeProblem), socket: config?.api.socket ?? DEFAULT_SOCKET };
}

/** Null: no node answers. */
async function statusAt(socket: string): Promise<NodeStatus | null> {
  const node = connectNode(socket);
  try {
    return await node.status();
  } catch {
    return null;
  } finally {
    node.close();
  }
}

const before = async () => beforeOf(await statusAt((await settings())?.socket ?? DEFAULT_SOCKET));

export async function updateCommand(invocation: Invocation, terminal: Terminal): Promise<Exit> {
  const { command, arguments: words } = invocation;
  switch (command.name) {
    case "update judge":
      return await withMachine(terminal, (machine) => judge(machine, terminal));
    case "update settings":
      return await withMachine(terminal, (machine) => adopt(machine, terminal));
    case "update backend":
      return await withMachine(terminal, (machine) => backend(machine, words, terminal));
  }
  return await forPeople(await openUpdater({ before }), invocation, terminal);
}

async function forPeople(updater: Updater, invocation: Invocation, terminal: Terminal): Promise<Exit> {
  const { command, options, arguments: [file = ""] } = invocation;
  const isJson = options.flag("json");
  switch (command.name) {
    case "update": {
      const digest = options.text("digest") ?? await digestOf(file);
      const report = await updater.install(file, { digest, force: options.flag("force") });
      terminal.out(isJson ? toJson(report) : `${report.reason}\n`);
      return EXIT.ok;
    }
    case "update restart":
      await updater.restart();
      return EXIT.ok;
    case "update rollback":
      await updater.rollBack();
      terminal.out("The other slot is started next; `remediate update restart` does it now\n");
      return EXIT.ok;
  }
  const view = await updater.view();
  terminal.out(isJson ? toJson(view) : updateText(view));
  return EXIT.ok;
}

/** Of a file that a person names: it is what is meant. An unreadable one is refused later, by name. */
async function digestOf(file: string): Promise<string> {
  const { fileDigest } = await import("../appliance/update/machine.ts");
  return await fileDigest(file).catch((error) => {
    throw new Error(`Cannot install ${file}: ${reasonOf(error)}`, { cause: error });
  });
}

async function withMachine(terminal: Terminal, work: (machine: Machine) => Promise<Exit>): Promise<Exit> {
  const slots = await readSlots();
  if (slots !== null) return await work(await openMachine(slots, { before }));
  terminal.err(`Cannot do this here: it is no appliance image, for there is no ${SLOTS_FILE}\n`);
  return EXIT.failed;
}

async function backend(machine: Machine, words: readonly string[], terminal: Terminal): Promise<Exit> {
  await machine.locked(async () => {
    const { said, state } = answerRauc(words, (await readBoot(machine.copies)).state, machine.booted);
    if (state !== null) await writeBoot(machine.copies, state);
    if (said !== "") terminal.out(`${said}\n`);
  });
  return EXIT.ok;
}

/** The boot state first: without it nothing is safe, and without the memory only history is lost. */
async function conclude(machine: Machine, { state, memory, report }: Settled, terminal: Terminal) {
  await writeBoot(machine.copies, state);
  if (report !== null) terminal.err(`${reportText(report)}\n`);
  await keep(machine, memory, terminal);
}

async function keep(machine: Machine, memory: UpdateMemory, terminal: Terminal): Promise<void> {
  await machine.keep(memory).catch((error) => {
    terminal.err(`Reports of updates are not kept: ${reasonOf(error)}\n`);
  });
}

async function judge(machine: Machine, terminal: Terminal): Promise<Exit> {
  const { booted, version } = machine;
  const otherVersion = await machine.versionIn(otherSlot(booted));
  const settled = await machine.locked(async () => {
    const { state, lost } = await readBoot(machine.copies);
    const memory = await machine.recall();
    const found = settle({ state, lost, booted, memory, otherVersion, nowMs: machine.nowMs() });
    if (lost) terminal.err("The boot state was lost in both copies; it is written anew\n");
    await conclude(machine, found, terminal);
    return found;
  });
  if (!settled.onTrial) {
    terminal.err(`Slot ${booted} runs version ${version}\n`);
    return EXIT.ok;
  }
  terminal.err(`Slot ${booted} is on trial with version ${version}\n`);
  const faults = await watch(machine, settled.memory, terminal);
  await machine.locked(async () => {
    const { state } = await readBoot(machine.copies);
    const ended = { booted, version, nowMs: machine.nowMs() };
    const memory = await machine.recall();
    const last = faults === null
      ? passed(state, memory, ended)
      : rejected(state, memory, { ...ended, faults });
    await conclude(machine, last, terminal);
  });
  if (faults !== null) await machine.restart();
  return EXIT.ok;
}

/** Looks until the gate has a verdict. @returns null: good; else the last faults */
async function watch(machine: Machine, memory: UpdateMemory, terminal: Terminal) {
  const wanted = memory.intent?.slot === machine.booted ? memory.intent.before : NOTHING_BEFORE;
  const rules = gateRules(await Deno.readTextFile("/proc/cmdline").catch(() => ""));
  let progress = begun(performance.now()), told = "";
  while (true) {
    const faults = gateFaults(await look(), wanted);
    if (faults.join() !== told) terminal.err(`Gate: ${faults.join("; ") || "no fault"}\n`);
    told = faults.join();
    const next = judged(progress, faults, performance.now(), rules);
    if (next.verdict === "good") return null;
    if (next.verdict === "bad") return next.progress.faults;
    progress = next.progress;
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
}

async function look(): Promise<GateFacts> {
  const found = await settings();
  if (found === null) return { configured: false, configProblems: [], node: null };
  const status = await statusAt(found.socket);
  return {
    configured: true,
    configProblems: found.problems,
    node: status === null ? null : nodeFacts(status),
  };
}

/** Where configurations are kept, by slot, and which slot ran last. */
const KEPT = "/data/etc/slots";

async function adopt({ booted }: Machine, terminal: Terminal): Promise<Exit> {
  const read = (path: string) => Deno.readTextFile(path).catch(() => null);
  const last = (await read(`${KEPT}/last`))?.trim().toUpperCase() ?? null;
  const files: SettingsFiles = {
    current: await read(DEFAULT_CONFIG),
    kept: await read(`${KEPT}/${booted}.toml`),
  };
  const accepts = (text: string) => parseConfig(text, DEFAULT_CONFIG, { matchFault }).problems.length === 0;
  const { keepFor, text, told } = chooseSettings(files, { booted, last, accepts });
  await Deno.mkdir(KEPT, { recursive: true });
  if (keepFor !== null) await replace(`${KEPT}/${keepFor}.toml`, files.current ?? "");
  if (text !== null) await replace(DEFAULT_CONFIG, text);
  await replace(`${KEPT}/last`, `${booted}\n`);
  if (told !== null) terminal.err(`${told}\n`);
  return EXIT.ok;
}

async function replace(path: string, text: string): Promise<void> {
  await Deno.writeTextFile(`${path}.new`, text, { mode: 0o640 });
  await Deno.rename(`${path}.new`, path);
}
