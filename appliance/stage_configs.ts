/** The configurations of a chain's stages, the first one first. Pure. */
import { type Config, describeProblem, parseConfig } from "./config.ts";
import { stageText } from "./stages.ts";

export interface StageConfig {
  /** Null: the first, or the only one. */
  readonly stage: string | null;
  readonly config: Config;
  readonly text: string;
}

/** `text` is without problems, and `config` is what it says. @throws Error with one sentence */
export function stagesOf({ text, path, config }: {
  readonly text: string;
  readonly path: string;
  readonly config: Config;
}): StageConfig[] {
  return [null, ...config.stages].map((stage) => {
    const own = stageText(text, stage) ?? "";
    const parsed = own === text ? { config, problems: [] } : parseConfig(own, path);
    if (parsed.config !== undefined) return { stage, config: parsed.config, text: own };
    throw new Error(`Cannot run stage ${stage ?? "one"}: ${parsed.problems.map(describeProblem).join("; ")}`);
  });
}
