/**
 * How warm the primary is, in a simulated world: a match that comes and goes, and the gate that asks for it.
 *
 * Chance of its own, so that worlds are as they were without it. Good for a third of the time, in pieces.
 */
import type { GateRules, GateSeen } from "../../appliance/failover/gate.ts";
import { Random } from "../../filter/random.ts";
import { MS } from "./settings.ts";

const FLOWS = 100;

export class Warmth {
  /** Null: this world's point of failover does not ask. */
  readonly gate: GateRules | null;
  readonly #pieceNs: number;

  constructor(seed: number) {
    const random = new Random(seed ^ 0x5eed_9a7e);
    this.#pieceNs = (5 + random.below(60)) * MS;
    this.gate = random.chance(0.5) ? null : {
      matchMin: random.pick([0, 60, 95]),
      flowsMin: random.pick([10, 10, 10, 1000]),
      waitMsMax: 20 + random.below(100),
      overdue: random.chance(0.5) ? "go" : "stay",
    };
  }

  seen(nowNs: number): GateSeen {
    const live = [97, 40, 80][Math.floor(nowNs / this.#pieceNs) % 3]!;
    return { known: FLOWS, live, unknown: 0 };
  }
}
