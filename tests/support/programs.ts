/**
 * Duty: build the C tools of the tests when their source has changed.
 *
 * They are kept in .cache/lab under a name that holds the digest of source and flags, so a stale one is never run.
 */
import { dirname } from "node:path";
import { run } from "../../scripts/lab/process.ts";

/** Top of the checkout. */
export const TOP = dirname(dirname(import.meta.dirname!));
const FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"];

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Path of the program made from tests/support/NAME.c and frames.h. @throws Error with the compiler's words */
export async function program(name: "frames" | "load"): Promise<string> {
  const folder = `${TOP}/tests/support`;
  const source = `${folder}/${name}.c`;
  const texts = [source, `${folder}/frames.h`].map((path) => Deno.readTextFile(path));
  const text = FLAGS.join(" ") + (await Promise.all(texts)).join("");
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  const path = `${TOP}/.cache/lab/${name}-${hex(new Uint8Array(digest).subarray(0, 6))}`;
  const there = await Deno.stat(path).then(() => true, () => false);
  if (there) return path;
  await Deno.mkdir(dirname(path), { recursive: true });
  const fresh = `${path}.${Deno.pid}`;
  await run(["gcc", ...FLAGS, "-o", fresh, source], { timeoutMs: 60_000 });
  await Deno.rename(fresh, path);
  return path;
}
