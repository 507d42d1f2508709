/** What a machine without ports is asked, and what becomes of the answers. */
import assert from "node:assert/strict";
import { parseConfig } from "../../../appliance/config.ts";
import { readLldp } from "../../../appliance/setup/lldp.ts";
import { blinkFault, type Nic } from "../../../appliance/setup/nics.ts";
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

const card = (name: string, over: Partial<Nic> = {}): Nic => ({ ...nic(name), device: name, ...over });
const GIVEN = ["0000:05:00.0", "0000:05:00.1"].map((name) => card(name, { index: 0, driver: "vfio-pci" }));

Deno.test("planConfig() takes ports by PCI address or AF_XDP, and always so what the kernel does not drive", () => {
  const nics = [
    ...["eth1", "eth2", "eth3", "eth4"].map((name, i) => ({ ...nic(name), device: `0000:03:00.${i}` })),
    ...GIVEN,
  ];
  const fields = { ...FIELDS, "redundant-in": "0000:05:00.0", "redundant-out": "0000:05:00.1" };
  const specs = (way: string, of = nics) => {
    const plan = planConfig(BASE, choiceOf({ ...fields, way }), of);
    if (!plan.ok) return plan.faults;
    const { ports } = parseConfig(plan.text, "a test").config!;
    return [ports.upstream.spec, ports["redundant-in"].spec];
  };
  assert.deepEqual(specs("pci"), ["0000:03:00.0", "0000:05:00.0"]);
  assert.deepEqual(specs("af_xdp"), ["af_xdp:eth1", "0000:05:00.0"]);
  assert.deepEqual(specs("colour"), ["af_packet:eth1", "0000:05:00.0"]);
  const virtual = nics.map((one) => one.name === "eth1" ? { ...one, device: "" } : one);
  assert.deepEqual(specs("pci", virtual), [
    "upstream: eth1 has no PCI address: take ports in another way",
  ]);
});

Deno.test("planConfig() writes further redundant boxes, whole and in order or not at all", () => {
  const nics = [...NICS, ...["eth7", "eth8", "eth9", "eth10"].map((name) => nic(name))];
  const plan = (fields: Record<string, string>, base = BASE) =>
    planConfig(base, choiceOf({ ...FIELDS, ...fields }), nics);
  const second = { "redundant-2-in": "eth7", "redundant-2-out": "eth8" };
  const third = { "redundant-3-in": "eth9", "redundant-3-out": "eth10" };
  const both = plan({ ...second, ...third });
  assert.ok(both.ok);
  const { config } = parseConfig(both.text, "a test");
  assert.deepEqual(config?.boxes.length, 4);
  assert.equal(config?.ports["redundant-3-out"]?.target, "eth10");
  const faults = (fields: Record<string, string>, base = BASE) => {
    const made = plan(fields, base);
    return made.ok ? [] : made.faults;
  };
  assert.deepEqual(faults({ "redundant-2-in": "eth7" }), ["redundant-2-out: choose an interface"]);
  assert.deepEqual(faults(third), ["redundant-3-in: choose the ports of redundant-2 first"]);
  assert.deepEqual(faults({ ...second, "redundant-2-out": "eth1" }), [
    "redundant-2-out: eth1 is upstream already",
  ]);
  const has = `${BASE}[[redundant]]\nin = "af_packet:eth9"\nout = "af_packet:eth10"\n`;
  assert.deepEqual(faults(second, has), ["redundant-2-in: the configuration has [[redundant]] already"]);
});

Deno.test("blinkFault() says what to do where the driver has no LED, and passes on other refusals", () => {
  assert.match(
    blinkFault("eth1", "Cannot identify NIC: Operation not supported"),
    /no LED to blink.*cable of eth1/,
  );
  assert.equal(
    blinkFault("eth1", "Cannot identify NIC: No such device"),
    "Cannot identify NIC: No such device",
  );
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
