/** Views of a node that the board cannot give: no plane to look at, and events of control itself. Pure. */
import type { Now, Surroundings } from "./board_view.ts";
import type { Config } from "./config.ts";
import { type EventView, type NodeStatus, type Role, ROLES } from "./view.ts";

/** What each role's port is called in the configuration. */
export function specsOf(config: Config): Record<Role, string> {
  return Object.fromEntries(ROLES.map((role) => [role, config.ports[role].spec])) as Record<Role, string>;
}

export function planeEvent(
  given: { cause: EventView["cause"]; text: string; boot: bigint; now: Now },
): EventView {
  return {
    sequence: 0,
    boot: given.boot.toString(16).padStart(16, "0"),
    wallMs: given.now.wallMs,
    monoUs: given.now.monoNs / 1000,
    kind: "plane",
    cause: given.cause,
    subject: "plane",
    before: "",
    after: "",
    silentUs: null,
    lostPackets: null,
    text: given.text,
  };
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
    ports: [],
    flows: { upstream: 0, downstream: 0, slots: 0 },
    mirror: { share: 0, shareBytes: 0, why: [], shed: [], rules: [] },
    counters: [],
    parse: [],
    bfd: { sessions: [], discards: [] },
    switches: 0,
    lastSwitch: around.lastSwitch,
  };
}
