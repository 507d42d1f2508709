/** Duty: processes of a bench that are asked by lines of JSON, and answer by lines; ended by their own handle. */
import process from "node:process";

/** What this process has used of the cores until now, all threads. Seconds. */
export function cpuS(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

export function TextLineStream(): TransformStream<string, string> {
  let rest = "";
  return new TransformStream({
    transform(text, controller) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) if (line !== "") controller.enqueue(line);
    },
  });
}

type Answer = Readonly<Record<string, unknown>>;

export class Asked {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  readonly #gone: Promise<void>;
  #next = 1;
  /** What it says first. */
  readonly first: Promise<Answer>;

  /** `within`: to run it in another place, as a namespace. */
  constructor(
    script: string,
    args: readonly string[],
    within: (argv: readonly string[]) => readonly string[] = (argv) => argv,
  ) {
    const argv = [Deno.execPath(), "run", "-A", "--no-check", "--cached-only", script, ...args];
    const [program, ...words] = within(argv);
    this.#child = new Deno.Command(program!, {
      ...{ args: words, stdin: "piped", stdout: "piped", stderr: "inherit" },
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.first = promise;
    this.first.catch(() => {}); // whoever awaits it hears it
    this.#gone = this.#read(resolve).finally(() => reject(new Error(`${script} has ended`)));
  }

  async #read(first: (answer: Answer) => void): Promise<void> {
    const lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(TextLineStream());
    for await (const line of lines) {
      const answer = JSON.parse(line) as Answer & { id?: number };
      if (answer.id === undefined) first(answer);
      else this.#waiting.get(answer.id)?.(answer);
    }
  }

  async ask<T>(work: string, given: object = {}): Promise<T> {
    const id = this.#next++;
    const answer = new Promise<Answer>((done) => this.#waiting.set(id, done));
    await this.#writer.write(new TextEncoder().encode(`${JSON.stringify({ id, work, ...given })}\n`));
    return await Promise.race([
      answer,
      this.#gone.then(() => Promise.reject(new Error(`${work}: it has ended`))),
    ]) as T;
  }

  /** At once, as when its machine dies. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
    await this.#writer.abort().catch(() => {});
    await this.#gone;
  }

  async end(): Promise<void> {
    await this.#writer.close().catch(() => {});
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 20_000);
    await this.#child.status;
    clearTimeout(timer);
    await this.#gone;
  }
}
