/** Views of a node that no board gives: nothing is pretended while there is no plane. */
import assert from "node:assert/strict";
import { parseConfig } from "../../../appliance/config.ts";
import {
  absentStatus,
  externalEvent,
  levelOf,
  ownEvent,
  specsOf,
  withExternals,
} from "../../../appliance/node_views.ts";
import { type ExternalSwitchView, type Light, type Role, ROLES } from "../../../appliance/view.ts";
import { TELL } from "../../../appliance/failover/external/describe.ts";
import { nodeStatus } from "../ui/fake_node.ts";
import { healthFault, readyFault } from "../../../ui/api.ts";

const SPECS = Object.fromEntries(ROLES.map((role) => [role, "null"])) as Record<Role, string>;
const AROUND = {
  name: "n",
  version: "1",
  specs: SPECS,
  planeRestarts: 3,
  cpu: [0.5],
  lastSwitch: null,
  failback: null,
  lastDrill: null,
  external: [],
};

Deno.test("specsOf() names the port of each role as it was configured", () => {
  const ports = ROLES.map((role, i) => `${role.replace("-", "_")} = "af_packet:e${i}"`);
  const { config } = parseConfig(["[ports]", ...ports].join("\n"), "t.toml");
  assert.deepEqual(specsOf(config!), Object.fromEntries(ROLES.map((role, i) => [role, `af_packet:e${i}`])));
});

Deno.test("absentStatus() is red, unhealthy and empty, and still knows what control knows", () => {
  const status = absentStatus(AROUND, 1000);
  assert.deepEqual([status.light, status.path, status.plane.state], ["red", "block", "absent"]);
  assert.deepEqual([status.ports, status.boxes, status.counters], [[], [], []]);
  assert.deepEqual([status.plane.restarts, status.pathSinceMs], [3, 1000]);
  assert.match(healthFault(status)!, /absent/);
  assert.match(readyFault(status)!, /absent/);
  assert.ok(Number.isSafeInteger(JSON.parse(JSON.stringify(status)).freshMs), "it can be sent as JSON");
});

Deno.test("ownEvent() carries both clocks and which plane it was", () => {
  const now = { monoNs: 5_000_000, wallMs: 1_700_000_000_000 };
  const event = ownEvent({ kind: "plane", cause: "attached", text: "took it over", boot: 0x1fn, now });
  const { kind, cause, subject, boot, wallMs, monoUs, silentUs, lostPackets } = event;
  assert.deepEqual([kind, cause, subject, boot], ["plane", "attached", "plane", "000000000000001f"]);
  assert.deepEqual([wallMs, monoUs, silentUs, lostPackets], [1_700_000_000_000, 5000, null, null]);
});

Deno.test("externalEvent() keeps what is told of a switch, and levelOf() warns of trouble alone", () => {
  const now = { monoNs: 5_000_000, wallMs: 1_700_000_000_000 };
  const repaired = externalEvent(TELL.repaired("edge", ["group 7 was missing"]), 1n, now);
  assert.deepEqual([repaired.kind, repaired.cause, repaired.subject], ["external", "repaired", "edge"]);
  assert.match(repaired.text, /group 7 was missing/);
  assert.equal(levelOf(repaired), "warn");
  assert.equal(levelOf(externalEvent(TELL.connected("edge", "x", "1"), 1n, now)), "info");
  assert.equal(levelOf(ownEvent({ kind: "plane", cause: "start", text: "", boot: 1n, now })), "info");
});

Deno.test("withExternals() lets a node be no better than the worst of its switches", () => {
  const external = (...lights: Light[]) =>
    lights.map((light) => ({ name: light, light, reason: "so" }) as ExternalSwitchView);
  const judged = (node: Light, ...lights: Light[]) => {
    const { light, reason } = withExternals(
      nodeStatus({ light: node, reason: "own", external: external(...lights) }),
    );
    return `${light}: ${reason}`;
  };
  assert.equal(judged("green"), "green: own");
  assert.equal(judged("green", "green"), "green: own");
  assert.equal(judged("green", "yellow", "red"), "red: switch red: so");
  assert.equal(judged("yellow", "yellow"), "yellow: own");
  assert.equal(judged("yellow", "red"), "red: switch red: so");
  assert.equal(judged("red", "red"), "red: own");
});
