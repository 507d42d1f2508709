/**
 * Duty: what the demo measures, as data, and the shape of what it finds. Pure.
 *
 * Base is the node without a failure, Simple the same node with a redundant box that was never told anything, and
 * Remediate the node as it ships. The rate limits of the servers keep Base the same on a small machine.
 */
import type { EventView } from "../../appliance/view.ts";
import type { Failure } from "../lab/failures.ts";
import type { ObjectName } from "../lab/servers.ts";

export interface Load {
  readonly object: ObjectName;
  readonly connections: number;
  /** Limit of the web server's link. */
  readonly mbit: number;
  /** Length of a run; the box fails in the middle. */
  readonly seconds: number;
  /** When wrk calls an answer late: well above what Base takes, 1.9 s for 75 x 617 KB through 200 Mbit/s. */
  readonly timeoutSeconds: number;
}

export const SYSTEMS = ["base", "simple", "remediate"] as const;
export type System = (typeof SYSTEMS)[number];

export interface Cell {
  readonly load: Load;
  readonly failure: Failure;
  readonly system: System;
}

/** What one run found. */
export interface Run {
  readonly requests: number;
  /** What was sent after the failure, in answers: of those under way at either end, their part. */
  readonly requestsAfter: number;
  readonly resets: number;
  readonly timeouts: number;
  /** Connections that neither broke nor ever answered again. */
  readonly hung: number;
  readonly longFlows: number;
  /** Long flows broken, stuck or with wrong content. */
  readonly longLost: number;
  readonly longGapMs: number;
  readonly outageMs: number;
  readonly packetsLost: number;
  readonly replyGapMs: number;
  /** Copies and seeds over packets (bytes) from outside, 0..1. */
  readonly mirroredShare: number;
  readonly mirroredShareBytes: number;
  readonly rttP50Us: number;
  readonly rttP99Us: number;
  /** Switches the node made, and the first of them as it tells it. */
  readonly switches: number;
  readonly event: Pick<EventView, "cause" | "silentUs" | "lostPackets" | "text"> | null;
}

export interface Row extends Cell {
  readonly runs: readonly Run[];
}

/** The path through one thing in the node's place, without a failure. */
export interface Passage {
  readonly requestsPerSecond: number;
  readonly megabitPerSecond: number;
  readonly rttP50Us: number;
  readonly rttP99Us: number;
}

export interface FailureFree {
  readonly bridge: readonly Passage[];
  readonly node: readonly Passage[];
}

export function objectText(load: Load): string {
  return `${load.object === "5k" ? "5 KB" : "617 KB"} x ${load.connections}`;
}

function small(connections: number): Load {
  return { object: "5k", connections, mbit: 80, seconds: 8, timeoutSeconds: 2 };
}

function large(connections: number): Load {
  return { object: "617k", connections, mbit: 200, seconds: 12, timeoutSeconds: 5 };
}

/** All cells in the order they are run; every load begins with its Base. */
export function cells(full: boolean): Cell[] {
  const loads = full
    ? [50, 100, 200, 300].map((n) => small(n)).concat([50, 75].map((n) => large(n)))
    : [small(100), large(50)];
  const silent = (load: Load) =>
    load.object === "5k" ? load.connections === 100 : full && load.connections === 50;
  return loads.flatMap((load) => [
    { load, failure: "none", system: "base" } as const,
    ...(["link-both", "silent"] as const)
      .filter((failure) => failure !== "silent" || silent(load))
      .flatMap((failure) => (["simple", "remediate"] as const).map((system) => ({ load, failure, system }))),
  ]);
}
