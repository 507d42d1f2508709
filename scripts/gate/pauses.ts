/**
 * How long the machine kept the gate from running, by the test that ran meanwhile.
 *
 * A lab stands on clocks: a machine that does not run its processes for a while tests itself. What is known of that
 * tells a fault of ours from one of the machine. The core is pure; `watchPauses` has the timer.
 */
const LOOK_MS = 5;
/** Shorter ones are usual on a machine whose processors are all in use. */
const PAUSE_MS_MIN = 20;

// deno-lint-ignore no-control-regex -- colours are control characters
const COLOURS = /\x1b\[[0-9;]*m/g;

export class Pauses {
  #line = "";
  #running = "";
  readonly #longestMs = new Map<string, number>();

  /** What `deno test` printed next. */
  printed(text: string): void {
    const lines = (this.#line + text.replace(COLOURS, "")).split("\n");
    this.#line = lines.at(-1)!;
    for (const line of lines) {
      const found = /^(.+?) \.\.\.( (?:ok|FAILED|ignored)\b.*)?$/.exec(line.trimEnd());
      if (found !== null) this.#running = found[2] === undefined ? found[1]! : "";
    }
  }

  /** Nothing ran for so long. */
  note(ms: number): void {
    if (ms < PAUSE_MS_MIN || this.#running === "") return;
    this.#longestMs.set(this.#running, Math.max(ms, this.longestMs(this.#running)));
  }

  /** The longest pause in the test of this name; 0: none worth telling. */
  longestMs(test: string): number {
    return this.#longestMs.get(test) ?? 0;
  }
}

/** Measures until the end of its scope. */
export function watchPauses(pauses: Pauses): Disposable {
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    pauses.note(now - last - LOOK_MS);
    last = now;
  }, LOOK_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
