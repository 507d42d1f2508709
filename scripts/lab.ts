/**
 * Duty: the lab on the command line: put it up, look at it, break it, take it down.
 *
 * Run as root: `./scripts/deno run -A scripts/lab.ts up nat --node bridge`. A lab made here stays until `down`.
 */
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { Lab } from "./lab/engine.ts";
import { type Failure, failureAction, FAILURES, recoveryAction } from "./lab/failures.ts";
import { Lifetime } from "./lab/lifetime.ts";
import { programs } from "./lab/native.ts";
import { LabNode, startBridge } from "./lab/node.ts";
import { inNamespace, run } from "./lab/process.ts";
import { type LabRecord, ownerAlive, records, sweep, takeDown } from "./lab/registry.ts";
import { startServers } from "./lab/servers.ts";
import { TOPOLOGIES } from "./lab/topology.ts";

const TOP = dirname(import.meta.dirname!);

const USAGE = `Usage: scripts/lab.ts COMMAND

  up [TOPOLOGY] [--node remediate|bridge|none] [--preset nat|firewall|lb|none] [--mbit N]
                               build a lab with its servers; it stays until "down"
  list                         labs on this machine
  exec LAB NAMESPACE COMMAND   run a command inside: exec rm12ab c1 curl http://10.2.0.11/5k
  fail LAB BOX FAILURE         let a box fail: fail rm12ab primary link-both
  recover LAB BOX FAILURE      make it well again
  down LAB | --all             end everything in a lab and remove it
  sweep                        remove what crashed runs left behind

Topologies: ${Object.keys(TOPOLOGIES).join(", ")}
Failures: ${FAILURES.join(", ")}
`;

class UsageError extends Error {}

function find(prefix: string | undefined): LabRecord {
  const found = records().find((record) => record.prefix === prefix);
  if (!found) throw new UsageError(`Cannot find lab "${prefix ?? ""}": "list" names those there are`);
  return found;
}

function oneOf<T extends string>(what: string, value: string | undefined, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  if (found === undefined) {
    throw new UsageError(`Cannot use ${what} "${value ?? ""}": there are ${choices.join(", ")}`);
  }
  return found;
}

async function up(args: string[]): Promise<void> {
  const options = {
    node: { type: "string", default: "remediate" },
    preset: { type: "string", default: "nat" },
    mbit: { type: "string", default: "200" },
  } as const;
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  const name = oneOf("topology", positionals[0] ?? "nat", Object.keys(TOPOLOGIES));
  const inPlace = oneOf("node", values.node, ["remediate", "bridge", "none"]);
  const preset = oneOf("preset", values.preset, ["nat", "firewall", "lb", "none"]);
  const mbit = Number(values.mbit);
  if (!Number.isInteger(mbit) || mbit < 0) {
    throw new UsageError(`Cannot use --mbit "${values.mbit}": 0 or more`);
  }
  using lifetime = new Lifetime((text) => console.error(text));
  const built = await programs(TOP);
  await sweep();
  const topology = TOPOLOGIES[name]!({ serverMbit: mbit === 0 ? null : mbit });
  const lab = await Lab.up(topology, lifetime);
  try {
    if (inPlace === "bridge") await startBridge(lab);
    if (inPlace === "remediate") await LabNode.start(lab, { top: TOP, preset });
    await startServers(lab, built);
  } catch (error) {
    await lab.down();
    throw error;
  }
  lab.keep();
  console.log(lab.prefix);
}

function list(): void {
  for (const record of records()) {
    const owner = record.keep ? "kept" : ownerAlive(record) ? `owner ${record.pid}` : "left over";
    const since = new Date(record.createdMs).toISOString();
    console.log([record.prefix, record.topology, owner, since, record.directory].join("\t"));
  }
}

async function act(args: string[], actionOf: typeof failureAction): Promise<void> {
  const record = find(args[0]);
  const failure = oneOf("failure", args[2], FAILURES) as Failure;
  // Every topology of the table has the same two boxes; only their rules differ.
  const topology = Object.values(TOPOLOGIES)[0]!();
  const box = oneOf("box", args[1], topology.boxes.map((one) => one.name));
  const spec = topology.boxes.find((one) => one.name === box)!;
  await run(inNamespace(`${record.prefix}-${box}`, actionOf(failure, spec).argv));
}

async function exec(args: string[]): Promise<number> {
  const [prefix, ns, ...argv] = args;
  const record = find(prefix);
  if (ns === undefined || argv.length === 0) {
    throw new UsageError("Cannot run nothing: exec LAB NAMESPACE COMMAND");
  }
  const all = ["ip", "netns", "exec", `${record.prefix}-${ns}`, ...(argv[0] === "--" ? argv.slice(1) : argv)];
  const child = new Deno.Command(all[0]!, { args: all.slice(1) }).spawn();
  return (await child.status).code;
}

async function down(args: string[]): Promise<void> {
  const chosen = args[0] === "--all" ? records() : [find(args[0])];
  for (const record of chosen) await takeDown(record);
}

async function main(args: string[]): Promise<number> {
  const [command, ...rest] = args;
  switch (command) {
    case "up":
      await up(rest);
      return 0;
    case "list":
      list();
      return 0;
    case "exec":
      return await exec(rest);
    case "fail":
      await act(rest, failureAction);
      return 0;
    case "recover":
      await act(rest, recoveryAction);
      return 0;
    case "down":
      await down(rest);
      return 0;
    case "sweep":
      for (const prefix of await sweep()) console.log(prefix);
      return 0;
    case "--help":
    case "-h":
      console.log(USAGE);
      return 0;
    default:
      throw new UsageError(`Cannot do "${command ?? ""}"\n\n${USAGE}`);
  }
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(error instanceof UsageError || error instanceof TypeError ? 2 : 1);
  }
}
