/**
 * The command line of Remediate: subcommands and exit codes, and the only place where the parts meet.
 *
 * What is accepted and what the help says stand in ui/commands.ts. `run` and `plane` load the native library,
 * so they are only imported when they are asked for.
 */
import {
  type Config,
  DEFAULT_SOCKET,
  describeProblem,
  parseConfig,
  type Parsed,
} from "./appliance/config.ts";
import { exampleConfig } from "./appliance/config_text.ts";
import { reasonOf } from "./drivers/reason.ts";
import { stagesOf } from "./appliance/stage_configs.ts";
import { VERSION } from "./appliance/version.ts";
import { EXPORT_FORMATS } from "./filter/export.ts";
import { type Preset, PRESETS } from "./filter/rule.ts";
import { type Invocation, parseArguments } from "./ui/arguments.ts";
import {
  findingText,
  giveOrder,
  listEvents,
  listFlows,
  listProbes,
  ofBoxes,
  reportCheck,
  reportFindings,
  showMatch,
  showStatus,
  type Terminal,
  toJson,
} from "./ui/cli.ts";
import { showBfd } from "./ui/bfd.ts";
import { connectNode, type RemoteNode } from "./ui/client.ts";
import { DEFAULT_CONFIG, EXIT, type Exit } from "./ui/commands.ts";
import { commandHelp, overview } from "./ui/help.ts";
import { isLayerCommand, layerCommand } from "./ui/layer.ts";
import { painter } from "./ui/paint.ts";
import { logFormats, readText } from "./ui/standard_input.ts";
import { standardStreams } from "./ui/terminal.ts";
import { vnfCommand } from "./ui/vnf.ts";

/** Run one command line. Returns the exit code. */
export async function main(args: readonly string[], terminal: Terminal): Promise<number> {
  const parsed = parseArguments(args);
  if (parsed.kind === "help") {
    terminal.out(parsed.command === null ? overview(VERSION) : commandHelp(parsed.command));
    return EXIT.ok;
  }
  if (parsed.kind === "refusal") {
    terminal.err(`${parsed.text}\n`);
    if (args.length === 0) terminal.err(`\n${overview(VERSION)}`);
    return EXIT.input;
  }
  try {
    return await carryOut(parsed, terminal);
  } catch (error) {
    // A sentence is for the person; anything else is a fault of ours, and then the stack is what helps.
    if (!(error instanceof Error) || !error.message.startsWith("Cannot ")) throw error;
    terminal.err(`${error.message}\n`);
    return EXIT.failed;
  }
}

/** Commands that only show what a node knows. */
const VIEWS: Readonly<Record<string, typeof showStatus>> = {
  status: showStatus,
  flows: listFlows,
  bfd: showBfd,
  match: showMatch,
  probe: listProbes,
  events: listEvents,
};

function carryOut(invocation: Invocation, terminal: Terminal): Promise<number> {
  const { command, options } = invocation;
  const ask = (how: (node: RemoteNode) => Promise<Exit>) => withNode(invocation, terminal, how);
  const show = VIEWS[command.name];
  if (show !== undefined) return ask((node) => show(node, options, terminal));
  if (command.name.startsWith("vnf ")) return ask((node) => vnfCommand(node, invocation, terminal));
  if (isLayerCommand(command.name)) return ask((node) => layerCommand(node, invocation, terminal));
  if (/^(recorder|replay)/.test(command.name)) return recorded(invocation, terminal);
  if (/^(config (?!example)|user |token )/.test(command.name)) return manage(invocation, terminal);
  if (/^drivers (try|formats)/.test(command.name)) return logFormats(invocation, terminal);
  if (/^(drivers$|state )/.test(command.name)) {
    return ask(async (node) => (await import("./ui/state_run.ts")).stateOf(node, invocation, terminal));
  }
  if (/^(box |maintenance |resync)/.test(command.name)) {
    return ask((node) => ofBoxes(node, invocation, terminal));
  }
  if (/^capture/.test(command.name)) return captures(invocation, terminal);
  switch (command.name) {
    case "run":
      return run(invocation, terminal);
    case "plane":
      return plane(invocation, terminal);
    case "far":
      return far(invocation, terminal);
    case "check":
      return check(invocation, terminal);
    case "doctor":
      return doctor(invocation, terminal);
    case "bind":
      return bind(invocation, terminal);
    case "switchover":
    case "failback":
    case "reload": {
      const order = command.name;
      return ask((node) => giveOrder(node, order, invocation, terminal));
    }
    case "filter export":
      return writeExport(invocation, terminal);
    case "mirror":
    case "mirror explain":
    case "mirror tune":
      return offline(invocation, terminal);
    case "drill":
    case "drill list":
      return ask(async (node) =>
        (await import("./ui/drill.ts")).drills(command.name, node, options, terminal)
      );
    case "drill verify":
      return verifyDrill(invocation, terminal);
    case "config example":
      terminal.out(exampleConfig());
      return Promise.resolve(EXIT.ok);
    case "version":
      return Promise.resolve(version(invocation, terminal));
  }
  throw new TypeError(`Cannot run "${command.name}": it is in the table of commands and nowhere else`);
}

