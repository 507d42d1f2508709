/** Clock, kernel, CPUs, firmware and peers: each finding that warns has a fix, and nothing unknown is a fault. */
import assert from "node:assert/strict";
import { parseConfig } from "../../../appliance/config.ts";
import { examineMachine } from "../../../appliance/doctor_machine.ts";
import { gatherMachine, type MachineFacts, readDriver } from "../../../appliance/doctor_machine_facts.ts";
import { ROLES } from "../../../appliance/view.ts";

const GOOD: MachineFacts = {
  kernel: "6.1.0-18-amd64",
  clockSynchronised: true,
  isolated: [2, 3],
  nohz: [2, 3],
  governor: "performance",
  iommu: true,
  nics: [{ name: "eth1", driver: "igb", firmware: "1.63, 0x800009fa" }],
  peers: [{ name: "repository 10.0.0.5:6379", fault: null }],
};

function configOf(port: string, plane: string) {
  const ports = ROLES.map((role, i) => `${role.replace("-", "_")} = "${port.replace("%", String(i))}"`);
  const { config, problems } = parseConfig(`[ports]\n${ports.join("\n")}\n[plane]\n${plane}\n`, "a test");
  assert.ok(config, JSON.stringify(problems));
  return config;
}

Deno.test("examineMachine() warns of each thing that is amiss, with a fix, and of nothing else", () => {
  const config = configOf("0000:03:00.%", "core = 2\ncores = 2");
  const warned = (more: Partial<MachineFacts>) =>
    examineMachine({ ...GOOD, ...more }, config).filter(({ level }) => level !== "ok");
  assert.deepEqual(warned({}), []);
  const cases: readonly [Partial<MachineFacts>, string, RegExp][] = [
    [{ clockSynchronised: false }, "clock", /chrony/],
    [{ kernel: "4.19.0" }, "kernel release", /5\.10/],
    [{ iommu: false }, "iommu", /intel_iommu=on/],
    [{ isolated: [2] }, "isolation", /isolcpus=2,3/],
    [{ nohz: [] }, "isolation", /nohz_full=2,3/],
    [{ governor: "powersave" }, "frequency", /performance/],
    [{ peers: [{ name: "switch a", fault: "refused" }] }, "peer switch a", /runs/],
  ];
  for (const [more, topic, fix] of cases) {
    const found = warned(more);
    assert.deepEqual(found.map((one) => one.topic), [topic]);
    assert.match(found[0]!.fix!, fix);
  }
  assert.deepEqual(warned({ clockSynchronised: null, governor: null, nics: [] }), []);
});

Deno.test("examineMachine() asks nothing of CPUs where the plane is not pinned, and no IOMMU where no port needs it", () => {
  const config = configOf("null", "");
  const found = examineMachine({ ...GOOD, isolated: [], nohz: [], iommu: false }, config);
  assert.deepEqual(found.filter(({ level }) => level !== "ok"), []);
  assert.ok(examineMachine(GOOD, null).length >= 3);
});

Deno.test("gatherMachine() looks at this machine, and readDriver() at what ethtool says", async () => {
  const facts = await gatherMachine(configOf("null", ""));
  assert.match(facts.kernel, /^\d+\.\d+/);
  assert.deepEqual([facts.nics, facts.peers], [[], []]);
  const text = "driver: igb\nversion: 6.1.0\nfirmware-version: 1.63, 0x800009fa\nbus-info: 0000:03:00.0\n";
  assert.deepEqual(readDriver("eth1", text), GOOD.nics[0]);
  assert.equal(readDriver("eth1", "Cannot get driver information"), null);
});
