/** The terminal of this process: its streams, its clock, and Ctrl-C. An edge. */
import { setTimeout as delay } from "node:timers/promises";
import type { Terminal } from "./cli.ts";
import { EXIT } from "./commands.ts";

/** The terminal of this process. The first Ctrl-C ends a watch or a capture in order. */
export function standardStreams(args: readonly string[]): Terminal {
  const encoder = new TextEncoder();
  const stop = new AbortController();
  const write = (stream: { writeSync(bytes: Uint8Array): number }, text: string) => {
    let bytes = encoder.encode(text);
    try {
      while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
    } catch (error) {
      // The reader has seen enough: `remediate flows | head`.
      if (error instanceof Deno.errors.BrokenPipe) Deno.exit(EXIT.ok);
      throw error;
    }
  };
  if (args.includes("--watch") || args[0] === "capture") {
    // Whoever asks twice does not want to wait for a reader that has stopped reading.
    Deno.addSignalListener("SIGINT", () => stop.signal.aborted ? Deno.exit(EXIT.failed) : stop.abort());
  }
  return {
    out: (text) => write(Deno.stdout, text),
    err: (text) => write(Deno.stderr, text),
    colours: Deno.stdout.isTerminal() && !Deno.noColor && Deno.env.get("TERM") !== "dumb",
    watched: Deno.stderr.isTerminal(),
    now: () => Date.now(),
    // An aborted sleep is over, which is what was asked for.
    sleep: (ms) => delay(ms, undefined, { signal: stop.signal }).catch(() => {}),
    interrupted: () => stop.signal.aborted,
    stop: stop.signal,
  };
}

const LINE_BYTES_MAX = 4096;

/** A password: asked for twice where a person types, else the first line of standard input. Null: none, or two. */
export async function readPassword(): Promise<string | null> {
  if (!Deno.stdin.isTerminal()) return await readLine() || null;
  const first = await askHidden("Password: "), again = await askHidden("Once more: ");
  return first !== "" && first === again ? first : null;
}

async function askHidden(prompt: string): Promise<string> {
  await Deno.stderr.write(new TextEncoder().encode(prompt));
  Deno.stdin.setRaw(true);
  try {
    return await readLine();
  } finally {
    Deno.stdin.setRaw(false);
    await Deno.stderr.write(new TextEncoder().encode("\n"));
  }
}

/** Raw: Enter is a carriage return, and the keys that correct and end come as characters. */
async function readLine(): Promise<string> {
  const bytes: number[] = [], piece = new Uint8Array(1);
  while (bytes.length < LINE_BYTES_MAX && await Deno.stdin.read(piece) !== null) {
    const byte = piece[0]!;
    if (byte === 0x0a || byte === 0x0d) break;
    if (byte === 0x03) Deno.exit(EXIT.failed);
    if (byte === 0x7f || byte === 0x08) {
      while (bytes.length > 0 && (bytes.pop()! & 0xc0) === 0x80);
    } else bytes.push(byte);
  }
  return new TextDecoder().decode(Uint8Array.from(bytes));
}
