/**
 * Duty: RAUC, as far as it is used: what a bundle says of itself, and writing it into the slot that is not booted.
 *
 * RAUC checks the signature against the keyring of the running slot before it says or writes anything. An edge: it runs a
 * program. What that prints is read by pure functions.
 */
import type { Candidate } from "./versions.ts";

export interface Installer {
  /** @throws Error with one sentence: the signature, the certificate or the file is not good */
  look(path: string): Promise<Candidate>;
  /** @throws Error with RAUC's reason */
  install(path: string, progress: (percent: number) => void): Promise<void>;
}

const WORDS_MAX = 400;

/** RAUC's own reason, out of what it complained: its last error line without where it came from. */
export function reasonIn(text: string): string {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const said = lines.findLast((line) => line.startsWith("LastError:")) ??
    lines.findLast((line) => /error|fail|invalid|expired|cannot|no such/i.test(line)) ??
    lines.at(-1) ?? "it gave no reason";
  return said.replace(/^(\*\*|\(rauc:\d+\):)?\s*(rauc-)?\w*-?(ERROR|WARNING|CRITICAL)\s*\**:?\s*/i, "")
    .replace(/^LastError:\s*/i, "").slice(0, WORDS_MAX);
}

/** @throws SyntaxError: it lacks what every bundle has */
export function candidateIn(text: string): Candidate {
  const value = JSON.parse(text.slice(Math.max(0, text.indexOf("{")))) as Record<string, unknown>;
  const { version, compatible } = value;
  if (typeof version !== "string" || typeof compatible !== "string") {
    throw new SyntaxError("Cannot read the bundle: it names no version or no board");
  }
  return { version, compatible };
}

/** " 40% Checking slot rootfs.1 done." */
export function percentIn(line: string): number | null {
  const found = /^\s*(\d{1,3})%/.exec(line);
  return found === null ? null : Math.min(100, Number(found[1]));
}

export class Rauc implements Installer {
  /** @param options for RAUC, before its own words, and its environment; none on an appliance */
  constructor(
    readonly options: readonly string[] = [],
    readonly env: Readonly<Record<string, string>> = {},
  ) {}

  async look(path: string): Promise<Candidate> {
    const { success, stdout, stderr } = await new Deno.Command("rauc", {
      args: [...this.options, "info", "--output-format=json", path],
      env: this.env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    if (!success) throw new Error(reasonIn(text(stderr)));
    return candidateIn(text(stdout));
  }

  async install(path: string, progress: (percent: number) => void): Promise<void> {
    const child = new Deno.Command("rauc", {
      args: [...this.options, "install", path],
      env: this.env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const [told, complained, { success }] = await Promise.all([
      readLines(child.stdout, (line) => {
        const percent = percentIn(line);
        if (percent !== null) progress(percent);
      }),
      readLines(child.stderr, () => {}),
      child.status,
    ]);
    if (!success) throw new Error(reasonIn(`${told}\n${complained}`));
  }
}

const KEPT = 8192;

/** @returns the end of it */
async function readLines(from: ReadableStream<Uint8Array>, each: (line: string) => void): Promise<string> {
  let rest = "", kept = "";
  for await (
    const piece of from.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
  ) {
    kept = (kept + piece).slice(-KEPT);
    const lines = (rest + piece).split(/[\r\n]/);
    rest = lines.pop() ?? "";
    for (const line of lines) each(line);
  }
  return kept;
}
