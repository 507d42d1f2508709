/** Views of a node that no board gives: nothing is pretended while there is no plane. */
import assert from "node:assert/strict";
import { parseConfig } from "../../../appliance/config.ts";
import { absentStatus, ownEvent, specsOf } from "../../../appliance/node_views.ts";
import { type Role, ROLES } from "../../../appliance/view.ts";
import { healthFault, readyFault } from "../../../ui/api.ts";

const SPECS = Object.fromEntries(ROLES.map((role) => [role, "null"])) as Record<Role, string>;
const AROUND = {
  name: "n",
  version: "1",
  specs: SPECS,
  planeRestarts: 3,
  cpu: [0.5],
  lastSwitch: null,
  lastDrill: null,
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
