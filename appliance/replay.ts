/**
 * A recording decided again: every verdict, step and judgement in it, by the code that came to them.
 *
 * Says what came out the same, what did not, and what cannot be told: a decision that depended on bytes of its frame that
 * were not kept, or whose rules are not in the file. Pure but for the C core that is handed in.
 */
import { CAUSE, NO_RULE, PATH, STEP } from "../filter/names.ts";
import { type Block, packetOf } from "../filter/pcapng_blocks.ts";
import { type ReplayCore, RETOLD, type Retold } from "../filter/replay_core.ts";
import { judgePoint } from "./failover/point.ts";
import type { Judged } from "./judgement.ts";
import { verdictText } from "./recorder_encode.ts";
import {
  checkSeals,
  eachBlock,
  type Entry,
  entryOf,
  type Note,
  noteOf,
  type SealReport,
} from "./recorder_format.ts";
import type { EventView } from "./view.ts";

const DIFFERENCES_MAX = 1000;
/** Times of events have microseconds. */
const SAME_US = 1.5;

export interface Difference {
  readonly what: "decision" | "step" | "path" | "judgement" | "event" | "rules";
  /** Number of the packet as Wireshark counts, which takes a recording's own blocks for packets; null: it is none. */
  readonly packet: number | null;
  /** Where its block begins. */
  readonly byte: number;
  readonly timeMs: number;
  readonly recorded: string;
  readonly replayed: string;
}

export interface ReplayReport {
  /** Who recorded it, as far as the file says. */
  readonly node: string | null;
  readonly version: string | null;
  readonly fromMs: number | null;
  readonly toMs: number | null;
  readonly packets: number;
  readonly decisions: Readonly<Record<Retold, number>>;
  readonly steps: Readonly<Record<Retold, number>>;
  readonly judgements: Readonly<Record<"same" | "other", number>>;
  /** Switches told as events, and those of them whose step is in the file. */
  readonly switches: { readonly told: number; readonly withStep: number };
  readonly seals: SealReport;
  /** The first of them, in the order of the file. */
  readonly differences: readonly Difference[];
  readonly different: number;
  /** Nothing came out otherwise, and every seal fits. */
  readonly identical: boolean;
}

/** @throws SyntaxError for what is no recording */
export function replayRecording(file: Uint8Array, core: ReplayCore): ReplayReport {
  const seals = checkSeals(file);
  const replay = new Replay(core);
  eachBlock(file, (block) => replay.look(block));
  const report = replay.report();
  const decided = report.packets + report.steps.same + report.judgements.same;
  if (seals.seals === 0 && decided === 0) {
    throw new SyntaxError("Cannot read recording: there is no decision in it");
  }
  return { ...report, seals, identical: report.different === 0 && seals.broken === null };
}

const none = () => Object.fromEntries(RETOLD.map((told) => [told, 0])) as Record<Retold, number>;

interface StepSeen {
  readonly sequence: number;
  readonly monoNs: number;
  readonly after: number;
}

class Replay {
  readonly #core: ReplayCore;
  readonly #decisions = none();
  readonly #steps = none();
  readonly #judgements = { same: 0, other: 0 };
  readonly #differences: Difference[] = [];
  readonly #moves: StepSeen[] = [];
  readonly #switches: { readonly event: EventView; readonly byte: number; readonly timeMs: number }[] = [];
  #different = 0;
  #packets = 0;
  #shown = 0;
  #fromMs = Infinity;
  #toMs = -Infinity;
  #node: string | null = null;
  #version: string | null = null;
  #lastStep: StepSeen | null = null;

  constructor(core: ReplayCore) {
    this.#core = core;
  }

  look(block: Block): void {
    const packet = packetOf(block);
    if (packet !== null) {
      this.#packets++;
      this.#shown++;
      this.#seen(Number(packet.timeNs) / 1e6);
      if (packet.custom !== undefined) this.#decision(packet.custom, packet.frame, block, packet.timeNs);
      return;
    }
    const entry = entryOf(block);
    if (entry === null) return;
    this.#shown++;
    if (entry.kind === "seal") return;
    this.#seen(Number(entry.timeNs) / 1e6);
    if (entry.kind === "rules") this.#rules(entry, block);
    if (entry.kind === "step") this.#step(entry, block);
    const note = noteOf(entry);
    if (note !== null) this.#note(note, entry, block);
  }

  report(): Omit<ReplayReport, "seals" | "identical"> {
    const withStep = this.#switches.filter((one) => this.#matchSwitch(one)).length;
    return {
      node: this.#node,
      version: this.#version,
      fromMs: Number.isFinite(this.#fromMs) ? this.#fromMs : null,
      toMs: Number.isFinite(this.#toMs) ? this.#toMs : null,
      packets: this.#packets,
      decisions: this.#decisions,
      steps: this.#steps,
      judgements: this.#judgements,
      switches: { told: this.#switches.length, withStep },
      differences: this.#differences.toSorted((a, b) => a.byte - b.byte),
      different: this.#different,
    };
  }

  #seen(ms: number): void {
    this.#fromMs = Math.min(this.#fromMs, ms);
    this.#toMs = Math.max(this.#toMs, ms);
  }

  #differ(difference: Omit<Difference, "packet"> & { readonly packet?: number }): void {
    this.#different++;
    if (this.#differences.length < DIFFERENCES_MAX) {
      this.#differences.push({ ...difference, packet: difference.packet ?? null });
    }
  }

  #rules(entry: Entry, { at }: Block): void {
    const told = this.#core.rules(entry.data);
    if (told === "same") return;
    const recorded = "a generation of rules", timeMs = Number(entry.timeNs) / 1e6;
    this.#differ({ what: "rules", byte: at, timeMs, recorded, replayed: fault(told) });
  }

