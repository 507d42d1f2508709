/**
 * Which box served last, kept on disk: the box that has the connections is the one to begin with.
 *
 * A plane that is started anew, after a crash or a reboot, must not move traffic to the primary because of it: going
 * back is a decision, never an accident of starting. An edge: one small file.
 */
import { BOX } from "../filter/names.ts";
import type { Config } from "./config.ts";
import { lastPathPath } from "./paths.ts";
import { reasonOf } from "../drivers/reason.ts";
import type { Box, Path } from "./view.ts";

/** Remember it, if it is a box. A disk that does not take it is told with what follows from that. */
export function writeLastPath(config: Config, path: Path, complain: (text: string) => void): void {
  if (!BOX.some((box) => box === path)) return;
  const file = lastPathPath(config);
  try {
    Deno.writeTextFileSync(`${file}.new`, `${path}\n`, { mode: 0o640 });
    Deno.renameSync(`${file}.new`, file);
  } catch (error) {
    const then = "a plane that is started anew will begin with the box before";
    complain(`Cannot write ${file}: ${reasonOf(error)}: ${then}`);
  }
}

/** The box that served last; the primary if nothing can be read. */
export function readLastPath(config: Config): Box {
  try {
    const text = Deno.readTextFileSync(lastPathPath(config)).trim();
    return BOX.find((box) => box === text) ?? "primary";
  } catch {
    return "primary"; // a node that never switched
  }
}
