/**
 * From facts about a machine to findings about the machine as a whole.
 *
 * Pure. A finding is one sentence, and one fix where something is to be done. `fail` keeps the node from
 * running; `warn` does not, but someone will wish to have known. Ports are judged in doctor_ports.ts.
 */
import type { Config } from "./config.ts";
import { tablesBytes } from "./config_checks.ts";
import type { Facts } from "./doctor_facts.ts";
import { fail, type Finding, ok, warn } from "./doctor_finding.ts";
import { examinePorts } from "./doctor_ports.ts";

/** Everything there is to say. Without a configuration only what concerns every node. */
export function examine(facts: Facts, config: Config | null): Finding[] {
  return [
    rights(facts, config),
    cpu(facts),
    ...(config === null
      ? []
      : [core(facts, config), cores(facts, config), hugepages(facts, config), ...memory(facts, config)]),
    ...kernel(facts, config),
    ...libraries(facts),
    ...directories(facts),
    ...planes(facts),
    ...(config === null ? [] : examinePorts(facts, config)),
  ];
}

function rights({ uid, capabilities }: Facts, config: Config | null): Finding {
  const kinds = new Set(config === null ? [] : Object.values(config.ports).map((port) => port.kind));
  const needed = new Set(["net_admin", "net_raw", "ipc_lock"]);
  if (kinds.has("pci")) needed.add("sys_rawio").add("sys_admin");
  if (kinds.has("af_xdp")) needed.add("bpf");
  if (capabilities === null) {
    return uid === 0
      ? ok("rights", "Runs as root.")
      : fail("rights", "Does not run as root.", "run it as root");
  }
  const missing = [...needed].filter((name) => !capabilities.has(name) && !covers(capabilities, name));
  if (missing.length === 0) {
    return ok("rights", uid === 0 ? "Runs as root." : "Has every capability that it needs.");
  }
  const names = missing.map((name) => `CAP_${name.toUpperCase()}`).join(", ");
  return fail("rights", `Lacks ${names} (user id ${uid ?? "unknown"}).`, "run it as root");
}

/** CAP_SYS_ADMIN covers CAP_BPF (capabilities(7)). */
function covers(capabilities: ReadonlySet<string>, name: string): boolean {
  return name === "bpf" && capabilities.has("sys_admin");
}

function cpu({ cpuFlags, cpus }: Facts): Finding {
  // x86-64-v2 is what DPDK itself asks for.
  const missing = ["sse4_1", "sse4_2", "ssse3", "popcnt"].filter((flag) => cpuFlags && !cpuFlags.has(flag));
  if (missing.length > 0) {
    return fail("cpu", `The CPU lacks ${missing.join(", ")}.`, "use a CPU of 2009 or later (x86-64-v2)");
  }
  if (cpus.length === 1) {
    return warn("cpu", "There is one CPU, which plane and control have to share.", "use two CPUs or more");
  }
  return ok("cpu", `${cpus.length} CPUs, with every instruction that is needed.`);
}

function core({ cpus }: Facts, { plane }: Config): Finding {
  if (plane.core === null) return ok("core", "The plane is not pinned to a CPU.");
  const wanted = Array.from({ length: plane.cores }, (_, i) => plane.core! + i);
  const missing = wanted.filter((cpu) => !cpus.includes(cpu));
  if (missing.length === 0) return ok("core", `The plane is pinned to CPU ${wanted.join(", ")}.`);
  const starts = cpus.filter((cpu) => wanted.every((_, i) => cpus.includes(cpu + i)));
  const fix = starts.length > 0 ? `set plane.core to one of ${starts.join(", ")}` : "lower plane.cores";
  if (missing.includes(plane.core)) {
    return fail("core", `plane.core is ${plane.core}, and there is no such CPU online.`, fix);
  }
  const text = `No CPU ${
    missing.join(", ")
  } is online, so ${missing.length} of the plane's workers are not pinned.`;
  return warn("core", text, fix);
}

/** Which worker has which ports, and whether there is a CPU for each. */
function cores({ cpus }: Facts, { plane }: Config): Finding {
  const plan = plane.cores === 1
    ? "One worker has all six ports."
    : plane.cores === 2
    ? "One worker has the ports of the client side, one those of the server side."
    : `${plane.cores / 2} workers share the ports of the client side, ${
      plane.cores / 2
    } those of the server side.`;
  if (plane.cores <= cpus.length) return ok("cores", plan);
  const text = `${plan} There are ${cpus.length} CPUs for ${plane.cores} workers, which have to take turns.`;
  return warn("cores", text, `set plane.cores to ${2 ** Math.floor(Math.log2(cpus.length))}`);
}

function hugepages(facts: Facts, { plane, ports }: Config): Finding {
  const topic = "hugepages";
  if (plane.hugepages === "off") return ok(topic, "Not used, as configured.");
  if (facts.ownPlane) return ok(topic, "The running plane has what it needs.");
  const free = freeHugeMib(facts);
  const pages = Math.ceil(plane.memoryMib / 2);
  if (free < plane.memoryMib) {
    const text = `${free} MiB of 2 MiB hugepages are free, ${plane.memoryMib} MiB are needed`;
    const fix = `echo ${pages} > /proc/sys/vm/nr_hugepages`;
    if (plane.hugepages === "on") return fail(topic, `${text}.`, fix);
    const pci = Object.values(ports).some((port) => port.kind === "pci");
    const result = pci ? "PCI ports rarely work without" : "the plane will run without, and slower";
    return warn(topic, `${text}: ${result}.`, fix);
  }
  // The plane keeps its memory to itself (EAL --in-memory), which needs no mounted hugetlbfs.
  return ok(topic, `${free} MiB are free.`);
}

