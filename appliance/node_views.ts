/** Views of a node that the board cannot give: no plane to look at, and events of control itself. Pure. */
import type { Now, Surroundings } from "./board_view.ts";
import { type Config, configuredRoles } from "./config.ts";
import type { Told } from "./failover/external/describe.ts";
import type { StateTold } from "./node_state.ts";
import type { UpdateReport } from "./update/contract.ts";
import type { Box, DampingView, EventView, NodeStatus, Role } from "./view.ts";

/** What each role's port is called in the configuration. */
export function specsOf(config: Config): Partial<Record<Role, string>> {
  return Object.fromEntries(configuredRoles(config).map((role) => [role, config.ports[role]!.spec]));
}

/** What the configuration calls the boxes. */
export function namesOf(config: Config): Partial<Record<Box, string>> {
  return Object.fromEntries(config.boxes.map(({ box, name }) => [box, name]));
}

/** Kinds of events that are the node's own. */
export type Own = "plane" | "drill" | "layer" | "vnf" | "journal";

export function ownEvent(
  given: {
    kind: Own;
    cause: EventView["cause"];
    text: string;
    boot: bigint;
    now: Now;
  },
): EventView {
  return {
    sequence: 0,
    boot: given.boot.toString(16).padStart(16, "0"),
    wallMs: given.now.wallMs,
    monoUs: given.now.monoNs / 1000,
    kind: given.kind,
    cause: given.cause,
    subject: given.kind === "plane" ? "plane" : "node",
    before: "",
    after: "",
    silentUs: null,
    lostPackets: null,
    text: given.text,
  };
}

/** A box began to be suppressed, or no longer is. */
export function dampingEvent(
  given: { box: Box; suppressed: boolean; view: DampingView | null; boot: bigint; now: Now },
): EventView {
  const { box, suppressed, view } = given;
  const until = view?.untilMs ? `, until ${new Date(view.untilMs).toISOString()} if it dies no more` : "";
  const text = suppressed
    ? `${box} is suppressed (${view?.points} points): it died too often, and serves only while no other is alive${until}`
    : `${box} is no longer suppressed`;
  return {
    ...ownEvent({ kind: "plane", cause: "damping", text, boot: given.boot, now: given.now }),
    kind: "box",
    subject: box,
    before: suppressed ? "trusted" : "suppressed",
    after: suppressed ? "suppressed" : "trusted",
  };
}

/** An event of an external switch, in the journal of the node. */
export function externalEvent(told: Told, boot: bigint, now: Now): EventView {
  return {
    ...ownEvent({ kind: "plane", cause: told.cause, text: told.text, boot, now }),
    ...told,
    kind: "external",
  };
}

/** An event of state drivers or of their repository. */
export function stateEvent(told: StateTold, boot: bigint, now: Now): EventView {
  return {
    ...ownEvent({ kind: "plane", cause: told.cause, text: told.text, boot, now }),
    ...told,
    kind: "state",
  };
}

/** What became of an update of the machine. The same report gives the same event, so that it is kept once. */
export function updateEvent({ atMs, version, outcome, reason }: UpdateReport): EventView {
  const now = { wallMs: atMs, monoNs: atMs * 1e6 };
  return {
    ...ownEvent({ kind: "plane", cause: outcome, text: `update ${outcome}: ${reason}`, boot: 0n, now }),
    kind: "update",
    subject: version ?? "bundle",
    after: outcome,
  };
}

/** How loud an event is in the log. */
export function levelOf({ kind, cause }: EventView): "info" | "warn" {
  const isTrouble = (kind === "external" || kind === "state") && cause !== "connected" && cause !== "start";
  return kind === "switch" || isTrouble || cause === "back" || (kind === "vnf" && cause === "died") ||
      cause === "unlike" || cause === "overdue"
    ? "warn"
    : "info";
}

/** What ails an external switch ails the node: never green then, and red where a switch passes its boxes by. */
export function withExternals(status: NodeStatus): NodeStatus {
  const ill = status.external.find(({ light }) => light === "red") ??
    status.external.find(({ light }) => light === "yellow");
  if (ill === undefined || status.light === "red") return status;
  if (status.light === "yellow" && ill.light === "yellow") return status;
  return { ...status, light: ill.light, reason: `switch ${ill.name}: ${ill.reason}` };
}

/** The status while there is no plane: everything unknown, nothing pretended. */
export function absentStatus(around: Surroundings, nowMs: number): NodeStatus {
  return {
    name: around.name,
    version: around.version,
    light: "red",
    reason: "there is no plane: nothing is forwarded",
    path: "block",
    pathSinceMs: nowMs,
    freshMs: Number.MAX_SAFE_INTEGER,
    plane: {
      state: "absent",
      pid: 0,
      startedMs: 0,
      restarts: around.planeRestarts,
      hugepages: false,
      polling: "sleep",
      cpu: 0,
      loopMaxUs: 0,
      workers: [],
      error: "",
    },
    boxes: [],
    checks: around.checks ?? [],
    ports: [],
    flows: { upstream: 0, downstream: 0, slots: 0 },
    mirror: { share: 0, shareBytes: 0, why: [], shed: [], rules: [] },
    counters: [],
    parse: [],
    bfd: { sessions: [], discards: [] },
    switches: 0,
    lastSwitch: around.lastSwitch,
    failback: null,
    lastDrill: around.lastDrill,
    external: around.external,
  };
}
