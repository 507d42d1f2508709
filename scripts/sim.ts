/**
 * Replays the simulated point of failover: one seed with a readable log, or many until one breaks a claim.
 *
 * `./scripts/deno task sim 4711`, `./scripts/deno task sim 1 --seeds 100000 --steps 2000`. A seed means the same on every
 * machine; a change of the world's dice gives every seed a new meaning.
 */
import { parseArgs } from "node:util";
import { buildLibrary, Reflex } from "../tests/sim/reflex.ts";
import { simulate, type Tally, tellBroken } from "../tests/sim/simulate.ts";

const USAGE = `Usage: ./scripts/deno task sim SEED [--steps N] [--seeds N] [--verbose]

  SEED       a whole number; with --seeds the first of them
  --steps N  turns of the plane in each world (default 300)
  --seeds N  run so many seeds, stop at the first that breaks a claim
  --verbose  tell what happened also where nothing broke (as for a single seed)
`;

class UsageError extends Error {}

function whole(what: string, text: string, min: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < min) {
    throw new UsageError(`Cannot use ${what} "${text}": it must be a whole number of at least ${min}`);
  }
  return value;
}

function readArguments(args: readonly string[]) {
  const options = {
    steps: { type: "string", default: "300" },
    seeds: { type: "string", default: "1" },
    verbose: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  } as const;
  try {
    return parseArgs({ args: args.filter((arg) => arg !== "--"), options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = readArguments(args);
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  if (positionals.length !== 1) throw new UsageError(`Cannot replay: name one seed\n\n${USAGE}`);
  const first = whole("seed", positionals[0]!, 0);
  const seeds = whole("--seeds", values.seeds, 1);
  const steps = whole("--steps", values.steps, 1);
  const logs = values.verbose || seeds === 1;
  using reflex = new Reflex(await buildLibrary());
  const tally: Tally = new Map();
  for (let seed = first; seed < first + seeds; seed++) {
    const { broken, log } = simulate(reflex, { seed, steps, logs, tally });
    if (logs) console.log(log.join("\n"));
    if (broken === null) continue;
    if (!logs) console.log(tellBroken(reflex, { seed, steps }));
    console.error(`${broken.message}\nreplay: ./scripts/deno task sim ${seed} --steps ${steps}`);
    return 1;
  }
  const seen = [...tally].sort(([a], [b]) => a < b ? -1 : 1).map(([what, n]) => `${what} ${n}`).join(", ");
  console.log(`${seeds} seeds of ${steps} steps, every claim held: ${seen}`);
  return 0;
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    Deno.exit(2);
  }
}
