/**
 * The interfaces of this machine, for somebody who is to say which cable goes where.
 *
 * An edge: asks `ip` and /sys, brings up what is down so that a link can be seen, lets a LED blink. It touches no interface by which
 * people reach the machine, and none that another part of the system uses.
 */
import { managementInterfaces } from "../doctor.ts";
import { reasonOf } from "../../drivers/reason.ts";
import type { LldpEar } from "./ear.ts";
import type { Neighbour } from "./lldp.ts";

export interface Nic {
  /** Of the interface; the PCI address of a card that the kernel does not drive. */
  readonly name: string;
  /** 0: the kernel does not drive it. */
  readonly index: number;
  /** "none", or of a virtual one its kind, or "unknown". */
  readonly driver: string;
  /** PCI address, as 0000:03:00.0; else what the bus calls it; empty: it is virtual, or not known. */
  readonly device: string;
  /** Empty: it cannot be asked. */
  readonly mac: string;
  /** Null: nobody can tell. */
  readonly link: boolean | null;
  /** Null: no link, or it does not say. */
  readonly mbit: number | null;
  readonly rxPackets: number | null;
  readonly neighbour: Neighbour | null;
  /** Why it is not to be had; null: it is free. */
  readonly taken: string | null;
}

const SYS = "/sys/class/net", SYS_PCI = "/sys/bus/pci/devices";
const NAME = /^[A-Za-z0-9._-]{1,15}$/;
const BLINK_S = 5, REFUSAL_MS = 500;
export const PCI = /^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;
/** Drivers that give a card to programs (DPDK, "Linux Drivers"). */
const GIVEN = ["vfio-pci", "uio_pci_generic", "igb_uio"];
/** Of network controllers (PCI Code and ID Assignment, class 02h). */
const NETWORK_CLASS = "0x02";

/** All but the loopback, in the order of their names. @throws Error with one sentence */
export async function listNics(ear: LldpEar | null): Promise<Nic[]> {
  const used = new Map([...addressed(), ...await managementInterfaces()]);
  const driven = (await readLinks()).flatMap((link) => readNic(link, used));
  const nics = [...driven, ...readGiven(SYS_PCI, driven)];
  const free = nics.filter(({ taken, index }) => taken === null && index > 0);
  const heard = ear?.look(free.map(({ index }) => index));
  return nics.map((nic) => ({ ...nic, neighbour: heard?.get(nic.index) ?? null }))
    .sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
}

/** What of `ip -json link` is used. */
interface Link {
  readonly ifindex: number;
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly address?: string;
  readonly master?: string;
  readonly linkinfo?: { readonly info_kind?: string };
  readonly stats64?: { readonly rx: { readonly packets: number } };
}

/** By the tool and not by /sys, which may be another network namespace's. */
async function readLinks(): Promise<Link[]> {
  const { text, fault } = await run("ip", ["-json", "-stats", "-details", "link", "show"]);
  if (fault !== null) throw new Error(`Cannot list interfaces: ${fault}`);
  return JSON.parse(text);
}

/** Who has an address is reached by it, perhaps by whoever sets this node up. */
function addressed(): [string, string][] {
  return Deno.networkInterfaces().filter(({ address }) => !/^fe80:/i.test(address))
    .map(({ name, address }) => [name, `has the address ${address}`]);
}

/** Made of other interfaces, or for something else than frames of a cable. */
const MADE = ["bridge", "bond", "team", "ifb", "openvswitch", "tun", "wireguard", "dummy", "vlan", "macvlan"];

