/**
 * Duty: what an agent tells of its node, and how it carries out commands there: all by the node's own API.
 *
 * The agent is a process of its own. A node that does not answer is reported as such; nothing of the node waits for it.
 */
import { createHash } from "node:crypto";
import type { Executors } from "../../appliance/fleet/contract.ts";
import type { FleetEvent, Report } from "../../appliance/fleet/messages.ts";
import type { Updater } from "../../appliance/update/contract.ts";
import type { Finding } from "../../appliance/doctor_finding.ts";
import type { NodeStatus } from "../../appliance/view.ts";
import { reasonOf } from "../../drivers/reason.ts";
import type { RemoteNode } from "../client.ts";
import { healthFault, readyFault } from "../health.ts";

const cut = (text: string, length = 1000) => text.slice(0, length);

export interface Told {
  readonly name: string;
  readonly version: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Of this start of the agent. */
  readonly start: string;
  readonly machine: string;
}

/** All sections of a report; `findings`: of the doctor, and when it looked. */
export async function reportOf(
  node: RemoteNode,
  told: Told,
  { updater, findings, atMs }: {
    updater: Updater | null;
    findings: readonly Finding[];
    atMs: number;
  },
): Promise<Report> {
  const status = await node.status().catch((error: Error) => error);
  return {
    node: { ...told, version: status instanceof Error ? told.version : cut(status.version, 64) },
    health: status instanceof Error ? silent(status) : healthOf(status),
    match: status instanceof Error ? { share: null, reason: "no node answers" } : matchOf(status),
    update: await updateOf(updater),
    doctor: {
      atMs,
      findings: findings.filter(({ level }) => level !== "ok").slice(0, 128).map((
        { topic, level, text },
      ) => ({
        topic: cut(topic, 128),
        grade: level,
        text: cut(text),
      })),
    },
  };
}

function silent(error: Error): Report["health"] {
  const reason = cut(reasonOf(error));
  return {
    ...{ light: "unknown", reason, path: "unknown", pathSinceMs: 0, unready: reason, ill: reason },
    planeRestarts: 0,
    boxes: [],
  };
}

function healthOf(status: NodeStatus): Report["health"] {
  const unready = readyFault(status), ill = healthFault(status);
  return {
    light: status.light,
    reason: cut(status.reason),
    path: status.path,
    pathSinceMs: Math.max(0, Math.round(status.pathSinceMs)),
    unready: unready === null ? null : cut(unready),
    ill: ill === null ? null : steady(ill),
    planeRestarts: status.plane.restarts,
    boxes: status.boxes.slice(0, 16).map(({ box, name, light, reason, serving, member }) => ({
      ...{ box, light, serving, member },
      name: cut(name, 64),
      reason: cut(reason),
    })),
  };
}

/** Without the age that makes it another text each time it is told. */
function steady(text: string): string {
  return cut(text.replace(/for \d+ ms/, "for more than a second"));
}

function matchOf({ boxes }: NodeStatus): Report["match"] {
  const shares = boxes.flatMap(({ match }) => match?.share ?? []);
  if (shares.length === 0) return { share: null, reason: "no flows were compared" };
  const share = Math.min(...shares);
  // Two digits: a report for each connection would be sent otherwise.
  return { share: Math.round(share * 100) / 100, reason: "" };
}

async function updateOf(updater: Updater | null): Promise<Report["update"]> {
  const none = { slots: [], installing: null, reports: [], badVersions: [] };
  if (updater === null) return { without: "this node has no slots to update", ...none };
  try {
    const { slots, installing, reports, badVersions } = await updater.view();
    return {
      without: null,
      slots: slots.slice(0, 4),
      installing: installing && { ...installing, percent: Math.round(installing.percent) },
      reports: reports.slice(-16).map((one) => ({ ...one, reason: cut(one.reason) })),
      badVersions: badVersions.slice(-256),
    };
  } catch (error) {
    return { without: cut(`the updater does not answer: ${reasonOf(error)}`), ...none };
  }
}

/**
 * Events of the node's journal above the last one that the controller knows. A journal that has not even that one has lost
 * some, and would number new ones as those: it is told, and goes on above.
 */
export async function eventsOf(
  node: Pick<RemoteNode, "events" | "eventsKnown">,
  known: number,
  limit: number,
): Promise<FleetEvent[]> {
  let events = await node.events({ after: Math.max(0, known - 1), limit: limit + 1 });
  if (known > 0 && events.length === 0) {
    await node.eventsKnown(known);
    events = await node.events({ after: known, limit });
  }
  const fresh = events.filter(({ sequence }) => sequence > known).slice(0, limit);
  return fresh.map(({ sequence, wallMs, kind, cause, subject, text }) => ({
    sequence,
    wallMs: Math.max(0, Math.round(wallMs)),
    kind: cut(kind, 32),
    cause: cut(cause, 32),
    subject: cut(subject, 128),
    text: cut(text),
  }));
}

