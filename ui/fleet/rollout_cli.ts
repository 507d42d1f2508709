/** Duty: `remediate fleet rollout ...`. Pure but for the controller it asks. */
import type { NodeStanding, RolloutView } from "../../appliance/fleet/rollout/report.ts";
import type { Invocation } from "../arguments.ts";
import { toJson } from "../cli.ts";
import { EXIT, type Exit } from "../commands.ts";
import { table } from "../paint.ts";
import type { Ask, FleetMeans } from "./cli.ts";

type Work = (ask: Ask, invocation: Invocation, means: FleetMeans) => Promise<Exit>;

export const ROLLOUT_WORKS: Readonly<Record<string, Work>> = {
  "fleet rollout list": list,
  "fleet rollout show": show,
  "fleet rollout make": make,
  "fleet rollout start": change,
  "fleet rollout pause": change,
  "fleet rollout abort": change,
  "fleet rollout allow": change,
};

const PAST = { start: "started", pause: "paused", abort: "aborted" } as const;
const pathOf = (id: string) => `/rollouts/${encodeURIComponent(id)}`;

async function list(ask: Ask, { options }: Invocation, { terminal }: FleetMeans): Promise<Exit> {
  const all = (await ask("GET", "/rollouts")).rollouts as RolloutView[];
  terminal.out(options.flag("json") ? toJson(all) : rolloutTable(all));
  return EXIT.ok;
}

const sum = ({ stages }: RolloutView, name: "size" | "good" | "failed" | "underWay") =>
  stages.reduce((total, stage) => total + stage[name], 0);

export function rolloutTable(all: readonly RolloutView[]): string {
  if (all.length === 0) return "There are no roll-outs\n";
  const rows = all.map((one) => [
    one.order.id,
    one.order.bundle.version,
    one.phase,
    `${one.stage + 1}/${one.stages.length} ${one.stages[one.stage]?.name ?? ""}`,
    `${sum(one, "good")}/${sum(one, "size")}`,
    String(sum(one, "underWay")),
    String(sum(one, "failed")),
    one.waits || one.reason,
  ]);
  const head = ["ROLLOUT", "VERSION", "PHASE", "STAGE", "GOOD", "UNDER WAY", "FAILED", "REASON"];
  return lined([head, ...rows]);
}

function lined(rows: readonly (readonly string[])[]): string {
  return table(rows, []).map((line) => `${line.trimEnd()}\n`).join("");
}

async function show(
  ask: Ask,
  { arguments: [id = ""], options }: Invocation,
  { terminal }: FleetMeans,
): Promise<Exit> {
  const { rollout } = await ask("GET", pathOf(id)) as { rollout: RolloutView };
  const state = options.text("state"), limit = String(options.number("limit"));
  const query = new URLSearchParams({ limit, ...(state !== null && { state }) });
  const nodes = (await ask("GET", `${pathOf(id)}/nodes?${query}`)).nodes as NodeStanding[];
  terminal.out(options.flag("json") ? toJson({ rollout, nodes }) : rolloutText(rollout, nodes));
  return rollout.phase === "halted" ? EXIT.degraded : EXIT.ok;
}

export function rolloutText(rollout: RolloutView, nodes: readonly NodeStanding[]): string {
  const { order, phase, reason, waits, stages } = rollout, { version, digest, bytes } = order.bundle;
  const rows = stages.map((one, index) => [
    `${index === rollout.stage ? ">" : " "} ${one.name}`,
    one.who,
    `${one.good}/${one.size}`,
    ...[one.underWay, one.failed, one.waiting, one.left].map(String),
  ]);
  const head = ["  STAGE", "WHO", "GOOD", "UNDER WAY", "FAILED", "WAITING", "LEFT"];
  const places = nodes.map(({ name, stage, state, reason }) => [name, stage, state, reason]);
  return [
    `${order.id}: version ${version}, ${digest.slice(0, 12)}, ${bytes} bytes\n`,
    `${phase}: ${reason}\n${waits === "" ? "" : `${waits}\n`}\n`,
    lined([head, ...rows]),
    nodes.length === 0 ? "" : `\n${lined([["NODE", "STAGE", "STATE", "REASON"], ...places])}`,
  ].join("");
}

async function make(
  ask: Ask,
  { arguments: [file = ""] }: Invocation,
  { terminal, readFile }: FleetMeans,
): Promise<Exit> {
  let order: { id?: unknown };
  try {
    order = JSON.parse(await readFile(file));
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    terminal.err(`Cannot make a roll-out of ${file}: it is no JSON: ${cause.message}\n`);
    return EXIT.input;
  }
  await ask("POST", "/rollouts", order);
  terminal.out(
    `${String(order.id)} is made; \`remediate fleet rollout start ${String(order.id)}\` starts it\n`,
  );
  return EXIT.ok;
}

async function change(
  ask: Ask,
  { command, arguments: [id = "", node = ""] }: Invocation,
  { terminal }: FleetMeans,
): Promise<Exit> {
  const verb = command.name.split(" ").at(-1)!;
  if (verb === "allow") {
    await ask("POST", `${pathOf(id)}/nodes/${encodeURIComponent(node)}/allow`);
    terminal.out(`${node} may try again\n`);
  } else {
    await ask("POST", `${pathOf(id)}/${verb}`);
    terminal.out(`${id} is ${PAST[verb as keyof typeof PAST]}\n`);
  }
  return EXIT.ok;
}
