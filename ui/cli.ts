/**
 * The commands that ask a running node, and those that print findings and problems.
 *
 * Pure: the node, the streams and the clock are handed in; what comes back is the exit code.
 */
import { describeProblem, type Parsed } from "../appliance/config.ts";
import type { Finding } from "../appliance/doctor_finding.ts";
import type { NodeStatus } from "../appliance/view.ts";
import { LIMIT_MAX } from "./api.ts";
import type { Invocation, Options } from "./arguments.ts";
import { NodeSilentError, type RemoteNode } from "./client.ts";
import { EXIT, type Exit } from "./commands.ts";
import { renderMatch } from "./match_text.ts";
import { type Painter, painter } from "./paint.ts";
import { renderProbes } from "./probe_text.ts";
import { ratesBetween, renderBoxes, renderEvents, renderStatus } from "./text.ts";
import { renderFlows } from "./text_flows.ts";

/** Where words go, and what time it is. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Whether `out` is a terminal that takes colours. */
  readonly colours: boolean;
  /** Whether a person watches `err`, so that progress is worth showing. @default false */
  readonly watched?: boolean;
  /** Milliseconds since the epoch. */
  now(): number;
  sleep(ms: number): Promise<void>;
  /** Whether the person has asked to stop watching. */
  interrupted(): boolean;
  /** The same as a signal. @default never */
  readonly stop?: AbortSignal;
}

/** Long enough that a rate of few packets is not all chance, short enough not to be waited for. */
const RATE_WINDOW_MS = 300;

export async function showStatus(node: RemoteNode, options: Options, terminal: Terminal): Promise<Exit> {
  if (options.flag("watch")) return await watchStatus(node, options, terminal);
  const status = await node.status();
  if (options.flag("json")) terminal.out(toJson(status));
  else {
    const since = terminal.now();
    await terminal.sleep(RATE_WINDOW_MS);
    const later = await node.status();
    terminal.out(statusText(status, later, terminal.now() - since, terminal) + await listenerText(node));
  }
  return status.light === "green" ? EXIT.ok : EXIT.degraded;
}

/** Where people of the network find the node, and how they know it. */
async function listenerText(node: RemoteNode): Promise<string> {
  const { status, body: { address, fingerprint } } = await node.ask("GET", "/api/v1/listener");
  if (status !== 200 || typeof address !== "string") return "";
  return `\nListens on ${address}, ${fingerprint ? `certificate SHA-256 ${fingerprint}` : "without TLS"}\n`;
}

async function watchStatus(node: RemoteNode, options: Options, terminal: Terminal): Promise<Exit> {
  let before: NodeStatus | null = null;
  let since = terminal.now();
  while (!terminal.interrupted()) {
    const shown = await node.status().catch((error) => {
      if (error instanceof NodeSilentError) return error;
      throw error;
    });
    const elapsed = terminal.now() - since;
    since = terminal.now();
    if (options.flag("json")) {
      if (!(shown instanceof Error)) terminal.out(`${JSON.stringify(shown)}\n`);
      else terminal.err(`${shown.message}\n`);
    } else {
      const text = shown instanceof Error
        ? `${shown.message}\n`
        : statusText(before, shown, elapsed, terminal);
      // Home and clear on a terminal; elsewhere one showing follows the other.
      terminal.out(terminal.colours ? `\x1b[H\x1b[2J${text}` : `${text}\n`);
    }
    before = shown instanceof Error ? null : shown;
    await terminal.sleep(options.number("interval"));
  }
  return EXIT.ok;
}

function statusText(
  before: NodeStatus | null,
  now: NodeStatus,
  elapsedMs: number,
  terminal: Terminal,
): string {
  const rates = before === null ? null : ratesBetween(before, now, elapsedMs);
  return renderStatus(now, { paint: painter(terminal.colours), nowMs: terminal.now(), rates });
}

export async function listFlows(node: RemoteNode, options: Options, terminal: Terminal): Promise<Exit> {
  const side = options.text("side");
  const text = options.text("search");
  const limit = options.number("limit");
  const unlike = options.flag("unlike");
  const flows = await node.flows({
    limit,
    ...(unlike && { unlike }),
    ...(side && { side }),
    ...(text && { text }),
  });
  terminal.out(options.flag("json") ? toJson(flows) : renderFlows(flows));
  return EXIT.ok;
}

export async function listEvents(node: RemoteNode, options: Options, terminal: Terminal): Promise<Exit> {
  const events = (await node.events({ after: 0, limit: LIMIT_MAX })).slice(-options.number("limit"));
  terminal.out(options.flag("json") ? toJson(events) : renderEvents(events));
  return EXIT.ok;
}

/** `box`, `maintenance` and `resync`. */
export function ofBoxes(node: RemoteNode, invocation: Invocation, terminal: Terminal): Promise<Exit> {
  const { command, options, arguments: [box = ""] } = invocation;
  const [noun, verb] = command.name.split(" ");
  if (noun === "maintenance") return maintain(node, verb === "on", box, terminal);
  if (noun === "resync") return resync(node, options, terminal);
  if (verb === "list") return listBoxes(node, options, terminal);
  return changeMember(node, verb === "join" ? "join" : "leave", box, terminal);
}

