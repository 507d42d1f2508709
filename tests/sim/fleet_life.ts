/**
 * A fleet from its seed: singles and pairs, roll-outs of sound and bad bundles, and what can go wrong: nodes die, hang, fall
 * back or are cut off, and the controller is killed at each of its steps. After every step all claims are checked.
 */
import {
  type Fleet,
  type FleetNode,
  type Offer,
  type RolloutOrder,
  type Row,
  type Turn,
} from "../../appliance/fleet/rollout/contract.ts";
import { type Changed, Changes } from "../../appliance/fleet/rollout/changes.ts";
import { takeCensus } from "../../appliance/fleet/rollout/count.ts";
import { Rollouts } from "../../appliance/fleet/rollout/engine.ts";
import { opensAtMs, stageOf } from "../../appliance/fleet/rollout/stages.ts";
import { Random } from "../../filter/random.ts";
import { type Nature, SimNode } from "./fleet_node.ts";

export interface FleetRun {
  readonly seed: number;
  readonly nodes: number;
  /** @default from the seed */
  readonly nature?: Nature;
  /** Share of the nodes to which something happens in a step. @default from the seed */
  readonly mishaps?: number;
  /** The controller is killed at this step of its first turns, again and again. */
  readonly kill?: Kill;
  readonly log?: (line: string) => void;
  readonly tally?: Map<string, number>;
}

/** Before the rows are committed, after it, or between two offers. */
export const KILLS = ["before commit", "after commit", "between offers", "after offers"] as const;
export type Kill = (typeof KILLS)[number];

const STEP_MS = 10_000;

export class Broken extends Error {}

export function claim(holds: boolean, text: () => string): void {
  if (!holds) throw new Broken(text());
}

export class FleetLife implements Fleet {
  readonly random: Random;
  readonly nodeList: SimNode[] = [];
  readonly #byId = new Map<string, SimNode>();
  readonly #seen = new Map<string, FleetNode>();
  readonly #changes = new Changes();
  readonly #disk = new Map<string, Row>();
  readonly natures = new Map<string, Nature>();
  readonly #flying: { offer: Offer; atMs: number }[] = [];
  /** By roll-out and node: times a person allowed another try. */
  readonly #allowed = new Map<string, number>();
  readonly #busy = new Set<SimNode>();
  readonly order: RolloutOrder;
  readonly mishaps: number;
  #engine = new Rollouts();
  nowMs = 1_700_000_000_000;
  killed = 0;
  steps = 0;

  constructor(readonly run: FleetRun) {
    const random = this.random = new Random(run.seed);
    this.mishaps = run.mishaps ?? random.pick([0, 0.001, 0.01]);
    for (let i = 0; i < run.nodes; i++) this.#addNode(i);
    const nature = run.nature ?? random.pick(["sound", "sound", "falls back", "sickens"] as const);
    this.order = this.#makeOrder(nature);
  }

