/**
 * The filter core in C, called from TypeScript through libremediate-filter.so: many frames in one call.
 *
 * For reading captures off line and for tests; live packets never come this way. Offsets of fields are asked of the
 * library when it is opened. Needs unscoped --allow-ffi (results are read from memory that C describes).
 */
import { AGE, type Age, PARSE, type Parse, WHY, type Why } from "./names.ts";
import type { AgesMs, FilterOptions } from "./model.ts";
import { type CompiledRule, encodeRule, type RuleLayout } from "./rule.ts";
import { type BpfProgram, encodeBpf } from "./bpf.ts";

const SYMBOLS = {
  // slots, secret0, secret1
  rm_filter_open: { parameters: ["u32", "u64", "u64"], result: "pointer" },
  rm_filter_close: { parameters: ["pointer"], result: "void" },
  // filter, rules, count, generation, age_ns
  rm_filter_rules: { parameters: ["pointer", "buffer", "u32", "u32", "buffer"], result: "i32" },
  // filter, inner, bytes_per_s, packets_per_s, now
  rm_filter_options: { parameters: ["pointer", "u32", "u64", "u64", "u64"], result: "void" },
  // filter, out
  rm_filter_shed: { parameters: ["pointer", "buffer"], result: "void" },
  // filter, bytes, frames, count, results
  rm_filter_decide: { parameters: ["pointer", "buffer", "buffer", "u32", "buffer"], result: "void" },
  // filter, now, buckets
  rm_filter_sweep: { parameters: ["pointer", "u64", "u32"], result: "void" },
  // filter, counts
  rm_filter_counts: { parameters: ["pointer", "buffer"], result: "void" },
  // filter, slot, out
  rm_filter_flow: { parameters: ["pointer", "u32", "buffer"], result: "i32" },
  // program, count, frame, bytes
  rm_filter_bpf: { parameters: ["buffer", "u32", "buffer", "u32"], result: "u32" },
  // out, room
  rm_filter_fields: { parameters: ["buffer", "u32"], result: "u32" },
} as const satisfies Deno.ForeignLibraryInterface;
type Library = Deno.DynamicLibrary<typeof SYMBOLS>;

export interface FrameInput {
  readonly timeNs: bigint;
  readonly bytes: Uint8Array;
  /** It came out of the box. */
  readonly observed: boolean;
}

/** What the core made of one frame. Fields by the names of struct rm_packet and struct rm_half. */
export interface CoreResult {
  readonly parse: Parse;
  readonly why: Why;
  /** A copy for this reason was not made, the budget is spent. */
  readonly shed: Why;
  /** Index of the flow's rule. */
  readonly rule: number | undefined;
  /** Any field of the packet or of the sender's half after it: "packet.seq", "half.next". */
  field(name: string): number;
  /** The same for fields of 64 bits: "half.bytes". */
  wide(name: string): bigint;
  /** Sixteen bytes, index 0 is the lower end. */
  address(end: 0 | 1): Uint8Array;
  readonly port: readonly [number, number];
  readonly age: Age;
  readonly slot: number;
}

const FIELD_BYTES = 56;
const RESULT_ALIGN = 8;

interface Field {
  readonly offset: number;
  readonly width: number;
}

/** The table of its structures that every library of the core has. */
interface Described {
  readonly symbols: { rm_filter_fields(out: Uint8Array<ArrayBuffer>, room: number): number };
}

/** Offsets and widths of the library's structures, by name. */
export class FilterLayout {
  readonly #field = new Map<string, Field>();
  readonly #inResult = new Map<string, Field>();
  constructor(library: Described) {
    const room = 256;
    const table = new Uint8Array(FIELD_BYTES * room);
    const count = library.symbols.rm_filter_fields(table, room);
    const view = new DataView(table.buffer);
    for (let i = 0; i < Math.min(count, room); i++) {
      const at = i * FIELD_BYTES;
      const name = new TextDecoder().decode(table.subarray(at, at + 40)).replace(/\0.*$/s, "");
      this.#field.set(name, { offset: view.getUint32(at + 40, true), width: view.getUint32(at + 44, true) });
    }
  }
  /** Of a field inside its structure. */
  offset(name: string): number {
    return this.#find(name).offset;
  }
  /** Of a field, or of a whole structure. */
  width(name: string): number {
    return this.#find(name).width;
  }
  /** A field of a result, or of the packet and the half that lie inside it. */
  inResult(name: string): Field {
    const known = this.#inResult.get(name);
    if (known) return known;
    const inner = name.slice(0, name.indexOf("."));
    const base = inner === "result" ? 0 : this.offset(`result.${inner}`);
    const found = { offset: base + this.offset(name), width: this.width(name) };
    this.#inResult.set(name, found);
    return found;
  }
  #find(name: string): Field {
    const found = this.#field.get(name);
    if (!found) throw new RangeError(`Cannot find field "${name}" in the filter library`);
    return found;
  }
}

