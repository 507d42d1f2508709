/**
 * Probes and grey failure in C, with their board, for tests told by hand or by seed: what is sent, comes out, is late or lost,
 * and how long the node stands still is the caller's. Milliseconds; probes by name.
 */
import { parseConfig } from "../../appliance/config.ts";
import type { Config } from "../../appliance/config.ts";
import { greyDetail, probeDetail, readProbes } from "../../appliance/probe_view.ts";
import { writeGrey, writeProbes } from "../../appliance/probe_command.ts";
import type { ProbeView } from "../../appliance/view.ts";
import { Board } from "../../filter/board.ts";
import { LIGHT } from "../../filter/names.ts";
import { buildLibrary } from "./reflex.ts";

const SYMBOLS = {
  rm_probe_open: { parameters: ["u64", "u64"], result: "pointer" },
  rm_probe_close: { parameters: ["pointer"], result: "void" },
  rm_probe_board: { parameters: ["pointer"], result: "pointer" },
  // sim, now
  rm_probe_set: { parameters: ["pointer", "u64"], result: "void" },
  rm_probe_due: { parameters: ["pointer", "u64"], result: "u64" },
  // sim, track, number, now
  rm_probe_seen: { parameters: ["pointer", "u32", "u32", "u64"], result: "void" },
  rm_probe_forget: { parameters: ["pointer", "u32"], result: "void" },
  rm_probe_excuse: { parameters: ["pointer", "u64"], result: "void" },
  // sim, now, box
  rm_probe_judge: { parameters: ["pointer", "u64", "u32"], result: "u64" },
  // sim, track, number, frame
  rm_probe_stamp: { parameters: ["pointer", "u32", "u32", "buffer"], result: "u32" },
  // sim, frame, bytes
  rm_probe_recognise: { parameters: ["pointer", "buffer", "u32"], result: "u64" },
  // sim, place, frame, bytes
  rm_probe_is_raw: { parameters: ["pointer", "u32", "buffer", "u32"], result: "u32" },
  rm_probe_reset_of: { parameters: ["buffer", "u32"], result: "u32" },
  // transport, payload bytes, tcp
  rm_grey_name: { parameters: ["buffer", "u32", "u32"], result: "u64" },
  // sim, name, flow, now
  rm_grey_in: { parameters: ["pointer", "u64", "u32", "u64"], result: "void" },
  rm_grey_repeats: { parameters: ["pointer", "u64", "u64"], result: "u32" },
  rm_grey_out: { parameters: ["pointer", "u64", "u64"], result: "u32" },
  // sim, serving, box, now
  rm_grey_tick: { parameters: ["pointer", "i32", "u32", "u64"], result: "u64" },
  rm_store: { parameters: ["pointer", "u32"], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

const SIZE_AT = 8;
const FRAME_ROOM = 1536;
const MS = 1_000_000;
const PORTS = [
  "[ports]",
  ...["upstream", "downstream", "primary_in", "primary_out", "redundant_in", "redundant_out"].map((role) =>
    `${role} = "af_packet:${role.replaceAll("_", "")}"`
  ),
];

/** Ends and MACs for a probe that has nothing special about it. */
export const ENDS = ['from = "10.1.0.250"', 'to = "10.2.0.11"'];

export interface Sent {
  readonly track: number;
  readonly number: number;
  /** Index of the probe in the configuration, of the box, and of the side where it goes in. */
  readonly probe: number;
  readonly box: number;
  readonly side: number;
}

export const PROBE_IS = ["other", "sent", "answer", "reset"] as const;

/** What the configuration comes to. @throws Error with its problems */
export function configOf(lines: readonly string[]): Config {
  const { config, problems } = parseConfig([...PORTS, ...lines].join("\n"), "a test");
  if (config === undefined) throw new Error(`Cannot read the probes of a test: ${JSON.stringify(problems)}`);
  return config;
}

export class ProbeBench implements Disposable {
  readonly #library: Deno.DynamicLibrary<typeof SYMBOLS>;
  readonly #sim: Deno.PointerObject;
  readonly board: Board;
  nowMs = 1_000_000;

  private constructor(path: string) {
    this.#library = Deno.dlopen(path, SYMBOLS);
    const sim = this.#library.symbols.rm_probe_open(0x0123_4567_89ab_cdefn, 0xfedc_ba98_7654_3210n);
    const memory = sim === null ? null : this.#library.symbols.rm_probe_board(sim);
    if (sim === null || memory === null) throw new Error("Cannot open probes: no memory");
    this.#sim = sim;
    const bytes = Number(new Deno.UnsafePointerView(memory).getBigUint64(SIZE_AT));
    this.board = new Board(Deno.UnsafePointerView.getArrayBuffer(memory, bytes));
  }

  /** Goes by [[probe]] and [grey] of a configuration. */
  static async open(lines: readonly string[]): Promise<ProbeBench> {
    const bench = new ProbeBench(await buildLibrary());
    bench.configure(lines);
    return bench;
  }

  configure(lines: readonly string[], readFrame: () => Uint8Array = () => new Uint8Array(0)): string[] {
    const { probes, grey } = configOf(lines);
    const publish = (field: string, value: number) => this.board.setNumber(field, value);
    const faults = writeProbes(this.board, publish, probes, readFrame);
    writeGrey(this.board, grey);
    this.#library.symbols.rm_probe_set(this.#sim, this.#now());
    return faults;
  }

  #now(ms = this.nowMs): bigint {
    return BigInt(Math.round(ms * MS));
  }

  /** Everything that is due now. */
  due(): Sent[] {
    const sent: Sent[] = [];
    for (;;) {
      const id = this.#library.symbols.rm_probe_due(this.#sim, this.#now());
      if (id === 0n) return sent;
      const track = Number(id >> 32n), number = Number(id & 0xffffffffn);
      sent.push({ track, number, probe: track >> 2, box: track >> 1 & 1, side: track & 1 });
    }
  }

  seen({ track, number }: Pick<Sent, "track" | "number">): void {
    this.#library.symbols.rm_probe_seen(this.#sim, track, number, this.#now());
  }

  /** The box of a track has lost a link. */
  forget(track: number): void {
    this.#library.symbols.rm_probe_forget(this.#sim, track);
  }

  /** The node stood still. */
  excuse(ms: number): void {
    this.#library.symbols.rm_probe_excuse(this.#sim, this.#now(ms));
  }

  /** Light and reason of a box. */
  judge(box = 0): string {
    return this.#said(
      this.#library.symbols.rm_probe_judge(this.#sim, this.#now(), box),
      (d) => probeDetail(this.board, d),
    );
  }

  #said(packed: bigint, sentence: (detail: number) => string): string {
    const light = LIGHT[Number(packed >> 32n)]!, detail = Number(packed & 0xffffffffn);
    return light === "off" || light === "green" ? light : `${light}: ${sentence(detail)}`;
  }

  views(): readonly ProbeView[] {
    return readProbes(this.board, { monoNs: this.nowMs * MS }).probes;
  }

  /**
   * Milliseconds one by one. `fate` says after how many a probe comes out, null: never. @returns changes of a box's light,
   * with their time
   */
  run(
    ms: number,
    fate: (sent: Sent, atMs: number) => number | null,
    box = 0,
  ): { atMs: number; says: string }[] {
    const under: { sent: Sent; atMs: number }[] = [];
    const told: { atMs: number; says: string }[] = [];
    let last = this.judge(box);
    const endMs = this.nowMs + ms;
    while (this.nowMs < endMs) {
      this.nowMs += 1;
      for (const { sent } of under.filter(({ atMs }) => atMs <= this.nowMs)) this.seen(sent);
      under.splice(0, under.length, ...under.filter(({ atMs }) => atMs > this.nowMs));
      for (const sent of this.due()) {
        const delay = fate(sent, this.nowMs);
        if (delay !== null) under.push({ sent, atMs: this.nowMs + delay });
      }
      const says = this.judge(box);
      if (says !== last) told.push({ atMs: this.nowMs, says });
      last = says;
    }
    return told;
  }

  /** A probe's frame as it is put in; MACs that are learnt are zeros. */
  stamp({ track, number }: Pick<Sent, "track" | "number">): Uint8Array<ArrayBuffer> {
    const room = new Uint8Array(FRAME_ROOM);
    return room.slice(0, this.#library.symbols.rm_probe_stamp(this.#sim, track, number, room));
  }

  recognise(
    frame: Uint8Array<ArrayBuffer>,
  ): { is: (typeof PROBE_IS)[number]; track: number; number: number } {
    const found = this.#library.symbols.rm_probe_recognise(this.#sim, frame, frame.length);
    const is = PROBE_IS[Number(found >> 48n)]!;
    return { is, track: Number(found >> 32n & 0xffffn), number: Number(found & 0xffffffffn) };
  }

  isRaw(place: number, frame: Uint8Array<ArrayBuffer>): boolean {
    return this.#library.symbols.rm_probe_is_raw(this.#sim, place, frame, frame.length) === 1;
  }

  /** The reset that an answer is turned into; null: it cannot be. */
  resetOf(frame: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | null {
    const turned = frame.slice();
    return this.#library.symbols.rm_probe_reset_of(turned, turned.length) === 1 ? turned : null;
  }

  greyName(transport: Uint8Array<ArrayBuffer>, payloadBytes: number, isTcp: boolean): bigint {
    return this.#library.symbols.rm_grey_name(transport, payloadBytes, isTcp ? 1 : 0);
  }
  /** Of a flow, by number; 0: it opens one. */
  greyIn(name: bigint, flow: number): void {
    this.#library.symbols.rm_grey_in(this.#sim, name, flow, this.#now());
  }
  greyRepeats(name: bigint): boolean {
    return this.#library.symbols.rm_grey_repeats(this.#sim, name, this.#now()) === 1;
  }
  greyOut(name: bigint): boolean {
    return this.#library.symbols.rm_grey_out(this.#sim, name, this.#now()) === 1;
  }
  /** Judge what was seen since the last tick. Light and reason of `box` while `serving` does. */
  greyTick(serving: -1 | 0 | 1 = 0, box = 0): string {
    return this.#said(this.#library.symbols.rm_grey_tick(this.#sim, serving, box, this.#now()), greyDetail);
  }

  [Symbol.dispose](): void {
    this.#library.symbols.rm_probe_close(this.#sim);
    this.#library.close();
  }
}
