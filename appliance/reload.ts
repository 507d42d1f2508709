/** A configuration that is to be taken over by a running node: read, judged, and compared with the one in force. */
import { reasonOf } from "../drivers/reason.ts";
import type { Config } from "./config.ts";
import { addedRoles, reloadFault } from "./config_fixed.ts";
import { matchFault } from "./config_match.ts";
import type { NodeOptions } from "./node_options.ts";
import { parseStage } from "./stage_configs.ts";
import type { Role } from "./view.ts";

export interface Reload {
  readonly config: Config;
  /** Of this stage. */
  readonly text: string;
  /** Ports that it has and the one in force has not. */
  readonly added: readonly Role[];
}

/** The configuration on disk, or why it cannot follow `before` in a running node. */
export async function readReload(
  before: Config,
  { configPath, stage = null }: Pick<NodeOptions, "configPath" | "stage">,
): Promise<Reload | string> {
  const whole = await Deno.readTextFile(configPath).catch((error: Error) => error);
  if (whole instanceof Error) return `${configPath} cannot be read: ${reasonOf(whole)}`;
  const parsed = parseStage(whole, configPath, { stage, matchFault });
  if (typeof parsed === "string") return parsed;
  const { config, text } = parsed, added = addedRoles(before, config);
  return reloadFault(before, config, added) ?? { config, text, added };
}