  #decision(witness: Uint8Array, frame: Uint8Array, { at }: Block, timeNs: bigint): void {
    const { told, again } = this.#core.decision(witness, frame);
    this.#decisions[told]++;
    if (told !== "other" && told !== "impossible") return;
    const packet = this.#shown, timeMs = Number(timeNs) / 1e6;
    const recorded = this.#verdict(witness);
    const verdict = told === "impossible" ? fault(told) : this.#verdict(again);
    const replayed = verdict === recorded ? `${verdict}, but the flow is left in another state` : verdict;
    this.#differ({ what: "decision", packet, byte: at, timeMs, recorded, replayed });
  }

  #verdict(witness: Uint8Array): string {
    const number = (name: string) => this.#core.number(witness, `witness.${name}`);
    const rule = number("rule");
    const text = verdictText({
      kind: number("kind"),
      observed: number("observed"),
      why: number("why"),
      shed: number("shed"),
    });
    return rule === NO_RULE ? text : `${text}, rule ${rule}`;
  }

  #step({ data, timeNs }: Entry, { at }: Block): void {
    const { told, to, cause } = this.#core.step(data);
    this.#steps[told]++;
    if (told === "other_layout") return;
    const number = (name: string) => this.#core.number(data, `step.${name}`);
    const kind = STEP[number("kind")] ?? "?", timeMs = Number(timeNs) / 1e6;
    if (told !== "same") {
      const recorded = kind === "verdict"
        ? `verdict ${number("after")} on box ${number("subject")}: ${CAUSE[number("cause")]}`
        : pathText(kind, number("after"), number("cause"));
      const replayed = told === "impossible"
        ? fault(told)
        : kind === "verdict"
        ? "another verdict"
        : pathText(kind, to, cause);
      this.#differ({ what: "step", byte: at, timeMs, recorded, replayed });
    }
    this.#follow({ sequence: number("sequence"), monoNs: number("mono_ns"), after: number("after") }, {
      moves: kind === "switch" || kind === "order",
      before: number("before"),
      byte: at,
      timeMs,
    });
  }

  /** Where one step led, the next one begins; a step that is missing between them breaks the thread. */
  #follow(
    step: StepSeen,
    { moves, before, byte, timeMs }: { moves: boolean; before: number; byte: number; timeMs: number },
  ): void {
    const last = this.#lastStep;
    // Control that starts anew takes those that are still on the board once more.
    if (last !== null && step.sequence <= last.sequence && step.monoNs <= last.monoNs) return;
    const follows = last !== null && step.sequence === last.sequence + 1;
    const path = moves ? step.after : follows ? last.after : -1;
    if (moves) {
      if (follows && last.after >= 0 && last.after !== before) {
        const recorded = `a switch from ${PATH[before]}`;
        const replayed = `the step before led to ${PATH[last.after]}`;
        this.#differ({ what: "path", byte, timeMs, recorded, replayed });
      }
      this.#moves.push(step);
    }
    this.#lastStep = { ...step, after: path };
  }

  #note(note: Note, entry: Entry, block: Block): void {
    if (note.about === "node") {
      this.#node ??= String(note.node);
      this.#version ??= String(note.version);
    }
    const timeMs = Number(entry.timeNs) / 1e6;
    if (note.about === "judgement") this.#judged(note as unknown as Judged, block, timeMs);
    if (note.about === "event") {
      const event = note.event as EventView | undefined;
      if (event?.kind === "switch") this.#switches.push({ event, byte: block.at, timeMs });
    }
  }

  #judged({ state, input, config, nowMs, verdict }: Judged, { at }: Block, timeMs: number): void {
    let replayed: string;
    try {
      replayed = JSON.stringify(judgePoint(state, input, config, nowMs));
    } catch (error) {
      replayed = fault("impossible") + (error instanceof Error ? `: ${error.message}` : "");
    }
    const recorded = JSON.stringify(verdict);
    const same = replayed === recorded;
    this.#judgements[same ? "same" : "other"]++;
    if (!same) this.#differ({ what: "judgement", byte: at, timeMs, recorded, replayed });
  }

  /** What was told of a switch, against the step at that moment. External switches have none. */
  #matchSwitch({ event, byte, timeMs }: { event: EventView; byte: number; timeMs: number }): boolean {
    const step = this.#moves.find(({ monoNs }) => Math.abs(monoNs / 1000 - event.monoUs) < SAME_US);
    if (step === undefined) return false;
    const after = PATH[step.after];
    if (after !== event.after) {
      const recorded = `the event of a switch to ${event.after}`;
      this.#differ({ what: "event", byte, timeMs, recorded, replayed: `its step leads to ${after}` });
    }
    return true;
  }
}

function pathText(kind: string, to: number, cause: number): string {
  return `${kind} to ${PATH[to] ?? "?"}: ${CAUSE[cause] ?? "?"}`;
}

function fault(told: Retold): string {
  if (told === "other_layout") return "of another version";
  return "no plane can have written this";
}