function memory(facts: Facts, { plane }: Config): Finding[] {
  const { availableMib, sharedMib, ownPlane } = facts;
  if (ownPlane) return [];
  const found: Finding[] = [];
  const flows = Math.ceil(tablesBytes(plane.flowSlots) / 2 ** 20);
  const huge = plane.hugepages === "on" ||
    (plane.hugepages === "auto" && freeHugeMib(facts) >= plane.memoryMib);
  const needed = flows + (huge ? 0 : plane.memoryMib);
  if (availableMib !== null) {
    const text = `${availableMib} MiB are available, ${needed} MiB are needed.`;
    const fix = "lower plane.flows_max or plane.memory_mib";
    found.push(needed <= availableMib ? ok("memory", text) : fail("memory", text, fix));
  }
  if (sharedMib !== null) {
    const text = `/dev/shm has ${sharedMib} MiB left, the flow tables need ${flows} MiB.`;
    const fix = `mount -o remount,size=${flows * 2}M /dev/shm, or lower plane.flows_max`;
    found.push(flows < sharedMib ? ok("shared memory", text) : fail("shared memory", text, fix));
  }
  return found;
}

/** The plane uses pages of 2 MiB, whatever others there are. */
function freeHugeMib({ hugepages }: Facts): number {
  return hugepages.reduce((sum, page) => page.kib === 2048 ? sum + page.free * 2 : sum, 0);
}

function kernel({ kernel, iommu, vfio, noIommuMode }: Facts, config: Config | null): Finding[] {
  const kinds = new Set(config === null ? [] : Object.values(config.ports).map((port) => port.kind));
  const found: Finding[] = [];
  const say = (kind: "af_packet" | "af_xdp" | "tap", there: boolean, option: string) => {
    if (there) return found.push(ok("kernel", `Has ${kind}.`));
    const fix = `use a kernel with ${option}, or other ports`;
    found.push(
      kinds.has(kind) ? fail("kernel", `Lacks ${kind}, which a port needs.`, fix) : {
        ...ok("kernel", `Lacks ${kind}, which no port needs.`),
      },
    );
  };
  say("af_packet", kernel.afPacket, "CONFIG_PACKET");
  say("af_xdp", kernel.afXdp, "CONFIG_XDP_SOCKETS");
  say("tap", kernel.tun, "CONFIG_TUN");
  if (kinds.has("af_xdp") && !kernel.bpffs) {
    found.push(
      fail(
        "kernel",
        "No bpf file system is mounted, which af_xdp ports need.",
        "mount -t bpf bpf /sys/fs/bpf",
      ),
    );
  }
  if (!kinds.has("pci")) return found;
  if (!vfio) {
    found.push(
      warn("vfio", "The kernel offers no vfio, which PCI ports are best driven by.", "modprobe vfio-pci"),
    );
  } else if (!iommu && !noIommuMode) {
    const fix = "switch it on in the firmware and boot with intel_iommu=on, or, where there is none: " +
      "echo 1 > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
    found.push(warn("vfio", "There is no IOMMU, without which vfio refuses PCI ports.", fix));
  } else {found.push(
      ok("vfio", iommu ? "vfio and an IOMMU are there." : "vfio is there, in its mode without IOMMU."),
    );}
  return found;
}

function libraries({ planeLibrary, pcapLibrary }: Facts): Finding[] {
  return [
    planeLibrary === null
      ? ok("plane library", "Can be loaded.")
      : fail("plane library", `${planeLibrary}.`, "build it with ./scripts/native"),
    pcapLibrary === null
      ? ok("libpcap", "Can be loaded.")
      : fail("libpcap", `${pcapLibrary}.`, "apt install libpcap0.8"),
  ];
}

const STATE_MIB_MIN = 64;

function directories({ state, runtime }: Facts): Finding[] {
  const found: Finding[] = [];
  if (!state.writable) {
    found.push(
      fail("state", `${state.path} cannot be written.`, "run it as root, or set node.state_directory"),
    );
  } else if (state.freeMib !== null && state.freeMib < STATE_MIB_MIN) {
    found.push(warn("state", `${state.path} has ${state.freeMib} MiB left.`, `free ${STATE_MIB_MIN} MiB`));
  } else found.push(ok("state", `${state.path} has room.`));
  found.push(
    runtime.writable ? ok("runtime", `${runtime.path} can be written.`) : fail(
      "runtime",
      `${runtime.path} cannot be written.`,
      "run it as root, or set node.runtime_directory",
    ),
  );
  return found;
}

function planes({ ownPlane, otherPlanes }: Facts): Finding[] {
  const found = [
    ownPlane
      ? ok("plane", "A plane of this configuration is running; `run` will take it over.")
      : ok("plane", "No plane of this configuration is running."),
  ];
  for (const pid of otherPlanes) {
    const text = `Another plane is running (pid ${pid}): two planes cannot share a port.`;
    found.push(warn("plane", text, `see that its ports are others, or end it: kill ${pid}`));
  }
  return found;
}