export interface NodeMeans {
  readonly node: RemoteNode;
  /** Reads the configuration's [fleet] and connects anew with it; true: it succeeded in time. */
  readonly reconnect: (withinMs: number) => Promise<boolean>;
  readonly sleep: (ms: number) => Promise<void>;
  readonly nowMs: () => number;
}

/** Of the time to confirm, what is left for the node's own return to the configuration before. */
const MARGIN_MS = 3000;

/** What any node can do; updates come from elsewhere. */
export function nodeExecutors(means: NodeMeans): Executors {
  const { node } = means;
  return {
    "drill": async ({ box }) => {
      const answer = await node.drill(box ?? null);
      if (!answer.ok) return { outcome: "refused", text: answer.text };
      const { report } = answer.signed, data = { signed: answer.signed };
      return { outcome: report.ok ? "done" : "failed", text: report.text, data };
    },
    "config.push": (given, { progress }) => pushConfig(means, given, progress),
    "support": async (_, { send }) => {
      const text = await supportText(node);
      const bytes = await send(new Blob([text]).stream());
      const digest = createHash("sha256").update(text).digest("hex");
      return { outcome: "done", text: `${bytes} bytes of JSON`, bytes, data: { digest } };
    },
    "capture": async ({ lastS, filter }, { send, signal }) => {
      const query = new URLSearchParams({ last_s: String(lastS), filter });
      const pieces = await node.capture("kept", query, signal);
      const bytes = await send(ReadableStream.from(pieces));
      return { outcome: "done", text: `${bytes} bytes of pcapng`, bytes };
    },
  };
}

/** The configuration stays only if the controller can be reached by it; else the node puts the old one back by itself. */
async function pushConfig(
  { node, reconnect, sleep, nowMs }: NodeMeans,
  { text, confirmS }: { readonly text: string; readonly confirmS: number },
  progress: (text: string) => void,
) {
  const body = { text, confirm_s: confirmS, note: "by the fleet" }, untilMs = nowMs() + confirmS * 1000;
  const answer = await node.ask("PUT", "/api/v1/config", { body, headers: { "if-match": "*" } });
  if (answer.status >= 400) {
    const problems = (answer.body.problems ?? []) as readonly object[];
    const text = `the node did not take it: ${answer.body.detail ?? `HTTP ${answer.status}`}`;
    return { outcome: "refused", text, data: { problems: problems.slice(0, 20) } } as const;
  }
  progress("it is in force; the agent connects anew before it is confirmed");
  const reached = await reconnect(Math.max(1000, untilMs - nowMs() - MARGIN_MS));
  const healthy = reached ? await healthOnce(node) : null;
  if (reached && healthy === null) {
    const confirmed = await node.ask("POST", "/api/v1/config/confirm");
    if (confirmed.status < 400) {
      return { outcome: "done", text: "it is in force, and the controller was reached by it" } as const;
    }
  }
  const why = reached
    ? healthy ?? "the node would not confirm it"
    : "the controller could not be reached by it";
  while (await isPending(node) && nowMs() < untilMs + 60_000) await sleep(500);
  await reconnect(1000);
  return { outcome: "failed", text: `the one before is in force again: ${why}` } as const;
}

async function healthOnce(node: RemoteNode): Promise<string | null> {
  const status = await node.status().catch((error: Error) => error);
  return status instanceof Error ? reasonOf(status) : healthFault(status);
}

async function isPending(node: RemoteNode): Promise<boolean> {
  try {
    return (await node.ask("GET", "/api/v1/config")).body.pending !== null;
  } catch {
    return true; // it starts anew, perhaps
  }
}

async function supportText(node: RemoteNode): Promise<string> {
  const part = async (name: string, ask: () => Promise<unknown>) =>
    [name, await ask().catch((error) => ({ error: reasonOf(error) }))] as const;
  const parts = await Promise.all([
    part("status", () => node.status()),
    part("events", () => node.events({ after: 0, limit: 10_000 })),
    part("match", () => node.match({ history: true })),
    part("probes", () => node.probes()),
    part("recorder", () => node.recorder()),
    part("drills", () => node.drills()),
  ]);
  return JSON.stringify(Object.fromEntries(parts), null, 1);
}
