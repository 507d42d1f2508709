/** Which cards change their driver, and what keeps all of them where they are. */
import assert from "node:assert/strict";
import { planBinding } from "../../../appliance/binding.ts";
import { parseConfig } from "../../../appliance/config.ts";
import { type Facts, type PciFacts, type PortFacts } from "../../../appliance/doctor_facts.ts";
import { ALL_ROLES } from "../../../appliance/view.ts";

const ROLES = ALL_ROLES.slice(0, 6);
const PORTS = ROLES.map((role, i) => `${role.replace("-", "_")} = "0000:03:00.${i}"`).join("\n");
const CONFIG = parseConfig(`[ports]\n${PORTS}\n`, "test.toml").config!;
const PCI: PciFacts = { kind: "pci", exists: true, relay: false, driver: "ixgbe", interfaces: [] };

function plan(seen: (index: number) => PortFacts, more: Partial<Facts> = {}) {
  const ports = new Map(ROLES.map((role, i) => [role, seen(i)]));
  const facts = {
    ports,
    management: new Map(),
    iommu: true,
    noIommuMode: false,
    ...more,
  } as unknown as Facts;
  return planBinding(facts, CONFIG);
}

Deno.test("planBinding() takes vfio-pci where there is an IOMMU, else uio_pci_generic", () => {
  assert.deepEqual(plan(() => PCI).moves[0], { address: "0000:03:00.0", from: "ixgbe", to: "vfio-pci" });
  assert.equal(plan(() => PCI, { iommu: false }).moves[0]!.to, "uio_pci_generic");
  assert.equal(plan(() => PCI, { iommu: false, noIommuMode: true }).moves[0]!.to, "vfio-pci");
});

Deno.test("planBinding() leaves alone what is bound already, and ports that are no cards", () => {
  const { moves } = plan((i) =>
    i === 0 ? { ...PCI, driver: "vfio-pci" } : i === 1 ? { kind: "nothing" } : { ...PCI, driver: null }
  );
  assert.deepEqual(
    moves.map(({ address, from }) => [address.at(-1), from]),
    [2, 3, 4, 5].map((i) => [`${i}`, null]),
  );
});

Deno.test("planBinding() moves nothing where one card is missing or carries the default route", () => {
  const management = new Map([["eth3", "carries the default route"]]);
  const { moves, faults } = plan(
    (i) => i === 3 ? { ...PCI, interfaces: ["eth3"] } : { ...PCI, exists: i !== 4 },
    { management },
  );
  assert.deepEqual(moves, []);
  assert.deepEqual(faults, [
    `Cannot bind ${ROLES[3]}: 0000:03:00.3 is eth3, which carries the default route`,
    `Cannot bind ${ROLES[4]}: there is no PCI device 0000:03:00.4`,
  ]);
});
