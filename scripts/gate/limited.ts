/**
 * Runs a command with a time limit and shows or keeps what it prints.
 *
 * The limit is coreutils' `timeout`: it puts the command into a process group of its own and ends the whole group, so
 * that what a hanging test has started does not stay behind. Deno answers SIGINT with the list of pending tests.
 */
export interface Limited {
  readonly command: readonly [string, ...string[]];
  readonly cwd: string;
  readonly limitS: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Show the output while it comes. */
  readonly show: boolean;
  /** Called with what it prints, as it comes. */
  readonly hear?: (text: string, from: "stdout" | "stderr") => void;
}

export interface Ended {
  readonly code: number;
  readonly timedOut: boolean;
  /** Both streams as they came up to the limit, cut to the last MiB. */
  readonly output: string;
}

const OUTPUT_MAX = 1024 * 1024;
/** `timeout` ends the command so much later than the limit, when what was printed by then is safe. */
const GRACE_S = 1;
const TIMED_OUT = 124;
/** Killed: by `timeout` after its limit, or before it by somebody else. */
const KILLED = 137;

const running = new Set<Deno.ChildProcess>();

/** End what runs now: for signal handlers. */
export function interruptAll(): void {
  for (const child of running) child.kill("SIGINT");
}

async function follow(stream: ReadableStream<Uint8Array>, take: (bytes: Uint8Array) => void): Promise<void> {
  for await (const bytes of stream) take(bytes);
}

export async function runLimited(job: Limited): Promise<Ended> {
  const child = new Deno.Command("timeout", {
    args: ["--signal=INT", "--kill-after=10", `${job.limitS + GRACE_S}`, ...job.command],
    cwd: job.cwd,
    env: { ...job.env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  running.add(child);
  let output = "";
  let outputAtLimit: string | null = null; // what follows is the answer to being ended, and misleads
  const limit = setTimeout(() => outputAtLimit = output, job.limitS * 1000);
  const takeFrom = (from: "stdout" | "stderr") => {
    const decoder = new TextDecoder();
    return (bytes: Uint8Array) => {
      if (job.show) Deno.stdout.writeSync(bytes);
      const text = decoder.decode(bytes, { stream: true });
      job.hear?.(text, from);
      output = (output + text).slice(-OUTPUT_MAX);
    };
  };
  try {
    await Promise.all([
      follow(child.stdout, takeFrom("stdout")),
      follow(child.stderr, takeFrom("stderr")),
    ]);
    const { code } = await child.status;
    const timedOut = outputAtLimit !== null && (code === TIMED_OUT || code === KILLED);
    return { code, timedOut, output: timedOut ? outputAtLimit ?? "" : output };
  } finally {
    clearTimeout(limit);
    running.delete(child);
  }
}
