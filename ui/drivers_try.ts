/**
 * The commands on log formats: try one on a log, list them, print one.
 *
 * Pure but for what is handed in: the lines, the files and the terminal.
 */
import { fieldsText } from "../drivers/fields.ts";
import { flowFields, mirrored } from "../drivers/flow_value.ts";
import { BUILTIN_FORMATS, builtinFormat, goodFormat } from "../drivers/formats/builtin.ts";
import { compileFormat, explainLine, type LineReader } from "../drivers/formats/engine.ts";
import type { Entry, FlowEntry, Reading } from "../drivers/formats/entry.ts";
import { Tracker } from "../drivers/formats/tracker.ts";
import { parseSyslog } from "../drivers/syslog/message.ts";
import { toJson } from "./cli.ts";
import type { Invocation } from "./arguments.ts";
import type { Terminal } from "./cli.ts";
import { EXIT, type Exit } from "./commands.ts";

export interface TryMeans {
  readonly terminal: Terminal;
  /** Of a file that is given by path. @throws Error with a sentence */
  readonly readText: (path: string) => Promise<string>;
  readonly lines: AsyncIterable<string>;
}

const ENTRIES_MAX = 1_000_000;

function flowText({ original, reply, session, state, timeoutMs }: FlowEntry): string {
  if (original === null || reply === null) return `session ${session}`;
  const plain = fieldsText(flowFields(mirrored(reply))) === fieldsText(flowFields(original));
  return [
    fieldsText(flowFields(original)),
    ...(plain ? [] : [`as ${fieldsText(flowFields(mirrored(reply))).replace(/^\S+ /, "")}`]),
    ...(state === null ? [] : [state]),
    ...(timeoutMs === null ? [] : [`for ${timeoutMs / 1000} s`]),
    ...(session === null ? [] : [`session ${session}`]),
  ].join(", ");
}

/** What a line tells, as one line. */
export function entryText(entry: Entry): string {
  switch (entry.what) {
    case "flow":
      return `${entry.event} ${flowText(entry)}`;
    case "binding": {
      const { protocol, source, sourcePort, natSource, natSourcePort } = entry.binding;
      const from = fieldsText({ protocol, source, sourcePort }).replace(/ > .*$/, "");
      return `${entry.event} binding ${from} as ${natSource} ${natSourcePort}`;
    }
    case "choice": {
      const { client, place, chosen } = entry.choice;
      return `${entry.event} choice of ${place} for ${client}: ${chosen}`;
    }
    case "report":
      return `${entry.event} report ${entry.key} of ${fieldsText(flowFields(entry.original))}: ${
        Object.entries(entry.values).map(([name, value]) => `${name}=${value}`).join(" ")
      }`;
  }
}

interface Told {
  readonly reading: Reading | { readonly kind: "fault"; readonly fault: string };
  /** Of a line that is not understood. */
  readonly why: string;
}

function tell(reader: LineReader, line: string): Told {
  const message = parseSyslog(line);
  if (typeof message === "string") {
    return { reading: { kind: "fault", fault: message }, why: message.replaceAll("_", " ") };
  }
  const reading = reader.read(message.text);
  const odd = reading.kind === "unknown" || reading.kind === "refused";
  return { reading, why: odd ? explainLine(reader, message.text) : "" };
}

function toldText({ reading, why }: Told): string {
  switch (reading.kind) {
    case "entry":
      return `${entryText(reading.entry)} (${reading.rule})`;
    case "ignored":
      return `passed over (${reading.rule})`;
    default:
      return `not understood: ${why}`;
  }
}

async function formatNamed(name: string, readText: TryMeans["readText"]) {
  if (Object.hasOwn(BUILTIN_FORMATS, name)) return builtinFormat(name);
  if (/[./]/.test(name)) return goodFormat(await readText(name), name);
  throw new Error(
    `Cannot find the format "${name}": there is ${
      Object.keys(BUILTIN_FORMATS).join(", ")
    }, or the path of a file`,
  );
}

export async function driversTry({ arguments: [name], options }: Invocation, means: TryMeans): Promise<Exit> {
  const { terminal, lines } = means;
  const format = await formatNamed(name!, means.readText);
  const reader = compileFormat(format);
  const tracker = new Tracker(ENTRIES_MAX);
  const [json, onlyOdd] = [options.flag("json"), options.flag("odd")];
  const totals = { lines: 0, entries: 0, passed_over: 0, not_understood: 0 };
  for await (const line of lines) {
    if (line.trim() === "") continue;
    totals.lines++;
    const told = tell(reader, line);
    const { reading } = told;
    if (reading.kind === "entry") {
      totals.entries++;
      tracker.take(reading.entry, terminal.now());
    } else totals[reading.kind === "ignored" ? "passed_over" : "not_understood"]++;
    if (onlyOdd && (reading.kind === "entry" || reading.kind === "ignored")) continue;
    const { why } = told;
    if (json) {
      terminal.out(`${JSON.stringify({ line: totals.lines, ...reading, ...(why !== "" && { why }) })}\n`);
    } else terminal.out(`${String(totals.lines).padStart(5)}  ${toldText(told)}\n`);
  }
  const kept = { ...tracker.counters(), alive: tracker.size };
  if (json) terminal.out(`${JSON.stringify({ format: format.name, totals, state: kept })}\n`);
  else {
    terminal.out(
      `${totals.lines} lines: ${totals.entries} understood, ${totals.passed_over} passed over, ` +
        `${totals.not_understood} not understood\n` +
        `state: ${
          Object.entries(kept).map(([key, count]) => `${count} ${key.replaceAll("_", " ")}`).join(", ")
        }\n`,
    );
  }
  return totals.not_understood === 0 ? EXIT.ok : EXIT.failed;
}

export function driversFormats({ arguments: [name], options }: Invocation, terminal: Terminal): Exit {
  if (name !== undefined) {
    const text = BUILTIN_FORMATS[name];
    if (text === undefined) {
      terminal.err(`Cannot find the format "${name}": there is ${Object.keys(BUILTIN_FORMATS).join(", ")}\n`);
      return EXIT.failed;
    }
    terminal.out(options.flag("json") ? toJson({ name, text }) : text);
    return EXIT.ok;
  }
  const formats = Object.keys(BUILTIN_FORMATS).map((one) => {
    const { summary, form, rules, documentation } = builtinFormat(one);
    return { name: one, summary, form, rules: rules.length, documentation };
  });
  const width = Math.max(...formats.map((one) => one.name.length));
  if (options.flag("json")) terminal.out(toJson(formats));
  else for (const one of formats) terminal.out(`${one.name.padEnd(width)}  ${one.summary}\n`);
  return EXIT.ok;
}
