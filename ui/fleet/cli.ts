/**
 * Duty: the commands that ask a controller by its socket. Arguments in, exit code out; nothing is kept.
 */
import type { CommandRecord, EnrolToken, FleetLogEntry, NodeRecord } from "../../appliance/fleet/contract.ts";
import type { Invocation } from "../arguments.ts";
import { type Terminal, toJson } from "../cli.ts";
import type { RemoteNode } from "../client.ts";
import { EXIT, type Exit } from "../commands.ts";
import { ROLLOUT_WORKS } from "./rollout_cli.ts";
import { table, wallTime } from "../paint.ts";

export interface FleetMeans {
  readonly terminal: Terminal;
  readonly readFile: (path: string) => Promise<string>;
  /** The body of an answer into a file. @throws Error with one sentence */
  readonly save: (path: string, output: string) => Promise<number>;
}

type Work = (ask: Ask, invocation: Invocation, means: FleetMeans) => Promise<Exit>;
export type Ask = (method: string, path: string, body?: object) => Promise<Body>;
type Body = Readonly<Record<string, unknown>>;

const WORKS: Readonly<Record<string, Work>> = {
  "fleet nodes": nodes,
  "fleet show": show,
  "fleet events": events,
  "fleet order": order,
  "fleet tokens": tokens,
  "fleet token": async (ask, { options }, { terminal }) => {
    const body = { note: options.text("note") ?? "", hours: options.number("hours") };
    terminal.out(`${String((await ask("POST", "/tokens", body)).token)}\n`);
    return EXIT.ok;
  },
  "fleet revoke": revoke,
  ...ROLLOUT_WORKS,
};

export async function fleetCommand(
  remote: RemoteNode,
  invocation: Invocation,
  means: FleetMeans,
): Promise<Exit> {
  const ask: Ask = async (method, path, body) => {
    const answer = await remote.ask(method, `/api/v1/fleet${path}`, body === undefined ? {} : { body });
    if (answer.status < 400) return answer.body;
    throw new Error(`Cannot do that: ${answer.body.detail ?? `HTTP ${answer.status}`}`);
  };
  return await WORKS[invocation.command.name]!(ask, invocation, means);
}

const pathOf = (node: string) => `/nodes/${encodeURIComponent(node)}`;

async function nodes(ask: Ask, { options }: Invocation, { terminal }: FleetMeans): Promise<Exit> {
  const all: NodeRecord[] = [], search = options.text("search");
  for (;;) {
    const query = new URLSearchParams({ limit: "1000", ...(search !== null && { search }) });
    if (options.flag("connected")) query.set("connected", "true");
    if (all.length > 0) query.set("after", all.at(-1)!.id);
    const page = (await ask("GET", `/nodes?${query}`)).nodes as NodeRecord[];
    all.push(...page);
    if (page.length < 1000) break;
  }
  if (options.flag("json")) terminal.out(toJson(all));
  else terminal.out(all.length === 0 ? "There are no nodes\n" : nodeTable(all));
  return EXIT.ok;
}

function lined(rows: readonly (readonly string[])[]): string {
  return table(rows, []).map((line) => `${line.trimEnd()}\n`).join("");
}

function nodeTable(all: readonly NodeRecord[]): string {
  const rows = all.map(({ id, name, controller, revokedMs, report }) => [
    id,
    name,
    revokedMs !== null ? "revoked" : controller === null ? "away" : "connected",
    report?.health.light ?? "",
    report?.health.path ?? "",
    report?.node.version ?? "",
    report?.health.reason ?? "",
  ]);
  return lined([["ID", "NAME", "STATE", "LIGHT", "PATH", "VERSION", "REASON"], ...rows]);
}

async function show(
  ask: Ask,
  { arguments: [wanted = ""], options }: Invocation,
  { terminal }: FleetMeans,
): Promise<Exit> {
  const body = await ask("GET", pathOf(wanted));
  if (options.flag("json")) {
    terminal.out(toJson(body));
    return EXIT.ok;
  }
  const node = body.node as NodeRecord, commands = body.commands as CommandRecord[];
  const { report } = node, now = terminal.now();
  const when = (ms: number | null) => ms === null ? "never" : `${wallTime(ms)}, ${age(now - ms)} ago`;
  const lines = [
    ["id", node.id],
    ["name", node.name],
    ["connected", node.controller === null ? `no; last seen ${when(node.seenMs)}` : `to ${node.controller}`],
    ["labels", labelText({ ...report?.node.labels, ...node.labels })],
    ["reported", when(node.reportMs)],
    ["revoked", node.revokedMs === null ? "no" : when(node.revokedMs)],
    ...(report === null ? [] : [
      ["version", `${report.node.version} on ${report.node.machine}`],
      ["health", `${report.health.light}, ${report.health.path}: ${report.health.reason}`],
      ["ready", report.health.unready ?? "yes"],
      [
        "match",
        report.match.share === null ? report.match.reason : `${Math.round(report.match.share * 100)} %`,
      ],
      ["slots", report.update.without ?? report.update.slots.map(slotText).join("; ")],
      ...report.doctor.findings.map(({ topic, text }) => [`doctor, ${topic}`, text]),
    ]),
    ...commands.map((one) => [`command ${one.number}`, commandText(one)]),
  ];
  terminal.out(lines.map(([name = "", text = ""]) => `${name.padEnd(12)}  ${text}\n`).join(""));
  return EXIT.ok;
}

