/**
 * Commands that need a configuration, or a node that runs by one: found, read, and what is wrong with it said.
 */
import {
  type Config,
  DEFAULT_SOCKET,
  describeProblem,
  parseConfig,
  type Parsed,
} from "../appliance/config.ts";
import { reasonOf } from "../drivers/reason.ts";
import type { Invocation } from "./arguments.ts";
import { type Terminal } from "./cli.ts";
import { connectNode, type RemoteNode } from "./client.ts";
import { DEFAULT_CONFIG, EXIT, type Exit } from "./commands.ts";

export interface Loaded extends Parsed {
  readonly path: string;
  readonly text: string;
}

/** The configuration that --config names, or why there is none, as one sentence. */
export async function load(
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
  const { matchFault } = await import("../appliance/config_match.ts");
  return { ...parseConfig(text, path, { matchFault }), path, text };
}

/** The configuration if it is good; else every problem is told. */
export async function goodConfig(
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

/** A configuration that is missing or wrong must not hide the node that still runs with the old one. */
export async function withNode(
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
  if (["reload", "arm", "disarm"].includes(command.name)) return true;
  return ["status", "box list"].includes(command.name) && !options.flag("json") && !options.flag("watch");
}