  #addNode(i: number): void {
    const { random } = this, name = (n: number) => `node-${n}`;
    // Two thirds of the fleet are pairs: 0 and 1, 3 and 4, ...
    const partner = i % 3 === 2 ? null : i % 3 === 0 ? i + 1 : i - 1;
    const isPair = partner !== null && partner < this.run.nodes;
    const labels = { site: random.pick(["north", "south"]) };
    const node = new SimNode(name(i), isPair ? name(partner) : null, labels, random.below(1e9) - 5e8);
    if (random.chance(0.01)) node.hasUpdater = false;
    this.nodeList.push(node);
    this.#byId.set(node.id, node);
    this.#see(node.view(this.nowMs));
  }

  #see(node: FleetNode): void {
    this.#seen.set(node.id, node);
    this.#changes.note(node.id);
  }

  #makeOrder(nature: Nature): RolloutOrder {
    const { random, run } = this, digest = random.u32().toString(16).padStart(8, "0").repeat(8);
    this.natures.set(digest, nature);
    return {
      id: `r${run.seed}`,
      bundle: { digest, version: "1.1.0", bytes: 1_000_000 },
      scope: random.chance(0.2) ? { site: "north" } : {},
      stages: [
        { name: "canary", choice: { nodes: ["node-0", "node-2", "node-5"] } },
        { name: "some", choice: { percent: 10 } },
        { name: "south", choice: { labels: { site: "south" } } },
        { name: "all", choice: { percent: 100 } },
      ],
      windows: random.chance(0.3) ? [{ fromMin: 22 * 60, toMin: 6 * 60 }] : [],
      concurrentMax: Math.max(2, Math.floor(run.nodes / random.pick([5, 20]))),
      haltPercent: 5,
      quorumPercent: 80,
      deadlineMs: 600_000,
      observeMs: 60_000,
      soakMs: 120_000,
    };
  }

  node(id: string): FleetNode | undefined {
    return this.#seen.get(id);
  }

  nodes(): Iterable<FleetNode> {
    return this.#seen.values();
  }

  changed(mark: number): Changed {
    return this.#changes.since(mark);
  }

  get engine(): Rollouts {
    return this.#engine;
  }

  count(what: string, by = 1): void {
    this.run.tally?.set(what, (this.run.tally.get(what) ?? 0) + by);
  }

  say(text: string): void {
    this.run.log?.(`${new Date(this.nowMs).toISOString().slice(11, 19)} ${text}`);
  }

  /** A controller that is killed begins again from what it had committed. */
  do(work: (engine: Rollouts) => Turn): void {
    const kill = this.#fate();
    const turn = work(this.#engine);
    if (kill === "before commit") return this.#restart(kill);
    for (const row of turn.rows) this.#disk.set(`${row.kind} ${row.key}`, row);
    for (const { node, text } of turn.events) this.say(`${node ?? "*"}: ${text}`);
    turn.events.forEach(({ text }) => this.count(text.split(/[: ]/)[0]!));
    this.#checkOffers(turn.offers);
    if (kill === "after commit") return this.#restart(kill);
    const some = kill === "between offers" ? Math.floor(turn.offers.length / 2) : turn.offers.length;
    turn.offers.slice(0, some).forEach((offer) => this.#send(offer));
    if (kill !== null) this.#restart(kill);
  }

  #fate(): Kill | null {
    const { run, random } = this;
    if (run.kill !== undefined) return random.chance(0.3) ? run.kill : null;
    return random.chance(0.01) ? random.pick(KILLS) : null;
  }

  #restart(kill: Kill): void {
    this.killed++;
    this.count(`killed ${kill}`);
    this.#engine = new Rollouts(this.#disk.values());
    for (const offer of this.#engine.open(this.nowMs)) this.#send(offer);
  }

  #send(offer: Offer): void {
    const lateMs = this.random.chance(0.05) ? this.random.below(60_000) : this.random.below(STEP_MS);
    this.#flying.push({ offer, atMs: this.nowMs + lateMs });
    if (this.random.chance(0.05)) this.#flying.push({ offer, atMs: this.nowMs + 2 * lateMs });
  }

  #checkOffers(offers: readonly Offer[]): void {
    for (const { id, node, kind } of offers) {
      const rollout = this.#engine.get(this.order.id)!, seen = this.#seen.get(node)!;
      claim(rollout.phase === "running", () => `${id} offered while ${rollout.phase}`);
      claim(opensAtMs(this.order.windows, this.nowMs) === this.nowMs, () => `${id} outside of a window`);
      const stage = stageOf(this.order, seen);
      claim(stage !== null && stage <= rollout.stage, () => `${id} before its stage`);
      claim(
        !seen.onRedundant && seen.health === "green",
        () => `${id} to a node that serves on its redundant`,
      );
      this.count(`offered ${kind}`);
    }
  }

  #deliver(): void {
    const due = this.#flying.filter(({ atMs }) => atMs <= this.nowMs);
    if (due.length === 0) return;
    const later = this.#flying.filter(({ atMs }) => atMs > this.nowMs);
    this.#flying.length = 0;
    this.#flying.push(...later);
    for (const { offer } of due) this.#arrive(offer);
  }

  #arrive(offer: Offer): void {
    const node = this.#byId.get(offer.node)!;
    if (!node.isConnected(this.nowMs)) {
      // As the queue of commands: it waits for the node, as long as it is worth anything.
      if (this.nowMs <= offer.expiresMs) this.#flying.push({ offer, atMs: this.nowMs + STEP_MS });
      return;
    }
    const known = node.begun.has(offer.id);
    if (!known && offer.kind === "install") this.#checkBegin(node, offer);
    const refused = node.take(offer, this.nowMs, this.random);
    if (node.busy) this.#busy.add(node);
    if (refused === null) this.#checkPair(node);
    else {
      this.count("refused");
      const nowMs = this.nowMs;
      this.do((engine) => engine.hear({ id: offer.id, ok: false, reason: refused }, nowMs));
    }
  }

  #checkBegin(node: SimNode, { id, bundle, force }: Offer): void {
    const allowed = this.#allowed.get(node.id) ?? 0;
    const begun = [...node.begun.values()].filter(({ kind }) => kind === "install").length;
    claim(begun <= allowed, () => `${id} begins the ${begun + 1}th install with ${allowed} allowed`);
    const fell = node.fellBack.includes(bundle.version);
    claim(!fell || (allowed > 0 && force), () => `${id} offers again what fell back`);
  }

  #checkPair(node: SimNode): void {
    const other = node.partner === null ? undefined : this.#byId.get(node.partner);
    claim(
      !(node.busy && other?.busy),
      () => `${node.id} ${node.doing} while ${other!.id} ${other!.doing}`,
    );
  }

  step(): void {
    this.steps++;
    this.nowMs += STEP_MS;
    // Nothing goes on while no window is open, but that nodes wait for their restart.
    const waits = () => [...this.#engine.underWay()].every(({ step }) => step === "installed");
    if (this.#busy.size + this.#flying.length === 0 && waits()) {
      this.nowMs = opensAtMs(this.order.windows, this.nowMs);
    }
    const natureOf = (digest: string) => this.natures.get(digest)!;
    for (const node of this.#busy) {
      node.step(this.nowMs, natureOf, this.random);
      if (!node.busy) this.#busy.delete(node);
    }
    this.#deliver();
    for (const node of new Set([...this.#changed, ...this.#busy])) this.#report(node);
    this.do((engine) => engine.turn(this, this.nowMs));
  }

  /** Something happened to them; all others have nothing to say. */
  readonly #changed = new Set<SimNode>();

  #report(node: SimNode): void {
    const seen = this.#seen.get(node.id)!, connected = node.isConnected(this.nowMs);
    if (!connected) {
      if (seen.connected) this.#see({ ...seen, connected: false });
      this.#changed.add(node);
      return;
    }
    const affected = node.busy || node.sickUntilMs + STEP_MS > this.nowMs ||
      node.redundantUntilMs + STEP_MS > this.nowMs;
    if (affected || this.#changed.has(node) || !seen.connected) {
      this.#see(node.view(this.nowMs));
    }
    if (affected) this.#changed.add(node);
    else this.#changed.delete(node);
  }

  trouble(): void {
    const { random, nowMs } = this, forMs = 30_000 + random.below(1_500_000);
    const hits = this.mishaps * this.nodeList.length;
    const times = Math.floor(hits) + (random.chance(hits % 1) ? 1 : 0);
    for (let n = 0; n < times; n++) {
      // Trouble seeks those that something is done to.
      const node = random.chance(0.3) && this.#busy.size > 0
        ? this.#busy.values().drop(random.below(Math.min(this.#busy.size, 50))).next().value!
        : random.pick(this.nodeList);
      const what = random.pick(["die", "hang", "cut", "sick", "redundant"] as const);
      this.count(`mishap ${what}`);
      if (what === "die") node.die(nowMs, forMs);
      if (what === "hang") node.hang(nowMs, forMs);
      if (what === "cut") node.cutUntilMs = nowMs + forMs;
      if (what === "sick") node.sickUntilMs = nowMs + forMs;
      if (what === "redundant") node.redundantUntilMs = nowMs + forMs;
      if (!node.busy) this.#busy.delete(node);
      this.#changed.add(node);
    }
  }

  allow(node: string): void {
    const before = this.#engine.course(this.order.id, node)?.step;
    this.#allowed.set(node, (this.#allowed.get(node) ?? 0) + 1);
    this.do((engine) => engine.allow(this.order.id, node, "a person", this.nowMs));
    if (before === this.#engine.course(this.order.id, node)?.step) {
      this.#allowed.set(node, this.#allowed.get(node)! - 1); // killed before it was committed
    }
  }

  /** What is counted by changes is what is counted from nothing. */
  checkCount(): void {
    const { id, bundle } = this.order, engine = this.#engine;
    const fresh = takeCensus(engine.get(id)!, { node: (one) => this.node(one), nodes: () => this.nodes() }, {
      course: (node) => engine.course(id, node),
      bar: (node) => engine.bars(node).find(({ version }) => version === bundle.version),
    });
    const [kept, counted] = [engine.census(id, this), fresh].map((one) => JSON.stringify(one));
    claim(kept === counted, () => `the census is ${kept}, counted it is ${counted}`);
  }

  /** Every node that is not through has a reason, and the engine on disk is the one in memory. */
  checkWords(): void {
    this.checkCount();
    const { id } = this.order;
    for (const node of this.#seen.values()) {
      const why = this.#engine.why(id, this, node, this.nowMs);
      claim(
        why === null || !("reason" in why) || why.reason !== "",
        () => `${node.id} has no reason: ${JSON.stringify(why)}`,
      );
    }
    const again = new Rollouts(this.#disk.values());
    const [a, b] = [again, this.#engine].map((one) =>
      [...one.list(), ...one.open(this.nowMs)].map((each) => JSON.stringify(each)).sort().join("\n")
    );
    claim(a === b, () => `what is kept is not what is known: ${a} ${b}`);
  }
}
