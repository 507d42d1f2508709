/**
 * Replays the simulated layer: one seed with a readable log, or many until one breaks a claim.
 *
 * `./scripts/deno task sim:layer 4711`, `./scripts/deno task sim:layer 1 --seeds 10000`.
 */
import { parseArgs } from "node:util";
import { simulateLayer } from "../tests/sim/layer_simulate.ts";

const USAGE = `Usage: ./scripts/deno task sim:layer SEED [--seeds N]

  SEED       a whole number; with --seeds the first of them
  --seeds N  run so many seeds, stop at the first that breaks a claim
`;

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: args.filter((arg) => arg !== "--"),
    options: { seeds: { type: "string", default: "1" }, help: { type: "boolean", short: "h" } },
    allowPositionals: true,
  });
  const [first, seeds] = [Number(positionals[0]), Number(values.seeds)];
  if (values.help || !Number.isSafeInteger(first) || !(seeds >= 1) || positionals.length !== 1) {
    console.error(USAGE);
    return values.help ? 0 : 2;
  }
  const tally = new Map<string, number>();
  const tell = (line: string) => console.log(line);
  for (let seed = first; seed < first + seeds; seed++) {
    try {
      await simulateLayer({ seed, tally, ...(seeds === 1 && { log: tell }) });
    } catch (error) {
      if (seeds > 1) await simulateLayer({ seed, log: tell }).catch(() => {});
      console.error(`${error}\nreplay: ./scripts/deno task sim:layer ${seed}`);
      return 1;
    }
  }
  const seen = [...tally].sort(([a], [b]) => a < b ? -1 : 1).map(([what, n]) => `${what} ${n}`).join(", ");
  console.log(`${seeds} seeds, every claim held: ${seen}`);
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
