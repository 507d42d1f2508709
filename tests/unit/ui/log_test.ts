/** Log lines for people and for machines. */
import assert from "node:assert/strict";
import { logLine } from "../../../ui/log.ts";

const AT = Date.UTC(2026, 0, 31, 12, 0, 0, 5);
const TEXT = { level: "info", format: "text" } as const;

Deno.test("logLine() writes one line for people, facts at its end", () => {
  const line = logLine({ level: "warn", text: "moved", more: { event: 4, why: "link down" } }, TEXT, AT);
  assert.equal(line, '2026-01-31 12:00:00.005 warn moved event=4 why="link down"\n');
});

Deno.test("logLine() writes JSON for machines, which no fact can disguise", () => {
  const more = { event: 4, level: "debug" };
  const line = logLine({ level: "error", text: "a\nb", more }, { level: "info", format: "json" }, AT);
  assert.ok(line!.endsWith("}\n") && line!.indexOf("\n") === line!.length - 1);
  assert.deepEqual(JSON.parse(line!), {
    event: 4,
    time: "2026-01-31T12:00:00.005Z",
    level: "error",
    text: "a\nb",
  });
});

Deno.test("logLine() leaves out what is less important than asked for", () => {
  assert.equal(logLine({ level: "debug", text: "x" }, TEXT, AT), null);
  assert.equal(logLine({ level: "info", text: "x" }, { ...TEXT, level: "warn" }, AT), null);
  assert.ok(logLine({ level: "error", text: "x" }, { ...TEXT, level: "error" }, AT));
});

Deno.test("logLine() indents the further lines of a message, so that they do not pass for messages", () => {
  assert.equal(logLine({ level: "info", text: "a\nb" }, TEXT, AT), "2026-01-31 12:00:00.005 info a\n    b\n");
});
