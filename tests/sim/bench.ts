/**
 * The reflexes on a bench, for short sequences told by hand: milliseconds, boxes by name, one line for each turn.
 *
 * Starts with all boxes up, two if nothing else is said, the primary serving and the plain settings of the simulation.
 */
import type { Box, Path } from "../../appliance/view.ts";
import { BOXES, PATHS } from "../../appliance/view.ts";
import { writeLeftBoxes, writeOrder } from "../../appliance/board_command.ts";
import { DETECTOR, type Detector, LIGHT } from "../../filter/names.ts";
import { eventsSince, nameEvent } from "./events.ts";
import { type BoxIndex, buildLibrary, Reflex, type Side } from "./reflex.ts";
import { MS, PLAIN, type Settings, writeSettings } from "./settings.ts";
import { type Voter, VOTERS } from "./votes.ts";

type BoxName = Box;
const indexOf = (box: BoxName) => BOXES.indexOf(box) as BoxIndex;
/** Both links of a box, or one of them. */
type Links = "both" | "client" | "server";
const LINKS: Readonly<Record<Links, readonly Side[]>> = { both: [0, 1], client: [0], server: [1] };

export class Bench implements Disposable {
  readonly reflex: Reflex;
  #settings: Settings;
  #nowNs = 1_000_000 * MS;
  #told = 0;

  private constructor(reflex: Reflex, settings: Settings, boxes: number) {
    this.reflex = reflex;
    this.#settings = settings;
    reflex.reset();
    writeSettings(reflex.board, settings);
    reflex.start(this.#nowNs, Array.from({ length: boxes }, () => [true, true] as const));
  }

  static async open(settings: Partial<Settings> = {}, boxes = 2): Promise<Bench> {
    return new Bench(new Reflex(await buildLibrary()), { ...PLAIN, ...settings }, boxes);
  }

  get path(): Path {
    return PATHS[this.reflex.board.number("live.path")]!;
  }
  /** Where the reflexes would have the traffic. */
  get would(): Path {
    return PATHS[this.reflex.board.number("live.would")]!;
  }
  get switches(): number {
    return this.reflex.board.number("live.switches");
  }
  alive(box: BoxName): boolean {
    return this.reflex.board.number("box.alive", indexOf(box)) === 1;
  }
  set(settings: Partial<Settings>): void {
    this.#settings = { ...this.#settings, ...settings };
    writeSettings(this.reflex.board, this.#settings);
  }
  /** The clock goes on; nothing is judged. */
  wait(ms: number): void {
    this.#nowNs += ms * MS;
    this.reflex.clock(this.#nowNs);
  }
  stall(ms: number): void {
    this.wait(ms);
    this.reflex.stall(ms * MS);
  }
  link(box: BoxName, links: Links, up: boolean): void {
    for (const side of LINKS[links]) this.reflex.link(indexOf(box), side, up);
  }
  /** Frames of two flows from the clients. */
  burst(frames = 20): void {
    this.reflex.put(0, 1, Math.ceil(frames / 2));
    this.reflex.put(0, 2, Math.floor(frames / 2));
  }
  /** A probe that was sent `agoMs` ago comes through a box; one goes in each `paceMs`. */
  passed(box: BoxName, paceMs = 3, agoMs = 0): void {
    this.reflex.passed(indexOf(box), this.#nowNs - agoMs * MS, paceMs * MS);
  }
  shadow(box: BoxName, side: Side, frames: number): void {
    this.reflex.shadow(indexOf(box), side, frames);
  }
  detect(box: BoxName, detector: Detector, light: (typeof LIGHT)[number]): void {
    this.reflex.detect(indexOf(box), detector, light);
  }
  /** So many votes are needed; detectors that are not named have none, and none lasts longer than `staleMs`. */
  votes(needed: number, weights: Partial<Record<Voter, number>>, staleMs = 0): void {
    const of = (value: (voter: Voter) => number) =>
      Object.fromEntries(VOTERS.map((voter) => [voter, value(voter)])) as Record<Voter, number>;
    this.set({ needed, weights: of((voter) => weights[voter] ?? 0), staleNs: of(() => staleMs * MS) });
  }
  /** Who takes traffic from a box that has no other beside it, and after how long. */
  last(voters: readonly Voter[], ms: number): void {
    this.set({ lastBox: voters, lastNs: ms * MS });
  }
  /** Who takes over first: the lowest. */
  rank(box: BoxName, rank: number): void {
    this.reflex.board.setNumber("command.rank", rank, indexOf(box));
  }
  hasLeft(box: BoxName): boolean {
    return (this.reflex.board.number("command.left") >> indexOf(box) & 1) === 1;
  }
  member(box: BoxName, isIn: boolean): void {
    const left = BOXES.filter((one) => one === box ? !isIn : this.hasLeft(one));
    writeLeftBoxes(this.reflex.board, left);
  }
  suppress(box: BoxName, is: boolean): void {
    this.reflex.board.setNumber("command.suppressed", is ? 1 : 0, indexOf(box));
  }
  /** What control's checks say. */
  check(box: BoxName, light: (typeof LIGHT)[number]): void {
    this.reflex.board.setNumber("check.light", LIGHT.indexOf(light), indexOf(box));
    this.reflex.board.setNumber("check.seen_ns", this.#nowNs, indexOf(box));
  }
  light(box: BoxName, detector: Detector): (typeof LIGHT)[number] {
    const at = indexOf(box) * DETECTOR.length + DETECTOR.indexOf(detector);
    return LIGHT[this.reflex.board.number("detection.light", at)]!;
  }
  order(path: Path, force = false): number {
    return writeOrder(this.reflex.board, this.reflex.publish, path, force);
  }
  /** Judge. @returns what was told since the last turn, links left out: "switch primary -> wire (link)" */
  turn(): string[] {
    this.reflex.turn();
    const events = eventsSince(this.reflex.board, this.#told);
    this.#told = this.reflex.board.number("live.event_sequence");
    return events.filter((event) => ["switch", "box", "member"].includes(event.kind)).map(nameEvent);
  }
  /** So many milliseconds of turns, one each; nothing else happens. */
  turns(ms: number): string[] {
    const told: string[] = [];
    for (let i = 0; i < ms; i++) {
      this.wait(1);
      told.push(...this.turn());
    }
    return told;
  }
  /** The serving box dies silently under dense traffic, until its verdict. */
  silence(): string[] {
    const told: string[] = [];
    for (let i = 0; i < 12; i++) {
      this.burst();
      this.wait(1);
      told.push(...this.turn());
    }
    return told;
  }

  [Symbol.dispose](): void {
    this.reflex[Symbol.dispose]();
  }
}
