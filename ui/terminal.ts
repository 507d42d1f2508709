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
