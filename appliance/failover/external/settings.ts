/**
 * What an external switch is told to be: which of its ports are which roles, and what it does with them.
 *
 * A switch may stand around the boxes alone (both sides), or be one of two (a side each). Ports are written as a
 * person knows them, by name or number; they become numbers when the switch has told its ports. Pure.
 */
import type { PortDescription } from "../../../drivers/openflow/structures.ts";
import { addressText, type Where } from "../../../drivers/openflow/where.ts";

/** At most so many boxes: the primary and three redundant ones. */
export const BOXES_MAX = 4;

/** One side of the boxes on this switch, ports as written in the configuration. */
export interface SideNames {
  /** Towards the clients or the servers. */
  readonly outer: string;
  /** To this side of each box, the primary first. */
  readonly boxes: readonly string[];
}

export interface SwitchSettings extends Where {
  readonly name: string;
  /** `connect`: the switch listens; `listen`: it connects to the node. */
  readonly by: "connect" | "listen";
  /** 16 hexadecimal digits; null: whichever answers. */
  readonly datapath: string | null;
  readonly client: SideNames | null;
  readonly server: SideNames | null;
  /** A way around the boxes where the other side is on another switch. */
  readonly bypass: string | null;
  readonly deadPolicy: "forward" | "block";
  readonly mirror: "none" | "state" | "all";
  readonly table: number;
  readonly priority: number;
  readonly groupFirst: number;
  readonly verifyMs: number;
}

/** "connect tcp:10.0.0.7:6653" */
export function whereText({ by, address }: Pick<SwitchSettings, "by" | "address">): string {
  return `${by} ${addressText(address)}`;
}

/** Switches with the same key come to the same socket; empty: the node dials. */
export function listenKey({ by, address, tls }: SwitchSettings): string {
  return by === "connect" ? "" : JSON.stringify([addressText(address), tls]);
}

/** The same with OpenFlow's numbers. */
export interface Side {
  readonly outer: number;
  readonly boxes: readonly number[];
}

export interface Placement {
  readonly client: Side | null;
  readonly server: Side | null;
  readonly bypass: number | null;
}

/** A datapath's number as it is written. */
export function datapathText(datapath: bigint): string {
  return datapath.toString(16).padStart(16, "0");
}

/** "primary", "redundant", "redundant-2": what box number `index` is called. */
export function boxName(index: number): string {
  if (index === 0) return "primary";
  return index === 1 ? "redundant" : `redundant-${index}`;
}

/** What another program says, fit for a log. */
export function plainText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?");
}

export interface RolePort {
  /** "upstream", "primary-in", "redundant-2-out", "bypass". */
  readonly role: string;
  /** As written in the configuration. */
  readonly written: string;
}

/** All ports of a switch by role, in the order of the configuration. */
export function rolePorts(settings: Pick<SwitchSettings, "client" | "server" | "bypass">): RolePort[] {
  const { client, server, bypass } = settings;
  const side = (names: SideNames | null, outer: string, end: string) =>
    names === null ? [] : [
      { role: outer, written: names.outer },
      ...names.boxes.map((written, index) => ({ role: `${boxName(index)}-${end}`, written })),
    ];
  return [
    ...side(client, "upstream", "in"),
    ...side(server, "downstream", "out"),
    ...(bypass === null ? [] : [{ role: "bypass", written: bypass }]),
  ];
}

/** A name wins over a number, because ports may be called "3". */
export function findPort(written: string, ports: readonly PortDescription[]): PortDescription | undefined {
  return ports.find(({ name }) => name === written) ??
    ports.find(({ number }) => /^\d+$/.test(written) && number === Number(written));
}

/** Numbers for all roles, or one sentence for what the switch does not have. */
export function place(
  settings: SwitchSettings,
  ports: readonly PortDescription[],
): { readonly placement: Placement } | { readonly problem: string } {
  const missing: string[] = [];
  const holders = new Map<number, string>();
  const numberOf = ({ role, written }: RolePort): number => {
    const port = findPort(written, ports);
    if (port === undefined) {
      missing.push(`${role} "${written}" is no port of it`);
      return 0;
    }
    const holder = holders.get(port.number);
    if (holder !== undefined) missing.push(`${role} "${written}" is the port of ${holder} as well`);
    holders.set(port.number, role);
    return port.number;
  };
  const numbers = new Map(rolePorts(settings).map((one) => [one.role, numberOf(one)]));
  if (missing.length > 0) {
    const known = ports.map(({ name, number }) => `${plainText(name)} (${number})`).slice(0, 40).join(", ");
    return { problem: `${missing.join("; ")}; it has ${known === "" ? "none" : known}` };
  }
  const side = (names: SideNames | null, outer: string, end: string): Side | null =>
    names === null ? null : {
      outer: numbers.get(outer)!,
      boxes: names.boxes.map((_, index) => numbers.get(`${boxName(index)}-${end}`)!),
    };
  return {
    placement: {
      client: side(settings.client, "upstream", "in"),
      server: side(settings.server, "downstream", "out"),
      bypass: numbers.get("bypass") ?? null,
    },
  };
}
