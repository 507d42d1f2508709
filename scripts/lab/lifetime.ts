/**
 * Duty: take things down when a signal ends the program early.
 *
 * What was begun last is ended first. Clean-up is bounded: a program that hangs while it tidies up is
 * worse than a leftover, which the next run removes anyway.
 */
type CleanUp = () => Promise<void>;

const CLEAN_UP_MS = 10_000;
const NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

export class Lifetime {
  readonly #tasks: CleanUp[] = [];
  readonly #handlers: [keyof typeof NUMBERS, () => void][] = [];
  #ending = false;

  /** Begins to listen for SIGINT, SIGTERM and SIGHUP. `say` is told once which one came. */
  constructor(say: (text: string) => void) {
    for (const name of Object.keys(NUMBERS) as (keyof typeof NUMBERS)[]) {
      const handler = () => void this.#onSignal(name, say);
      Deno.addSignalListener(name, handler);
      this.#handlers.push([name, handler]);
    }
  }

  /** True from the moment a signal has come: errors after it are echoes of the clean-up. */
  get ending(): boolean {
    return this.#ending;
  }

  /** Adds a task; the returned function takes it off the list again. */
  add(task: CleanUp): () => void {
    this.#tasks.push(task);
    return () => {
      const index = this.#tasks.indexOf(task);
      if (index >= 0) this.#tasks.splice(index, 1);
    };
  }

  async #onSignal(name: keyof typeof NUMBERS, say: (text: string) => void): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    say(`${name}: cleaning up`);
    const timer = setTimeout(() => Deno.exit(128 + NUMBERS[name]), CLEAN_UP_MS);
    await this.#finish(say);
    clearTimeout(timer);
    Deno.exit(128 + NUMBERS[name]);
  }

  async #finish(say: (text: string) => void): Promise<void> {
    for (let task = this.#tasks.pop(); task !== undefined; task = this.#tasks.pop()) {
      try {
        await task();
      } catch (error) {
        say(error instanceof Error ? error.message : String(error));
      }
    }
  }

  /** Stops listening. The tasks left on the list are not run. */
  [Symbol.dispose](): void {
    for (const [name, handler] of this.#handlers) Deno.removeSignalListener(name, handler);
  }
}
