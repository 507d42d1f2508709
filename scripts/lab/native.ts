/**
 * Duty: build the lab's C programs when their source has changed.
 *
 * They are kept in .cache/lab under a name that holds the digest of source and flags, so a stale one is never run.
 */
import { run } from "./process.ts";

const PROGRAMS = ["probe", "longflows", "datagrams", "stamp", "streams", "renumber", "associations"] as const;
const FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"];

/** Paths of the programs, by name. */
export type Programs = Readonly<Record<(typeof PROGRAMS)[number], string>>;

/** Builds one program when it is missing; returns its path. @throws Error with the compiler's words */
export async function build(name: string, top: string, folder = "scripts/lab"): Promise<string> {
  const source = `${top}/${folder}/${name}.c`;
  const text = await Deno.readTextFile(source);
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(FLAGS.join(" ") + text));
  const tag = [...new Uint8Array(digest).subarray(0, 6)].map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
  const path = `${top}/.cache/lab/${name}-${tag}`;
  try {
    await Deno.stat(path);
  } catch {
    await Deno.mkdir(`${top}/.cache/lab`, { recursive: true });
    const fresh = `${path}.${Deno.pid}`;
    await run(["gcc", ...FLAGS, "-o", fresh, source], { timeoutMs: 60_000 });
    await Deno.rename(fresh, path);
  }
  return path;
}

/** Builds what is missing. `top` is the top of the checkout. Throws Error with the compiler's words. */
export async function programs(top: string): Promise<Programs> {
  const built = await Promise.all(PROGRAMS.map((name) => build(name, top)));
  return Object.fromEntries(PROGRAMS.map((name, index) => [name, built[index]])) as unknown as Programs;
}
