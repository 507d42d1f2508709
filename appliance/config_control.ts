/**
 * Changes of the configuration that undo themselves: apply, confirm, roll back.
 *
 * An edge, for files and a timer; what is decided is in config_ledger.ts. The ledger is written before the file and the
 * file before the node is told, so that whatever ends this process, the next one knows what has to come back.
 */
import { describeProblem, parseConfig } from "./config.ts";
import { begin, confirm, found, type Ledger, overdue, previous, undo, versionOf } from "./config_ledger.ts";
import { ConfigStore, etagOf } from "./config_store.ts";
import { reasonOf } from "../drivers/reason.ts";
import { unifiedDiff } from "./text_diff.ts";
import type { ConfigAnswer, ConfigControl, ConfigJudged, ConfigView, ConfigWish } from "./view_config.ts";

const LOOK_MS = 250;

export interface ConfigControlOptions {
  readonly store: ConfigStore;
  /** The text that the node was started with. */
  readonly text: string;
  readonly matchFault: (expression: string) => string | null;
  /** Have the node take over the file, every stage of it. */
  readonly reload: () => Promise<{ ok: boolean; text: string }>;
  readonly say: (level: "info" | "warn" | "error", text: string) => void;
  readonly nowMs: () => number;
}

type Refusal = Extract<ConfigAnswer, { ok: false }>;

export class ConfigKeeper implements ConfigControl {
  readonly #options: ConfigControlOptions;
  readonly #store: ConfigStore;
  /** In force. */
  #text: string;
  #ledger: Ledger;
  #busy = false;
  #timer: ReturnType<typeof setInterval> | null = null;

  /** @throws Error with one sentence: the history cannot be read or written */
  constructor(options: ConfigControlOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#text = options.text;
    this.#ledger = options.store.ledger();
    this.#found("system", "found at the start");
    this.#watch();
  }

