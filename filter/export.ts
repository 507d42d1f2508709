/**
 * Exports of the filter's rules to other packet processors: what every target has in common.
 *
 * A target says for each field of a rule whether it means the same there, or something near it, in words. A field
 * that a target does not name is refused as soon as a rule uses it, so that a new field is never dropped in silence.
 */
import type { BpfProgram } from "./bpf.ts";
import { wrap } from "./lines.ts";
import type { AgesMs } from "./model.ts";
import { type CompiledRule, type FilterRule, filterRule } from "./rule.ts";

export const EXPORT_FORMATS = ["ebpf", "click", "p4"] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

export interface ExportInput {
  readonly rules: readonly CompiledRule[];
  readonly ages: AgesMs;
  /** Flows to have room for, both sides together. */
  readonly flowsMax: number;
  /** Leave out what the target cannot express, and say so in the output, instead of refusing it. */
  readonly partial: boolean;
}

/** One packet processor: null for a field that means the same there, else how its meaning differs. */
export interface ExportTarget {
  readonly format: ExportFormat;
  readonly fields: Readonly<Record<string, string | null>>;
}

/** What exports know of a rule: the fields that some target can express. */
export interface ExportRule {
  readonly name: string;
  readonly match: string;
  readonly handshake: boolean;
  readonly teardown: boolean;
  readonly all: boolean;
  readonly none: boolean;
  readonly firstPackets: number;
  readonly firstPayloadPackets: number;
  /** Of each direction; where they differ it is 0 and the next two tell, for targets that express those. */
  readonly firstBytes: number;
  readonly firstBytesUp: number;
  readonly firstBytesDown: number;
  readonly turnBytesUp: number;
  readonly turnBytesDown: number;
  readonly turnBytesMax: number;
  readonly plaintext: boolean;
  readonly acks: boolean;
  readonly sample: number;
  readonly keepaliveMs: number;
  readonly keepaliveWindow: boolean;
}

/** A rule as a target can express it, with its expression compiled. */
export interface ReviewedRule {
  readonly rule: ExportRule;
  readonly program: BpfProgram;
}

export interface Review {
  /** Rules without what the target cannot express. */
  readonly rules: readonly ReviewedRule[];
  /** Sentences for the head of the output. */
  readonly notes: readonly string[];
}

/**
 * What of the rules a target can express.
 * @throws RangeError naming every rule and field that it cannot, unless `partial`
 */
export function reviewRules({ rules, partial }: ExportInput, { format, fields }: ExportTarget): Review {
  const refused: string[] = [];
  const notes = new Set<string>();
  const reviewed = rules.map(({ rule, program }): ReviewedRule => {
    const kept = settingsOf(rule);
    for (const field of usedFields(rule)) {
      const meaning = fields[field];
      if (meaning === null) continue;
      if (meaning !== undefined) notes.add(`${field}: ${meaning}`);
      else {
        refused.push(`rule "${rule.name}" uses ${field}`);
        kept[field] = OFF[field];
      }
    }
    return { rule: { ...NOTHING, ...kept, name: rule.name }, program };
  });
  if (refused.length > 0 && !partial) {
    throw new RangeError(
      `Cannot export to ${format}: ${refused.join(", ")}, which it cannot express; ` +
        "--partial leaves that out and says so in the output",
    );
  }
  return { rules: reviewed, notes: [...refused.map((what) => `LEFT OUT: ${what}.`), ...notes] };
}

/** Fields that mean the same in eBPF and P4, or nearly. A field that is not here is refused until it can be expressed. */
export const COMMON_FIELDS: ExportTarget["fields"] = {
  match: null,
  handshake: null,
  teardown: null,
  all: null,
  none: null,
  firstPackets: null,
  firstPayloadPackets: null,
  firstBytes: null,
  seed: "making connections known after a switch is the node's work; the program only copies.",
};

const NOTHING: ExportRule = {
  name: "",
  match: "",
  handshake: false,
  teardown: false,
  all: false,
  none: false,
  firstPackets: 0,
  firstPayloadPackets: 0,
  firstBytes: 0,
  firstBytesUp: 0,
  firstBytesDown: 0,
  turnBytesUp: 0,
  turnBytesDown: 0,
  turnBytesMax: 0,
  plaintext: false,
  acks: false,
  sample: 0,
  keepaliveMs: 0,
  keepaliveWindow: false,
};

/** The fields of a rule by name. Bytes that are the same both ways are those of each direction. */
function settingsOf(rule: FilterRule): Record<string, unknown> {
  const { firstBytesUp, firstBytesDown, ...rest }: Record<string, unknown> = { ...rule };
  if (firstBytesUp === undefined) return rest;
  return firstBytesUp === firstBytesDown
    ? { ...rest, firstBytes: firstBytesUp }
    : { ...rest, firstBytesUp, firstBytesDown };
}

const OFF: Readonly<Record<string, unknown>> = {
  ...settingsOf(filterRule({ name: "off" })),
  firstBytesUp: 0,
  firstBytesDown: 0,
};

/** Fields with another value than "off"; the name is no setting. */
function usedFields(rule: FilterRule): string[] {
  const said = (value: unknown) => JSON.stringify(value);
  return Object.entries(settingsOf(rule))
    .filter(([field, value]) => field !== "name" && said(value) !== said(OFF[field])).map(([field]) => field);
}

/** Whether any rule may copy; then fragments, which have no flow, are copied too. */
export function mirrorsAny(rules: readonly ReviewedRule[]): boolean {
  return rules.some(({ rule }) => !rule.none);
}

/** Text that cannot end a comment of C. */
export function forComment(text: string): string {
  return text.replaceAll("*/", "* /").replaceAll("/*", "/ *").replaceAll(/[\r\n]+/g, " ");
}

const WIDTH = 106;

/** A block comment of lines, wrapped at words; what follows a break is indented. */
export function comment(lines: readonly string[]): string {
  const wrapped = lines.flatMap((line) => folded(forComment(line)));
  return `/* ${wrapped.join("\n * ")}\n */\n`.replaceAll(/ +\n/g, "\n");
}

function folded(line: string): string[] {
  const first = " ".repeat(line.length - line.trimStart().length);
  return wrap(line.trimStart(), { width: WIDTH, first, rest: `${first}  ` });
}

/** What a rule copies, in one line. */
export function describeRule({ rule }: CompiledRule, index: number): string {
  const settings = usedFields(rule).filter((field) => field !== "match").map((field) => {
    const value = settingsOf(rule)[field];
    return value === true ? field : `${field} ${JSON.stringify(value)}`;
  });
  const match = rule.match.trim() === "" ? "everything" : rule.match;
  return `rule ${index} "${rule.name}" on ${match}: ${settings.join(", ") || "nothing"}`;
}