/** The commands on captures, with the rules of a configuration or of a preset. */
async function offline(invocation: Invocation, terminal: Terminal): Promise<number> {
  const { options, command } = invocation;
  if (options.given("config") && options.given("preset")) {
    terminal.err("Cannot use --preset with --config: a configuration names its own preset\n");
    return EXIT.input;
  }
  const loaded = options.given("config") ? await goodConfig(invocation, terminal) : undefined;
  if (loaded === null) return EXIT.input;
  const { agesMs } = await import("./appliance/mirror_run.ts");
  const filter = loaded?.config.filter;
  const preset = PRESETS[(options.text("preset") ?? "ids") as Preset];
  const { budget, inner } = filter ?? {};
  const more = { ...(budget && { budget }), ...(inner !== undefined && { inner }) };
  const policy = { rules: filter?.rules ?? preset, ages: agesMs(filter?.ages), options: more };
  const commands = await import("./ui/mirror.ts");
  const work = { "mirror explain": commands.explain, "mirror tune": commands.tune }[command.name];
  return await (work ?? commands.mirror)(invocation, policy, terminal);
}

interface Loaded extends Parsed {
  readonly path: string;
  readonly text: string;
}

/** The configuration that --config names, or why there is none, as one sentence. */
async function load(
  { options }: Invocation,
): Promise<Loaded | { path: string; fault: string; absent: boolean }> {
  const path = options.text("config") ?? DEFAULT_CONFIG;
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    const absent = error instanceof Deno.errors.NotFound;
    const reason = absent
      ? "there is no such file; `remediate config example` prints one to begin with"
      : reasonOf(error);
    return { path, absent, fault: `Cannot read the configuration ${path}: ${reason}` };
  }
  const { matchFault } = await import("./appliance/config_match.ts");
  return { ...parseConfig(text, path, { matchFault }), path, text };
}

/** The configuration if it is good; else every problem is told. */
async function goodConfig(
  invocation: Invocation,
  terminal: Terminal,
): Promise<(Loaded & { config: Config }) | null> {
  const loaded = await load(invocation);
  if ("fault" in loaded) {
    terminal.err(`${loaded.fault}\n`);
    return null;
  }
  const { config, problems, warnings } = loaded;
  for (const warning of warnings) terminal.err(`warning: ${describeProblem(warning)}\n`);
  for (const problem of problems) terminal.err(`${describeProblem(problem)}\n`);
  return config === undefined ? null : { ...loaded, config };
}

async function run(invocation: Invocation, terminal: Terminal): Promise<number> {
  const found = await goodConfig(invocation, terminal);
  if (found === null) return EXIT.input;
  const { recoverConfig, runStages } = await import("./ui/run.ts");
  const told = recoverConfig(found.config, found.path, terminal.now());
  if (told !== null) terminal.err(`${told}\n`);
  const loaded = told === null ? found : await goodConfig(invocation, terminal);
  if (loaded === null) return EXIT.input;
  const stages = stagesOf(loaded);
  const { preflight } = await import("./appliance/doctor.ts");
  const faults = (await Promise.all(stages.map(({ config }) => preflight(config)))).flat();
  for (const fault of faults) terminal.err(findingText(fault, painter(false)));
  if (faults.length > 0 && !invocation.options.flag("force")) {
    terminal.err(
      "Cannot start the plane on this machine; `remediate doctor` tells all, --force starts anyway\n",
    );
    return EXIT.plane;
  }
  return await runStages(stages, loaded, terminal);
}

