/**
 * Duty: the kinds of drivers there are, by name.
 *
 * A kind is one export of one file; a line here makes it known to the configuration, the commands and the page of keys.
 */
import type { Abilities, DriverKind } from "./driver.ts";
import { CLICK } from "./click.ts";
import { CONNTRACK } from "./conntrack.ts";
import { HAPROXY } from "./haproxy.ts";
import { MEMORY } from "./memory.ts";
import { NFTABLES } from "./nftables.ts";
import { OPENFLOW } from "./openflow/insert.ts";
import { OPENFLOW_TAP } from "./openflow/tap.ts";
import { PRADS } from "./prads.ts";
import { SYSLOG } from "./syslog/driver.ts";

/** In the order in which people see them. */
export const DRIVER_KINDS: readonly DriverKind[] = [
  SYSLOG,
  CONNTRACK,
  NFTABLES,
  HAPROXY,
  PRADS,
  OPENFLOW_TAP,
  OPENFLOW,
  CLICK,
  MEMORY,
];

/** Null: there is none of this name. */
export function driverKind(name: string): DriverKind | null {
  return DRIVER_KINDS.find(({ kind }) => kind === name) ?? null;
}

/** Whether it takes records of this codec; "*" takes all. */
export function takes({ codecs }: Pick<Abilities, "codecs">, codec: string): boolean {
  return codecs.includes("*") || codecs.includes(codec);
}

/** Whether it has anything to give, and whether it takes anything. */
export function canBe(role: "source" | "replica", { get, put, watch }: Abilities): boolean {
  return role === "source" ? watch || get.length > 0 : put.length > 0;
}
