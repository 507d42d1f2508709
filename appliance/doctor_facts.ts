/**
 * What the doctor knows of a machine, and how to read it from the texts that the kernel and ethtool give.
 *
 * Pure. `null` means "could not be found out", which is never taken for a fault.
 */
import type { Role } from "./view.ts";

export interface Hugepages {
  readonly kib: number;
  readonly total: number;
  readonly free: number;
}

export interface InterfaceFacts {
  readonly kind: "interface";
  readonly exists: boolean;
  readonly up: boolean | null;
  readonly mtu: number | null;
  readonly addresses: readonly string[];
  /** The bridge or bond it belongs to. */
  readonly master: string | null;
  /** Offloads that are on and can be switched off, by ethtool's short names. */
  readonly offloads: readonly string[] | null;
}

export interface PciFacts {
  readonly kind: "pci";
  readonly exists: boolean;
  /** The kernel driver it is bound to. */
  readonly driver: string | null;
  /** It is an adapter with a bypass relay between its two ports. */
  readonly relay?: boolean;
  /** The kernel's interfaces on it. */
  readonly interfaces: readonly string[];
}

export interface FileFacts {
  readonly kind: "file";
  /** Files or directories that must be there and are not. */
  readonly missing: readonly string[];
}

/** A port of a box elsewhere. */
export interface RemoteFacts {
  readonly kind: "remote";
  /** Size and mode of the file with the key; null: it is not there, or cannot be looked at. */
  readonly keyBytes: number | null;
  readonly keyMode: number | null;
  /** Whether there is a route to its far end. */
  readonly routed: boolean | null;
  /** Of the first hop there. */
  readonly mtu: number | null;
}

export type PortFacts = InterfaceFacts | PciFacts | FileFacts | RemoteFacts | { readonly kind: "nothing" };

/** What decides which driver a port gets. */
export interface BindingFacts {
  readonly iommu: boolean;
  readonly noIommuMode: boolean;
  /** Interfaces that carry a default route, or the session of whoever asks. */
  readonly management: ReadonlyMap<string, string>;
  readonly ports: ReadonlyMap<Role, PortFacts>;
}

export interface Facts extends BindingFacts {
  readonly uid: number | null;
  readonly capabilities: ReadonlySet<string> | null;
  readonly cpus: readonly number[];
  readonly cpuFlags: ReadonlySet<string> | null;
  readonly hugepages: readonly Hugepages[];
  readonly availableMib: number | null;
  /** Room in /dev/shm, where the board is. */
  readonly sharedMib: number | null;
  readonly kernel: {
    readonly afPacket: boolean;
    readonly afXdp: boolean;
    readonly bpffs: boolean;
    readonly tun: boolean;
  };
  readonly vfio: boolean;
  /** Why a library cannot be used; null: it can. */
  readonly planeLibrary: string | null;
  readonly pcapLibrary: string | null;
  readonly state: { readonly path: string; readonly writable: boolean; readonly freeMib: number | null };
  readonly runtime: { readonly path: string; readonly writable: boolean };
  /** Whether a living plane holds the board of this configuration. */
  readonly ownPlane: boolean;
  /** Planes of other runtime directories, by process id. */
  readonly otherPlanes: readonly number[];
}

const CAPABILITIES: Readonly<Record<number, string>> = {
  12: "net_admin",
  13: "net_raw",
  14: "ipc_lock",
  17: "sys_rawio",
  21: "sys_admin",
  39: "bpf",
};

/** Effective capabilities of a process, from /proc/PID/status; null when the text has none. */
export function readCapabilities(status: string): ReadonlySet<string> | null {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  if (mask === undefined) return null;
  const bits = BigInt(`0x${mask}`);
  return new Set(
    Object.entries(CAPABILITIES).filter(([bit]) => (bits >> BigInt(bit)) & 1n).map(([, name]) => name),
  );
}

/** "0-2,5" -> 0, 1, 2, 5. */
export function readCpuList(text: string): number[] {
  return text.trim().split(",").filter((part) => part !== "").flatMap((part) => {
    const [first = 0, last = first] = part.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** Flags of the first CPU in /proc/cpuinfo. */
export function readCpuFlags(cpuinfo: string): ReadonlySet<string> | null {
  const flags = /^flags\s*:\s*(.*)$/m.exec(cpuinfo)?.[1];
  return flags === undefined ? null : new Set(flags.trim().split(/\s+/));
}

/** MemAvailable of /proc/meminfo in MiB. */
export function readAvailableMib(meminfo: string): number | null {
  const kib = /^MemAvailable:\s*(\d+) kB$/m.exec(meminfo)?.[1];
  return kib === undefined ? null : Math.floor(Number(kib) / 1024);
}

/** Whether a file system of this type is mounted, from /proc/mounts. */
export function hasMount(mounts: string, type: string): boolean {
  return mounts.split("\n").some((line) => line.split(" ")[2] === type);
}

/** Whether the kernel knows a protocol family, from /proc/net/protocols. */
export function hasProtocol(protocols: string, name: string): boolean {
  return protocols.split("\n").some((line) => line.split(/\s+/)[0] === name);
}

/** Interfaces of this network namespace, from /proc/net/dev. */
export function readInterfaces(dev: string): ReadonlySet<string> {
  const names = dev.split("\n").slice(2).map((line) =>
    line.slice(0, Math.max(0, line.lastIndexOf(":"))).trim()
  );
  return new Set(names.filter((name) => name !== ""));
}

/** Interfaces with a default route, from /proc/net/route and /proc/net/ipv6_route. */
export function readDefaultRoutes(route: string, ipv6Route: string): string[] {
  const found = new Set<string>();
  for (const line of route.split("\n").slice(1)) {
    const [name = "", destination, , , , , , mask] = line.trim().split(/\s+/);
    if (destination === "00000000" && mask === "00000000") found.add(name);
  }
  for (const line of ipv6Route.split("\n")) {
    const [destination, length, ...rest] = line.trim().split(/\s+/);
    const name = rest.at(-1);
    // The kernel's own "unreachable" default is on lo.
    if (/^0{32}$/.test(destination ?? "") && length === "00" && name && name !== "lo") found.add(name);
  }
  return [...found];
}

/** Offloads that join or strip frames, so that they do not leave as they came. */
const OFFLOADS: Readonly<Record<string, string>> = {
  "generic-receive-offload": "gro",
  "large-receive-offload": "lro",
  "generic-segmentation-offload": "gso",
  "tcp-segmentation-offload": "tso",
  "rx-vlan-offload": "rxvlan",
};

/** Offloads that are on and not fixed, from `ethtool -k`. */
export function readOffloads(ethtool: string): string[] {
  return ethtool.split("\n").flatMap((line) => {
    const [, name = "", state] = /^([a-z-]+): (on|off)\s*$/.exec(line) ?? [];
    const short = OFFLOADS[name];
    return short !== undefined && state === "on" ? [short] : [];
  });
}

/** The configuration of the plane that a command line runs; null: it runs none. */
export function planeConfigOf(cmdline: string): string | null {
  const words = cmdline.split("\0");
  const at = words.findIndex((word, index) =>
    word === "plane" && /(^|\/)(mod\.ts|remediate)$/.test(words[index - 1] ?? "")
  );
  if (at < 0) return null;
  const config = words.indexOf("--config", at);
  return config < 0 ? "" : words[config + 1] ?? "";
}