/** One flow table with its rules, in C. Belongs to one thread. */
export class FilterCore implements Disposable {
  readonly #library: Library;
  readonly #layout: FilterLayout;
  readonly #handle: Deno.PointerObject;
  #generation = 0;

  /**
   * @param path of libremediate-filter.so
   * @param slots of the flow table: a power of two, at least 16
   * @throws Error if the library cannot be loaded or there is no memory, RangeError for a bad number of slots
   */
  constructor(path: string, slots: number, secret: readonly [bigint, bigint]) {
    if (!Number.isInteger(Math.log2(slots)) || slots < 16 || slots > 2 ** 28) {
      throw new RangeError(`Cannot open filter: slots must be a power of two from 16 to 2^28, not ${slots}`);
    }
    this.#library = Deno.dlopen(path, SYMBOLS);
    this.#layout = new FilterLayout(this.#library);
    const handle = this.#library.symbols.rm_filter_open(slots, secret[0], secret[1]);
    if (handle === null) {
      this.#library.close();
      throw new Error(`Cannot open filter: no memory for ${slots} flows`);
    }
    this.#handle = handle;
  }

  /** Layout of struct rm_rule in this library. */
  get ruleLayout(): RuleLayout {
    return { offset: (name) => this.#layout.offset(name), bytes: this.#layout.width("rule") };
  }

  /** Take over rules and ages; every flow chooses its rule anew at its next packet. */
  setRules(rules: readonly CompiledRule[], ages: AgesMs): void {
    const layout = this.ruleLayout;
    const bytes = new Uint8Array(layout.bytes * rules.length);
    rules.forEach(({ rule, program }, i) => bytes.set(encodeRule(rule, program, layout), i * layout.bytes));
    const agesNs = BigUint64Array.from(AGE, (age) => BigInt(ages[age]) * 1_000_000n);
    this.#generation += 2; // as on the board, where odd means "being written"
    const done = this.#library.symbols.rm_filter_rules(
      this.#handle,
      bytes,
      rules.length,
      this.#generation,
      agesNs,
    );
    if (done !== 0) {
      throw new RangeError(`Cannot set ${rules.length} rules: too many, or a program is too long`);
    }
  }

  /** Tunnels and budget; both are off at first. The buckets of the budget start full. */
  setOptions({ inner = false, budget, nowNs = 0n }: FilterOptions): void {
    const bytes = BigInt(budget?.bytesPerSecond ?? 0);
    const packets = BigInt(budget?.packetsPerSecond ?? 0);
    this.#library.symbols.rm_filter_options(this.#handle, inner ? 1 : 0, bytes, packets, nowNs);
  }

  /** Copies that the budget refused, by reason; reasons without any are left out. */
  shed(): Map<Why, { readonly packets: number; readonly bytes: number }> {
    const counts = new BigUint64Array(2 * WHY.length);
    this.#library.symbols.rm_filter_shed(this.#handle, counts);
    const numbers = Array.from(counts, Number);
    const all = WHY.map((why, i) =>
      [why, { packets: numbers[i]!, bytes: numbers[WHY.length + i]! }] as const
    );
    return new Map(all.filter(([, { packets }]) => packets > 0));
  }

