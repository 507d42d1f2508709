/**
 * Duty: the kinds of drivers there are, by name.
 *
 * A kind is one export of one file; a line here makes it known to the configuration, the commands and the page of keys.
 */
import type { Abilities, DriverKind } from "./driver.ts";
import { MEMORY } from "./memory.ts";

/** In the order in which people see them. */
export const DRIVER_KINDS: readonly DriverKind[] = [MEMORY];

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
