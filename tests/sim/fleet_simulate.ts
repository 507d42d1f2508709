/** A simulated fleet from the first offer to its end, with a person who looks after it; all claims checked on the way. */
import type { Census, Turn } from "../../appliance/fleet/rollout/contract.ts";
import type { Rollouts } from "../../appliance/fleet/rollout/engine.ts";
import { Broken, claim, FleetLife, type FleetRun } from "./fleet_life.ts";

export { FleetLife, type FleetRun, type Kill, KILLS } from "./fleet_life.ts";

const STEPS_MAX = 8000;
/** Of more nodes, the census is not counted anew after each step. */
const COUNTED_NODES_MAX = 100;

/** To its end, with a person who looks after it. @throws Error that says which claim broke */
export function simulateFleet(run: FleetRun): FleetLife {
  const life = new FleetLife(run), { id } = life.order;
  const insist = (done: () => boolean, work: (engine: Rollouts) => Turn) => {
    while (!done()) life.do(work);
  };
  insist(() => life.engine.get(id) !== undefined, (engine) => engine.make(life.order, life.nowMs));
  const start = () =>
    insist(
      () => life.engine.get(id)!.phase === "running",
      (engine) => engine.start(id, "a person", life.nowMs),
    );
  start();
  let halts = 0;
  for (let steps = 0;; steps++) {
    if (steps > STEPS_MAX) throw new Broken(`not over after ${steps} steps: ${life.engine.get(id)!.reason}`);
    // Trouble ends one day, so that the roll-out can.
    if (steps < 500) life.trouble();
    life.step();
    if (steps % 500 === 0) life.checkWords();
    if (run.nodes <= COUNTED_NODES_MAX) life.checkCount();
    const { phase } = life.engine.get(id)!;
    if (phase === "done" || phase === "aborted") break;
    const isBad = life.natures.get(life.order.bundle.digest) !== "sound";
    if (phase === "running" && isStuck(life)) abort(life);
    if (phase === "halted") halts = look(life, { halts, isBad, start });
    else if (steps % 300 === 299) lookAfter(life);
  }
  life.checkWords();
  life.count(`phase ${life.engine.get(id)!.phase}`);
  checkEnd(life, halts);
  return life;
}

/** A person looks at a roll-out that halted: of a bad bundle they have enough after the second time. */
function look(
  life: FleetLife,
  { halts, isBad, start }: { halts: number; isBad: boolean; start: () => void },
): number {
  life.count("halts");
  if (isBad && halts >= 1) abort(life);
  else start();
  return halts + 1;
}

/** Nobody of the canaries can take the bundle, or all of them suffer from it: that is for a person to see. */
function isStuck(life: FleetLife): boolean {
  const { id } = life.order;
  if (life.engine.get(id)!.stage > 0 || life.nowMs % 100_000 !== 0) return false;
  const [{ size, left, failed }] = life.engine.census(id, life) as [Census];
  const isBad = life.natures.get(life.order.bundle.digest) !== "sound";
  return size === left + (isBad ? failed : 0);
}

function abort(life: FleetLife): void {
  const { id } = life.order;
  while (life.engine.get(id)!.phase !== "aborted") {
    life.do((engine) => engine.abort(id, "a person", life.nowMs));
  }
}

function lookAfter(life: FleetLife): void {
  for (const node of life.nodeList) {
    if (life.engine.course(life.order.id, node.id)?.step !== "failed") continue;
    const seen = life.node(node.id)!;
    if (seen.connected && seen.health === "green" && !node.busy) life.allow(node.id);
  }
}

function checkEnd(life: FleetLife, halts: number): void {
  const { order, nodeList, engine } = life, { digest } = order.bundle;
  const isBad = life.natures.get(digest) !== "sound";

  const reached = nodeList.filter((node) => node.begun.size > 0).length;
  claim(!isBad || halts > 0 || reached === 0, () => "a bad bundle never halted");
  // A bad bundle gets no further than its canaries and what was under way beside them.
  claim(!isBad || reached <= 3, () => `a bad bundle reached ${reached} nodes`);
  for (const node of nodeList) {
    const course = engine.course(order.id, node.id), slot = node.slots[node.booted];
    if (course?.step === "good") {
      claim(slot.digest === digest && slot.state === "good", () => `${node.id} is good in words alone`);
      life.count("nodes good");
    }
  }
}
