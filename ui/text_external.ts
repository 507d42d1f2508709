/**
 * External switches as lines of the status, for people. Pure.
 *
 * A line says what matters in this order: does it hold what it should and since when is that known, who serves, what
 * had to be put right.
 */
import type { ExternalSwitchView } from "../appliance/view.ts";
import { count, duration } from "./paint.ts";

/** Rows of a table: a title once, and a line for each switch. */
export function externalFacts(switches: readonly ExternalSwitchView[], nowMs: number): [string, string][] {
  return switches.flatMap((one, at): [string, string][] => [
    [at === 0 ? "switches" : "", `${one.name}: ${one.light}, ${one.reason}`],
    ["", `${" ".repeat(one.name.length)}  ${detail(one, nowMs)}`],
  ]);
}

function detail(one: ExternalSwitchView, nowMs: number): string {
  const age = (thenMs: number) => duration(Math.max(0, nowMs - thenMs));
  if (one.connectedMs === null) return one.address;
  const parts = [`${one.address}, datapath ${one.datapath}`, `connected for ${age(one.connectedMs)}`];
  if (one.verifiedMs !== null) {
    parts.push(`${one.groups} groups and ${one.flows} flows read back ${age(one.verifiedMs)} ago`);
  }
  parts.push(`repaired ${count(one.repairs)} ${one.repairs === 1 ? "time" : "times"}`);
  const passed = one.delivered.filter(({ packets }) => packets > 0);
  if (passed.length > 0) {
    parts.push(`packets to ${passed.map((to) => `${to.name} ${count(to.packets)}`).join(", ")}`);
  }
  return parts.join("; ");
}
