/** Standard input line by line, and files by path, for commands that need no node. An edge. */
import { reasonOf } from "../drivers/reason.ts";
import type { Invocation } from "./arguments.ts";
import type { Terminal } from "./cli.ts";
import type { Exit } from "./commands.ts";
import { TextLineStream } from "./text_lines.ts";

/** `drivers try` and `drivers formats`. */
export async function logFormats(invocation: Invocation, terminal: Terminal): Promise<Exit> {
  const { driversFormats, driversTry } = await import("./drivers_try.ts");
  if (invocation.command.name === "drivers formats") return driversFormats(invocation, terminal);
  const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  return await driversTry(invocation, { terminal, readText, lines });
}

/** @throws Error with a sentence */
export async function readText(path: string): Promise<string> {
  return await Deno.readTextFile(path).catch((error) => {
    throw new Error(`Cannot read ${path}: ${reasonOf(error)}`, { cause: error });
  });
}
