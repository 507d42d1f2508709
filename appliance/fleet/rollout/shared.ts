/**
 * Duty: roll-outs that several controllers share in Redis: the rows, who leads, and what people ask of who leads. An edge.
 *
 * A commit and the lease are compared in one script, so that a controller that was stopped for longer than its lease keeps
 * nothing. Each time the lead is taken the token is another one: what was sent before and comes late is not of it.
 */
import { makeId } from "../keys.ts";
import type { Fields, RedisStore } from "../redis_store.ts";
import type { Row, Turn } from "./contract.ts";
import {
  type Asked,
  type Committed,
  LostLeadError,
  type RolloutStore,
  type Seat,
  type Wish,
} from "./keeping.ts";
import * as scripts from "./shared_scripts.ts";

/** The own clock may be a little slower than that of Redis. */
const SURE = 0.8;
const ASK_MS = 10_000;
const LOOK_MS = 100;
const ASKED_MAX = 100;
/** Of a commit; those who follow read all of it anew where there are more. */
const TAIL_ROWS_MAX = 1000;
const TAIL_READ_MAX = 200;

export class SharedRollouts implements RolloutStore, Seat {
  #token = "";
  #heldUntilMs = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  /** The last commit that is known here. */
  #mark = 0;

  constructor(readonly store: RedisStore, readonly controller: string, readonly leadMs: number) {}

  get seat(): Seat {
    return this;
  }

  get held(): boolean {
    return performance.now() < this.#heldUntilMs;
  }

  async lead(): Promise<"kept" | "taken" | "other"> {
    if (this.#token === "") this.#token = `${this.controller}/${makeId(16)}`;
    const askedMs = performance.now();
    const answer = await this.store.run(scripts.LEAD, this.#token, this.leadMs);
    if (answer === 0) {
      this.#lost();
      return "other";
    }
    this.#heldUntilMs = askedMs + SURE * this.leadMs;
    // A turn may take longer than a lease.
    this.#timer ??= setInterval(() => void this.#renew(), this.leadMs / 3);
    return answer === 1 ? "kept" : "taken";
  }

  async #renew(): Promise<void> {
    const askedMs = performance.now(), token = this.#token;
    const answer = await this.store.run(scripts.RENEW, token, this.leadMs).catch(() => null);
    // Without an answer it is held until its time is over.
    if (token !== this.#token || answer === null) return;
    if (answer === 1) this.#heldUntilMs = askedMs + SURE * this.leadMs;
    else this.#lost();
  }

  #lost(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#heldUntilMs = 0;
    this.#token = "";
  }

  async load(): Promise<readonly Row[]> {
    // Read first: what is committed meanwhile comes once more, by `follow`.
    this.#mark = await this.#version();
    const rows: Row[] = [], all = await this.store.longHash("rollout", "all");
    rows.push(...rowsOf("rollout", all), ...rowsOf("bar", await this.store.longHash("rollout", "bars")));
    for (const id of all.keys()) {
      const courses = await this.store.longHash("rollout", "courses", id);
      for (const row of rowsOf("course", courses)) rows.push(row);
    }
    return rows;
  }

  async commit({ rows, drops }: Turn, asked = ""): Promise<void> {
    const words = rows.flatMap((row) => {
      const { kind, key, value } = row, text = JSON.stringify(value);
      if (kind === "course") return [`courses:${value.rollout}`, value.node, text];
      return [kind === "rollout" ? "all" : "bars", key, text];
    });
    const told = rows.length > TAIL_ROWS_MAX ? "" : JSON.stringify({ rows, drops });
    const answer = await this.store.run(
      scripts.COMMIT,
      ...[this.#token, asked, told, drops.length],
      ...drops,
      ...words,
    );
    if (answer === 2) throw new Error("Cannot keep what was asked for: who asked has gone");
    if (answer === 1) return;
    this.#lost();
    throw new LostLeadError("Cannot keep it: another controller leads the roll-outs now");
  }

  async follow(): Promise<readonly Committed[] | null> {
    const version = await this.#version();
    if (version === this.#mark) return [];
    const words = [this.store.key("rollout", "tail"), `(${this.#mark}-0`, "+", "COUNT", TAIL_READ_MAX];
    const entries = await this.store.call("XRANGE", ...words) as readonly [string, [string, string]][];
    const numbers = entries.map(([id]) => Number(id.split("-")[0]));
    // Not the next one: it was cut off, or Redis has lost something.
    if (numbers[0] !== this.#mark + 1 || entries.some(([, [, text]]) => text === "")) return null;
    this.#mark = numbers.at(-1)!;
    return entries.map(([, [, text]]) => JSON.parse(text) as Committed);
  }

  async ask(wish: Wish): Promise<void> {
    const id = makeId(16), key = this.store.key("rollout", "asked"), endMs = performance.now() + ASK_MS;
    if (Number(await this.store.call("HLEN", key)) >= ASKED_MAX) {
      throw new Error(`Cannot ask for it: ${ASKED_MAX} wait already for the controller that leads`);
    }
    await this.store.call("HSET", key, id, JSON.stringify({ wish, atMs: Date.now() }));
    while (performance.now() < endMs) {
      if (await this.#answered(id)) return;
      await new Promise((done) => setTimeout(done, LOOK_MS));
    }
    // Taken back, or done in this moment.
    const isBack = await this.store.call("HDEL", key, id) === 1;
    if (isBack || !await this.#answered(id)) {
      throw new Error("Cannot change roll-outs now: no controller that leads them has answered; try again");
    }
  }

  async #answered(id: string): Promise<boolean> {
    const answer = await this.store.call("GET", this.store.key("rollout", "answer", id));
    if (answer === null) return false;
    if (answer !== "") throw new Error(String(answer));
    return true;
  }

  async asked(): Promise<readonly Asked[]> {
    const found = [...await this.store.hash("rollout", "asked") ?? []].map(([id, text]) => ({
      id,
      ...JSON.parse(text) as { wish: Wish; atMs: number },
    })).sort((a, b) => a.atMs - b.atMs);
    const isLate = ({ atMs }: { atMs: number }) => Date.now() - atMs > 3 * ASK_MS;
    for (const { id } of found.filter(isLate)) await this.refuse(id, "Cannot do it: nobody led for too long");
    return found.filter((one) => !isLate(one));
  }

  async refuse(asked: string, reason: string): Promise<void> {
    await this.store.run(scripts.REFUSE, this.#token, asked, reason);
  }

  /** The next one need not wait for the end of the lease. */
  async close(): Promise<void> {
    const token = this.#token;
    this.#lost();
    if (token !== "") await this.store.run(scripts.RELEASE, token).catch(() => {}); // the lease ends by itself
  }

  async #version(): Promise<number> {
    return Number(await this.store.call("GET", this.store.key("rollout", "version")) ?? 0);
  }
}

function rowsOf(kind: Row["kind"], fields: Fields): Row[] {
  return [...fields].map(([field, text]) => {
    const value = JSON.parse(text);
    return { kind, key: kind === "course" ? `${value.rollout}/${value.node}` : field, value } as Row;
  });
}
