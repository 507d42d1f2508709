/**
 * What an onlooker knows of a world from turn to turn, gathered without the reflexes: links as told, verdicts as shown,
 * when a way last worked, how dense the traffic has been since.
 *
 * The oracle's claims are made of these; a fact here never asks why, only when.
 */
import type { Board } from "../../filter/board.ts";
import { LIGHT } from "../../filter/names.ts";
import { boxesOf, type BoxIndex, type Side } from "./reflex.ts";
import { type Settings, STEP_NS_MAX } from "./settings.ts";
import type { Arrival } from "./traffic.ts";
import { type Done, type Lamp, type Voter, Votes } from "./votes.ts";
import type { Witness } from "./world.ts";

/** Traffic into one side since that way last worked. */
interface Run {
  /** Frames of unbroken dense turns, and when they first were evidence enough. */
  frames: number;
  enoughNs: number;
  /** When each flow last sent. */
  readonly sentNs: Map<number, number>;
}

const newRun = (): Run => ({ frames: 0, enoughNs: -1, sentNs: new Map() });

export class Facts implements Witness {
  readonly told: [boolean, boolean][];
  readonly linksUpNs: number[];
  /** When the verdict of silence was passed; -1: it does not stand. */
  readonly silentNs: number[];
  /** When the last verdict was passed, standing or not; -1: never. */
  readonly lastSilentNs: number[];
  /** Frames out of the serving box since its verdict, by way. */
  readonly outSinceSilent: [number, number] = [0, 0];
  /** Since when the box has counted as alive without a break; -1: it does not. */
  readonly aliveNs: number[];
  /** Has not left; joined so lately that it is still being warmed (else -1). */
  readonly member: boolean[];
  readonly joinedNs: number[];
  /** By the side where frames go in: when something last came out of this way, or it began to serve. */
  readonly outNs: [number, number];
  /** How long the node has stood still since then. */
  readonly stilledNs: [number, number] = [0, 0];
  /** The shortest silence that was asked for since then. */
  readonly silenceNsMin: [number, number] = [Infinity, Infinity];
  readonly votes: Votes;
  stalls = 0;
  /** Link changes told since the last turn was checked. */
  toldChanges = 0;
  readonly #board: Board;
  readonly #checkNs: number[] = [0, 0, 0, 0];
  readonly #run: [Run, Run] = [newRun(), newRun()];
  #turnFrames: [number, number] = [0, 0];
  #nowNs: number;
  #settings: Settings | null = null;

  constructor(board: Board, links: readonly (readonly [boolean, boolean])[], nowNs: number) {
    this.#board = board;
    const each = <T>(value: T) => links.map(() => value);
    this.told = links.map(([a, b]) => [a, b]);
    this.votes = new Votes(links.length);
    this.linksUpNs = each(nowNs);
    this.silentNs = each(-1);
    this.lastSilentNs = each(-1);
    this.member = each(true);
    this.joinedNs = each(-1);
    this.outNs = [nowNs, nowNs];
    this.aliveNs = this.boxes.map((box) => this.linked(box) ? nowNs : -1);
    this.#nowNs = nowNs;
  }

  get boxes(): readonly BoxIndex[] {
    return boxesOf(this.told.length);
  }
  linked(box: BoxIndex): boolean {
    return this.told[box]![0] && this.told[box]![1];
  }
  silent(box: BoxIndex): boolean {
    return this.#board.number("box.silent", box) === 1;
  }
  outvoted(box: BoxIndex): boolean {
    return this.votes.count(box).outvoted;
  }
  /** Its votes prove for long enough that nothing passes. */
  proven(box: BoxIndex, lastNs: number): boolean {
    const { provenNs } = this.votes.count(box);
    return provenNs >= 0 && this.#nowNs - provenNs >= lastNs;
  }
  /** By links as told, the verdict of silence, and the votes. */
  works(box: BoxIndex): boolean {
    return this.linked(box) && !this.silent(box) && !this.outvoted(box);
  }
  /** 3: alive, 2: but suppressed, 1: outvoted, and better than none, 0: dead, or none of those that may take over. */
  worth(box: BoxIndex, lastNs: number): number {
    if (!this.member[box] || this.joinedNs[box]! >= 0 || !this.linked(box) || this.silent(box)) return 0;
    if (this.outvoted(box)) return this.proven(box, lastNs) ? 0 : 1;
    return this.#board.number("command.suppressed", box) === 1 ? 2 : 3;
  }
  /** And one of those that may take over. */
  alive(box: BoxIndex): boolean {
    return this.works(box) && this.member[box]! && this.joinedNs[box]! < 0;
  }
  lastFaultNs(box: BoxIndex): number {
    return Math.max(this.linksUpNs[box]!, this.lastSilentNs[box]!, this.votes.count(box).outvotedNs);
  }
  /** Without a fault for the hold-up. */
  steady(box: BoxIndex, holdUpNs: number): boolean {
    return this.#nowNs - this.lastFaultNs(box) >= holdUpNs;
  }
  /** Since when there has been evidence enough of a dead way under dense traffic; -1: there is not. */
  evidenceNs(side: Side): number {
    return this.#run[side].enoughNs;
  }

