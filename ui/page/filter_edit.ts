/**
 * Changes to the filter as changes to the text of the configuration, so that whatever is edited on a page is judged,
 * shown as a diff and applied in one way, and what a person has written stays as it is. Pure.
 */
import { placeKeys } from "../../filter/toml_places.ts";
import { type Preset, PRESETS } from "../../filter/rule.ts";

export interface NewRule {
  readonly name: string;
  readonly match: string;
  /** Keys of `[[filter.rules]]` that are numbers; 0 is left out. */
  readonly numbers: Readonly<Record<string, number>>;
  /** Those that are true. */
  readonly flags: readonly string[];
}

/** What the form offers, as in the configuration, with what each does. */
export const RULE_FLAGS = {
  handshake: "the opening",
  teardown: "the closing",
  seed: "seeds, where it takes over",
  acks: "what acknowledges a copy",
  plaintext: "bytes only while they can be read",
  all: "everything",
  none: "nothing",
} as const;
export const RULE_NUMBERS = {
  first_packets: "first packets, each way",
  first_payload_packets: "first packets with payload, each way",
  first_bytes: "first bytes, each way",
  sample: "one packet in so many",
  keepalive_s: "a sign of life every so many seconds",
} as const;

const NUMBER_MAX = 2 ** 32 - 1;

/** The rule of a form, or what is wrong with it. */
export function ruleOfForm(given: Readonly<Record<string, string>>): NewRule | string {
  const numbers: Record<string, number> = {};
  for (const key of Object.keys(RULE_NUMBERS)) {
    const text = (given[key] ?? "").trim();
    if (text === "") continue;
    if (!/^\d{1,10}$/.test(text) || Number(text) > NUMBER_MAX) {
      return `${key} is "${text}"; accepted: an integer from 0 to ${NUMBER_MAX}`;
    }
    numbers[key] = Number(text);
  }
  const flags = Object.keys(RULE_FLAGS).filter((key) => given[key] === "true");
  return { name: (given.name ?? "").trim(), match: (given.match ?? "").trim(), numbers, flags };
}

/** The text with a rule behind those it has; it stands before the rules of the preset. */
export function withRule(text: string, rule: NewRule): string {
  const lines = [
    "[[filter.rules]]",
    `name = ${JSON.stringify(rule.name)}`,
    ...(rule.match === "" ? [] : [`match = ${JSON.stringify(rule.match)}`]),
    ...rule.flags.map((flag) => `${flag} = true`),
    ...Object.entries(rule.numbers).filter(([, value]) => value > 0).map(([key, value]) =>
      `${key} = ${value}`
    ),
  ];
  return withRuleLines(text, lines);
}

/** The same with the lines of its table as they are to stand. */
export function withRuleLines(text: string, lines: readonly string[]): string {
  const last = ruleSpans(text).at(-1);
  if (last === undefined) return `${text.trimEnd()}\n\n${lines.join("\n")}\n`;
  const all = text.split("\n");
  return [...all.slice(0, last.end), ...lines, "", ...all.slice(last.end)].join("\n");
}

/** The text without the rule at `index` of those it has; unchanged where there is none. */
export function withoutRule(text: string, index: number): string {
  const span = ruleSpans(text)[index];
  if (span === undefined) return text;
  const all = text.split("\n");
  return [...all.slice(0, span.start), ...all.slice(span.end)].join("\n");
}

export function presetOf(name: string | undefined): Preset | null {
  return name !== undefined && Object.hasOwn(PRESETS, name) ? name as Preset : null;
}

export function withPreset(text: string, preset: Preset): string {
  const line = `preset = "${preset}"`;
  const all = text.split("\n");
  const there = placeKeys(text).get("filter.preset");
  if (there !== undefined) return all.with(there.line - 1, line).join("\n");
  const head = all.findIndex((one) => /^\s*\[\s*filter\s*\]/.test(one));
  if (head >= 0) return all.toSpliced(head + 1, 0, line).join("\n");
  return `${text.trimEnd()}\n\n[filter]\n${line}\n`;
}

/** Lines of each [[filter.rules]], from its header to before the next header; counted from 0. */
function ruleSpans(text: string): { start: number; end: number }[] {
  const all = text.split("\n"), places = placeKeys(text);
  const headers = [...places.values()].map(({ line }) => line - 1).filter((line) =>
    /^\s*\[/.test(all[line] ?? "")
  );
  const spans: { start: number; end: number }[] = [];
  for (let index = 0;; index++) {
    const place = places.get(`filter.rules[${index}]`);
    if (place === undefined) return spans;
    const start = place.line - 1;
    const next = headers.filter((line) => line > start).sort((a, b) => a - b)[0];
    spans.push({ start, end: next ?? all.length });
  }
}
