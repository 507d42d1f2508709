/**
 * Recorded decisions taken again by the C core, through libremediate-filter.so.
 *
 * The bytes come from a file that anybody may have written; C checks them before it uses them. Offsets of fields are asked
 * of the library.
 */
import { FilterLayout } from "./core.ts";

const SYMBOLS = {
  rm_replay_open: { parameters: [], result: "pointer" },
  rm_replay_close: { parameters: ["pointer"], result: "void" },
  // replay, bytes, length
  rm_replay_rules: { parameters: ["pointer", "buffer", "u32"], result: "i32" },
  // replay, witness, length, frame, kept, again
  rm_replay_decision: {
    parameters: ["pointer", "buffer", "u32", "buffer", "u32", "buffer"],
    result: "i32",
  },
  // step, length, again
  rm_replay_step: { parameters: ["buffer", "u32", "buffer"], result: "i32" },
  // out, room
  rm_filter_fields: { parameters: ["buffer", "u32"], result: "u32" },
} as const satisfies Deno.ForeignLibraryInterface;

/**
 * What came of it: the same; something else; it depended on bytes of the frame that were not kept; no plane can have
 * written it; its rules are not in the file; it was written by another version. In the order of the C codes.
 */
export const RETOLD = ["same", "other", "cut", "impossible", "no_rules", "other_layout"] as const;
export type Retold = (typeof RETOLD)[number];

export interface RetoldDecision {
  readonly told: Retold;
  /** What comes out now, in the form of a witness. */
  readonly again: Uint8Array<ArrayBuffer>;
}

export class ReplayCore implements Disposable {
  readonly #library: Deno.DynamicLibrary<typeof SYMBOLS>;
  readonly #replay: Deno.PointerObject;
  readonly layout: FilterLayout;

  /** @param path of libremediate-filter.so. @throws Error if it cannot be loaded or there is no memory */
  constructor(path: string) {
    this.#library = Deno.dlopen(path, SYMBOLS);
    this.layout = new FilterLayout(this.#library);
    const replay = this.#library.symbols.rm_replay_open();
    if (replay === null) {
      this.#library.close();
      throw new Error("Cannot replay: no memory");
    }
    this.#replay = replay;
  }

  /** A generation of rules, for the decisions that follow. */
  rules(bytes: Uint8Array): Retold {
    const own = readable(bytes);
    return named(this.#library.symbols.rm_replay_rules(this.#replay, own, bytes.length));
  }

  /** Decide again. `frame`: what was kept of it. */
  decision(witness: Uint8Array, frame: Uint8Array): RetoldDecision {
    const again = new Uint8Array(Math.max(this.layout.width("witness"), witness.length));
    const { rm_replay_decision } = this.#library.symbols;
    const code = rm_replay_decision(
      this.#replay,
      readable(witness),
      witness.length,
      readable(frame),
      frame.length,
      again,
    );
    return { told: named(code), again };
  }

  /** Decide a step of the reflexes again. @returns the path and the cause that come out, as numbers */
  step(bytes: Uint8Array): { readonly told: Retold; readonly to: number; readonly cause: number } {
    const again = new Uint32Array(2);
    const code = this.#library.symbols.rm_replay_step(readable(bytes), bytes.length, again);
    return { told: named(code), to: again[0]!, cause: again[1]! };
  }

  /** A number of a witness or a step: "witness.why". */
  number(bytes: Uint8Array, field: string): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const at = this.layout.offset(field);
    switch (this.layout.width(field)) {
      case 1:
        return view.getUint8(at);
      case 4:
        return view.getUint32(at, true);
    }
    return Number(view.getBigUint64(at, true));
  }

  [Symbol.dispose](): void {
    this.#library.symbols.rm_replay_close(this.#replay);
    this.#library.close();
  }
}

function named(code: number): Retold {
  return RETOLD[code] ?? "impossible";
}

/** A copy that C may read; an empty buffer has no address that FFI would accept. */
function readable(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const own = new Uint8Array(Math.max(1, bytes.length));
  own.set(bytes);
  return own;
}
