/** What a node is made of. Pure types. */
import type { Config } from "./config.ts";

export type Level = "info" | "warn" | "error";
/** Writes one message as `how` wants it, which a reload may change. */
export type Log = (level: Level, text: string, more: Record<string, unknown>, how: Config["log"]) => void;

export interface NodeOptions {
  readonly config: Config;
  /** The text `config` was made from, and its file: `reload` reads it again. */
  readonly configText: string;
  readonly configPath: string;
  /** Which stage of that file this is. @default the first */
  readonly stage?: string | null;
  readonly log: Log;
}
