/**
 * Duty: find clang and compile exported filters with it.
 *
 * Debian's package `clang` gives the name; a machine may have only a numbered one.
 */
import { run, tryRun } from "../../scripts/lab/process.ts";

const NAMES = ["clang", "clang-19", "clang-14"];

/** Whether a program of that name is on the path. */
function isThere(name: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((folder) => {
    try {
      return Deno.statSync(`${folder}/${name}`).isFile;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
      throw error;
    }
  });
}

/** The name to call, or undefined where there is none. */
export function findClang(): string | undefined {
  return NAMES.find(isThere);
}

/** Compile an exported C program for the kernel. @throws Error with the compiler's words */
export async function compileEbpf(
  clang: string,
  source: string,
  object: string,
  defines: Readonly<Record<string, string | number>>,
): Promise<void> {
  const machine = (await tryRun(["gcc", "-dumpmachine"])).stdout.trim();
  const given = Object.entries(defines).map(([name, value]) => `-D${name}=${value}`);
  const flags = ["-O2", "-g", "-Wall", "-Werror", "-target", "bpf", `-I/usr/include/${machine}`];
  await run([clang, ...flags, ...given, "-c", source, "-o", object], { timeoutMs: 60_000 });
}
