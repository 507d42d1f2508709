/**
 * Duty: run the two streams of streams.c past a box and read what they found.
 *
 * The redundant box sets a DSCP on what it forwards, so that the far end knows which path a datagram took.
 */
import type { Lab } from "./engine.ts";
import type { Programs } from "./native.ts";
import { run } from "./process.ts";
import { parseReport } from "./reports.ts";

/** For `nft` in the redundant box. */
export const PATH_MARK =
  "table ip path { chain c { type filter hook forward priority 100; ip dscp set cs1; }; }";

export interface StreamReport {
  readonly sent: number;
  /** Sending times the sender missed itself and did not make up for. */
  readonly late: number;
  /** Of those sent after, and shortly before, the event; without an event, of all. */
  readonly lost: number;
  readonly lostBefore: number;
  readonly duplicates: number;
  /** Within a flow and a direction. */
  readonly reordered: number;
  /** Datagrams that took the other path though nothing had happened. */
  readonly otherBefore: number;
  /** From the event to the first arrival by the other path, in either direction; 0: none came. */
  readonly firstOtherNs: number;
  /** Longest time without an arrival at the far end, and back at the sender, that ends after the event. */
  readonly gapUpNs: number;
  readonly gapDownNs: number;
}

export interface StreamsReport {
  readonly eventNs: number;
  /** Of a cut: from its start until the kernel was done, and until it told the far end. */
  readonly actedNs: number;
  readonly noticedNs: number;
  /** One datagram a millisecond, and the fast stream. */
  readonly streams: readonly [probe: StreamReport, fast: StreamReport];
}

/** What happens meanwhile: nothing, something prepared for a second of the wall clock, or links that are cut. */
export type StreamEvent =
  | { readonly kind: "none" }
  | { readonly kind: "at"; readonly wallS: number }
  | { readonly kind: "cut"; readonly box: string; readonly peer: string; readonly atMs: number } & {
    readonly interfaces: readonly string[];
  };

export interface StreamsOptions {
  readonly from: string;
  readonly to: string;
  readonly address: string;
  /** Datagrams a second of the fast stream, both ways each. @default 10000 */
  readonly perSecond?: number;
  /** Flows the fast stream is spread over. @default 8 */
  readonly flows?: number;
  readonly ms: number;
}

function eventArgv(lab: Lab, event: StreamEvent): string[] {
  switch (event.kind) {
    case "none":
      return [];
    case "at":
      return ["at", String(event.wallS)];
    case "cut":
      return ["cut", lab.ns(event.box), lab.ns(event.peer), String(event.atMs), ...event.interfaces];
  }
}

/** Runs both streams to their end. Throws Error with what the program said. */
export async function runStreams(
  lab: Lab,
  programs: Programs,
  options: StreamsOptions,
  event: StreamEvent = { kind: "none" },
): Promise<StreamsReport> {
  const { from, to, address, perSecond = 10_000, flows = 8, ms } = options;
  const place = lab.processors ? ["taskset", "-c", lab.processors.world.join(",")] : [];
  const argv = [
    ...place,
    programs.streams,
    lab.ns(from),
    lab.ns(to),
    address,
    ...[perSecond, flows, ms].map(String),
    ...eventArgv(lab, event),
  ];
  const text = await run(argv, { timeoutMs: ms + 20_000 });
  return parseReport(text, "streams", ["eventNs", "streams"]);
}