  /** What is in force is in the ledger. One that waits but did not get into the file is undone thereby. */
  #found(who: string, note: string): void {
    const etag = etagOf(this.#text), { pending } = this.#ledger;
    const begun = { etag, who, note, atMs: this.#options.nowMs() };
    const lost = pending !== null && versionOf(this.#ledger, pending.id)?.etag !== etag;
    const ledger = found(lost ? undo(this.#ledger, pending.before) : this.#ledger, begun);
    if (ledger === this.#ledger) return;
    this.#store.keep(ledger.current, this.#text);
    this.#save(ledger);
  }

  #save(ledger: Ledger): void {
    this.#store.save(ledger);
    this.#ledger = ledger;
  }

  current(): ConfigView {
    const { pending, current } = this.#ledger;
    const waits = pending === null ? null : { id: pending.id, who: pending.who, untilMs: pending.untilMs };
    return {
      file: this.#store.file,
      text: this.#text,
      etag: etagOf(this.#text),
      id: current,
      pending: waits,
    };
  }

  check(text: string): ConfigJudged {
    const { problems, warnings } = parseConfig(text, this.#store.file, this.#options);
    const diff = unifiedDiff(this.#text, text, ["in force", "wanted"]);
    return { ok: problems.length === 0, problems, warnings, diff };
  }

  apply(wish: ConfigWish): Promise<ConfigAnswer> {
    return this.#alone(() => this.#apply(wish));
  }

  async #alone(work: () => Promise<ConfigAnswer>): Promise<ConfigAnswer> {
    if (this.#busy) return refuse(409, "another change is under way");
    this.#busy = true;
    try {
      return await work();
    } catch (error) {
      return refuse(409, reasonOf(error));
    } finally {
      this.#busy = false;
    }
  }

  async #apply({ text, who, note, etag, confirmS }: ConfigWish): Promise<ConfigAnswer> {
    const { pending } = this.#ledger;
    if (pending !== null) return refuse(409, waits(pending.id));
    if (etag !== null && etag !== etagOf(this.#text)) {
      return refuse(412, `the configuration in force is "${etagOf(this.#text)}", not "${etag.slice(0, 40)}"`);
    }
    const { problems } = this.check(text);
    if (problems.length > 0) {
      return { ...refuse(422, problems.map(describeProblem).join("\n")), problems };
    }
    if (text === this.#text) return this.#good("it is in force already");
    const before = this.#ledger, old = this.#text;
    const ledger = begin(before, { etag: etagOf(text), who, note, atMs: this.#options.nowMs() }, confirmS);
    this.#store.keep(ledger.current, text);
    this.#save(ledger);
    this.#watch();
    const refusal = await this.#putInForce(text);
    if (refusal !== null) {
      await this.#takeBack(old, before.current);
      return refuse(422, refusal);
    }
    const until = confirmS === 0 ? "" : `; it is undone in ${confirmS} s unless it is confirmed`;
    this.#options.say("info", `configuration ${ledger.current} is in force, by ${who}${until}`);
    return this.#good(`configuration ${ledger.current} is in force${until}`);
  }

  /** Null: it is; else why not. */
  async #putInForce(text: string): Promise<string | null> {
    try {
      this.#store.writeFile(text);
      const { ok, text: said } = await this.#options.reload();
      if (!ok) return said;
      this.#text = text;
      return null;
    } catch (error) {
      return reasonOf(error);
    }
  }

  /** The one before is put back, in the file whatever the node says. @throws Error: not even there */
  async #takeBack(text: string, id: number): Promise<string | null> {
    const refusal = await this.#putInForce(text);
    if (refusal !== null && this.#store.readFile() !== text) throw new Error(refusal);
    this.#text = text;
    this.#save(undo(this.#ledger, id));
    return refusal;
  }

  confirm(who: string): ConfigAnswer {
    const { pending } = this.#ledger;
    if (pending === null) return refuse(409, "no configuration waits to be confirmed");
    if (this.#busy) return refuse(409, "another change is under way");
    if (overdue(this.#ledger, this.#options.nowMs())) return refuse(409, "the time to confirm it is over");
    try {
      this.#save(confirm(this.#ledger));
    } catch (error) {
      return refuse(409, reasonOf(error));
    }
    this.#options.say("info", `configuration ${pending.id} is confirmed, by ${who}`);
    return this.#good(`configuration ${pending.id} stays`);
  }

  rollback(wish: { id: number | null; who: string; confirmS: number }): Promise<ConfigAnswer> {
    return this.#alone(() => this.#rollback(wish));
  }

  async #rollback(
    { id, who, confirmS }: { id: number | null; who: string; confirmS: number },
  ): Promise<ConfigAnswer> {
    const { pending } = this.#ledger;
    if (pending !== null && (id === null || id === pending.before)) return await this.#undo(`by ${who}`);
    const wanted = id ?? previous(this.#ledger);
    if (wanted === null) return refuse(404, "there is no configuration before this one");
    const text = versionOf(this.#ledger, wanted) === null ? null : this.#store.text(wanted);
    if (text === null) return refuse(404, `there is no configuration ${wanted}`);
    return await this.#apply({ text, who, note: `back to ${wanted}`, etag: null, confirmS });
  }

  async #undo(why: string): Promise<ConfigAnswer> {
    const pending = this.#ledger.pending!, text = this.#store.text(pending.before);
    if (text === null) return refuse(404, `configuration ${pending.before} is not there any more`);
    const refusal = await this.#takeBack(text, pending.before);
    const told = `configuration ${pending.id} is undone, ${why}: ${pending.before} is in the file`;
    if (refusal !== null) {
      this.#options.say("error", `${told}, but not in force: ${refusal}`);
      return refuse(422, refusal);
    }
    this.#options.say("warn", `${told} and in force`);
    return this.#good(`configuration ${pending.before} is in force again`);
  }

  #good(text: string): ConfigAnswer {
    return { ok: true, view: this.current(), text };
  }

  history = () => this.#ledger.versions.toReversed();

  version(id: number): { text: string; diff: string } | null {
    const text = versionOf(this.#ledger, id) === null ? null : this.#store.text(id);
    if (text === null) return null;
    const before = this.#ledger.versions.findLast((one) => one.id < id);
    const old = before === undefined ? null : this.#store.text(before.id);
    const diff = old === null ? "" : unifiedDiff(old, text, [String(before!.id), String(id)]);
    return { text, diff };
  }

  async reload(who: string): Promise<{ ok: boolean; text: string }> {
    const { pending } = this.#ledger;
    if (pending !== null) return { ok: false, text: waits(pending.id) };
    const text = this.#fileText();
    const result = await this.#options.reload();
    if (!result.ok || text === null) return result;
    this.#text = text;
    try {
      this.#found(who, "reloaded by hand");
    } catch (error) {
      this.#options.say("error", reasonOf(error));
    }
    return result;
  }

  /** Null: the node is the one to say why it cannot be read. */
  #fileText(): string | null {
    try {
      return this.#store.readFile();
    } catch {
      return null; // the node reads it as well, and tells
    }
  }

  /** Looks at the clock for as long as one waits. */
  #watch(): void {
    if (this.#timer !== null || this.#ledger.pending === null) return;
    this.#timer = setInterval(() => void this.#look(), LOOK_MS);
  }

  async #look(): Promise<void> {
    if (this.#ledger.pending === null) return this.close();
    if (!overdue(this.#ledger, this.#options.nowMs()) || this.#busy) return;
    const result = await this.#alone(() => this.#undo("because nobody confirmed it in time"));
    if (!result.ok) this.#options.say("error", `Cannot undo the configuration: ${result.text}`);
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }
}

function refuse(status: Refusal["status"], text: string): Refusal {
  return { ok: false, status, text };
}

function waits(id: number): string {
  return `configuration ${id} waits: confirm it or roll it back first`;
}

/**
 * Before a start: puts the file back where the time to confirm ended while no control was there, or where none came up
 * with it. Returns the text that is in the file then; null: it was not touched. @throws Error with one sentence
 */
export function recoverFile(store: ConfigStore, nowMs: number): { text: string; id: number } | null {
  const ledger = store.ledger(), { pending } = ledger;
  if (pending === null || !overdue(ledger, nowMs)) return null;
  if (etagOf(store.readFile()) !== versionOf(ledger, pending.id)?.etag) return null;
  const text = store.text(pending.before);
  if (text === null) return null;
  store.writeFile(text);
  store.save(undo(ledger, pending.before));
  return { text, id: pending.before };
}
