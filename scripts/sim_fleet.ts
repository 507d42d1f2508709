/**
 * Replays simulated fleets: one seed with a readable log, or many until one breaks a claim; or one large fleet.
 *
 * `./scripts/deno task sim:fleet 1 --nodes 100000`, `./scripts/deno task sim:fleet 1 --seeds 500`.
 */
import { parseArgs } from "node:util";
import { simulateFleet } from "../tests/sim/fleet_simulate.ts";

const USAGE = `Usage: ./scripts/deno task sim:fleet [SEED] [--nodes N] [--seeds N] [--sound]

  SEED       a whole number, 1 without it; with --seeds the first of them
  --nodes N  so many nodes, 100000 without it
    --seeds N  run so many seeds, stop at the first that breaks a claim
  --sound    the bundle works; without it the seed decides
`;
/** Of more nodes fewer at a time have bad luck: what happens to them in all is enough. */
const MANY = 20_000;
/** A log of more nodes than this is not for people. */
const TOLD_NODES_MAX = 1000;

function main(args: readonly string[]): number {
  const { values, positionals } = parseArgs({
    args: args.filter((arg) => arg !== "--"),
    options: {
      nodes: { type: "string", default: "100000" },
      seeds: { type: "string", default: "1" },
      sound: { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
    allowPositionals: true,
  });
  const [first, nodes, seeds] = [positionals[0] ?? 1, values.nodes, values.seeds].map(Number) as [
    number,
    number,
    number,
  ];
  const isWrong = !Number.isSafeInteger(first) || !(nodes >= 6) || !(seeds >= 1) || positionals.length > 1;
  if (values.help || isWrong) {
    console.error(USAGE);
    return values.help ? 0 : 2;
  }
  const tally = new Map<string, number>();
  for (let seed = first; seed < first + seeds; seed++) {
    const startMs = performance.now();
    try {
      const isTold = seeds === 1 && nodes <= TOLD_NODES_MAX;
      const life = simulateFleet({
        seed,
        nodes,
        tally,
        ...(nodes > MANY && { mishaps: 0.0002 }),
        ...(values.sound && { nature: "sound" as const }),
        ...(isTold && { log: (line) => console.log(line) }),
      });
      const { phase, reason } = life.engine.get(life.order.id)!;
      const tookS = ((performance.now() - startMs) / 1000).toFixed(1);
      console.log(
        `seed ${seed}: ${phase}, ${reason}; the controller was killed ${life.killed} times; ` +
          `${life.steps} turns in ${tookS} s`,
      );
    } catch (error) {
      console.error(`${error}\nreplay: ./scripts/deno task sim:fleet ${seed} --nodes ${nodes}`);
      return 1;
    }
  }
  const seen = [...tally].sort(([a], [b]) => a < b ? -1 : 1).map(([what, n]) => `${what} ${n}`).join(", ");
  console.log(`${seeds} fleets of ${nodes} nodes, every claim held: ${seen}`);
  return 0;
}

if (import.meta.main) Deno.exit(main(Deno.args));
