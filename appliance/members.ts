/**
 * Which boxes have left, kept over restarts of control and of the plane.
 *
 * An edge: one small file in the state directory, replaced as a whole. What cannot be read counts as nobody having left:
 * a spare too many does no harm, one too few may.
 */
import type { Config } from "./config.ts";
import { membersPath } from "./paths.ts";
import { reasonOf } from "../drivers/reason.ts";
import { type Box, BOXES } from "./view.ts";

export function readLeft(config: Config): Box[] {
  try {
    const { left } = JSON.parse(Deno.readTextFileSync(membersPath(config)));
    return Array.isArray(left) ? BOXES.filter((box) => left.includes(box)) : [];
  } catch {
    return [];
  }
}

/** @throws Error with one sentence; what was kept before is kept */
export function writeLeft(config: Config, left: readonly Box[]): void {
  const path = membersPath(config);
  try {
    Deno.writeTextFileSync(`${path}.new`, `${JSON.stringify({ left })}\n`, { mode: 0o640 });
    Deno.renameSync(`${path}.new`, path);
  } catch (cause) {
    throw new Error(`Cannot write ${path}: ${reasonOf(cause)}`, { cause });
  }
}
