/**
 * One log line per message, for people or for machines.
 *
 * Pure: `nowMs` is handed in. Lines go to standard error, where a service manager takes them up.
 */
import { wallTime } from "./paint.ts";

export const LEVELS = ["debug", "info", "warn", "error"] as const;
export type Level = (typeof LEVELS)[number];

export interface Message {
  readonly level: Level;
  readonly text: string;
  readonly more?: Readonly<Record<string, unknown>>;
}

/** The line of a message, with its line end; null when it is less important than `least`. */
export function logLine(
  message: Message,
  how: { readonly level: Level; readonly format: "text" | "json" },
  nowMs: number,
): string | null {
  const { level, text, more = {} } = message;
  if (LEVELS.indexOf(level) < LEVELS.indexOf(how.level)) return null;
  if (how.format === "json") {
    return `${JSON.stringify({ ...more, time: new Date(nowMs).toISOString(), level, text })}\n`;
  }
  const facts = Object.entries(more).map(([name, value]) => ` ${name}=${show(value)}`).join("");
  // A line break inside of a message would look like a message of its own.
  return `${wallTime(nowMs)} ${level} ${text.replaceAll("\n", "\n    ")}${facts}\n`;
}

function show(value: unknown): string {
  return typeof value === "string" && !/[\s="]/.test(value) ? value : JSON.stringify(value);
}
