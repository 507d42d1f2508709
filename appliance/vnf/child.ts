/**
 * Duty: processes of VNFs. An edge: starts them in sessions of their own, so that they outlive control, and ends them by
 * their number.
 *
 * A number alone says little, because numbers come again: beside it stands when the process was begun, which no two
 * processes of one number share.
 */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** A process that may have been started by an earlier control. */
export interface Child {
  readonly pid: number;
  /** Since the start of the machine, in ticks of the kernel. */
  readonly ticks: number;
}

const OUTPUT_CHARACTERS_MAX = 4096;
const LOOK_MS = 20;

/** Null: there is none of this number, or it has ended and nobody has taken note. */
export function childOf(pid: number): Child | null {
  try {
    // The name in brackets may hold anything, brackets too.
    const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).replace(/^.*\) /s, "").split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? null : { pid, ticks: Number(fields[19]) };
  } catch {
    return null; // there is none
  }
}

export const lives = (child: Child) => childOf(child.pid)?.ticks === child.ticks;

const MARK = "REMEDIATE_VNF";

/** The process that was begun with this mark, by whomever; null: it does not live. */
export function marked(mark: string): Child | null {
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const isIt = Deno.readTextFileSync(`/proc/${name}/environ`).split("\0").includes(`${MARK}=${mark}`);
      const [, , , session] = Deno.readTextFileSync(`/proc/${name}/stat`).replace(/^.*\) /s, "").split(" ");
      // Its children have the mark as well; the one to end leads their session.
      if (isIt && session === name) return childOf(Number(name));
    } catch {
      continue; // it has ended meanwhile
    }
  }
  return null;
}

export interface Begun {
  readonly log: string | null;
  /** Found again by it where control dies before it has taken note of the number. */
  readonly mark: string;
  /** Hears how it ended, if control lives to see it. */
  readonly ended: (how: string) => void;
}

/** Starts what stays. @throws Error with one sentence */
export function begin(argv: readonly string[], { log, mark, ended }: Begun): Promise<Child> {
  const [program = "", ...args] = argv;
  const file = log === null ? null : openSync(log, "w", 0o640);
  const child = spawn(program, args, {
    detached: true,
    env: { ...Deno.env.toObject(), [MARK]: mark },
    stdio: ["ignore", file ?? "ignore", file ?? "ignore"],
  });
  if (file !== null) closeSync(file);
  child.unref();
  child.once(
    "exit",
    (code, signal) => ended(signal === null ? `it ended with code ${code}` : `it ended by ${signal}`),
  );
  return new Promise((resolve, reject) => {
    child.once("error", (cause) => reject(new Error(`cannot run ${program}: ${cause.message}`, { cause })));
    child.once("spawn", () => {
      const begun = childOf(child.pid ?? 0);
      if (begun === null) reject(new Error("it ended at once"));
      else resolve(begun);
    });
  });
}

function signal(child: Child, name: "SIGTERM" | "SIGKILL"): void {
  try {
    // With all that it has started.
    Deno.kill(-child.pid, name);
  } catch {
    // It has just ended, as it should.
  }
}

/** SIGTERM, and SIGKILL for whoever takes longer. Returns whether it has ended. */
export async function end(child: Child, graceMs: number): Promise<boolean> {
  for (const name of ["SIGTERM", "SIGKILL"] as const) {
    if (!lives(child)) return true;
    signal(child, name);
    for (const until = Date.now() + graceMs; lives(child) && Date.now() < until;) await delay(LOOK_MS);
  }
  return !lives(child);
}

/** What a process that has ended left behind in its group. */
export function sweep({ pid }: Child): void {
  // The number of a group is not given to a process while the group has members.
  if (childOf(pid) === null) signal({ pid, ticks: 0 }, "SIGKILL");
}

/** Runs what ends by itself. Null: it ended well; else why not. */
export function carryOut(argv: readonly string[], timeoutMs: number): Promise<string | null> {
  const [program = "", ...args] = argv;
  const child = spawn(program, args, { detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let said = "", late = false;
  const hear = (chunk: Uint8Array) => {
    said = (said + new TextDecoder().decode(chunk)).slice(-OUTPUT_CHARACTERS_MAX);
  };
  child.stdout?.on("data", hear);
  child.stderr?.on("data", hear);
  const group = child.pid;
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      late = true;
      const begun = group === undefined ? null : childOf(group);
      if (begun !== null) signal(begun, "SIGKILL");
    }, timeoutMs);
    child.once("error", (error) => {
      clearTimeout(timer);
      resolve(`cannot run ${program}: ${error.message}`);
    });
    child.once("close", (code) => {
      clearTimeout(timer);
      const last = said.trim().split("\n").at(-1) ?? "";
      if (late) resolve(`no answer within ${timeoutMs} ms`);
      else resolve(code === 0 ? null : `code ${code}${last === "" ? "" : `: ${last.slice(0, 200)}`}`);
    });
  });
}
