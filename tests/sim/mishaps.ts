/**
 * What goes wrong in a world, and what people do in it: one throw of the dice for each step.
 *
 * A world has a temper, so that some see a storm of link changes, some only silence, and some nothing but traffic and
 * stalls: there no reflex may move at all.
 */
import type { Random } from "../../filter/random.ts";
import { BOX } from "../../filter/names.ts";
import type { BoxIndex, Side } from "./reflex.ts";
import { chooseSettings, MS, STEP_NS_MIN } from "./settings.ts";
import type { World } from "./world.ts";

export interface Temper {
  readonly name: string;
  /** Chances by step. */
  readonly link: number;
  readonly silence: number;
  readonly both: number;
  readonly stall: number;
  readonly order: number;
  readonly member: number;
  readonly settings: number;
  readonly controlDies: number;
  /** A detector falls dumb. */
  readonly dumb: number;
  /** A detector sees ghosts, a box answers no longer, or loses frames. */
  readonly doubt: number;
}

const CALM: Temper = {
  name: "well",
  link: 0,
  silence: 0,
  both: 0,
  stall: 0.03,
  order: 0.01,
  member: 0,
  settings: 0.01,
  controlDies: 0.003,
  dumb: 0.005,
  doubt: 0,
};
const TEMPERS: readonly Temper[] = [
  CALM,
  {
    ...CALM,
    name: "mixed",
    link: 0.03,
    silence: 0.03,
    both: 0.005,
    stall: 0.02,
    member: 0.02,
    settings: 0.005,
    doubt: 0.02,
  },
  { ...CALM, name: "links", link: 0.06, both: 0.01, member: 0.01, stall: 0.01, settings: 0.002 },
  { ...CALM, name: "silence", silence: 0.03, both: 0.01, stall: 0.01, settings: 0.002 },
  {
    ...CALM,
    name: "storm",
    link: 0.9,
    silence: 0.05,
    both: 0.02,
    order: 0.05,
    member: 0.05,
    controlDies: 0.02,
    doubt: 0.05,
  },
  {
    ...CALM,
    name: "doubts",
    doubt: 0.06,
    dumb: 0.02,
    link: 0.004,
    silence: 0.004,
    both: 0.002,
    controlDies: 0.01,
  },
  { ...CALM, name: "rare", link: 0.004, silence: 0.006, doubt: 0.004, stall: 0.003, order: 0, settings: 0 },
];

export function chooseTemper(random: Random): Temper {
  return random.pick(TEMPERS);
}

/** How long the next turn takes, and by how much the node is late on top of it. */
export function nextTurn({ random, stepNsMax }: World, temper: Temper): { stepNs: number; lateNs: number } {
  const stepNs = STEP_NS_MIN + random.below(stepNsMax - STEP_NS_MIN);
  const lateNs = random.chance(temper.stall) ? random.pick([1, 4, 20, 100]) * MS : 0;
  return { stepNs, lateNs };
}

/** Everything that happens between two turns. */
export function happen(world: World, temper: Temper): void {
  const { random } = world;
  if (random.chance(temper.link)) flap(world);
  if (random.chance(temper.silence)) hush(world);
  if (random.chance(temper.both)) dieTogether(world);
  if (random.chance(temper.doubt)) doubt(world);
  if (random.chance(temper.dumb)) deafen(world);
  if (!world.control.alive(world.nowNs)) return;
  if (random.chance(temper.controlDies)) world.control.doom(random.below(40));
  if (random.chance(temper.settings)) world.change(chooseSettings(random, world.limits));
  if (random.chance(temper.order)) order(world);
  if (random.chance(temper.member)) member(world);
  if (random.chance(temper.controlDies)) {
    const ms = random.pick([5, 50, 500]);
    world.say(() => `control dies for ${ms} ms`);
    world.control.die(world.nowNs + ms * MS);
  }
}

const anyBox = ({ random, boxes }: World) => random.below(boxes.length) as BoxIndex;

/** A link, or both of a box, go down or come back; coming back is likelier. */
function flap(world: World): void {
  const { random } = world;
  const box = anyBox(world);
  const down = world.boxes[box]!.link.some((up) => !up);
  const up = down && random.chance(0.8);
  const sides: readonly Side[] = random.pick([[0], [1], [0, 1], [1, 0]]);
  for (const side of sides) world.setLink(box, side, up);
}

/** What detectors see, or believe to see, besides a box that passes nothing. */
function doubt(world: World): void {
  const { random } = world;
  const box = anyBox(world), one = world.boxes[box]!;
  switch (random.below(3)) {
    case 0:
      one.answers = !one.answers || random.chance(0.2);
      return world.say(() => `${BOX[box]}: ${one.answers ? "answers" : "does not answer"}`);
    case 1:
      one.losesOneIn = one.losesOneIn > 0 ? 0 : random.pick([2, 20, 100]);
      return world.say(() =>
        `${BOX[box]}: loses ${one.losesOneIn ? `one frame in ${one.losesOneIn}` : "nothing"}`
      );
    default: {
      const what = world.detectors?.trouble(random, "ghost", world.nowNs);
      if (what !== undefined) world.say(() => what);
    }
  }
}

function deafen(world: World): void {
  const what = world.detectors?.trouble(world.random, "dumb", world.nowNs);
  if (what !== undefined) world.say(() => what);
}

function hush(world: World): void {
  const { random } = world;
  const box = anyBox(world);
  const { passes } = world.boxes[box]!;
  if (!(passes[0] && passes[1]) && random.chance(0.7)) return world.setPasses(box, [true, true]);
  world.setPasses(box, random.pick([[false, false], [false, false], [true, false], [false, true]]));
}

/** In either order, by link or silently. */
function dieTogether(world: World): void {
  const { random } = world;
  for (const box of random.pick([world.indices, world.indices.toReversed()])) {
    if (random.chance(0.5)) world.setPasses(box, [false, false]);
    if (random.chance(0.7)) world.setLink(box, random.below(2) as Side, false);
  }
}

/** Whoever has left comes back soon. */
function member(world: World): void {
  const away = world.indices.filter((box) => !world.isMember(box));
  if (away.length > 0 && world.random.chance(0.8)) return world.setMember(world.random.pick(away), true);
  world.setMember(anyBox(world), false);
}

function order(world: World): void {
  const { random, control } = world;
  if (random.chance(0.05)) {
    const path = random.pick(["wire", "block"] as const);
    if (control.orderPast(path)) world.say(() => `order ${control.orders.at(-1)!.sequence}: ${path}`);
    return;
  }
  const box = BOX[anyBox(world)]!;
  const force = random.chance(0.3);
  if (!control.moveTo(box, force)) return;
  world.say(() => `order ${control.orders.at(-1)!.sequence}: ${box}${force ? ", forced" : ""}`);
}
