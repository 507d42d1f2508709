/**
 * From facts about clock, kernel, CPUs, firmware and peers to findings. Pure.
 *
 * None of it keeps a node from forwarding, so nothing here fails.
 */
import type { Config } from "./config.ts";
import { type Finding, ok, warn } from "./doctor_finding.ts";
import type { MachineFacts } from "./doctor_machine_facts.ts";

export function examineMachine(facts: MachineFacts, config: Config | null): Finding[] {
  return [
    clock(facts),
    kernelRelease(facts),
    iommu(facts, config),
    ...(config === null ? [] : isolation(facts, config)),
    ...facts.nics.map(firmware),
    ...facts.peers.map(peer),
  ];
}

function clock({ clockSynchronised: is }: MachineFacts): Finding {
  if (is === null) return ok("clock", "Whether something keeps it right cannot be found out.");
  if (is) return ok("clock", "It is kept right.");
  const text =
    "Nothing keeps it right: times of events and captures cannot be compared with those of other machines.";
  return warn("clock", text, "apt install chrony, or timedatectl set-ntp true");
}

/** AF_XDP with all that DPDK asks for, and time64 everywhere. */
const KERNEL_MIN = [5, 10] as const;

function kernelRelease({ kernel }: MachineFacts): Finding {
  const [major = 0, minor = 0] = kernel.split(".").map((part) => parseInt(part));
  const old = major < KERNEL_MIN[0] || (major === KERNEL_MIN[0] && minor < KERNEL_MIN[1]);
  const wanted = KERNEL_MIN.join(".");
  if (!old) return ok("kernel release", `${kernel}.`);
  return warn("kernel release", `${kernel} is older than what is tested.`, `use Linux ${wanted} or later`);
}

function iommu({ iommu }: MachineFacts, config: Config | null): Finding {
  if (iommu) return ok("iommu", "It is on.");
  const pci = Object.values(config?.ports ?? {}).some(({ kind }) => kind === "pci");
  if (!pci) return ok("iommu", "It is off, and no port needs it.");
  const text = "It is off: a NIC can write anywhere in memory.";
  return warn(
    "iommu",
    text,
    "switch it on in the firmware, and boot with intel_iommu=on iommu=pt (AMD: iommu=pt)",
  );
}

/** A worker that is pinned shares its CPU with whatever else runs there, and every turn of that is a stall. */
function isolation({ isolated, nohz, governor }: MachineFacts, { plane }: Config): Finding[] {
  if (plane.core === null) {
    return [ok("isolation", "The plane is not pinned: other programs may take its CPU for a while.")];
  }
  const wanted = Array.from({ length: plane.cores }, (_, i) => plane.core! + i);
  const shared = wanted.filter((cpu) => !isolated.includes(cpu)), list = wanted.join(",");
  const fix = `boot with isolcpus=${list} nohz_full=${list} rcu_nocbs=${list}`;
  const ticking = wanted.filter((cpu) => !nohz.includes(cpu));
  const found = shared.length > 0
    ? [warn("isolation", `CPU ${shared.join(", ")} of the plane is open to every other program.`, fix)]
    : ticking.length > 0
    ? [warn("isolation", `CPU ${ticking.join(", ")} of the plane is kept free, but ticks.`, fix)]
    : [ok("isolation", `CPU ${list} is kept free for the plane.`)];
  if (governor === null || governor === "performance") return found;
  const text = `CPU ${plane.core} chooses its frequency by "${governor}", which lets it sleep.`;
  return [...found, warn("frequency", text, "cpupower frequency-set -g performance")];
}

function firmware({ name, driver, firmware }: { name: string; driver: string; firmware: string }): Finding {
  const said = firmware === "" || firmware === "N/A" ? "which tells no firmware" : `firmware ${firmware}`;
  return ok(`firmware ${name}`, `Driver ${driver}, ${said}.`);
}

function peer({ name, fault }: { name: string; fault: string | null }): Finding {
  if (fault === null) return ok(`peer ${name}`, "It takes a connection.");
  return warn(
    `peer ${name}`,
    `It does not answer: ${fault}.`,
    "look whether it runs, and at routes and filters between",
  );
}
