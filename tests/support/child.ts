/**
 * Duty: children of a test that are talked to by letters and lines, and that end when the test does.
 *
 * A child ends when its standard input closes, so it cannot outlive a test that crashed; `end()` waits for it, so that
 * none is left when a test is judged.
 */
import { end } from "../../scripts/lab/process.ts";

/** Longest time a child may take for an answer. Generous: the machine may be busy. */
export const ANSWER_MS_MAX = 20_000;

/** `promise`, or an error with `what` after `msMax`. */
export async function within<T>(promise: Promise<T>, msMax: number, what: () => string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what()} within ${msMax} ms`)), msMax);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A child that answers every letter with a line. */
export class LineChild {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: ReadableStreamDefaultReader<string>;
  #rest = "";

  constructor(argv: readonly string[]) {
    const [program, ...args] = argv;
    this.#child = new Deno.Command(program!, { args, stdin: "piped", stdout: "piped", stderr: "inherit" })
      .spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** The next line it writes. */
  async line(): Promise<string> {
    while (!this.#rest.includes("\n")) {
      const { value, done } = await within(
        this.#lines.read(),
        ANSWER_MS_MAX,
        () => "Cannot get an answer from a child",
      );
      if (done) throw new Error("Cannot get an answer from a child: it has ended");
      this.#rest += value;
    }
    const at = this.#rest.indexOf("\n");
    const line = this.#rest.slice(0, at);
    this.#rest = this.#rest.slice(at + 1);
    return line;
  }

  async ask(letter: string): Promise<string> {
    await this.#writer.write(new TextEncoder().encode(letter));
    return await this.line();
  }

  async end(): Promise<void> {
    await this.#writer.close().catch(() => {}); // it may have ended by itself
    const timer = setTimeout(() => end(this.#child, "SIGKILL"), 2_000);
    while (!(await this.#lines.read()).done);
    await this.#child.status;
    clearTimeout(timer);
  }
}