type Slot = NonNullable<NodeRecord["report"]>["update"]["slots"][number];
const slotText = ({ name, state, version, booted }: Slot) =>
  `${name} ${state} ${version ?? "empty"}${booted ? ", running" : ""}`;
const labelText = (labels: Readonly<Record<string, string>>) =>
  Object.entries(labels).map(([name, value]) => `${name}=${value}`).join(", ") || "none";

function commandText({ kind, by, state, result }: CommandRecord): string {
  return `${kind} by ${by}: ${result === null ? state : `${result.outcome}, ${result.text}`}`;
}

function age(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  return s < 120 ? `${s} s` : s < 7200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`;
}

async function events(
  ask: Ask,
  { arguments: [wanted], options }: Invocation,
  { terminal }: FleetMeans,
): Promise<Exit> {
  const node = wanted === undefined ? null : ((await ask("GET", pathOf(wanted))).node as NodeRecord).id;
  const query = new URLSearchParams({
    limit: String(options.number("limit")),
    ...(node !== null && { node }),
  });
  const list = (await ask("GET", `/events?${query}`)).events as FleetLogEntry[];
  if (options.flag("json")) terminal.out(toJson(list));
  else {
    const rows = list.map(({ atMs, node, source, kind, text }) => [
      wallTime(atMs),
      node ?? "",
      `${source} ${kind}`,
      text,
    ]);
    terminal.out(rows.length === 0 ? "Nothing has happened\n" : lined(rows));
  }
  return EXIT.ok;
}

const WAIT_MS = 500;

async function order(ask: Ask, invocation: Invocation, means: FleetMeans): Promise<Exit> {
  const { arguments: [wanted = "", kind = "", text = "{}"], options } = invocation, { terminal } = means;
  const given = text.startsWith("@") ? await means.readFile(text.slice(1)) : text;
  let values: unknown;
  try {
    values = JSON.parse(given);
  } catch {
    terminal.err(`Cannot give "${kind}": ARGUMENTS is no JSON\n`);
    return EXIT.input;
  }
  const { node, number } = await ask("POST", `${pathOf(wanted)}/commands`, { kind, arguments: values });
  if (!options.flag("wait")) {
    terminal.out(options.flag("json") ? toJson({ node, number }) : `command ${number} for ${node}\n`);
    return EXIT.ok;
  }
  const path = `${pathOf(String(node))}/commands/${number}`;
  for (;;) {
    const { command } = await ask("GET", path) as { command: CommandRecord };
    if (command.result !== null) return await ended(command, path, { options, means });
    await terminal.sleep(WAIT_MS);
    if (terminal.interrupted()) return EXIT.failed;
  }
}

async function ended(
  command: CommandRecord,
  path: string,
  { options, means: { terminal, save } }: { options: Invocation["options"]; means: FleetMeans },
): Promise<Exit> {
  const output = options.text("output"), { result } = command;
  if (output !== null && (result?.bytes ?? null) !== null) await save(`/api/v1/fleet${path}/file`, output);
  terminal.out(options.flag("json") ? toJson(command) : `${commandText(command)}\n`);
  return result?.outcome === "done" ? EXIT.ok : EXIT.failed;
}

async function tokens(ask: Ask, { options }: Invocation, { terminal }: FleetMeans): Promise<Exit> {
  const list = (await ask("GET", "/tokens")).tokens as EnrolToken[];
  if (options.flag("json")) terminal.out(toJson(list));
  else {
    const rows = list.map(({ id, note, expiresMs, usedBy }) => [
      id,
      note,
      usedBy !== null ? `used by ${usedBy}` : expiresMs < terminal.now() ? "over" : "waits",
      `until ${wallTime(expiresMs)}`,
    ]);
    terminal.out(rows.length === 0 ? "There are no tokens\n" : lined(rows));
  }
  return EXIT.ok;
}

async function revoke(
  ask: Ask,
  { arguments: [wanted = ""] }: Invocation,
  { terminal }: FleetMeans,
): Promise<Exit> {
  const isToken = /^[0-9a-f]{12}$/.test(wanted);
  await ask("DELETE", isToken ? `/tokens/${wanted}` : pathOf(wanted));
  terminal.out(`${wanted} is revoked\n`);
  return EXIT.ok;
}