function readNic(link: Link, used: ReadonlyMap<string, string>): Nic[] {
  const { ifname: name, ifindex: index, address: mac = "", flags, linkinfo, master } = link;
  if (!NAME.test(name) || flags.includes("LOOPBACK") || !/^[0-9a-f:]{17}$/.test(mac)) return [];
  const kind = linkinfo?.info_kind ?? "";
  const ours = read(`${SYS}/${name}/address`) === mac && read(`${SYS}/${name}/ifindex`) === String(index);
  const speed = ours ? Number(read(`${SYS}/${name}/speed`)) : 0;
  const reached = used.get(name);
  const taken = reached !== undefined
    ? `it ${reached}`
    : master !== undefined
    ? `it belongs to ${master}`
    : MADE.includes(kind)
    ? `it is no port: ${kind}`
    : null;
  return [{
    name,
    index,
    driver: (ours && last(`${SYS}/${name}/device/driver`)) || kind || "unknown",
    device: ours ? deviceOf(`${SYS}/${name}/device`) : "",
    mac,
    link: flags.includes("LOWER_UP"),
    mbit: speed > 0 ? speed : null,
    rxPackets: link.stats64?.rx.packets ?? 0,
    neighbour: null,
    taken,
  }];
}

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path).trim();
  } catch {
    return ""; // the kernel refuses some of them while the interface is down
  }
}

/** Cards that the kernel has given away, or never took: for the plane to own by their address. `sys`: of PCI devices. */
export function readGiven(sys: string, driven: readonly Nic[]): Nic[] {
  const known = new Set(driven.map(({ device }) => device));
  return addresses(sys).filter((address) => !known.has(address)).flatMap((address) => {
    const driver = last(`${sys}/${address}/driver`) || "none";
    const isCard = read(`${sys}/${address}/class`).startsWith(NETWORK_CLASS);
    if (!isCard || (driver !== "none" && !GIVEN.includes(driver))) return [];
    const unknown = { mac: "", link: null, mbit: null, rxPackets: null, neighbour: null };
    return [{ name: address, index: 0, driver, device: address, ...unknown, taken: null }];
  });
}

function addresses(sys: string): string[] {
  try {
    return Array.from(Deno.readDirSync(sys), ({ name }) => name).filter((name) => PCI.test(name));
  } catch {
    return []; // a machine without PCI
  }
}

/** The PCI address, also where the interface hangs on a device of its own behind it, as virtio does. */
function deviceOf(link: string): string {
  try {
    const parts = Deno.realPathSync(link).split("/");
    return parts.findLast((part) => PCI.test(part)) ?? parts.at(-1) ?? "";
  } catch {
    return "";
  }
}

function last(link: string): string {
  try {
    return Deno.readLinkSync(link).split("/").at(-1) ?? "";
  } catch {
    return "";
  }
}

/** A port that is down shows no link. Those that are free are brought up; what refuses stays as it is. */
export async function raise(nics: readonly Nic[]): Promise<void> {
  for (const { name, taken, index } of nics) {
    if (taken === null && index > 0) await run("ip", ["link", "set", "dev", name, "up"]);
  }
}

/** Let the LED of a port blink for a few seconds. Returns why it does not; null: it blinks. */
export async function blink(name: string): Promise<string | null> {
  if (!NAME.test(name)) return `there is no interface "${name.slice(0, 20)}"`;
  // The tool returns when it has blinked: only a refusal comes at once.
  const told = run("ethtool", ["--identify", name, String(BLINK_S)]).then(({ fault }) => fault);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const early = new Promise<null>((done) => timer = setTimeout(() => done(null), REFUSAL_MS));
  const fault = await Promise.race([told, early]).finally(() => clearTimeout(timer));
  return fault === null ? null : blinkFault(name, fault);
}

/** What the tool refuses with, as something to do. */
export function blinkFault(name: string, told: string): string {
  if (!/not supported/i.test(told)) return told;
  return `its driver has no LED to blink. Pull the cable of ${name}, look again, and see which link is down`;
}

async function run(program: string, args: string[]): Promise<{ text: string; fault: string | null }> {
  try {
    const { success, stdout, stderr } = await new Deno.Command(program, {
      args,
      stdout: "piped",
      stderr: "piped",
    })
      .output();
    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
    return { text: decode(stdout), fault: success ? null : decode(stderr).split("\n")[0] || "it failed" };
  } catch (error) {
    return { text: "", fault: `${program} cannot be run: ${reasonOf(error)}` };
  }
}