  /** Before a turn's frames. */
  begin(nowNs: number): void {
    this.#nowNs = nowNs;
    this.#turnFrames = [0, 0];
    const left = this.#board.number("command.left"), holdUpNs = this.#board.number("command.hold_up_ns");
    for (const box of this.boxes) {
      const member = (left >> box & 1) === 0;
      if (member !== this.member[box]) this.joinedNs[box] = member ? nowNs : -1;
      this.member[box] = member;
      if (nowNs - this.joinedNs[box]! >= holdUpNs) this.joinedNs[box] = -1;
    }
  }
  put({ side, flow, frames }: Arrival): void {
    this.#run[side].sentNs.set(flow, this.#nowNs);
    this.#turnFrames[side] += frames;
  }
  out(side: Side, frames: number): void {
    const way = side === 0 ? 1 : 0;
    this.#works(way);
    this.#forget(way);
    this.outSinceSilent[way] += frames;
  }
  /** Votes are counted anew with every light that changes, so that what does not last is no proof. */
  said(box: BoxIndex, { voter, light }: { voter: Voter; light: Lamp }, settings: Settings): void {
    const before = this.votes.light(box, voter);
    this.votes.said(box, voter, { light, atNs: this.#nowNs });
    if (light !== before) this.votes.judgeBox(box, settings, this.#nowNs);
  }
  stalled(lostNs: number): void {
    this.votes.stood(lostNs);
    this.stalls++;
    this.stilledNs[0] += lostNs;
    this.stilledNs[1] += lostNs;
    this.#forgetWays();
  }
  heard(box: BoxIndex, side: Side, up: boolean): void {
    const before = this.linked(box);
    this.told[box]![side] = up;
    this.toldChanges++;
    if (!before && this.linked(box)) this.linksUpNs[box] = this.#nowNs;
    this.#note(box);
  }

  /** Count the votes as the plane did in this turn. `from`: the path before it, `done`: an order it carried out. */
  count(settings: Settings, { from, done }: { from: number; done: Done | null }): void {
    if (done !== null) this.votes.ordered(done, from, { settings, nowNs: this.#nowNs });
    for (const box of this.boxes) this.#hearCheck(box);
    this.votes.judge(settings, this.#nowNs);
  }

  /** Control writes when it looks; the plane takes what is new. */
  #hearCheck(box: BoxIndex): void {
    const seenNs = this.#board.number("check.seen_ns", box);
    if (seenNs === this.#checkNs[box]) return;
    this.#checkNs[box] = seenNs;
    this.votes.said(box, "check", { light: LIGHT[this.#board.number("check.light", box)]!, atNs: seenNs });
  }

  /** After a turn's judgement: `moved` means that the path is another one. */
  end(settings: Settings, moved: boolean): void {
    for (const box of this.boxes) this.#note(box);
    if (moved) {
      this.#works(0);
      this.#works(1);
      this.outSinceSilent[0] = this.outSinceSilent[1] = 0;
    }
    if (moved || settings !== this.#settings) this.#forgetWays();
    this.#settings = settings;
    for (const side of [0, 1] as const) {
      this.silenceNsMin[side] = Math.min(this.silenceNsMin[side], settings.silenceNs);
      this.#noteRun(side, settings);
    }
  }

  #works(way: Side): void {
    this.outNs[way] = this.#nowNs;
    this.stilledNs[way] = 0;
    this.silenceNsMin[way] = Infinity;
  }

  #note(box: BoxIndex): void {
    const silent = this.silent(box);
    if (silent && this.silentNs[box]! < 0) {
      this.silentNs[box] = this.lastSilentNs[box] = this.#nowNs;
      this.outSinceSilent[0] = this.outSinceSilent[1] = 0;
    }
    if (!silent) this.silentNs[box] = -1;
    if (!this.alive(box)) this.aliveNs[box] = -1;
    else if (this.aliveNs[box]! < 0) this.aliveNs[box] = this.#nowNs;
  }

  #noteRun(side: Side, settings: Settings): void {
    const run = this.#run[side];
    let flows = 0;
    for (const at of run.sentNs.values()) if (this.#nowNs - at <= STEP_NS_MAX) flows++;
    if (flows < 2) {
      run.frames = 0;
      run.enoughNs = -1;
      return;
    }
    run.frames += this.#turnFrames[side];
    // Twice: a window that was too thin may have been closed in the middle of them.
    if (run.enoughNs < 0 && run.frames >= 2 * settings.silencePackets) run.enoughNs = this.#nowNs;
  }

  #forgetWays(): void {
    this.#forget(0);
    this.#forget(1);
  }

  #forget(side: Side): void {
    this.#run[side].frames = 0;
    this.#run[side].enoughNs = -1;
    this.#run[side].sentNs.clear();
  }
}
