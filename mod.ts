/**
 * The command line of Remediate: subcommands and exit codes, and the only place where the parts meet.
 *
 * What is accepted and what the help says stand in ui/commands.ts. `run` and `plane` load the native library,
 * so they are only imported when they are asked for.
 */
import { type Config, describeProblem } from "./appliance/config.ts";
import { exampleConfig } from "./appliance/config_text.ts";
import { reasonOf } from "./drivers/reason.ts";
import { stagesOf } from "./appliance/stage_configs.ts";
import { VERSION } from "./appliance/version.ts";
import { opensTunnels, type Preset, PRESETS } from "./filter/rule.ts";
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
import type { RemoteNode } from "./ui/client.ts";
import { DEFAULT_CONFIG, EXIT, type Exit } from "./ui/commands.ts";
import { goodConfig, load, withNode } from "./ui/configured.ts";
import { commandHelp, overview } from "./ui/help.ts";
import { isLayerCommand, layerCommand } from "./ui/layer.ts";
import { changeMode } from "./ui/mode.ts";
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

type Ask = (node: RemoteNode, invocation: Invocation, terminal: Terminal) => Promise<Exit>;

/** What a running node is asked; the first that matches. */
const ASKS: readonly (readonly [command: RegExp, ask: Ask])[] = [
  [/^vnf /, vnfCommand],
  [
    /^(drivers$|state (get|put|del)$)/,
    async (...asked) => (await import("./ui/state_run.ts")).stateOf(...asked),
  ],
  [/^(box |maintenance |resync)/, ofBoxes],
  [/^(dis)?arm$/, changeMode],
  [/^reset$/, async (...asked) => (await import("./ui/reset.ts")).resetNode(...asked)],
  [
    /^(switchover|failback|reload)$/,
    (node, invocation, terminal) =>
      giveOrder(node, invocation.command.name as "reload", invocation, terminal),
  ],
  [
    /^drill( list)?$/,
    async (node, { command, options }, terminal) =>
      (await import("./ui/drill.ts")).drills(command.name, node, options, terminal),
  ],
];

type Work = (invocation: Invocation, terminal: Terminal) => Promise<number>;

/** What is done here, or by more than one question; the first that matches. */
const WORKS: readonly (readonly [command: RegExp, work: Work])[] = [
  [/^(recorder|replay)/, recorded],
  [/^(config (?!example)|user |token )/, manage],
  [/^drivers (try|formats)/, logFormats],
  [/^mirror/, offline],
  [/^capture/, captures],
  [/^fleet /, fleet],
  [/^run$/, run],
  [/^plane$/, plane],
  [/^far$/, far],
  [/^check$/, check],
  [/^doctor$/, doctor],
  [/^support$/, support],
  [/^bind$/, bind],
  [/^update/, async (...asked) => (await import("./ui/update.ts")).updateCommand(...asked)],
  [/^filter export$/, writeExport],
  [/^drill verify$/, verifyDrill],
  [/^config example$/, (_, terminal) => Promise.resolve(terminal.out(exampleConfig())).then(() => EXIT.ok)],
  [/^completion$/, completion],
  [/^version$/, version],
];

async function carryOut(invocation: Invocation, terminal: Terminal): Promise<number> {
  const { command, options } = invocation;
  const { name } = command;
  const show = VIEWS[name];
  if (show !== undefined) {
    return await withNode(invocation, terminal, (node) => show(node, options, terminal));
  }
  const ask = isLayerCommand(name) ? layerCommand : ASKS.find(([like]) => like.test(name))?.[1];
  if (ask !== undefined) {
    return await withNode(invocation, terminal, (node) => ask(node, invocation, terminal));
  }
  const work = WORKS.find(([like]) => like.test(name))?.[1];
  if (work !== undefined) return await work(invocation, terminal);
  throw new TypeError(`Cannot run "${name}": it is in the table of commands and nowhere else`);
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
  const preset = (options.text("preset") ?? "ids") as Preset;
  const { budget, inner } = filter ?? { budget: undefined, inner: opensTunnels(preset) };
  const more = { inner, ...(budget && { budget }) };
  const policy = { rules: filter?.rules ?? PRESETS[preset], ages: agesMs(filter?.ages), options: more };
  const commands = await import("./ui/mirror.ts");
  const work = { "mirror explain": commands.explain, "mirror tune": commands.tune }[command.name];
  return await (work ?? commands.mirror)(invocation, policy, terminal);
}

async function run(invocation: Invocation, terminal: Terminal): Promise<number> {
  const { firstRun } = await import("./ui/first_run.ts");
  const ended = await firstRun(invocation.options.text("config") ?? DEFAULT_CONFIG, terminal);
  if (ended !== null) return ended;
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

async function fleet(invocation: Invocation, terminal: Terminal): Promise<number> {
  const config = async () => (await goodConfig(invocation, terminal))?.config ?? null;
  return await (await import("./ui/fleet/main.ts")).fleet(invocation, terminal, config);
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
  return await (await import("./ui/export_run.ts")).writeExport(loaded.config, invocation, terminal);
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

async function support(invocation: Invocation, terminal: Terminal): Promise<number> {
  const loaded = await goodConfig(invocation, terminal);
  return loaded === null
    ? EXIT.input
    : (await import("./ui/support.ts")).support(loaded, invocation, terminal);
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
    for (const warning of loaded.warnings) terminal.err(`warning: ${describeProblem(warning)}\n`);
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

async function completion({ arguments: [name] }: Invocation, terminal: Terminal): Promise<number> {
  const { completionText, SHELLS } = await import("./ui/completion.ts");
  const shell = SHELLS.find((known) => known === name);
  if (shell !== undefined) terminal.out(completionText(shell));
  else terminal.err(`Cannot complete for "${name}": there are ${SHELLS.join(", ")}\n`);
  return shell === undefined ? EXIT.input : EXIT.ok;
}

function version({ options }: Invocation, terminal: Terminal): Promise<number> {
  const { deno, v8 } = Deno.version;
  const build = Deno.env.get("REMEDIATE_BUILD") ?? (Deno.build.standalone ? "compile" : "source");
  if (options.flag("json")) terminal.out(toJson({ version: VERSION, build, deno, v8 }));
  else terminal.out(`remediate ${VERSION} (Deno ${deno})\n`);
  return Promise.resolve(EXIT.ok);
}

if (import.meta.main) Deno.exit(await main(Deno.args, standardStreams(Deno.args)));
