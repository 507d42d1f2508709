/**
 * Duty: remember which labs are on this machine and who owns them, so that a crashed run leaves nothing for ever.
 *
 * Each lab has one file in /run/remediate-lab, written before its first namespace. A later run reads
 * them and takes down labs whose owner is dead, unless they were meant to stay (`keep`).
 */
import { dirname } from "node:path";
import type { Config } from "../../appliance/config.ts";
import { boardPath } from "../../appliance/paths.ts";
import { endProcessesIn, namespacesOf, tryRun } from "./process.ts";

const DIRECTORY = "/run/remediate-lab";

export interface LabRecord {
  readonly prefix: string;
  readonly topology: string;
  readonly pid: number;
  /** Start of the owner in clock ticks since boot: process ids are used again, this pair is not. */
  readonly ownerStart: string;
  /** Stays after its owner has ended, until somebody takes it down. */
  readonly keep: boolean;
  /** Files of the lab: configurations, logs, the node's directories. */
  readonly directory: string;
  readonly createdMs: number;
}

function path(prefix: string): string {
  return `${DIRECTORY}/${prefix}.json`;
}

function startOf(pid: number): string {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    // The name in brackets may hold spaces; field 22 counts from behind it. proc(5).
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}

/** Takes a prefix nobody uses and writes the record. */
export function claim(topology: string, keep: boolean): LabRecord {
  Deno.mkdirSync(DIRECTORY, { recursive: true, mode: 0o700 });
  for (let attempt = 0; attempt < 100; attempt++) {
    const prefix = "rm" + crypto.getRandomValues(new Uint16Array(1))[0]!.toString(16).padStart(4, "0");
    if (namespacesOf(prefix).length > 0) continue;
    const record: LabRecord = {
      prefix,
      topology,
      pid: Deno.pid,
      ownerStart: startOf(Deno.pid),
      keep,
      directory: Deno.makeTempDirSync({ prefix: `remediate-${prefix}-` }),
      createdMs: Date.now(),
    };
    try {
      Deno.writeTextFileSync(path(prefix), JSON.stringify(record) + "\n", { createNew: true, mode: 0o600 });
      return record;
    } catch (error) {
      Deno.removeSync(record.directory);
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
  throw new Error(`Cannot find a free name for a lab: 100 attempts, see ${DIRECTORY}`);
}

/** Marks a lab as one that stays after its owner has ended. */
export function keepRecord(record: LabRecord): void {
  Deno.writeTextFileSync(path(record.prefix), JSON.stringify({ ...record, keep: true }) + "\n");
}

/** All labs of this machine, oldest first. A file that cannot be read is left alone. */
export function records(): LabRecord[] {
  const found: LabRecord[] = [];
  try {
    for (const entry of Deno.readDirSync(DIRECTORY)) {
      if (!entry.name.endsWith(".json")) continue;
      try {
        const record = JSON.parse(Deno.readTextFileSync(`${DIRECTORY}/${entry.name}`)) as LabRecord;
        if (/^rm[0-9a-f]{4}$/.test(record.prefix) && entry.name === `${record.prefix}.json`) {
          found.push(record);
        }
      } catch {
        continue;
      }
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return found.sort((a, b) => a.createdMs - b.createdMs);
}

export function ownerAlive(record: LabRecord): boolean {
  return record.ownerStart !== "" && startOf(record.pid) === record.ownerStart;
}

/** Boards of nodes whose runtime directory was in the lab: a plane that is killed cannot remove its own. */
function removeBoards(record: LabRecord): void {
  const start = boardPath({ node: { runtimeDirectory: record.directory } } as Config);
  const folder = dirname(start);
  for (const entry of Deno.readDirSync(folder)) {
    if (!`${folder}/${entry.name}`.startsWith(`${start}-`)) continue;
    try {
      Deno.removeSync(`${folder}/${entry.name}`);
    } catch (error) {
      // A plane that ends in order removes its own.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** Ends all processes of a lab and removes its namespaces, files and record. May be called twice. */
export async function takeDown(record: LabRecord): Promise<void> {
  const names = namespacesOf(record.prefix);
  await endProcessesIn(names);
  if (names.length > 0) {
    const batch = names.map((name) => `netns del ${name}`).join("\n") + "\n";
    await tryRun(["ip", "-force", "-batch", "-"], { stdin: batch });
  }
  const left = namespacesOf(record.prefix);
  if (left.length > 0) throw new Error(`Cannot remove the namespaces ${left.join(", ")}: see ip netns pids`);
  removeBoards(record);
  for (const name of [record.directory, path(record.prefix)]) {
    await Deno.remove(name, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}

/** Takes down labs whose owner has died. Returns their prefixes. */
export async function sweep(): Promise<string[]> {
  const dead = records().filter((record) => !record.keep && !ownerAlive(record));
  for (const record of dead) await takeDown(record);
  return dead.map((record) => record.prefix);
}
