/** Duty: runs the programs that an image is made with, and says in one sentence when one fails. */

export interface RunOptions {
  readonly input?: Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** @returns what it printed. @throws Error with the end of what it complained */
export async function run(argv: readonly string[], { input, env, cwd }: RunOptions = {}): Promise<string> {
  const [program, ...args] = argv;
  const child = new Deno.Command(program!, {
    args,
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    ...(env && { env: { ...env } }),
    ...(cwd && { cwd }),
  }).spawn();
  if (input !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(input);
    await writer.close();
  }
  const { success, code, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (success) return text(stdout);
  const words = `${text(stdout)}\n${text(stderr)}`.trim().split("\n").slice(-8).join("\n");
  throw new Error(`Cannot run ${argv.slice(0, 3).join(" ")}: it ended with ${code}: ${words}`);
}

/** A shell with -eu; `$1`... are `args`. */
export function shell(script: string, ...args: string[]): Promise<string> {
  return run(["/bin/bash", "-euo", "pipefail", "-c", script, "image", ...args]);
}

/** Lines of a list without comments and empty ones. */
export async function readList(path: string): Promise<string[]> {
  const text = await Deno.readTextFile(path);
  return text.split("\n").map((line) => line.replace(/#.*/, "").trim()).filter((line) => line !== "");
}
