/**
 * Duty: what benches in a lab of boxes have in common around their measuring: arguments and help, a lab that is left clean,
 * one JSON document or a table, bars, the worst row last, and the exit code.
 */
import { Lifetime } from "../lab/lifetime.ts";
import { programs } from "../lab/native.ts";
import { sweep } from "../lab/registry.ts";
import type { Kit } from "./failover_systems.ts";
import { barText } from "./plane_bars.ts";
import { type Bar, standing, worstBar } from "./statistics.ts";

const TOP = decodeURIComponent(new URL("../..", import.meta.url).pathname).replace(/\/$/, "");

/** Progress: standard output is for the result. */
export const say = (text: string) => console.error(text);

/** A number of the command line. @throws RangeError */
export function wholeNumber(name: string, text: string, [min, max]: readonly [number, number]): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new RangeError(`Cannot use --${name} "${text}": a whole number from ${min} to ${max}`);
}

/** What a bench has found. */
export interface Found {
  /** Of the JSON document; changes with what is in `results`. */
  readonly format: number;
  /** Its members between the options and the bars. */
  readonly results: Readonly<Record<string, unknown>>;
  readonly table: string;
  readonly bars: readonly Bar[];
}

export interface Bench<Options extends { readonly json: boolean; readonly check: boolean }> {
  readonly usage: string;
  /** @throws RangeError, TypeError with what is wrong with an argument */
  readonly parse: (args: readonly string[]) => Options;
  readonly measure: (options: Options, kit: Kit) => Promise<Found>;
}

function tell(options: { readonly json: boolean; readonly check: boolean }, found: Found): number {
  const { format, results, table, bars } = found;
  const ok = bars.every((one) => standing(one) >= 1);
  if (options.json) console.log(JSON.stringify({ format, options, ...results, bars, ok }, null, 1));
  else console.log([table, "", ...bars.map(barText)].join("\n"));
  const worst = worstBar(bars);
  if (worst) say(`Worst: ${barText(worst)}`);
  return options.check && !ok ? 1 : 0;
}

/** Runs a bench as the program that was started, and ends it. */
export async function runBench<Options extends { readonly json: boolean; readonly check: boolean }>(
  { usage, parse, measure }: Bench<Options>,
): Promise<never> {
  if (Deno.args.includes("--help")) {
    console.log(usage);
    Deno.exit(0);
  }
  using lifetime = new Lifetime(say);
  try {
    const options = parse(Deno.args);
    if (Deno.uid() !== 0) throw new Error("Cannot build a lab of network namespaces: it needs root");
    await sweep();
    const kit: Kit = { top: TOP, programs: await programs(TOP), lifetime, node: {} };
    Deno.exit(tell(options, await measure(options, kit)));
  } catch (error) {
    // A signal is at work already; what fails now fails because of it.
    if (lifetime.ending) await new Promise(() => {});
    if (!(error instanceof Error)) throw error;
    say(error.message);
    Deno.exit(error instanceof RangeError || error instanceof TypeError ? 2 : 1);
  }
}
