/**
 * Duty: the resilience layer: moveInternal, cloneSupport, mergeInternal, and what is built of them.
 *
 * It brings to an end what an earlier control left in the middle, keeps two moves off the same flows, and leaves the rest
 * to the machine (move.ts), to whoever carries it out (mover.ts) and to the copies (transfer.ts).
 */
import { fieldsText, holds } from "../../drivers/fields.ts";
import { reasonOf } from "../../drivers/reason.ts";
import type {
  Application,
  ApplicationView,
  DriverSet,
  LayerAnswer,
  LayerControl,
  MoveRequest,
  MoveView,
  TransferView,
} from "./contract.ts";
import { ENDED_MAX, type Intents } from "./intents.ts";
import type { LedgerStore } from "./ledger.ts";
import { beginMove, type Entry, isBehindRoute, type MoveState } from "./move.ts";
import { Mover, type Parties } from "./mover.ts";
import { leftBehind, movedRoles, pairing, type Scene, sceneFault, servesFault } from "./refusals.ts";
import type { SteeringRule } from "./steering.ts";
import { trimmed, withRule } from "./steering.ts";
import { cloneSupport, Merger } from "./transfer.ts";
import { endedView, moveView, transferText } from "./views.ts";

/** Between two tries to have the plane go by the rules. */
const FOLLOW_MS = 50, FOLLOW_MS_MAX = 500;

export interface LayerOptions extends Omit<Parties, "steering"> {
  /** Null: nothing here leads single flows to another box. */
  readonly steering: Parties["steering"] | null;
  readonly ledger: LedgerStore;
  /** The box that serves what no rule holds. */
  readonly serving: () => string | null;
  /** Has the path lead to this box, or says why not. */
  readonly serve: (box: string) => Promise<{ readonly ok: boolean; readonly text: string }>;
  /** Unlike any before. */
  readonly freshId: () => string;
  /** Something that is not a step: a copy was made, a journal was damaged. */
  readonly say: (text: string) => void;
  readonly stop: AbortSignal;
}

export class Layer implements LayerControl {
  readonly #options: LayerOptions;
  readonly #open = new Map<string, Mover>();
  readonly #running = new Map<string, Promise<MoveState>>();
  #merger: Merger | null = null;
  #ended: MoveView[] = [];
  /** As the journal has them, by names of drivers. */
  #rules: SteeringRule[] = [];
  /** In the middle when the control before this one ended, and not gone on with yet. Null: the journal was not read yet. */
  #left: Intents["open"] | null = null;
  #recovered = false;
  #merging = false;

  constructor(options: LayerOptions) {
    this.#options = options;
  }

