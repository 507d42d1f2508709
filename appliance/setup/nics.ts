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
  readonly name: string;
  readonly index: number;
  /** The kernel's driver; "virtual" where there is no device. */
  readonly driver: string;
  /** On which bus, as 0000:03:00.0; empty: nowhere. */
  readonly device: string;
  readonly mac: string;
  readonly link: boolean;
  /** Null: no link, or it does not say. */
  readonly mbit: number | null;
  readonly rxPackets: number;
  readonly neighbour: Neighbour | null;
  /** Why it is not to be had; null: it is free. */
  readonly taken: string | null;
}

const SYS = "/sys/class/net";
const NAME = /^[A-Za-z0-9._-]{1,15}$/;
const BLINK_S = 5, REFUSAL_MS = 500;

/** All but the loopback, in the order of their names. @throws Error with one sentence */
export async function listNics(ear: LldpEar | null): Promise<Nic[]> {
  const used = new Map([...addressed(), ...await managementInterfaces()]);
  const nics = (await readLinks()).flatMap((link) => readNic(link, used));
  const heard = ear?.look(nics.filter(({ taken }) => taken === null).map(({ index }) => index));
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
    device: ours ? last(`${SYS}/${name}/device`) : "",
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

function last(link: string): string {
  try {
    return Deno.readLinkSync(link).split("/").at(-1) ?? "";
  } catch {
    return "";
  }
}

/** A port that is down shows no link. Those that are free are brought up; what refuses stays as it is. */
export async function raise(nics: readonly Nic[]): Promise<void> {
  for (const { name, taken } of nics) {
    if (taken === null) await run("ip", ["link", "set", "dev", name, "up"]);
  }
}

/** Let the LED of a port blink for a few seconds. Returns why it does not; null: it blinks. */
export async function blink(name: string): Promise<string | null> {
  if (!NAME.test(name)) return `there is no interface "${name.slice(0, 20)}"`;
  // The tool returns when it has blinked: only a refusal comes at once.
  const told = run("ethtool", ["--identify", name, String(BLINK_S)]).then(({ fault }) => fault);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const early = new Promise<null>((done) => timer = setTimeout(() => done(null), REFUSAL_MS));
  return await Promise.race([told, early]).finally(() => clearTimeout(timer));
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
