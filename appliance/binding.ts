/**
 * Which PCI ports have to change their driver before the plane can own them.
 *
 * Pure. vfio-pci where there is an IOMMU, for then a card reaches the memory it was given and no other; uio_pci_generic
 * where there is none. A port by which the machine is reached is never taken, and then none is: half a node is worse
 * than one that says why it did not start.
 */
import type { Config } from "./config.ts";
import { configuredRoles } from "./config.ts";
import type { BindingFacts } from "./doctor_facts.ts";

export type PlaneDriver = "vfio-pci" | "uio_pci_generic";

export interface Move {
  /** PCI address, "0000:03:00.0". */
  readonly address: string;
  /** The driver it has; null: none. */
  readonly from: string | null;
  readonly to: PlaneDriver;
}

export interface BindingPlan {
  readonly moves: readonly Move[];
  /** Sentences; with one of them nothing is moved. */
  readonly faults: readonly string[];
}

export function planBinding(facts: BindingFacts, config: Config): BindingPlan {
  const { ports, management, iommu, noIommuMode } = facts;
  const to: PlaneDriver = iommu || noIommuMode ? "vfio-pci" : "uio_pci_generic";
  const moves = new Map<string, Move>();
  const faults: string[] = [];
  for (const role of configuredRoles(config)) {
    const seen = ports.get(role);
    if (seen?.kind !== "pci") continue;
    const address = config.ports[role]!.target;
    const used = seen.interfaces.find((name) => management.has(name));
    if (!seen.exists) faults.push(`Cannot bind ${role}: there is no PCI device ${address}`);
    else if (used !== undefined) {
      faults.push(`Cannot bind ${role}: ${address} is ${used}, which ${management.get(used)}`);
    } else if (seen.driver !== to) moves.set(address, { address, from: seen.driver, to });
  }
  return { moves: faults.length > 0 ? [] : [...moves.values()], faults };
}
