/**
 * Duty: what `deno task bench:failover` can be asked for. Pure.
 */
import { parseArgs } from "node:util";
import { wholeNumber } from "./frame.ts";

export const USAGE =
  `Usage: deno task bench:failover [--trials N] [--full] [--only TEXT] [--plot FILE] [--json] [--check]

Lets a box die in every way the lab knows, under 1,000 and 10,000 datagrams a second, and tells how long it took until
the first of them went by the other box, and what was lost: with this node, Open vSwitch, keepalived and conntrackd.
Then switches and fails under wrk and bulk TCP, and busy processors that must move nothing.

  --trials N     trials of each death with this node (1 to 1000); default 20, with --full 100. Peers: a quarter, at most 25
  --full         also ten minutes of quiet hours instead of 40 s: about an hour and a half
  --only TEXT    only what has TEXT in its name: "link", "silent", "grey", "keepalived", "planned", "cycles", "quiet-hours"
  --plot FILE    writes the picture there; default dist/failover.svg
  --json         one JSON document on standard output
  --check        exit 1 where a bar is missed or a part was not available; the worst row is named last
`;

export interface Options {
  readonly trials: number;
  readonly peerTrials: number;
  readonly quietS: number;
  readonly full: boolean;
  readonly only: string;
  readonly plot: string;
  readonly json: boolean;
  readonly check: boolean;
}

/** Throws TypeError or RangeError in words for the person who typed it. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      trials: { type: "string" },
      full: { type: "boolean", default: false },
      only: { type: "string", default: "" },
      plot: { type: "string", default: "dist/failover.svg" },
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
    },
  });
  const trials = wholeNumber("trials", values.trials ?? (values.full ? "100" : "20"), [1, 1000]);
  const peerTrials = Math.min(25, Math.max(1, Math.round(trials / 4)));
  return { ...values, trials, peerTrials, quietS: values.full ? 600 : 40 };
}
