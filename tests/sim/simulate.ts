/**
 * One world from its seed, step by step under the oracle, and what a crowd of them has seen.
 */
import { Random } from "../../filter/random.ts";
import { nameEvent } from "./events.ts";
import { BrokenClaim, Oracle } from "./oracle.ts";
import { chooseTemper, happen, nextTurn } from "./mishaps.ts";
import type { Reflex } from "./reflex.ts";
import { World } from "./world.ts";

/** How often something happened: a crowd of worlds in which it never did proves nothing about it. */
export type Tally = Map<string, number>;

export interface Outcome {
  readonly broken: BrokenClaim | null;
  /** Empty unless asked for. */
  readonly log: readonly string[];
}

export interface Run {
  readonly seed: number;
  readonly steps: number;
  readonly logs?: boolean;
  readonly tally?: Tally;
}

function count(tally: Tally | undefined, what: string, by = 1): void {
  tally?.set(what, (tally.get(what) ?? 0) + by);
}

/** One turn with all that happens around it. @throws BrokenClaim */
function step(
  world: World,
  oracle: Oracle,
  tally: Tally | undefined,
  temper: ReturnType<typeof chooseTemper>,
) {
  happen(world, temper);
  const { stepNs, lateNs } = nextTurn(world, temper);
  world.turn(stepNs, lateNs, oracle.facts);
  for (const event of oracle.check()) {
    if (event.kind !== "link" && event.kind !== "stall") world.say(() => nameEvent(event));
    count(tally, event.kind === "switch" ? `switch by ${event.cause}` : event.kind);
  }
  world.hearLinks(oracle.facts);
  const orders = world.control.orders.length;
  if (world.control.tick(world.nowNs)) world.look();
  if (world.control.orders.length > orders) world.say(() => "the point of failover orders failback");
  oracle.checkControl();
}

/** The same seed gives the same run; a broken claim is an outcome, anything else is thrown. */
export function simulate(reflex: Reflex, run: Run): Outcome {
  const random = new Random(run.seed);
  const temper = chooseTemper(random);
  const well = temper.name === "well";
  const world = new World(reflex, { seed: run.seed, random, well, logs: run.logs ?? false });
  world.say(() => `temper: ${temper.name}`);
  const oracle = new Oracle(world, reflex.board);
  try {
    for (let i = 0; i < run.steps; i++) step(world, oracle, run.tally, temper);
    oracle.checkEnd();
  } catch (error) {
    if (!(error instanceof BrokenClaim)) throw error;
    world.say(() => `BROKEN: ${error.message}`);
    return { broken: error, log: world.log };
  }
  count(run.tally, "events lost", oracle.lost);
  count(
    run.tally,
    "failback by the point",
    world.control.orders.filter((order) => order.by === "point").length,
  );
  count(run.tally, "stalls", oracle.facts.stalls);
  return { broken: null, log: world.log };
}

/** The end of a broken run, told by its seed once more. */
export function tellBroken(reflex: Reflex, run: Run, lines = 40): string {
  const { log } = simulate(reflex, { seed: run.seed, steps: run.steps, logs: true });
  return log.slice(-lines).join("\n");
}
