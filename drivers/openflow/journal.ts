/**
 * Duty: what a switch may still refuse, in order, so that a refusal leaves things as if the message had never been sent.
 *
 * A controller does not wait for answers: what it sent after a message that is refused was carried out without that
 * message. So all of it is taken back and done again. Pure.
 */
export interface Step<Value> {
  /** Of the message; null: it was no message of the controller. */
  readonly transaction: number | null;
  readonly act: () => void;
  readonly atMs: number;
  /** In the order in which they changed. */
  undo: { readonly key: string; readonly before: Value | undefined }[];
  /** Things to come that it has added or taken off. */
  readonly counted: (readonly [key: string, by: number])[];
}

/** What a controller sends before it waits; beyond that the oldest count as carried out. */
const STEPS_MAX = 1024;
const UNDO_MAX = 65_536;
/** A switch that has not refused a message for so long will not. */
const AGE_MS_MAX = 10_000;

export class Journal<Value> {
  #steps: Step<Value>[] = [];
  #undos = 0;
  readonly #counts = new Map<string, number>();

  constructor(readonly values: Map<string, Value>) {}

  /** Does something that changes values, each through `set`. */
  run(transaction: number | null, nowMs: number, act: () => void): Step<Value> {
    const step: Step<Value> = { transaction, act, atMs: nowMs, undo: [], counted: [] };
    this.#steps.push(step);
    act();
    this.#undos += step.undo.length;
    while (
      this.#steps.length > 1 &&
      (this.#steps.length > STEPS_MAX || this.#undos > UNDO_MAX || this.#steps[0]!.atMs < nowMs - AGE_MS_MAX)
    ) this.#undos -= this.#steps.shift()!.undo.length;
    return step;
  }

  /** In an `act`: changes a value; undefined: takes it away. */
  set(key: string, value: Value | undefined): void {
    this.#steps.at(-1)?.undo.push({ key, before: this.values.get(key) });
    this.#write(key, value);
  }

  #write(key: string, value: Value | undefined): void {
    if (value === undefined) this.values.delete(key);
    else this.values.set(key, value);
  }

  /** How many of something are still to come. */
  due(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  /** In an `act`: so many more of something are to come. */
  count(key: string, by: number): void {
    this.#steps.at(-1)?.counted.push([key, by]);
    this.#add(key, by);
  }

  #add(key: string, by: number): void {
    const count = this.due(key) + by;
    this.#counts.delete(key);
    if (count > 0) this.#counts.set(key, count);
    if (this.#counts.size > UNDO_MAX) this.#counts.delete(this.#counts.keys().next().value!);
  }

  /** Everything up to this message has been carried out. */
  confirm(transaction: number): void {
    const at = this.#steps.findLastIndex((step) => step.transaction === transaction);
    for (const step of this.#steps.splice(0, at + 1)) this.#undos -= step.undo.length;
  }

  /** As if the message had not been. Returns the keys that were touched, with what they had; null: nobody knows it. */
  refuse(transaction: number): Map<string, Value | undefined> | null {
    const at = this.#steps.findLastIndex((step) => step.transaction === transaction);
    if (at < 0) return null;
    const later = this.#steps.splice(at);
    const had = new Map<string, Value | undefined>();
    for (const { undo } of later) {
      this.#undos -= undo.length;
      for (const { key } of undo) had.set(key, this.values.get(key));
    }
    for (const { undo, counted } of later.toReversed()) {
      for (const [key, by] of counted) this.#add(key, -by);
      for (const { key, before } of undo.toReversed()) this.#write(key, before);
    }
    for (const { transaction: other, atMs, act } of later.slice(1)) {
      const { undo } = this.run(other, atMs, act);
      for (const { key, before } of undo) if (!had.has(key)) had.set(key, before);
    }
    return had;
  }

  clear(): void {
    this.#steps = [];
    this.#undos = 0;
    this.#counts.clear();
  }
}
