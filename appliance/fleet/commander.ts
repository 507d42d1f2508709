/**
 * Duty: carries out commands on a node: each once, in order, by the executor of its kind.
 *
 * No clock of its own, no socket. A kind marked `beside` does not wait for what is under way.
 */
import { reasonOf } from "../../drivers/reason.ts";
import { CommandBook, resultOf } from "./book.ts";
import type { CommandContext, Executed, Executor, Executors } from "./contract.ts";
import { type CommandKind, isBeside } from "./kinds.ts";
import type { Message } from "./messages.ts";

type Command = Message<"command">;
type Result = Message<"result">;

export interface CommanderMeans {
  readonly book: CommandBook;
  readonly executors: Executors;
  readonly nowMs: () => number;
  /** The controller's clock, as far as is known, less the own one. */
  readonly aheadMs: () => number;
  readonly told: (result: Result) => void;
  readonly progress: (command: number, text: string, percent: number | null) => void;
  readonly send: (command: number, content: ReadableStream<Uint8Array>) => Promise<number>;
  readonly say: (level: "info" | "warn" | "error", text: string) => void;
}

export class Commander {
  readonly #means: CommanderMeans;
  readonly #stop = new AbortController();
  #turn: Promise<void> = Promise.resolve();
  readonly #beside = new Set<Promise<void>>();
  #waiting = 0;

  constructor(means: CommanderMeans) {
    this.#means = means;
    for (const command of means.book.recover()) this.#queue(command);
    for (const result of means.book.unsettled()) means.told(result);
  }

  /** What was begun or ended last, in words; null: nothing since the start. */
  last: string | null = null;

  /** Commands that wait or are under way. */
  get busy(): number {
    return this.#waiting;
  }

  give(command: Command): void {
    const { book, told, say } = this.#means;
    try {
      const taken = book.take(command);
      if (taken.is === "ended") told(taken.result);
      if (taken.is === "fresh") this.#queue(command);
    } catch (error) {
      // What cannot be written down is not begun; the controller gives it again at the next connection.
      say("error", `Cannot take command ${command.number}: ${reasonOf(error)}`);
    }
  }

  /** Nothing more is begun; waits for what is under way. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#turn;
    await Promise.all(this.#beside);
  }

  #queue(command: Command): void {
    this.#waiting++;
    const work = async () => {
      if (!this.#stop.signal.aborted) await this.#carryOut(command);
      this.#waiting--;
    };
    if (!isBeside(command.kind)) {
      this.#turn = this.#turn.then(work);
      return;
    }
    const running = work();
    this.#beside.add(running);
    void running.then(() => this.#beside.delete(running));
  }

  async #carryOut(command: Command): Promise<void> {
    const { book, told, say } = this.#means, { number, kind } = command;
    try {
      const refusal = this.#refusal(command);
      let result: Result;
      if (refusal !== null) result = refusal;
      else {
        book.begin(number);
        this.last = `command ${number} (${kind}) is under way`;
        say("info", `command ${number} (${kind}) is begun`);
        const { outcome, text, data = {}, bytes = null } = await this.#execute(command);
        result = { ...resultOf(number, outcome, text.slice(0, 1000)), data, bytes };
      }
      this.last = `command ${number} (${kind}): ${result.text}`;
      say(result.outcome === "done" ? "info" : "warn", `command ${number} (${kind}): ${result.text}`);
      book.end(result);
      told(result);
    } catch (error) {
      say("error", `Cannot keep what became of command ${number}: ${reasonOf(error)}`);
    }
  }

  #refusal({ number, kind, expiresMs }: Command): Result | null {
    const { executors, nowMs, aheadMs } = this.#means;
    if (nowMs() + aheadMs() > expiresMs) {
      return resultOf(number, "expired", "its time was over before it was begun");
    }
    return executors[kind] === undefined
      ? resultOf(number, "refused", `this node has nothing that carries out "${kind}"`)
      : null;
  }

  async #execute(command: Command): Promise<Executed> {
    const { number, expiresMs } = command, { progress, send, aheadMs } = this.#means;
    const context: CommandContext = {
      number,
      progress: (text, percent) => progress(number, text.slice(0, 1000), percent ?? null),
      send: (content) => send(number, content),
      untilMs: expiresMs - aheadMs(),
      signal: this.#stop.signal,
    };
    try {
      // The codec has checked the arguments against the kind.
      const executor = this.#means.executors[command.kind] as Executor<CommandKind>;
      return await executor(command.arguments as never, context);
    } catch (error) {
      return { outcome: "failed", text: reasonOf(error) };
    }
  }
}
