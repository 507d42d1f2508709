/**
 * The detectors of a world: they look at the boxes as those really are, take their time, and fail in their own ways.
 *
 * Probes see whether a box passes, BFD whether it answers, grey failure whether it loses. Any of them may fall dumb for a
 * while, or see ghosts. Checks are control's (control.ts), which asks whether a box answers.
 */
import type { Random } from "../../filter/random.ts";
import type { SimBox } from "./box.ts";
import { boxesOf, type BoxIndex } from "./reflex.ts";
import { MS } from "./settings.ts";
import type { Lamp, Voter } from "./votes.ts";

const LOOKERS = ["probe", "bfd", "grey"] as const satisfies readonly Voter[];
type Looker = (typeof LOOKERS)[number];

const FALL = 3;

interface Eye {
  readonly everyNs: number;
  nextNs: number;
  bad: number;
  dumbUntilNs: number;
  ghostUntilNs: number;
}

const SEES: Readonly<Record<Looker, (box: SimBox) => boolean>> = {
  probe: (box) => box.well,
  bfd: (box) => box.answers && box.link[0] && box.link[1],
  grey: (box) => box.losesOneIn === 0,
};

export class Detectors {
  readonly #eyes: readonly Readonly<Record<Looker, Eye>>[];

  constructor(random: Random, boxes: number, nowNs: number) {
    const eye = (): Eye => ({
      everyNs: (1 + random.below(4)) * MS,
      nextNs: nowNs + random.below(5 * MS),
      bad: 0,
      dumbUntilNs: 0,
      ghostUntilNs: 0,
    });
    this.#eyes = boxesOf(boxes).map(() => ({ probe: eye(), bfd: eye(), grey: eye() }));
  }

  /** One of them says nothing, or sees what is not there. */
  trouble(random: Random, kind: "dumb" | "ghost", nowNs: number): string {
    const box = random.below(this.#eyes.length), looker = random.pick(LOOKERS);
    const untilNs = nowNs + (5 + random.below(200)) * MS;
    const eye = this.#eyes[box]![looker];
    if (kind === "dumb") eye.dumbUntilNs = untilNs;
    else eye.ghostUntilNs = untilNs;
    return `${looker} of box ${box} is ${kind === "dumb" ? "dumb" : "seeing ghosts"}`;
  }

  look(
    boxes: readonly SimBox[],
    nowNs: number,
    tell: (box: BoxIndex, voter: Voter, light: Lamp) => void,
  ): void {
    for (const box of boxesOf(boxes.length)) {
      for (const looker of LOOKERS) {
        const eye = this.#eyes[box]![looker];
        if (nowNs < eye.nextNs) continue;
        eye.nextNs = nowNs + eye.everyNs;
        if (nowNs < eye.dumbUntilNs) continue;
        const good = SEES[looker](boxes[box]!) && nowNs >= eye.ghostUntilNs;
        eye.bad = good ? 0 : eye.bad + 1;
        tell(box, looker, good ? "green" : eye.bad < FALL ? "yellow" : "red");
      }
    }
  }
}
