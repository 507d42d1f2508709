/** What a machine without ports is asked, and what becomes of the answers. */
import assert from "node:assert/strict";
import { parseConfig } from "../../../appliance/config.ts";
import { readLldp } from "../../../appliance/setup/lldp.ts";
import type { Nic } from "../../../appliance/setup/nics.ts";
import { choiceOf, isFresh, parseBase, planConfig } from "../../../appliance/setup/plan.ts";
import { Random } from "../../../filter/random.ts";
import { ROLES } from "../../../appliance/view.ts";
import { lldpFrame } from "../../support/lldp.ts";

const BASE = '[node]\nname = "edge1"\n[api]\nlisten = "192.0.2.1:8443"\n';
const nic = (name: string, taken: string | null = null): Nic => ({
  ...{
    name,
    index: 1,
    driver: "igb",
    device: "0000:03:00.0",
    mac: "02:00:00:00:00:01",
    link: true,
    mbit: 1000,
  },
  ...{ rxPackets: 0, neighbour: null, taken },
});
const NICS = [
  ...["eth1", "eth2", "eth3", "eth4", "eth5", "eth6"].map((name) => nic(name)),
  nic("eth0", "it is yours"),
];
const FIELDS: Record<string, string> = Object.fromEntries(ROLES.map((role, i) => [role, `eth${i + 1}`]));

Deno.test("planConfig() makes a configuration that is good, learns first, and keeps what was there", () => {
  const fields = { ...FIELDS, preset: "firewall", probe_from: "10.1.0.250", probe_to: "10.2.0.11" };
  const plan = planConfig(BASE, choiceOf(fields), NICS);
  assert.ok(plan.ok);
  const { config } = parseConfig(plan.text, "a test");
  assert.deepEqual([config?.node.name, config?.api.listen], ["edge1", "192.0.2.1:8443"]);
  assert.deepEqual([config?.filter.preset, config?.failover.learningFirst], ["firewall", true]);
  assert.deepEqual(config?.probes.map(({ name }) => name), ["wiring"]);
  assert.equal(config?.ports.upstream.target, "eth1");
  assert.ok(!isFresh(plan.text));
});

Deno.test("planConfig() keeps a table that is there already, in place of its own", () => {
  const plan = planConfig(`${BASE}[failover]\nsilence_ms = 30\n`, choiceOf(FIELDS), NICS);
  assert.ok(plan.ok);
  assert.deepEqual(plan.text.match(/\[failover\]/g)?.length, 1);
});

Deno.test("planConfig() tells every port that is missing, unknown, taken or named twice", () => {
  const faults = (fields: Record<string, string>) => {
    const plan = planConfig(BASE, choiceOf({ ...FIELDS, ...fields }), NICS);
    return plan.ok ? [] : plan.faults;
  };
  assert.deepEqual(faults({ upstream: "" }), ["upstream: choose an interface"]);
  assert.deepEqual(faults({ upstream: "eth9" }), ['upstream: there is no interface "eth9"']);
  assert.deepEqual(faults({ upstream: "eth0" }), ["upstream: eth0 is not free: it is yours"]);
  assert.deepEqual(faults({ downstream: "eth1" }), ["downstream: eth1 is upstream already"]);
  assert.deepEqual(faults({ probe_from: '1.1.1.1"\nx = 1', probe_to: "10.2.0.11" }).length, 1);
  assert.equal(faults({ upstream: 'eth1"\n[log]' }).length, 1);
});

Deno.test("isFresh() and parseBase() tell a machine without ports from a configuration that is wrong", () => {
  assert.ok(isFresh(BASE) && isFresh(""));
  assert.ok(!isFresh("[ports]\n") && !isFresh("[node\n"));
  assert.deepEqual(parseBase(BASE, "a test").problems, []);
  assert.equal(parseBase("[node]\nnam = 1\n", "a test").problems.length, 1);
});

Deno.test("readLldp() reads names and ports, and nothing from what is cut or is no LLDP", () => {
  const frame = lldpFrame("core1", "ge-0/0/7");
  assert.deepEqual(readLldp(frame), { system: "core1", port: "ge-0/0/7" });
  assert.deepEqual(readLldp(lldpFrame("a\u001b[31mb", "")), { system: "a[31mb", port: "" });
  assert.deepEqual(readLldp(lldpFrame("", "p1")), { system: "02:00:00:00:00:09".slice(0, 17), port: "p1" });
  assert.equal(readLldp(frame.subarray(0, 15)), null);
  const random = new Random(3);
  for (let i = 0; i < 20_000; i++) {
    const broken = frame.slice(0, random.below(frame.length + 1));
    if (broken.length > 0) broken[random.below(broken.length)] = random.below(256);
    const read = readLldp(broken);
    assert.ok(read === null || read.system.length + read.port.length > 0);
  }
});
