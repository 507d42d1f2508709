/**
 * One life of the layer from its seed: flows go from box a to box b and back, the counts of b into a, and things go wrong
 * at chosen steps; then every claim is checked against a single box that had seen everything.
 */
import { Layer } from "../../appliance/layer/layer.ts";
import { compactLedger, ledgerLine, type LedgerStore, readLedger } from "../../appliance/layer/ledger.ts";
import { type MoveState, type Step, stepOf, STEPS } from "../../appliance/layer/move.ts";
import { type Guarantee, GUARANTEES } from "../../appliance/layer/steering.ts";
import { readIntents } from "../../appliance/layer/intents.ts";
import { Random } from "../../filter/random.ts";
import { parseFields } from "../../drivers/fields.ts";
import {
  Calls,
  ControlDead,
  type Fate,
  type Mode,
  type Party,
  SimDisk,
  simParties,
} from "./layer_parties.ts";
import { checkLayer, checkMerged } from "./layer_oracle.ts";
import { LayerWorld } from "./layer_world.ts";

export const MISHAPS = [
  "control",
  "driver a",
  "driver b",
  "courier",
  "steering",
  "journal",
  "box a",
  "box b",
  "plane",
] as const;
export type MishapKind = (typeof MISHAPS)[number];

export interface Mishap {
  readonly kind: MishapKind;
  readonly step: Step | "merge";
  /** Of the move from a to b, or of that which brings the flows back; what happens in a merge belongs to either. */
  readonly way: "there" | "back";
  /** So many calls in that step go well before. */
  skip: number;
  /** So many calls go wrong; of control and boxes one. */
  times: number;
  readonly when: "before" | "after";
}

export interface LayerRun {
  readonly seed: number;
  /** Instead of those that the seed chooses. */
  readonly mishaps?: readonly Mishap[];
  readonly log?: (line: string) => void;
  readonly tally?: Map<string, number>;
}

export const MOVED = parseFields("* 10.1.0.0/24");

class Broken extends Error {}

/** What goes wrong when: a plan, and where the world stands in it. */
class Plan implements Fate {
  step: Step | "merge" = "op";
  way: Mishap["way"] = "there";
  constructor(
    readonly mishaps: Mishap[],
    readonly world: LayerWorld,
    readonly random: Random,
    readonly happen: (mishap: Mishap) => void,
  ) {}

  #due(party: Party, when: Mishap["when"]): Mishap | undefined {
    const due = this.mishaps.find(({ kind, step, way, times }) =>
      times > 0 && step === this.step && (step === "merge" || way === this.way) &&
      (kind === party || kind === "control" || kind.startsWith("box") || kind === "plane")
    );
    if (due === undefined || due.when !== when || due.skip-- > 0) return;
    due.times--;
    return due;
  }

  #strike(party: Party, when: Mishap["when"]): void {
    const due = this.#due(party, when);
    if (due === undefined) return;
    this.happen(due);
    if (due.kind === "control") throw new ControlDead("control dies");
    if (due.kind === party) throw new Broken(`${party} fails ${when} it was done`);
  }

  before = (party: Party) => this.#strike(party, "before");
  after = (party: Party) => this.#strike(party, "after");
  torn = () => this.random.pick([0, 0.3, 0.9, 1]);
}

export function chooseMishaps(random: Random): Mishap[] {
  return Array.from({ length: random.below(4) }, (): Mishap => {
    const kind = random.chance(0.4) ? "control" : random.pick(MISHAPS);
    return {
      kind,
      step: random.pick([...STEPS, "merge"] as const),
      way: random.pick(["there", "back"] as const),
      skip: random.chance(0.5) ? 0 : random.below(8),
      times: kind === "control" || kind.startsWith("box") || kind === "plane"
        ? 1
        : random.pick([1, 2, 6, 40]),
      when: random.pick(["before", "after"] as const),
    };
  });
}

/** Everything of one run; control may live several times in it. */
export class LayerLife {
  readonly random: Random;
  readonly world: LayerWorld;
  readonly plan: Plan;
  readonly mode: Mode;
  readonly guarantee: Guarantee;
  readonly disk = new SimDisk();
  #ledger = "";
  #life = 0;
  #ids = 0;
  #stop = new AbortController();
  #bounds: { framesMax: number; holdMsMax: number };
  layer!: Layer;

  constructor(readonly run: LayerRun) {
    const random = this.random = new Random(run.seed);
    this.world = new LayerWorld(random, 4 + random.below(30));
    this.mode = random.pick(["read", "records", "reprocess"] as const);
    this.guarantee = random.pick(GUARANTEES);
    this.#bounds = { framesMax: random.pick([30, 300, 3000]), holdMsMax: random.pick([60, 400, 3000]) };
    const mishaps = (run.mishaps ?? chooseMishaps(random)).map((mishap) => ({ ...mishap }));
    this.plan = new Plan(mishaps, this.world, random, (mishap) => this.#happen(mishap));
    this.say(`${this.mode}, ${this.guarantee}, ${JSON.stringify(this.#bounds)}, ${JSON.stringify(mishaps)}`);
  }

  say(line: string): void {
    this.run.log?.(`${this.world.nowMs} ${line}`);
  }

  count(what: string): void {
    this.run.tally?.set(what, (this.run.tally.get(what) ?? 0) + 1);
  }

  #happen({ kind, step, when }: Mishap): void {
    this.say(`MISHAP ${kind} at ${step}, ${when}`);
    this.count(`${kind} at ${step}`);
    if (kind === "control") {
      this.#life++;
      this.#stop.abort();
    }
    if (kind === "box a" || kind === "box b") {
      const name = kind === "box a" ? "a" : "b";
      this.world.boxes[name].die();
      this.layer.boxDied(name);
    }
    if (kind === "plane") this.world.restartPlane();
  }

