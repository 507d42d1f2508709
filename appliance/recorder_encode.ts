/**
 * From the flight recorder's ring and control's own words to blocks of a recording.
 *
 * A decision is a packet with its verdict in words, for people, and with all it depended on in an option of its own, for
 * `replay`. Pure.
 */
import type { Board } from "../filter/board.ts";
import { NO_RULE, WHY, WITNESS } from "../filter/names.ts";
import { pcapngPacket } from "../filter/pcapng.ts";
import { type CaptureRecord, interfaceOf } from "./capture_encode.ts";

/** What decisions of one plane look like, and the names of its rules. */
export interface DecisionLayout {
  readonly witness: Board;
  readonly ruleName: (rule: number) => string;
}

export class DecisionEncoder {
  #bytes = 0;
  #at: Readonly<Record<"kind" | "observed" | "why" | "rule" | "shed", number>> = {
    kind: 0,
    observed: 0,
    why: 0,
    rule: 0,
    shed: 0,
  };
  #ruleName: (rule: number) => string = () => "";
  readonly #comments = new Map<number, Uint8Array>();

  /** Of the plane whose decisions come now. */
  use({ witness, ruleName }: DecisionLayout): void {
    const at = (name: string) => witness.offset(`witness.${name}`);
    this.#bytes = witness.width("witness");
    this.#at = {
      kind: at("kind"),
      observed: at("observed"),
      why: at("why"),
      rule: at("rule"),
      shed: at("shed"),
    };
    this.#ruleName = ruleName;
    this.renamed();
  }

  /** Rules may be called otherwise from now on. */
  renamed(): void {
    this.#comments.clear();
  }

  record({ bytes, role, timeNs, wireLength }: CaptureRecord): Uint8Array<ArrayBuffer> {
    const custom = bytes.subarray(0, this.#bytes);
    return pcapngPacket({
      port: interfaceOf(role),
      timeNs,
      bytes: bytes.subarray(this.#bytes),
      wireLength,
      direction: "in",
      comment: this.#comment(custom),
      custom,
    });
  }

  #comment(witness: Uint8Array): Uint8Array {
    const at = this.#at;
    const [kind, observed, why, rule, shed] = [at.kind, at.observed, at.why, at.rule, at.shed]
      .map((place) => witness[place] ?? 0) as [number, number, number, number, number];
    const key = rule | why << 8 | shed << 13 | kind << 18 | observed << 21;
    let bytes = this.#comments.get(key);
    if (bytes === undefined) {
      const name = rule === NO_RULE ? "" : this.#ruleName(rule);
      const text = `${verdictText({ kind, observed, why, shed })}${name === "" ? "" : `, rule ${name}`}`;
      this.#comments.set(key, bytes = new TextEncoder().encode(text));
    }
    return bytes;
  }
}

/** A verdict in words; numbers as in a witness. */
export function verdictText(
  { kind, observed, why, shed }: Readonly<Record<"kind" | "observed" | "why" | "shed", number>>,
): string {
  if (WITNESS[kind] === "shadow") return "opening out of a standby";
  if (observed !== 0) return "seen out of the serving box";
  if (why !== 0) return `copied: ${WHY[why] ?? "?"}`;
  return shed !== 0 ? `not copied, the budget is spent: ${WHY[shed] ?? "?"}` : "not copied";
}

/** Rules, ages and the rest that a decision goes by, as the board has them at this moment, in the form that C reads. */
export function rulesOf(board: Board): Uint8Array<ArrayBuffer> {
  const count = Math.min(board.number("command.rule_count"), board.count("rule"));
  const ages = board.count("command.age_ns"), ruleBytes = board.width("rule");
  const head = 16 + 8 * ages;
  const bytes = new Uint8Array(head + count * ruleBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, ruleBytes, true);
  view.setUint32(4, board.number("command.rule_generation"), true);
  view.setUint32(8, count, true);
  view.setUint32(12, board.number("command.inner"), true);
  for (let i = 0; i < ages; i++) view.setBigUint64(16 + 8 * i, board.big("command.age_ns", i), true);
  for (let i = 0; i < count; i++) bytes.set(board.bytes("rule", i), head + i * ruleBytes);
  return bytes;
}