  /** Decide for a batch of frames, in order. */
  decide(frames: readonly FrameInput[]): CoreResult[] {
    const total = frames.reduce((sum, frame) => sum + frame.bytes.length, 0);
    const bytes = new Uint8Array(total);
    const stride = this.#layout.width("frame");
    const input = new DataView(new ArrayBuffer(stride * frames.length));
    let offset = 0;
    frames.forEach((frame, i) => {
      bytes.set(frame.bytes, offset);
      input.setBigUint64(i * stride + this.#layout.offset("frame.time_ns"), frame.timeNs, true);
      input.setUint32(i * stride + this.#layout.offset("frame.offset"), offset, true);
      input.setUint32(i * stride + this.#layout.offset("frame.bytes"), frame.bytes.length, true);
      input.setUint32(i * stride + this.#layout.offset("frame.observed"), frame.observed ? 1 : 0, true);
      offset += frame.bytes.length;
    });
    const resultBytes = this.#layout.width("result");
    const output = new BigUint64Array(Math.ceil((resultBytes * frames.length) / RESULT_ALIGN));
    const inputBytes = new Uint8Array(input.buffer);
    this.#library.symbols.rm_filter_decide(this.#handle, bytes, inputBytes, frames.length, output);
    return frames.map((_, i) =>
      new Result(this.#layout, new DataView(output.buffer, i * resultBytes, resultBytes))
    );
  }

  /** Free what is aged in the next buckets. */
  sweep(nowNs: bigint, buckets: number): void {
    this.#library.symbols.rm_filter_sweep(this.#handle, nowNs, buckets);
  }

  /** Of the flows in the table. `evictedLive`: of the evicted, those with a conversation going on. */
  counts(): Readonly<Record<"live" | "evicted" | "expired" | "evictedLive", number>> {
    const counts = new BigUint64Array(4);
    this.#library.symbols.rm_filter_counts(this.#handle, counts);
    const [live, evicted, expired, evictedLive] = Array.from(counts, Number);
    return { live: live!, evicted: evicted!, expired: expired!, evictedLive: evictedLive! };
  }

  /** The bytes of struct rm_flow in a slot; undefined if it is free. */
  flow(slot: number): Uint8Array | undefined {
    const entry = new Uint8Array(this.#layout.width("flow"));
    return this.#library.symbols.rm_filter_flow(this.#handle, slot, entry) === 1 ? entry : undefined;
  }

  /** Run a filter program in C. */
  runBpf(program: BpfProgram, frame: Uint8Array): number {
    // An empty buffer has no address that FFI would accept.
    const readable = frame.length === 0 ? new Uint8Array(1) : frame;
    return this.#library.symbols.rm_filter_bpf(
      encodeBpf(program),
      program.length,
      readable as BufferSource,
      frame.length,
    );
  }

  [Symbol.dispose](): void {
    this.#library.symbols.rm_filter_close(this.#handle);
    this.#library.close();
  }
}

class Result implements CoreResult {
  readonly #layout: FilterLayout;
  readonly #view: DataView;
  constructor(layout: FilterLayout, view: DataView) {
    this.#layout = layout;
    this.#view = view;
  }
  get parse(): Parse {
    return PARSE[this.field("packet.verdict")]!;
  }
  get why(): Why {
    return WHY[this.field("result.why")]!;
  }
  get shed(): Why {
    return WHY[this.field("result.shed")]!;
  }
  get rule(): number | undefined {
    const rule = this.field("result.rule");
    return rule === 0xff ? undefined : rule;
  }
  get age(): Age {
    return AGE[this.field("result.age")]!;
  }
  get slot(): number {
    return this.field("result.slot");
  }
  get port(): readonly [number, number] {
    const at = this.#layout.inResult("packet.port").offset;
    return [this.#view.getUint16(at, true), this.#view.getUint16(at + 2, true)];
  }
  field(name: string): number {
    const { offset, width } = this.#layout.inResult(name);
    switch (width) {
      case 1:
        return this.#view.getUint8(offset);
      case 2:
        return this.#view.getUint16(offset, true);
      case 4:
        return this.#view.getUint32(offset, true);
    }
    throw new RangeError(`Cannot read "${name}" as a number: it has ${width} bytes`);
  }
  wide(name: string): bigint {
    return this.#view.getBigUint64(this.#layout.inResult(name).offset, true);
  }
  address(end: 0 | 1): Uint8Array {
    const at = this.#layout.inResult("packet.addr").offset + 16 * end;
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + at, 16);
  }
}