  /** Control begins, and begins again as often as it dies at once. */
  async begin(): Promise<void> {
    for (;;) {
      const life = this.#life;
      // The plane goes by what it was told while nobody is there.
      for (let n = life === 0 ? 0 : this.random.below(200); n > 0; n--) this.world.turn();
      this.#stop = new AbortController();
      this.layer = this.#make(life);
      try {
        await this.layer.recover();
        for (const { name, alive } of Object.values(this.world.boxes)) if (!alive) this.layer.boxDied(name);
        await this.layer.idle();
      } catch (error) {
        // The steering failed, not for ever: the next start asks again.
        if (!(error instanceof ControlDead || error instanceof Broken)) throw error;
        if (life === this.#life) this.#life++;
      }
      if (life === this.#life) return;
    }
  }

  #make(life: number): Layer {
    const calls = new Calls(this.world, this.plan, () => life !== this.#life);
    const parties = simParties(calls, { mode: this.mode, disk: this.disk });
    return new Layer({
      ...parties,
      ...this.#bounds,
      ledger: this.#ledgerStore(calls),
      nowMs: () => this.world.nowMs,
      wait: (ms, signal) => askTooLong(ms) ? never(signal) : calls.wait(ms),
      tell: (state) => this.#told(state),
      say: (text) => this.say(text),
      askMsMax: ASK_MS,
      settleMs: 3,
      breathe: () => Promise.resolve(),
      serving: () => "a",
      serve: () => Promise.resolve({ ok: true, text: "" }),
      freshId: () => `m${++this.#ids}`,
      stop: this.#stop.signal,
    });
  }

  #told(state: MoveState): void {
    if (this.plan.step !== "merge") this.plan.step = stepOf(state);
    this.say(`${state.order.id} ${state.course} ${stepOf(state)}/${state.phase} ${state.reason}`);
    if (state.end !== null) this.count(`ended ${state.end}`);
  }

  #ledgerStore(calls: Calls): LedgerStore {
    return {
      load: () => {
        const ledger = readLedger(this.#ledger);
        this.#ledger = compactLedger(ledger);
        return ledger;
      },
      append: (entry) => calls.call("journal", () => void (this.#ledger += ledgerLine(entry))),
    };
  }

  /** Does it, and lets control begin again where it died meanwhile. Null: it died. */
  async attempt<T>(work: () => Promise<T>): Promise<T | null> {
    const life = this.#life;
    try {
      const result = await work();
      if (life === this.#life) return result;
    } catch (error) {
      if (!(error instanceof ControlDead || error instanceof Broken)) throw error;
      if (error instanceof Broken) return null;
    }
    await this.begin();
    return null;
  }

  get open(): number {
    return readIntents(this.disk.text).open.length;
  }
}

const ASK_MS = 1_000_000;
/** Calls here always come back: the bound on them never rings. */
const askTooLong = (ms: number) => ms === ASK_MS;
function never(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** The same seed gives the same run. Throws an AssertionError where a claim does not hold. */
export async function simulateLayer(run: LayerRun): Promise<void> {
  const life = new LayerLife(run), { world, guarantee } = life;
  await life.begin();
  for (let i = 0; i < 60; i++) world.turn();
  await life.attempt(() => life.layer.move({ source: "a", destination: "b", fields: MOVED, guarantee }));
  for (let i = 0; i < 40; i++) world.turn();
  await checkLayer(life);
  const isAtB = world.rules.some(({ box }) => box === "b");
  if (isAtB && world.boxes.a.alive) {
    life.plan.step = "op";
    life.plan.way = "back";
    await life.attempt(() => life.layer.move({ source: "b", destination: "a", fields: MOVED, guarantee }));
    for (let i = 0; i < 40; i++) world.turn();
    await checkLayer(life);
  }
  await mergeBack(life);
  life.count("runs");
}

/** As often as it takes: each run after a crash adds what is missing, and nothing twice. */
async function mergeBack(life: LayerLife): Promise<void> {
  const { world } = life;
  life.plan.step = "merge";
  for (let tries = 0; tries < 60; tries++) {
    const answer = await life.attempt(() => life.layer.merge("b", "a"));
    for (let i = 0; i < 10; i++) world.turn();
    if (answer?.ok) break;
    if (answer !== null) life.say(answer.text);
  }
  // Once more by a person who is not sure.
  await life.attempt(() => life.layer.merge("b", "a"));
  world.settle();
  checkMerged(life);
}