async function plane(invocation: Invocation, terminal: Terminal): Promise<number> {
  const loaded = await goodConfig(invocation, terminal);
  if (loaded === null) return EXIT.input;
  const { runPlane } = await import("./appliance/plane_process.ts");
  return await runPlane(loaded.config);
}

async function far({ options }: Invocation, terminal: Terminal): Promise<number> {
  const { farOptions } = await import("./ui/far.ts");
  const wanted = farOptions(options);
  if (typeof wanted === "string") {
    terminal.err(`${wanted}\n`);
    return EXIT.input;
  }
  const { runFar } = await import("./appliance/far_process.ts");
  return await runFar(wanted, (line) => terminal.err(`far: ${line}\n`));
}

async function captures(invocation: Invocation, terminal: Terminal): Promise<number> {
  const { options, command } = invocation;
  const commands = await import("./ui/capture.ts");
  if (command.name === "capture list") {
    return await withNode(invocation, terminal, (node) => commands.captureList(node, options, terminal));
  }
  const { compileFilter } = await import("./filter/pcap_filter.ts");
  const { captureOutput } = await import("./ui/capture_sink.ts");
  const stop = terminal.stop ?? new AbortController().signal;
  const means = { terminal, stop, compile: compileFilter, ...captureOutput };
  const work = command.name === "capture" ? commands.capture : commands.captureGet;
  return await withNode(invocation, terminal, (node) => work(node, options, means));
}

/** The commands on configuration, users and tokens. */
async function manage(invocation: Invocation, terminal: Terminal): Promise<number> {
  const { MANAGE } = await import("./ui/manage.ts");
  const { readPassword } = await import("./ui/terminal.ts");
  const work = MANAGE[invocation.command.name]!;
  const readFile = (path: string) =>
    Deno.readTextFile(path).catch((cause) => {
      throw new Error(`Cannot read ${path}: ${reasonOf(cause)}`, { cause });
    });
  const means = { terminal, readFile, readPassword };
  return await withNode(invocation, terminal, (node) => work(node, invocation, means));
}

async function recorded(invocation: Invocation, terminal: Terminal): Promise<number> {
  if (invocation.command.name === "replay") {
    return await (await import("./ui/replay.ts")).replay(invocation, terminal);
  }
  const { recorder } = await import("./ui/recorder.ts");
  const { captureOutput } = await import("./ui/capture_sink.ts");
  const means = { stop: terminal.stop ?? new AbortController().signal, ...captureOutput };
  return await withNode(invocation, terminal, (node) => recorder(node, invocation, terminal, means));
}

async function verifyDrill({ arguments: [file], options }: Invocation, terminal: Terminal): Promise<number> {
  const { drillVerify } = await import("./ui/drill.ts");
  return drillVerify(await readText(file!), options, terminal);
}

async function writeExport(invocation: Invocation, terminal: Terminal): Promise<number> {
  const loaded = await goodConfig(invocation, terminal);
  if (loaded === null) return EXIT.input;
  const { options } = invocation;
  const format = EXPORT_FORMATS.find((name) => name === options.text("format")) ?? "ebpf";
  const { compileFilter } = await import("./filter/pcap_filter.ts");
  const { exportFilter } = await import("./ui/export.ts");
  const text = exportFilter(loaded.config, {
    format,
    partial: options.flag("partial"),
    compile: compileFilter,
  });
  const file = options.text("output");
  if (file === null) terminal.out(text);
  else {
    await Deno.writeTextFile(file, text).catch((error) => {
      throw new Error(`Cannot write ${file}: ${reasonOf(error)}`, { cause: error });
    });
  }
  return EXIT.ok;
}

