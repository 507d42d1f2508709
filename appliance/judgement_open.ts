/** Control's judgement, with what an earlier control has kept of matches on disk. */
import type { Config } from "./config.ts";
import { Judgement, type JudgementOptions } from "./judgement.ts";
import { LineFile } from "./line_file.ts";
import { matchPath } from "./paths.ts";

/** A day of four boxes and more; the file before is kept as well. */
const FILE_BYTES_MAX = 1 << 20;

export function openJudgement(
  config: Config,
  { tell, judged, complain }: Pick<JudgementOptions, "tell" | "judged"> & {
    complain: (text: string) => void;
  },
): Judgement {
  const file = new LineFile({
    path: matchPath(config),
    bytesMax: FILE_BYTES_MAX,
    complain: (reason) => complain(`Cannot keep the history of matches: ${reason}`),
  });
  const judgement = new Judgement({ tell, ...(judged && { judged }), keep: (line) => file.append(line) });
  judgement.matches.load(file.load());
  return judgement;
}
