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

export interface Members {
  readonly left: readonly Box[];
  /** A person moved the traffic for work on a box, and not for good: it goes back by itself as after a failure. */
  readonly relieved: boolean;
}

export function readMembers(config: Config): Members {
  try {
    const { left, relieved } = JSON.parse(Deno.readTextFileSync(membersPath(config)));
    return {
      left: Array.isArray(left) ? BOXES.filter((box) => left.includes(box)) : [],
      relieved: relieved === true,
    };
  } catch {
    return { left: [], relieved: false };
  }
}

/** @throws Error with one sentence; what was kept before is kept */
export function writeMembers(config: Config, members: Members): void {
  const path = membersPath(config);
  try {
    Deno.writeTextFileSync(`${path}.new`, `${JSON.stringify(members)}\n`, { mode: 0o640 });
    Deno.renameSync(`${path}.new`, path);
  } catch (cause) {
    throw new Error(`Cannot write ${path}: ${reasonOf(cause)}`, { cause });
  }
}