async function check(invocation: Invocation, terminal: Terminal): Promise<number> {
  const loaded = await load(invocation);
  const json = invocation.options.flag("json");
  if (!("fault" in loaded)) return reportCheck(loaded, loaded.path, json, terminal);
  if (json) terminal.out(toJson({ ok: false, error: loaded.fault }));
  else terminal.err(`${loaded.fault}\n`);
  return EXIT.input;
}

async function bind(invocation: Invocation, terminal: Terminal): Promise<number> {
  const loaded = await goodConfig(invocation, terminal);
  if (loaded === null) return EXIT.input;
  return (await import("./ui/bind.ts")).bind(loaded.config, invocation.options, terminal);
}

/** Without a configuration in the usual place the doctor still looks at the machine. */
async function doctor(invocation: Invocation, terminal: Terminal): Promise<number> {
  const { options } = invocation;
  const loaded = await load(invocation);
  const excused = "fault" in loaded && loaded.absent && !options.given("config");
  let config: Config | null = null;
  if ("fault" in loaded) {
    terminal.err(`${loaded.fault}\n`);
    if (excused) terminal.err("Looking at the machine without it\n");
  } else {
    for (const problem of loaded.problems) terminal.err(`${describeProblem(problem)}\n`);
    config = loaded.config ?? null;
  }
  if (config === null && !excused) return EXIT.input;
  const { consult } = await import("./appliance/doctor.ts");
  const findings = [...await consult(config)];
  // Of a further stage only its boxes are its own.
  for (
    const { stage, config: one } of config === null || "fault" in loaded
      ? []
      : stagesOf({ ...loaded, config }).slice(1)
  ) {
    const own = (await consult(one)).filter(({ topic }) => /^port (primary|redundant)/.test(topic));
    findings.push(...own.map((finding) => ({ ...finding, topic: `${stage} ${finding.topic}` })));
  }
  return reportFindings(findings, options.flag("json"), terminal);
}

/** A configuration that is missing or wrong must not hide the node that still runs with the old one. */
async function withNode(
  invocation: Invocation,
  terminal: Terminal,
  how: (node: RemoteNode) => Promise<Exit>,
): Promise<number> {
  const { options } = invocation;
  const loaded = options.given("socket") ? null : await load(invocation);
  if (loaded !== null && "fault" in loaded && (options.given("config") || !loaded.absent)) {
    terminal.err(`${loaded.fault}\n`);
    return EXIT.input;
  }
  const known = loaded === null || "fault" in loaded ? [] : loaded.config?.stages ?? [];
  const stage = options.text("stage");
  if (stage !== null && !known.includes(stage)) {
    terminal.err(`Cannot ask stage "${stage}": there is ${known.length === 0 ? "none" : known.join(", ")}\n`);
    return EXIT.input;
  }
  const main = loaded === null || "fault" in loaded ? DEFAULT_SOCKET : loaded.socket ?? DEFAULT_SOCKET;
  const runtime = loaded === null || "fault" in loaded ? "" : loaded.runtime;
  const socketOf = (name: string | null) =>
    options.text("socket") ?? (name === null ? main : `${runtime}/${name}/control.sock`);
  const asked = stage === null && asksAll(invocation) ? [null, ...known] : [stage];
  let worst: number = EXIT.ok;
  for (const name of asked) {
    const node = connectNode(socketOf(name));
    try {
      if (name !== asked[0]) terminal.out("\n");
      worst = Math.max(worst, await how(node));
    } finally {
      node.close();
    }
  }
  return worst;
}

/** What a person asks of the whole chain. A machine that reads JSON names the stage. */
function asksAll({ command, options }: Invocation): boolean {
  if (command.name === "reload") return true;
  return ["status", "box list"].includes(command.name) && !options.flag("json") && !options.flag("watch");
}

function version({ options }: Invocation, terminal: Terminal): number {
  const { deno, v8 } = Deno.version;
  const build = Deno.env.get("REMEDIATE_BUILD") ?? (Deno.build.standalone ? "compile" : "source");
  if (options.flag("json")) terminal.out(toJson({ version: VERSION, build, deno, v8 }));
  else terminal.out(`remediate ${VERSION} (Deno ${deno})\n`);
  return EXIT.ok;
}

if (import.meta.main) Deno.exit(await main(Deno.args, standardStreams(Deno.args)));
