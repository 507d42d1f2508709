/**
 * Duty: what `deno task bench:plane` can be asked for. Pure.
 */
import { parseArgs } from "node:util";

export const USAGE =
  `Usage: deno task bench:plane [--slices N] [--packets N] [--rounds N] [--only TEXT] [--json] [--check]

Measures the plane on one core, in time of the processor per packet: as a ratio to a bare loop on the same source, beside
dpdk-testpmd and Open vSwitch on the same capture, and on links of the kernel beside Open vSwitch, tc and eBPF.

  --slices N    slices of each loop, in turns (10 to 1000); default 48
  --packets N   packets of a slice (100000 and more); default 500000
  --rounds N    turns of everything that has to be started anew for each (1 to 100); default 3
  --only TEXT   only what has TEXT in its name: cases by their names, "testpmd", "latency", "null ports", "links"
  --json        one JSON document on standard output
  --check       exit 1 where a bar is missed or a part was left out; the worst row is named last
`;

export interface Options {
  readonly slices: number;
  readonly packets: number;
  readonly rounds: number;
  readonly only: string;
  readonly json: boolean;
  readonly check: boolean;
}

export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      slices: { type: "string", default: "48" },
      packets: { type: "string", default: "500000" },
      rounds: { type: "string", default: "3" },
      only: { type: "string", default: "" },
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
    },
  });
  const whole = (name: "slices" | "packets" | "rounds", min: number, max: number) => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new RangeError(`--${name} "${values[name]}" is no whole number from ${min} to ${max}`);
  };
  return {
    ...values,
    slices: whole("slices", 10, 1000),
    packets: whole("packets", 100_000, 1e9),
    rounds: whole("rounds", 1, 100),
  };
}