/** Every box with what it is called, whether it is a member, and what it does. */
export async function listBoxes(node: RemoteNode, options: Options, terminal: Terminal): Promise<Exit> {
  const { boxes } = await node.status();
  terminal.out(options.flag("json") ? toJson(boxes) : renderBoxes(boxes));
  return EXIT.ok;
}

export async function changeMember(
  node: RemoteNode,
  change: "join" | "leave",
  box: string,
  terminal: Terminal,
): Promise<Exit> {
  const result = await node.member(change, box);
  if (result.ok) terminal.out(`${result.text}\n`);
  else terminal.err(`Cannot let ${box} ${change}: ${result.text}\n`);
  return result.ok ? EXIT.ok : EXIT.failed;
}

export async function maintain(
  node: RemoteNode,
  on: boolean,
  box: string,
  terminal: Terminal,
): Promise<Exit> {
  const result = await node.maintain(box, on);
  if (result.ok) terminal.out(`${result.text}\n`);
  else terminal.err(`Cannot switch maintenance of ${box} ${on ? "on" : "off"}: ${result.text}\n`);
  return result.ok ? EXIT.ok : EXIT.failed;
}

export async function resync(node: RemoteNode, options: Options, terminal: Terminal): Promise<Exit> {
  const box = options.text("box"), stop = options.flag("stop");
  const result = await node.resync({ ...(box && { box }), stop });
  if (result.ok) terminal.out(`${result.text}\n`);
  else terminal.err(`Cannot ${stop ? "stop the resync" : "resync"}: ${result.text}\n`);
  return result.ok ? EXIT.ok : EXIT.failed;
}

export async function showMatch(node: RemoteNode, options: Options, terminal: Terminal): Promise<Exit> {
  const history = options.flag("history");
  const report = await node.match({ history });
  terminal.out(options.flag("json") ? toJson(report) : renderMatch(report, terminal.now(), history));
  return report.standbys.some(({ now }) => now.alarm) ? EXIT.degraded : EXIT.ok;
}

export async function listProbes(node: RemoteNode, options: Options, terminal: Terminal): Promise<Exit> {
  const listing = await node.probes();
  terminal.out(options.flag("json") ? toJson(listing) : renderProbes(listing, painter(terminal.colours)));
  return EXIT.ok;
}

const ORDERS = { switchover: "switch over", failback: "fail back", reload: "reload" } as const;

export async function giveOrder(
  node: RemoteNode,
  order: "switchover" | "failback" | "reload",
  { options, arguments: [box] }: Invocation,
  terminal: Terminal,
): Promise<Exit> {
  const result = order === "reload"
    ? await node.reload()
    : await node.order(order, { force: options.flag("force"), ...(box !== undefined && { box }) });
  if (result.ok) terminal.out(`${result.text}\n`);
  else terminal.err(`Cannot ${ORDERS[order]}: ${result.text}\n`);
  return result.ok ? EXIT.ok : EXIT.failed;
}

/** Problems and warnings of a configuration. */
export function reportCheck(parsed: Parsed, file: string, json: boolean, terminal: Terminal): Exit {
  const { problems, warnings } = parsed;
  if (json) terminal.out(toJson({ ok: problems.length === 0, problems, warnings }));
  else {
    for (const problem of problems) terminal.err(`${describeProblem(problem)}\n`);
    for (const warning of warnings) terminal.err(`warning: ${describeProblem(warning)}\n`);
    if (problems.length === 0) terminal.out(`${file} is good.\n`);
    else terminal.err(`${problems.length === 1 ? "1 problem" : `${problems.length} problems`}\n`);
  }
  return problems.length === 0 ? EXIT.ok : EXIT.input;
}

/** What the doctor found; exit code 1 if anything fails. */
export function reportFindings(findings: readonly Finding[], json: boolean, terminal: Terminal): Exit {
  const failed = findings.filter(({ level }) => level === "fail").length;
  if (json) terminal.out(toJson({ ok: failed === 0, findings }));
  else {
    const paint = painter(terminal.colours);
    for (const finding of findings) terminal.out(findingText(finding, paint));
    const warned = findings.filter(({ level }) => level === "warn").length;
    terminal.out(`\n${failed} failed, ${warned} to look at, ${findings.length - failed - warned} good\n`);
  }
  return failed === 0 ? EXIT.ok : EXIT.failed;
}

/** A finding with its fix below it. */
export function findingText({ level, topic, text, fix }: Finding, paint: Painter): string {
  const light = { ok: "green", warn: "yellow", fail: "red" } as const;
  const head = `${paint.light(light[level], level.padEnd(4))}  ${topic}: ${text}\n`;
  return fix === null ? head : `${head}      fix: ${fix}\n`;
}

export function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
