/**
 * The plane's reflexes in C, one step of a turn at a time, with their board.
 *
 * The library is the one the product is built from; only ports, clock and frames are the caller's. One `Reflex` serves
 * many worlds, one after the other: `reset()` gives a new board at the same place.
 */
import { Board } from "../../filter/board.ts";
import { DETECTOR, type Detector, LIGHT } from "../../filter/names.ts";

export type BoxIndex = 0 | 1 | 2 | 3;
/** The boxes of a node that has so many. */
export const boxesOf = (count: number) => ([0, 1, 2, 3] as const).slice(0, count);
export type Side = 0 | 1;

const SYMBOLS = {
  rm_reflex_open: { parameters: [], result: "pointer" },
  rm_reflex_close: { parameters: ["pointer"], result: "void" },
  rm_reflex_board: { parameters: ["pointer"], result: "pointer" },
  rm_reflex_reset: { parameters: ["pointer"], result: "void" },
  // sim, now, boxes, links
  rm_reflex_start: { parameters: ["pointer", "u64", "u32", "u32"], result: "void" },
  // sim, now
  rm_reflex_clock: { parameters: ["pointer", "u64"], result: "void" },
  // sim, role, up
  rm_reflex_link: { parameters: ["pointer", "u32", "u32"], result: "void" },
  // sim, side, slot, frames
  rm_reflex_put: { parameters: ["pointer", "u32", "u32", "u32"], result: "void" },
  // sim, side, frames
  rm_reflex_out: { parameters: ["pointer", "u32", "u32"], result: "void" },
  // sim, box, side, frames
  rm_reflex_shadow: { parameters: ["pointer", "u32", "u32", "u32"], result: "void" },
  // sim, box, sent, pace
  rm_reflex_passed: { parameters: ["pointer", "u32", "u64", "u64"], result: "void" },
  // sim, lost_ns
  rm_reflex_stall: { parameters: ["pointer", "u64"], result: "void" },
  // sim, box, detector, light
  rm_reflex_detect: { parameters: ["pointer", "u32", "u32", "u32"], result: "void" },
  rm_reflex_turn: { parameters: ["pointer"], result: "void" },
  // step, length, again
  rm_replay_step: { parameters: ["buffer", "u32", "buffer"], result: "i32" },
  // word, value
  rm_store: { parameters: ["pointer", "u32"], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

const TOP = decodeURIComponent(new URL("../..", import.meta.url).pathname).replace(/\/$/, "");
/** Where struct rm_header keeps the size of the board. */
const SIZE_AT = 8;

/** Role of a box's port, as on the board. */
export function roleOf(box: BoxIndex, side: Side): number {
  return 2 + 2 * box + side;
}

let built: Promise<string> | undefined;

/** Build the library if need be, once. @returns its path; REMEDIATE_FILTER names another one, such as a broken one */
export function buildLibrary(): Promise<string> {
  return built ??= build();
}

async function build(): Promise<string> {
  const other = Deno.env.get("REMEDIATE_FILTER");
  if (other !== undefined) return other;
  const { success, stderr } = await new Deno.Command(`${TOP}/scripts/native`, { args: ["filter"] }).output();
  if (!success) throw new Error(`Cannot build the filter library: ${new TextDecoder().decode(stderr)}`);
  return `${TOP}/.cache/native/libremediate-filter.so`;
}

export class Reflex implements Disposable {
  readonly #library: Deno.DynamicLibrary<typeof SYMBOLS>;
  readonly #sim: Deno.PointerObject;
  readonly #memory: Deno.PointerObject;
  readonly board: Board;
  #steps = 0;
  /** Steps that were decided again, by all worlds. */
  static retold = 0;

  /** @throws Error if the library cannot be loaded or there is no memory */
  constructor(path: string) {
    this.#library = Deno.dlopen(path, SYMBOLS);
    const sim = this.#library.symbols.rm_reflex_open();
    const memory = sim === null ? null : this.#library.symbols.rm_reflex_board(sim);
    if (sim === null || memory === null) {
      this.#library.close();
      throw new Error("Cannot open the reflexes: no memory");
    }
    this.#sim = sim;
    this.#memory = memory;
    const bytes = Number(new Deno.UnsafePointerView(memory).getBigUint64(SIZE_AT));
    this.board = new Board(Deno.UnsafePointerView.getArrayBuffer(memory, bytes));
  }

  /** A new board. Write commands to it, then start. */
  reset(): void {
    this.#library.symbols.rm_reflex_reset(this.#sim);
    this.#steps = 0;
  }
  /** `links`: of each box there is, by side. */
  start(nowNs: number, links: readonly (readonly [boolean, boolean])[]): void {
    const bits = links.flat().reduce((sum, up, i) => sum | (up ? 1 << i : 0), 0);
    this.#library.symbols.rm_reflex_start(this.#sim, BigInt(nowNs), links.length, bits);
  }
  clock(nowNs: number): void {
    this.#library.symbols.rm_reflex_clock(this.#sim, BigInt(nowNs));
  }
  link(box: BoxIndex, side: Side, up: boolean): void {
    this.#library.symbols.rm_reflex_link(this.#sim, roleOf(box, side), up ? 1 : 0);
  }
  /** Frames of an answered flow go into the serving box, or where the path leads. */
  put(side: Side, slot: number, frames: number): void {
    this.#library.symbols.rm_reflex_put(this.#sim, side, slot, frames);
  }
  /** Frames came out of the serving box. */
  out(side: Side, frames: number): void {
    this.#library.symbols.rm_reflex_out(this.#sim, side, frames);
  }
  /** Frames came out of a box that does not serve. */
  shadow(box: BoxIndex, side: Side, frames: number): void {
    this.#library.symbols.rm_reflex_shadow(this.#sim, box, side, frames);
  }
  /** A probe came through a box; one goes in each `paceNs`. */
  passed(box: BoxIndex, sentNs: number, paceNs: number): void {
    this.#library.symbols.rm_reflex_passed(this.#sim, box, BigInt(sentNs), BigInt(paceNs));
  }
  stall(lostNs: number): void {
    this.#library.symbols.rm_reflex_stall(this.#sim, BigInt(lostNs));
  }
  /** A detector other than link and silence has looked at a box. */
  detect(box: BoxIndex, detector: Detector, light: (typeof LIGHT)[number]): void {
    this.#library.symbols.rm_reflex_detect(this.#sim, box, DETECTOR.indexOf(detector), LIGHT.indexOf(light));
  }
  /** Carry out an order, judge. */
  turn(): void {
    this.#library.symbols.rm_reflex_turn(this.#sim);
    this.#retell();
  }

  /** Each step comes out the same when it is decided again by what stands in it. */
  #retell(): void {
    const last = this.board.number("live.step_sequence"), places = this.board.count("step.sequence");
    for (let sequence = Math.max(this.#steps, last - places) + 1; sequence <= last; sequence++) {
      const bytes = this.board.bytes("step", sequence % places) as Uint8Array<ArrayBuffer>;
      const told = this.#library.symbols.rm_replay_step(bytes, bytes.length, new Uint32Array(2));
      if (told !== 0) {
        const word = (at: number) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
        const [kind, cause, before, after] = [word(24), word(28), word(32), word(36)];
        throw new Error(
          `Cannot decide step ${sequence} again (${told}): kind ${kind}, cause ${cause}, ${before} to ${after}`,
        );
      }
      Reflex.retold++;
    }
    this.#steps = last;
  }
  /** Store a word of the board after all written before it. */
  readonly publish = (field: string, value: number): void => {
    this.#library.symbols.rm_store(Deno.UnsafePointer.offset(this.#memory, this.board.offset(field)), value);
  };

  [Symbol.dispose](): void {
    this.#library.symbols.rm_reflex_close(this.#sim);
    this.#library.close();
  }
}
