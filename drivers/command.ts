/**
 * Duty: run a tool of the system for a driver: bounded in time and output, in a network namespace if need be.
 */
import { namespacePath } from "./netlink/socket.ts";

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly stdin: string;
  readonly timeoutMs: number;
}

export type RunCommand = (argv: readonly string[], options: CommandOptions) => Promise<CommandResult>;

const OUTPUT_BYTES_MAX = 64 << 20;

/** The same command in a network namespace; empty: our own. */
export const commandIn = (namespace: string, argv: readonly string[]): readonly string[] =>
  namespace === "" ? argv : ["nsenter", `--net=${namespacePath(namespace)}`, "--", ...argv];

async function readText(stream: ReadableStream<Uint8Array>, program: string): Promise<string> {
  const text = new TextDecoder();
  let all = "", bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    if (bytes > OUTPUT_BYTES_MAX) throw new Error(`Cannot read what ${program} says: it is more than 64 MiB`);
    all += text.decode(chunk, { stream: true });
  }
  return all;
}

async function feed(stream: WritableStream<Uint8Array>, text: string): Promise<void> {
  const writer = stream.getWriter();
  try {
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
  } catch {
    // It ended without reading all; its exit code tells why.
  }
}

/** Runs a command to its end. @throws Error where it is missing, takes too long or says too much */
export const runCommand: RunCommand = async ([program = "", ...args], { stdin, timeoutMs }) => {
  const signal = AbortSignal.timeout(timeoutMs);
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, { args, stdin: "piped", stdout: "piped", stderr: "piped", signal })
      .spawn();
  } catch (cause) {
    throw new Error(`Cannot run ${program}: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
  const said = [readText(child.stdout, program), readText(child.stderr, program)] as const;
  const [, stdout, stderr, { code }] = await Promise.all([feed(child.stdin, stdin), ...said, child.status]);
  if (signal.aborted) throw new Error(`Cannot finish ${program}: it took more than ${timeoutMs} ms`);
  return { code, stdout, stderr };
};

/** Resolves after the time, or as soon as the signal is given. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
