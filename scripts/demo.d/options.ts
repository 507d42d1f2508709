/**
 * Duty: the demo's command line. Pure.
 */
import { parseArgs } from "node:util";

export interface DemoOptions {
  readonly json: boolean;
  readonly check: boolean;
  readonly full: boolean;
  readonly keep: boolean;
  /** Runs of each row; the table shows medians. */
  readonly runs: number;
}

export const USAGE = `Usage: ./scripts/demo [--full] [--runs N] [--json] [--check] [--keep]

Builds a lab of network namespaces with two real nftables NAT boxes, starts the node between them, loads it with wrk,
long downloads and a 1 kHz probe, kills the primary half way, and prints what became of the connections.

  --full     all rows (5 KB x 50, 100, 200, 300 and 617 KB x 50, 75), five runs each: about half an hour
  --runs N   runs of each row (1 to 50); default 1, with --full 5
  --json     one JSON document on standard output; progress goes to standard error
  --check    exit 1 where a bar is missed; the worst row is named last
  --keep     afterwards leave a lab and a node running, and say how to look at them and how to end them
`;

/** Throws TypeError or RangeError in words for the person who typed it. */
export function parseOptions(args: readonly string[]): DemoOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
      full: { type: "boolean", default: false },
      keep: { type: "boolean", default: false },
      runs: { type: "string" },
    },
  });
  const runs = values.runs === undefined ? (values.full ? 5 : 1) : Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1 || runs > 50) {
    throw new RangeError(`Cannot use --runs "${values.runs}": a whole number from 1 to 50`);
  }
  return { json: values.json, check: values.check, full: values.full, keep: values.keep, runs };
}
