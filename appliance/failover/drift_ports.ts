/**
 * Why bindings differ: another way to choose ports, pressure on the same ports, another address. Pure, a part of drift.ts.
 */
import type { DriftCause } from "../view_match.ts";
import { type DriftFlow, splitEnd } from "./drift.ts";

const PATTERN_MIN = 3;
const MOST = 0.8, HALF = 0.5;

interface Made {
  readonly client: number;
  readonly own: { readonly address: string; readonly port: number };
  readonly ownTo: string;
  readonly from: { readonly address: string; readonly port: number };
  readonly to: string;
}

function end(text: string): Made["own"] {
  const { address, port } = splitEnd(text);
  return { address, port: Number(port) };
}

/** Flows whose other binding is known. */
function madeOf(flows: readonly DriftFlow[]): Made[] {
  return flows.filter(({ made }) => made !== "").map(({ client, own, server, made }) => {
    const [from = "", to = ""] = made.split(" - ");
    return { client: end(client).port, own: end(own), ownTo: server, from: end(from), to };
  });
}

const wanted = ({ protocol, client, server }: DriftFlow) => `${protocol} ${splitEnd(client).port} ${server}`;

/** Flows that want the same port towards the same server, of different clients. */
function colliding(flows: readonly DriftFlow[]): ReadonlySet<DriftFlow> {
  const clients = new Map<string, Set<string>>();
  for (const flow of flows) {
    clients.set(wanted(flow), (clients.get(wanted(flow)) ?? new Set()).add(flow.client));
  }
  return new Set(flows.filter((flow) => clients.get(wanted(flow))!.size > 1));
}

function collisionCause(flows: readonly DriftFlow[], different: readonly DriftFlow[]): DriftCause[] {
  const clash = colliding(flows);
  const others = flows.length - different.length;
  const hit = different.filter((flow) => clash.has(flow)).length;
  if (hit < MOST * different.length || others < different.length) return [];
  const text =
    `pressure on ports: ${hit} of ${different.length} that differ share their source port with another ` +
    `client's flow, so that each box had to choose; ${others} others are the same`;
  return [{ kind: "collisions", flows: different.length, text }];
}

function addressCause(made: readonly Made[], different: number): DriftCause[] {
  const sources = made.filter(({ own, from }) => own.address !== from.address);
  const targets = made.filter(({ ownTo, to }) => ownTo !== to);
  const most = sources.length >= targets.length ? sources : targets;
  if (most.length < PATTERN_MIN || most.length < HALF * made.length) return [];
  const example = most[0]!;
  const text = most === sources
    ? `another address: it translates to ${example.from.address} in place of ${example.own.address}`
    : `another choice of server: it sends to ${example.to} in place of ${example.ownTo}`;
  return [{
    kind: "address",
    flows: different,
    text: `${text} (${most.length} of ${made.length} looked at)`,
  }];
}

/** Steps between the two ports that are the same for most: both count, from different starts. */
function step(made: readonly Made[]): number | null {
  const counts = new Map<number, number>();
  for (const { own, from } of made) {
    counts.set(from.port - own.port, (counts.get(from.port - own.port) ?? 0) + 1);
  }
  const [best = 0, times = 0] = [...counts].toSorted((a, b) => b[1] - a[1])[0] ?? [];
  return times >= MOST * made.length ? best : null;
}

function allocationText(made: readonly Made[]): string {
  const kept = (of: (one: Made) => number) => made.filter((one) => of(one) === one.client).length;
  const own = kept((one) => one.own.port), its = kept((one) => one.from.port);
  const counts = `the serving box keeps the client's port in ${own} of ${made.length}, the standby in ${its}`;
  if (own >= MOST * made.length && its < HALF * made.length) {
    return `another way to choose ports: ${counts}: its are random, or of a range of its own`;
  }
  if (its >= MOST * made.length && own < HALF * made.length) {
    return `another way to choose ports: ${counts}: those of the serving box are random, or of a range of its own`;
  }
  const by = step(made);
  if (by !== null) return `both count ports, ${Math.abs(by)} apart: ${counts}`;
  return `ports without a pattern: ${counts}: both choose at random`;
}

/** Causes of other bindings; none: nothing differs. */
export function allocationCauses(flows: readonly DriftFlow[]): DriftCause[] {
  const different = flows.filter(({ verdict }) => verdict === "different");
  if (different.length < PATTERN_MIN) return [];
  const made = madeOf(different);
  const address = addressCause(made, different.length);
  if (address.length > 0) return address;
  const pressure = collisionCause(flows, different);
  if (pressure.length > 0) return pressure;
  const text = made.length < PATTERN_MIN
    ? "another way to choose ports or addresses; which is not known any more"
    : allocationText(made);
  return [{ kind: "allocation", flows: different.length, text }];
}