  /**
   * Takes up what the journal says: the rules, and moves in the middle, which go on or back by themselves. Once, and not
   * before there are drivers. Throws where the journal cannot be read.
   */
  async recover(): Promise<void> {
    if (this.#recovered || this.#options.drivers.names.length === 0) return;
    try {
      const open = this.#read();
      if (this.#options.steering === null) return;
      // A plane that takes no rules now takes what a move asks of it later.
      const told = await this.assertRules().then(() => this.#settle()).then(
        () => null,
        (error: unknown) => ({ error }),
      );
      this.#left = [];
      for (const { state, entries } of open) this.#start(state, entries);
      if (told !== null) throw told.error;
    } finally {
      this.#recovered = true;
    }
  }

  /** The journal, once: people may ask for moves before the plane is there to go on with them. */
  #read(): Intents["open"] {
    const { intents, say, drivers } = this.#options;
    if (this.#left !== null) return this.#left;
    if (drivers.names.length === 0) return [];
    const { open, ended, rules, unreadable } = intents.load();
    if (unreadable > 0) say(`${unreadable} lines of the journal of moves cannot be read and were left out`);
    this.#ended = ended.slice(-ENDED_MAX).map(endedView);
    this.#rules = [...rules];
    return this.#left = open;
  }

  /** Tells the steering the rules again, which after a start of its own has none. */
  async assertRules(): Promise<void> {
    const { steering, serving } = this.#options;
    const rules = this.#ruled();
    if (steering === null || rules.length === 0) return;
    const there = new Set((await steering.rules()).map(({ id }) => id));
    const wanted = trimmed(this.#byBox(rules), serving());
    if (wanted.every(({ id }) => there.has(id))) return;
    for (const rule of wanted) {
      if (there.has(rule.id)) await steering.remove(rule.id);
      await steering.add(rule);
    }
  }

  /** With those of moves behind their route: the rules that they cover lead to boxes that have no such state any more. */
  #ruled(): SteeringRule[] {
    const open = [...this.#left ?? [], ...this.#open.values()].map(({ state }) => state);
    return open.filter(isBehindRoute).reduce<SteeringRule[]>(
      (rules, { order: { id, fields, destination: box } }) => withRule(rules, { id, fields, box }),
      this.#rules,
    );
  }

  #start(state: MoveState, entries: readonly Entry[] = []): Promise<MoveState> {
    const { steering } = this.#options, { id } = state.order;
    if (steering === null) throw new TypeError("Cannot move without a steering");
    const mover = new Mover({ ...this.#options, steering }, { state, entries, stop: this.#options.stop });
    this.#open.set(id, mover);
    const running = mover.run().then((last) => this.#over(last)).finally(() => this.#running.delete(id));
    this.#running.set(id, running);
    return running;
  }

  async #over(state: MoveState): Promise<MoveState> {
    this.#open.delete(state.order.id);
    const { id, fields, destination } = state.order;
    if (state.end !== null) this.#ended = [...this.#ended, moveView(state, 0)].slice(-ENDED_MAX);
    if (state.end !== "moved") return state;
    this.#rules = withRule(this.#rules, { id, fields, box: destination });
    await this.#follow();
    return state;
  }

  /** Until the plane goes by what the journal says: one that began anew behind the route was told the rules of ended moves alone. */
  async #follow(): Promise<void> {
    const { wait, stop } = this.#options;
    for (let waitMs = FOLLOW_MS; !stop.aborted; waitMs = Math.min(2 * waitMs, FOLLOW_MS_MAX)) {
      try {
        await this.assertRules();
        return await this.#settle();
      } catch {
        await wait(waitMs, stop); // as the end of a move itself does, which asks the same of it
      }
    }
  }

  /** Rules that lead to the box that serves by default go: they would pin flows to it when the path moves on. */
  async #settle(): Promise<void> {
    const { steering, serving, intents, nowMs } = this.#options;
    const kept = new Set(trimmed(this.#byBox(this.#ruled()), serving()).map(({ id }) => id));
    for (const { id } of this.#rules.filter((rule) => !kept.has(rule.id))) {
      await steering?.remove(id);
      await intents.append({ id, round: 0, mark: "default", atMs: nowMs() });
      this.#rules = this.#rules.filter((rule) => rule.id !== id);
    }
  }

  /** When all that is under way has ended. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  /** A box died, by its name in the steering. */
  boxDied(box: string): void {
    for (const mover of this.#open.values()) {
      const { source, destination } = mover.state.order;
      if (this.#boxOf(source) === box) mover.hear({ kind: "died", box: "source" });
      if (this.#boxOf(destination) === box) mover.hear({ kind: "died", box: "destination" });
    }
  }

  /** As the steering has them. */
  #byBox = (rules: readonly SteeringRule[]) => rules.map((rule) => ({ ...rule, box: this.#boxOf(rule.box) }));

  #boxOf = (name: string) => this.#options.drivers.boxOf(name) ?? name;

  async #scene(): Promise<Scene> {
    const { steering, serving } = this.#options;
    const open = [...this.#open.values()].map(({ state }) => state);
    return { rules: await steering?.rules() ?? [], serving: serving(), open };
  }

  async move(request: MoveRequest): Promise<LayerAnswer<MoveView>> {
    const { drivers, steering, nowMs, freshId } = this.#options, { source, destination, fields } = request;
    const pair = pairing(drivers, source, destination);
    if (typeof pair === "string") return refusal(pair);
    if (steering === null) return refusal("nothing here can lead single flows to another box");
    if (!this.#recovered) {
      return refusal("the node begins, and has what it left in the middle to go on with first");
    }
    const unable = steering.fault?.() ?? null;
    if (unable !== null) return refusal(unable);
    const scene = await this.#scene();
    // Others may have begun while the rules were asked for.
    const open = [...this.#open.values()].map(({ state }) => state);
    const fault = sceneFault(fields, this.#boxOf(source), { ...scene, open });
    if (fault !== null) return refusal(fault);
    const order = { id: freshId(), ...request, roles: movedRoles(pair) };
    const begun = { ...beginMove(order, nowMs()), reason: leftBehind(pair, source) };
    const state = await this.#start(begun);
    if (state.end === "moved") return { ok: true, view: moveView(state, nowMs()) };
    return refusal(
      state.end === "back" ? `it went back: ${state.reason}` : "control ends; it goes on by itself",
    );
  }

  clone(source: string, destination: string): Promise<LayerAnswer<TransferView>> {
    return this.#transfer("clone", source, destination);
  }

  async merge(source: string, destination: string): Promise<LayerAnswer<TransferView>> {
    const fault = servesFault(this.#boxOf(source), await this.#scene());
    const known = this.#options.drivers.names.includes(source) && source !== destination;
    if (known && fault !== null) return refusal(fault);
    if (this.#merging) return refusal("another merge is under way");
    this.#merging = true;
    try {
      return await this.#transfer("merge", source, destination);
    } finally {
      this.#merging = false;
    }
  }

  async #transfer(what: "clone" | "merge", source: string, destination: string) {
    const { drivers, courier, stop, say, ledger } = this.#options;
    const pair = pairing(drivers, source, destination);
    if (typeof pair === "string") return refusal(pair);
    try {
      const ends = { source, destination, ...pair, courier, signal: stop };
      const merge = () => (this.#merger ??= new Merger(ledger)).merge(ends);
      const view = what === "clone" ? await cloneSupport(ends) : await merge();
      say(`${what} of ${source} into ${destination}: ${transferText(view)}`);
      return { ok: true, view } as const;
    } catch (error) {
      return refusal(`${reasonOf(error)}; what was copied stays, and ${what} may be run again`);
    }
  }

  /** What is built of the three. Each line is one thing that was done; the first that is refused ends it. */
  async apply(application: Application, request: MoveRequest): Promise<LayerAnswer<ApplicationView>> {
    const lines: string[] = [], { source, destination } = request;
    const steps = application === "scale-out"
      ? [() => this.#cloneLine(request), () => this.#moveLine(request)]
      : application === "migrate"
      ? [
        () => this.#cloneLine(request),
        () => this.#moveLine(request),
        () => this.#mergeLine(request),
        () => this.#pathLine(request),
      ]
      : [...await this.#back(request), () => this.#mergeLine(request)];
    for (const step of steps) {
      const told = await step();
      if (!told.ok) {
        const done = lines.length === 0 ? "nothing was done" : `done before: ${lines.join("; ")}`;
        return refusal(`${told.text} (${application} ${source} ${destination}; ${done})`);
      }
      lines.push(told.view);
    }
    return { ok: true, view: { application, lines } };
  }

  /** A move for each rule that leads to the source. */
  async #back(request: MoveRequest): Promise<(() => Promise<LayerAnswer<string>>)[]> {
    const { rules } = await this.#scene(), box = this.#boxOf(request.source);
    const led = rules.filter((rule) => rule.box === box && holds(request.fields, rule.fields));
    return led.map(({ fields }) => () => this.#moveLine({ ...request, fields }));
  }

  async #moveLine(request: MoveRequest): Promise<LayerAnswer<string>> {
    const answer = await this.move(request), what = fieldsText(request.fields);
    if (!answer.ok) return answer;
    const { records, held } = answer.view.counts;
    return { ok: true, view: `moved ${what}: ${records} records, ${held} frames held meanwhile` };
  }

  /** What comes without flows, and what begins, is the destination's as well from here on. */
  async #pathLine({ destination }: MoveRequest): Promise<LayerAnswer<string>> {
    const box = this.#boxOf(destination), told = await this.#options.serve(box);
    if (!told.ok) return refusal(`all flows are with ${destination}, but the path stays: ${told.text}`);
    await this.#settle();
    return { ok: true, view: told.text };
  }

  async #cloneLine({ source, destination }: MoveRequest): Promise<LayerAnswer<string>> {
    const answer = await this.clone(source, destination);
    return answer.ok ? { ok: true, view: `cloned: ${transferText(answer.view)}` } : answer;
  }

  async #mergeLine({ source, destination }: MoveRequest): Promise<LayerAnswer<string>> {
    const answer = await this.merge(source, destination);
    if (!answer.ok) return answer;
    const named = answer.view.conflicts.map(({ key, reason }) => `; ${key}: ${reason}`).join("");
    return { ok: true, view: `merged: ${transferText(answer.view)}${named}` };
  }

  /** @throws Error where the journal cannot be read */
  moves(): readonly MoveView[] {
    const nowMs = this.#options.nowMs(), left = this.#recovered ? [] : this.#read();
    const open = [...left, ...this.#open.values()];
    return [...this.#ended, ...open.map(({ state }) => moveView(state, nowMs))];
  }
}

/** The layer of a node where nobody configured a driver. */
export const NO_DRIVERS: DriverSet = { names: [], get: () => null, boxOf: () => null };

function refusal(text: string): { readonly ok: false; readonly text: string } {
  return { ok: false, text };
}
