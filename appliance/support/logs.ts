/**
 * The last lines of the node's logs, for somebody who looks at a page: those of control, which the service manager keeps,
 * and those of the plane. An edge: reads a file and asks journalctl. Secrets are taken out as for the archive.
 */
import type { Config } from "../config.ts";
import { planeLogPath } from "../paths.ts";
import { reasonOf } from "../../drivers/reason.ts";
import { ownSecrets, tail } from "./bundle.ts";
import { redact } from "./redact.ts";

const LINES_MAX = 200;
const TOOL_MS_MAX = 5000;

export interface LogText {
  readonly name: "control" | "plane";
  /** Its last lines; empty: it has none. */
  readonly text: string;
  /** Why it cannot be read; null: it was. */
  readonly fault: string | null;
}

/** @param configPath the file of the configuration, whose secrets must not be told; null: only that in force */
export async function recentLogs(config: Config, configPath: string | null): Promise<readonly LogText[]> {
  const secrets = await ownSecrets(config, configPath);
  const told = async (name: LogText["name"], read: () => Promise<string>): Promise<LogText> => {
    try {
      const text = redact(await read(), secrets).trimEnd().split("\n").slice(-LINES_MAX).join("\n");
      return { name, text, fault: null };
    } catch (error) {
      return { name, text: "", fault: reasonOf(error) };
    }
  };
  return [await told("control", serviceLog), await told("plane", () => tail(planeLogPath(config)))];
}

async function serviceLog(): Promise<string> {
  const args = ["--unit=remediate", "--no-pager", "--quiet", "--output=short-iso", `--lines=${LINES_MAX}`];
  const signal = AbortSignal.timeout(TOOL_MS_MAX);
  const { success, stdout, stderr } = await new Deno.Command("journalctl", { args, signal }).output();
  if (success) return new TextDecoder().decode(stdout);
  throw new Error(new TextDecoder().decode(stderr).trim().split("\n")[0] || "journalctl failed");
}
