/**
 * Duty: send frames into a node and hold what comes out against what went in: all of it, once, in order, and
 * nothing anywhere else.
 *
 * The only thing that may appear elsewhere is a copy of ARP and neighbour discovery at the standby; the node under test
 * mirrors nothing else (preset "none").
 */
import assert from "node:assert/strict";
import type { Role } from "../../appliance/view.ts";
import { parsePacket } from "../../filter/packet.ts";
import type { Bench } from "./bench.ts";
import { type Cast, FROM_CLIENT, FROM_SERVER } from "./cast.ts";

/** A way into the node with the way out, where copies may go, and what is sent along it. */
export type Way = readonly [from: Role, to: Role, standby: Role | null, cast: Cast];
export const WAYS: readonly [Way, Way, Way, Way] = [
  ["upstream", "primary-in", "redundant-in", FROM_CLIENT],
  ["primary-in", "upstream", null, FROM_SERVER],
  ["downstream", "primary-out", "redundant-out", FROM_SERVER],
  ["primary-out", "downstream", null, FROM_CLIENT],
];
/** Those ways as `Bench.settle` takes them. */
export const MARKED = WAYS.map(([from, to, standby]) =>
  [from, to, ...(standby === null ? [] : [standby])] as [Role, Role]
);
/** More frames than this at once would only test the buffers of the kernel. */
const AT_ONCE = 100;

export const hex = (bytes: Uint8Array) => [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");

/** Is this frame one of those that every standby gets? */
export function isCopied(frame: Uint8Array): boolean {
  return parsePacket(frame).verdict === "neighbour";
}

/** Lists of frames in hexadecimal; on a difference the message names the kinds. */
function same(
  actual: readonly string[],
  expected: readonly string[],
  sent: readonly { name: string; text: string }[],
  where: string,
): void {
  if (actual.length === expected.length && actual.every((text, i) => text === expected[i])) return;
  const named = (list: readonly string[]) =>
    list.map((text) => `${sent.find((one) => one.text === text)?.name ?? "none that was sent"}: ${text}`);
  assert.deepEqual(named(actual), named(expected), where);
}

/** Sends frames one after the other at one role and holds what arrives against what may. */
export async function pass(bench: Bench, way: Way, frames: readonly [string, Uint8Array][], marked = MARKED) {
  const [from, to, standby] = way;
  for (let first = 0; first < frames.length; first += AT_ONCE) {
    const some = frames.slice(first, first + AT_ONCE);
    for (const [, frame] of some) await bench.send(from, frame);
    await bench.settle(marked);
    assert.deepEqual(bench.refused(), [], `the kernel refused frames at ${from}`);
    const arrivals = bench.taken();
    const at = (role: Role) => arrivals.filter((one) => one.role === role).map(({ bytes }) => hex(bytes));
    const sent = some.map(([name, frame]) => ({ name, text: hex(frame) }));
    const copied = standby === null ? [] : some.filter(([, frame]) => isCopied(frame)).map(([, f]) => hex(f));
    same(at(to), sent.map(({ text }) => text), sent, `${from} to ${to}`);
    if (standby !== null) same(at(standby), copied, sent, `${from}, copied to ${standby}`);
    const strays = arrivals.filter(({ role }) => role !== to && role !== standby);
    same(strays.map(({ bytes }) => hex(bytes)), [], sent, `${from} to ${strays.map(({ role }) => role)}`);
  }
}
