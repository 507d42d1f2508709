/**
 * Looks at the machine and gathers the facts that doctor_checks.ts judges.
 *
 * Reads /proc and /sys, asks ethtool, tries to load the libraries; changes nothing. What cannot be read is
 * unknown, not wrong. Interfaces are looked up in /proc/net, which follows the network namespace; /sys may
 * show another one.
 */
import { access, constants, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { openNative } from "../filter/dpdk.ts";
import { compileFilter } from "../filter/pcap_filter.ts";
import { type Config, configuredRoles, type Port } from "./config.ts";
import { NODE } from "./config_keys.ts";
import { examine } from "./doctor_checks.ts";
import {
  type BindingFacts,
  type Facts,
  hasMount,
  hasProtocol,
  type Hugepages,
  planeConfigOf,
  type PortFacts,
  readAvailableMib,
  readCapabilities,
  readCpuFlags,
  readCpuList,
  readDefaultRoutes,
  readInterfaces,
  readOffloads,
} from "./doctor_facts.ts";
import type { Finding } from "./doctor_finding.ts";
import { examineMachine } from "./doctor_machine.ts";
import { gatherMachine } from "./doctor_machine_facts.ts";
import { acceptedConfigPath, boardPath } from "./paths.ts";
import { reasonOf } from "../drivers/reason.ts";
import type { Role } from "./view.ts";

export type { Finding };

/** All findings about this machine, and about the ports of `config` if there is one. */
export async function consult(config: Config | null): Promise<Finding[]> {
  const machine = await gatherMachine(config);
  return [...examine(await gather(config), config), ...examineMachine(machine, config)];
}

/**
 * What keeps a plane of `config` from starting on this machine. Empty: nothing does, or one is running
 * already.
 */
export async function preflight(config: Config): Promise<Finding[]> {
  const facts = await gather(config);
  return facts.ownPlane ? [] : examine(facts, config).filter((finding) => finding.level === "fail");
}

/** What there is to know for giving ports to their drivers. */
export async function gatherPorts(config: Config | null): Promise<BindingFacts> {
  const interfaces = readInterfaces(await read("/proc/net/dev"));
  const ports = new Map<Role, PortFacts>();
  for (const role of config === null ? [] : configuredRoles(config)) {
    ports.set(role, await lookAtPort(config!.ports[role]!, interfaces));
  }
  return {
    iommu: (await list("/sys/class/iommu")).length > 0,
    noIommuMode: (await read("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode")).startsWith("Y"),
    management: await managementInterfaces(),
    ports,
  };
}

export async function gather(config: Config | null): Promise<Facts> {
  const [mounts, protocols] = await Promise.all(["/proc/mounts", "/proc/net/protocols"].map(read)) as [
    string,
    string,
  ];
  const plane = lookAtPlane(config);
  const node = config?.node ?? {
    stateDirectory: NODE.state_directory.default,
    runtimeDirectory: NODE.runtime_directory.default,
  };
  return {
    uid: Deno.uid(),
    capabilities: readCapabilities(await read("/proc/self/status")),
    cpus: readCpuList(await read("/sys/devices/system/cpu/online")),
    cpuFlags: readCpuFlags(await read("/proc/cpuinfo")),
    hugepages: await hugepages(),
    availableMib: readAvailableMib(await read("/proc/meminfo")),
    sharedMib: await isThere("/dev/shm") ? await freeMib("/dev/shm") : null,
    kernel: {
      afPacket: hasProtocol(protocols, "PACKET"),
      afXdp: hasProtocol(protocols, "XDP"),
      bpffs: hasMount(mounts, "bpf"),
      tun: await isThere("/dev/net/tun"),
    },
    ...await gatherPorts(config),
    vfio: await isThere("/dev/vfio/vfio") || await isThere("/sys/bus/pci/drivers/vfio-pci"),
    planeLibrary: plane.fault,
    pcapLibrary: whyNot(() => compileFilter("ip")),
    state: { ...await directory(node.stateDirectory), freeMib: await freeMib(node.stateDirectory) },
    runtime: await directory(node.runtimeDirectory),
    ownPlane: plane.held,
    otherPlanes: await otherPlanes(config),
  };
}

function lookAtPlane(config: Config | null): { fault: string | null; held: boolean } {
  let held = false;
  const fault = whyNot(() => {
    const native = openNative();
    held = config !== null && native.held(boardPath(config));
  });
  return { fault, held };
}

/** 82599 Bypass, as sysfs writes it: the one adapter whose relay the plane knows. */
const INTEL_BYPASS = "0x8086:0x155d";

async function lookAtPort(port: Port, interfaces: ReadonlySet<string>): Promise<PortFacts> {
  switch (port.kind) {
    case "af_xdp":
    case "af_packet":
    case "tap":
      return await lookAtInterface(port.target, interfaces);
    case "pci": {
      const device = `/sys/bus/pci/devices/${port.target}`;
      const driver = await Deno.readLink(`${device}/driver`).catch(() => null);
      const [vendor, model] = await Promise.all(
        ["vendor", "device"].map((name) =>
          Deno.readTextFile(`${device}/${name}`).then((text) => text.trim(), () => "")
        ),
      );
      return {
        kind: "pci",
        exists: await isThere(device),
        relay: `${vendor}:${model}` === INTEL_BYPASS,
        driver: driver?.split("/").at(-1) ?? null,
        interfaces: await list(`${device}/net`),
      };
    }
    case "pcap": {
      const needed = port.output === "" ? [port.target] : [port.target, dirname(port.output)];
      return { kind: "file", missing: await absent(needed) };
    }
    case "memif":
      return {
        kind: "file",
        missing: port.target.startsWith("@") ? [] : await absent([dirname(port.target)]),
      };
    case "remote":
      return await lookAtRemote(port);
    case "gen":
    case "null":
      return { kind: "nothing" };
  }
}

async function lookAtRemote({ remote }: Port): Promise<PortFacts> {
  const address = remote!.address.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  const file = await Deno.stat(remote!.keyFile).catch(() => null);
  const route = await words("ip", ["-o", "route", "get", address]);
  const device = / dev (\S+)/.exec(route ?? "")?.[1];
  const known = / mtu (\d+)/.exec(route ?? "")?.[1] ?? (device && await read(`/sys/class/net/${device}/mtu`));
  return {
    kind: "remote",
    keyBytes: file?.size ?? null,
    keyMode: file?.mode ?? null,
    routed: route === null ? null : device !== undefined,
    mtu: Number(known) || null,
  };
}

/** What a program prints; null: it cannot be run. */
async function words(program: string, args: string[]): Promise<string | null> {
  try {
    const command = new Deno.Command(program, { args, stdout: "piped", stderr: "null" });
    return new TextDecoder().decode((await command.output()).stdout);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

async function lookAtInterface(name: string, interfaces: ReadonlySet<string>): Promise<PortFacts> {
  const exists = interfaces.has(name);
  const home = `/sys/class/net/${name}`;
  const flags = Number(await read(`${home}/flags`));
  const mtu = Number(await read(`${home}/mtu`));
  const master = await Deno.readLink(`${home}/master`).catch(() => null);
  const addresses = Deno.networkInterfaces().filter((one) => one.name === name).map((one) => one.address);
  return {
    kind: "interface",
    exists,
    up: flags === 0 ? null : (flags & 1) === 1,
    mtu: mtu === 0 ? null : mtu,
    // Every interface that is up has a link-local IPv6 address of its own; it says nothing.
    addresses: addresses.filter((address) => !address.startsWith("fe80:")),
    master: master?.split("/").at(-1) ?? null,
    offloads: exists ? await offloads(name) : null,
  };
}

async function offloads(name: string): Promise<string[] | null> {
  try {
    const command = new Deno.Command("ethtool", { args: ["-k", name], stdout: "piped", stderr: "null" });
    const { success, stdout } = await command.output();
    return success ? readOffloads(new TextDecoder().decode(stdout)) : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Interface -> what it is used for, as the middle of a sentence. */
export async function managementInterfaces(): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const routes = readDefaultRoutes(await read("/proc/net/route"), await read("/proc/net/ipv6_route"));
  for (const name of routes) found.set(name, "carries the default route");
  // SSH_CONNECTION: client address and port, server address and port.
  const reached = Deno.env.get("SSH_CONNECTION")?.split(" ")[2];
  const session = Deno.networkInterfaces().find((one) => one.address === reached);
  if (session) found.set(session.name, "carries your ssh session");
  return found;
}

async function hugepages(): Promise<Hugepages[]> {
  const home = "/sys/kernel/mm/hugepages";
  const pages: Hugepages[] = [];
  for (const name of await list(home)) {
    const kib = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1] ?? 0);
    const [total, free] = [
      await read(`${home}/${name}/nr_hugepages`),
      await read(`${home}/${name}/free_hugepages`),
    ];
    pages.push({ kib, total: Number(total), free: Number(free) });
  }
  return pages;
}

async function otherPlanes(config: Config | null): Promise<number[]> {
  const own = config === null ? null : acceptedConfigPath(config);
  const found: number[] = [];
  for (const entry of await list("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const other = planeConfigOf(await read(`/proc/${entry}/cmdline`));
    if (other !== null && other !== own) found.push(Number(entry));
  }
  return found;
}

/** A directory can be written if it, or the nearest one above it that is there, can. */
async function directory(path: string): Promise<{ path: string; writable: boolean }> {
  const nearest = await nearestDirectory(path);
  const writable = await access(nearest, constants.W_OK | constants.X_OK).then(() => true, () => false);
  return { path, writable };
}

async function nearestDirectory(path: string): Promise<string> {
  let nearest = path;
  while (nearest !== "/" && !await isThere(nearest)) nearest = dirname(nearest);
  return nearest;
}

async function freeMib(path: string): Promise<number | null> {
  const { bavail, bsize } = await statfs(await nearestDirectory(path));
  return Math.floor(bavail * bsize / 2 ** 20);
}

function whyNot(attempt: () => unknown): string | null {
  try {
    attempt();
    return null;
  } catch (error) {
    return reasonOf(error);
  }
}

async function absent(paths: readonly string[]): Promise<string[]> {
  const missing: string[] = [];
  for (const path of paths) if (!await isThere(path)) missing.push(path);
  return missing;
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

/** Empty when it is not there or not to be read. */
async function read(path: string): Promise<string> {
  return await Deno.readTextFile(path).catch(() => "");
}

async function list(path: string): Promise<string[]> {
  try {
    return await Array.fromAsync(Deno.readDir(path), (entry) => entry.name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
