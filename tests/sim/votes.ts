/**
 * Votes counted once more, in plain words, from what was told: the model that the board is held against.
 *
 * Knows who said what and when, how long the node stood still, and which orders were forced. Links and silence are not its
 * business.
 */
import { DETECTOR, type Detector, type LIGHT } from "../../filter/names.ts";
import { boxesOf, type BoxIndex } from "./reflex.ts";
import type { Settings } from "./settings.ts";

export const VOTERS = ["probe", "bfd", "grey", "check"] as const satisfies readonly Detector[];
export type Voter = (typeof VOTERS)[number];
export type Lamp = (typeof LIGHT)[number];

const EXCUSES = 2;

interface Said {
  light: Lamp;
  atNs: number;
  /** How long the node had stood still by then, in all. */
  stoodNs: number;
  forgiven: boolean;
}

/** What one box has against it. */
interface Count {
  against: number;
  outvoted: boolean;
  /** Since when the votes suffice against the last box too; -1: they do not. */
  provenNs: number;
  /** When it was last outvoted anew, or by others; -1: never. */
  outvotedNs: number;
  cause: Voter | null;
}

/** An order that the plane has carried out. */
export interface Done {
  readonly path: number;
  readonly force: boolean;
}

export class Votes {
  readonly #said: readonly Readonly<Record<Voter, Said>>[];
  readonly #counts: readonly Count[];
  #stoodNs = 0;

  constructor(boxes: number) {
    const nothing = (): Said => ({ light: "off", atNs: 0, stoodNs: 0, forgiven: false });
    this.#said = boxesOf(boxes).map(() => ({
      probe: nothing(),
      bfd: nothing(),
      grey: nothing(),
      check: nothing(),
    }));
    this.#counts = boxesOf(boxes).map(() => ({
      against: 0,
      outvoted: false,
      provenNs: -1,
      outvotedNs: -1,
      cause: null,
    }));
  }

  stood(lostNs: number): void {
    this.#stoodNs += lostNs;
  }
  said(box: BoxIndex, voter: Voter, told: { readonly light: Lamp; readonly atNs: number }): void {
    Object.assign(this.#said[box]![voter], told, { stoodNs: this.#stoodNs });
  }
  light(box: BoxIndex, voter: Voter): Lamp {
    return this.#said[box]![voter].light;
  }
  count(box: BoxIndex): Readonly<Count> {
    return this.#counts[box]!;
  }
  forgivenBits(box: BoxIndex): number {
    const bits = VOTERS.map((voter) => this.#said[box]![voter].forgiven ? 1 << DETECTOR.indexOf(voter) : 0);
    return bits.reduce((sum, bit) => sum | bit, 0);
  }

  /** Traffic has left a box, or has been ordered to one: before the votes of the turn are counted. */
  ordered(
    { path, force }: Done,
    from: number,
    { settings, nowNs }: { settings: Settings; nowNs: number },
  ): void {
    if (path < this.#said.length) {
      this.judgeBox(path, settings, nowNs);
      if (force) {
        for (const voter of VOTERS) {
          const said = this.#said[path]![voter];
          said.forgiven = said.light === "red";
        }
        this.judgeBox(path, settings, nowNs);
      }
    }
    if (path !== from) this.left(from);
  }
  left(path: number): void {
    for (const voter of VOTERS) {
      const said = this.#said[path]?.[voter];
      if (said !== undefined) said.forgiven = false;
    }
  }

  judge(settings: Settings, nowNs: number): void {
    for (const box of boxesOf(this.#said.length)) this.judgeBox(box, settings, nowNs);
  }

  judgeBox(box: number, settings: Settings, nowNs: number): void {
    const count = this.#counts[box]!;
    const red: Voter[] = [];
    for (const voter of VOTERS) {
      const said = this.#said[box]![voter];
      const staleNs = settings.staleNs[voter];
      const excused = Math.min(this.#stoodNs - said.stoodNs, EXCUSES * staleNs);
      if (staleNs > 0 && nowNs - said.atNs > staleNs + excused) said.light = "off";
      if (said.light === "green" || said.light === "yellow") said.forgiven = false;
      if (said.light === "red" && !said.forgiven && settings.weights[voter] > 0) red.push(voter);
    }
    const sum = (voters: readonly Voter[]) =>
      voters.reduce((total, voter) => total + settings.weights[voter], 0);
    const before = count.against;
    count.against = sum(red);
    const enough = count.against >= settings.needed;
    if (enough && (!count.outvoted || count.against !== before)) count.outvotedNs = nowNs;
    count.outvoted = enough;
    count.cause = enough ? red[0]! : null;
    const proof = sum(red.filter((voter) => settings.lastBox.includes(voter)));
    if (proof < settings.needed) count.provenNs = -1;
    else if (count.provenNs < 0) count.provenNs = nowNs;
  }
}
