/**
 * Duty: a log format as data: what its file may say, and every problem with one, by file, line and key.
 *
 * A format says how lines are split (`form`) and has rules; the first rule that fits a line says what happened. Values of
 * a rule are text with `<name>` where a value of the line goes, or a list of such texts, of which the first that the line
 * has counts. The built-in formats are files of this kind too.
 */
import { parse, TomlError } from "smol-toml";
import { joinKey, placeKeys } from "../../filter/toml_places.ts";
import { compileTemplate, type Template } from "./template.ts";

export const FORMS = ["text", "pairs", "csv", "json"] as const;
/** An update tells of what may be new; a refresh of what goes on, and nothing of who began it. */
export const EVENTS = ["open", "update", "refresh", "close", "ignore"] as const;
export const ENTRIES = ["flow", "binding", "choice", "report"] as const;
export const MERGES = ["sum", "max", "union"] as const;

export type Form = (typeof FORMS)[number];
export type Event = (typeof EVENTS)[number];
export type EntryKind = (typeof ENTRIES)[number];

/** Texts with references, the first that has all its values counts. */
export type Value = readonly string[];
/** What a value must be: one of these texts; true: it is there; false: it is not. "" fits one that is not there. */
export type Condition = readonly string[] | boolean;

/** Keys of a rule whose value is text with references. */
export const VALUES = [
  "protocol",
  "source",
  "source_port",
  "destination",
  "destination_port",
  "icmp_id",
  "nat_source",
  "nat_source_port",
  "nat_destination",
  "nat_destination_port",
  "nat_icmp_id",
  "session",
  "state",
  "timeout_s",
  "client",
  "place",
  "chosen",
  "key",
] as const;
export type ValueName = (typeof VALUES)[number];

export interface Rule {
  readonly name: string;
  /** Cheap to look for: a line without it does not fit. */
  readonly contains: string | null;
  readonly match: Template | null;
  readonly where: ReadonlyMap<string, Condition>;
  /** A line of which one of these holds does not fit. */
  readonly except: ReadonlyMap<string, Condition>;
  readonly event: Event;
  readonly entry: EntryKind;
  readonly values: Readonly<Partial<Record<ValueName, Value>>>;
  /** What a report tells, by name. */
  readonly report: ReadonlyMap<string, Value>;
  readonly merge: (typeof MERGES)[number];
}

export interface Format {
  readonly name: string;
  readonly summary: string;
  readonly documentation: readonly string[];
  readonly form: Form;
  readonly columns: readonly string[];
  /** Values that stand for none. */
  readonly absent: readonly string[];
  /** Common to all rules: a line that it does not fit is none of this format. */
  readonly head: Template | null;
  readonly rules: readonly Rule[];
}

/** "formats/mine.toml:12: rule[0].match has "id" twice". */
export interface FormatProblem {
  readonly file: string;
  /** From 1; null: of the file as a whole. */
  readonly line: number | null;
  readonly key: string;
  readonly reason: string;
}

export function describeFormatProblem({ file, line, key, reason }: FormatProblem): string {
  return `${[file, line].filter((part) => part !== null).join(":")}: ${key === "" ? "" : `${key} `}${reason}`;
}

export const RULES_MAX = 100;
const FILE_BYTES_MAX = 256 * 1024;

type Table = Readonly<Record<string, unknown>>;
const isTable = (value: unknown): value is Table =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
const isText = (value: unknown): value is string => typeof value === "string";
const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);

class Judge {
  readonly problems: FormatProblem[] = [];
  readonly #places: ReturnType<typeof placeKeys>;
  constructor(readonly file: string, text: string) {
    this.#places = placeKeys(text);
  }

  refuse(key: string, reason: string): void {
    const line = this.#places.get(key)?.line ?? this.#places.get(key.replace(/\.[^.]+$/, ""))?.line ?? null;
    this.problems.push({ file: this.file, line, key, reason });
  }

  unknown(table: Table, path: string, known: readonly string[]): void {
    for (const key of Object.keys(table)) {
      if (!known.includes(key)) this.refuse(joinKey(path, key), `is no key here: ${known.join(", ")}`);
    }
  }

  text(table: Table, path: string, key: string, fallback?: string): string {
    const value = table[key];
    if (isText(value) && value !== "") return value;
    if (value !== undefined) this.refuse(joinKey(path, key), `is ${JSON.stringify(value)}, not text`);
    else if (fallback === undefined) this.refuse(joinKey(path, key), "is missing");
    return fallback ?? "";
  }

  texts(table: Table, key: string): readonly string[] {
    const value = table[key] ?? [];
    if (isTexts(value)) return value;
    this.refuse(key, `is ${JSON.stringify(value)}, not a list of texts`);
    return [];
  }

  choice<T extends string>(
    table: Table,
    at: { path: string; key: string },
    of: readonly T[],
    fallback: T,
  ): T {
    const value = table[at.key] ?? fallback;
    const found = of.find((one) => one === value);
    if (found === undefined) {
      this.refuse(joinKey(at.path, at.key), `is ${JSON.stringify(value)}, not one of ${of.join(", ")}`);
    }
    return found ?? fallback;
  }

  template(table: Table, path: string, key: string): Template | null {
    if (table[key] === undefined) return null;
    const text = this.text(table, path, key, "");
    try {
      return text === "" ? null : compileTemplate(text);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.refuse(joinKey(path, key), `is no pattern: ${error.message}`);
      return null;
    }
  }

  value(found: unknown, key: string): Value {
    const texts = Array.isArray(found) ? found : [found];
    const good = texts.filter((one) => isText(one) || Number.isSafeInteger(one)).map(String);
    if (good.length === 0 || good.length < texts.length) {
      this.refuse(key, `is ${JSON.stringify(found)}, not text, a whole number or a list of texts`);
    }
    return good;
  }

  /** A table whose values are judged one by one. */
  map<T>(table: Table, at: { path: string; key: string }, judge: (value: unknown, key: string) => T) {
    const found = table[at.key] ?? {};
    const path = joinKey(at.path, at.key);
    if (isTable(found)) {
      return new Map(Object.entries(found).map(([name, value]) => [name, judge(value, joinKey(path, name))]));
    }
    this.refuse(path, `is ${JSON.stringify(found)}, not a table`);
    return new Map<string, T>();
  }

  condition(found: unknown, key: string): Condition {
    if (typeof found === "boolean" || isTexts(found)) return found;
    if (isText(found)) return [found];
    this.refuse(key, `is ${JSON.stringify(found)}, not text, a list of texts, true or false`);
    return [];
  }
}

const RULE_KEYS = [
  "name",
  "contains",
  "match",
  "where",
  "except",
  "event",
  "entry",
  "report",
  "merge",
  ...VALUES,
];
/** What a rule must say, besides a session alone where it closes. */
const NEEDED: Readonly<Record<EntryKind, readonly ValueName[]>> = {
  flow: ["protocol", "source", "destination"],
  binding: ["protocol", "source", "nat_source"],
  choice: ["client", "place", "chosen"],
  report: ["protocol", "source", "destination", "key"],
};

function judgeRule(judge: Judge, table: Table, path: string): Rule {
  judge.unknown(table, path, RULE_KEYS);
  const rule: Rule = {
    name: judge.text(table, path, "name"),
    contains: table["contains"] === undefined ? null : judge.text(table, path, "contains"),
    match: judge.template(table, path, "match"),
    where: judge.map(table, { path, key: "where" }, (value, key) => judge.condition(value, key)),
    except: judge.map(table, { path, key: "except" }, (value, key) => judge.condition(value, key)),
    event: judge.choice(table, { path, key: "event" }, EVENTS, "update"),
    entry: judge.choice(table, { path, key: "entry" }, ENTRIES, "flow"),
    values: Object.fromEntries(
      VALUES.filter((key) => table[key] !== undefined).map((key) => [
        key,
        judge.value(table[key], joinKey(path, key)),
      ]),
    ),
    report: judge.map(table, { path, key: "report" }, (value, key) => judge.value(value, key)),
    merge: judge.choice(table, { path, key: "merge" }, MERGES, "union"),
  };
  if (table["event"] === undefined) judge.refuse(joinKey(path, "event"), "is missing");
  const bySession = rule.event === "close" && rule.entry === "flow" && rule.values.session !== undefined;
  if (rule.event === "ignore" || bySession && rule.values.source === undefined) return rule;
  for (const key of NEEDED[rule.entry].filter((key) => rule.values[key] === undefined)) {
    judge.refuse(joinKey(path, key), `is missing: a rule with entry = "${rule.entry}" needs it`);
  }
  return rule;
}

const NAME = /<([A-Za-z_][\w.-]*)>/g;
/** Names that a text refers to. */
export const referencesIn = (text: string): string[] => [...text.matchAll(NAME)].map((found) => found[1]!);

/** A name nobody gives is a slip, where all names are known. */
function judgeReferences(judge: Judge, format: Format): void {
  if (format.form !== "text" && format.form !== "csv") return;
  format.rules.forEach((rule, index) => {
    const known = new Set([...format.columns, ...format.head?.names ?? [], ...rule.match?.names ?? []]);
    const check = (name: string, key: string) => {
      if (!known.has(name)) {
        judge.refuse(`rule[${index}].${key}`, `names <${name}>, which no pattern or column gives`);
      }
    };
    for (const name of rule.where.keys()) check(name, `where.${name}`);
    for (const name of rule.except.keys()) check(name, `except.${name}`);
    for (const [key, value] of [...Object.entries(rule.values), ...rule.report]) {
      for (const name of (value ?? []).flatMap(referencesIn)) check(name, key);
    }
  });
}

const TOP_KEYS = ["name", "summary", "documentation", "form", "columns", "absent", "head", "rule"];

function judgeFormat(judge: Judge, table: Table): Format {
  judge.unknown(table, "", TOP_KEYS);
  const rules = Array.isArray(table["rule"]) ? table["rule"].filter(isTable) : [];
  if (rules.length === 0) judge.refuse("rule", "is missing: a format needs [[rule]] tables");
  if (rules.length > RULES_MAX) judge.refuse("rule", `stands ${rules.length} times, more than ${RULES_MAX}`);
  const format: Format = {
    name: judge.text(table, "", "name"),
    summary: judge.text(table, "", "summary", ""),
    documentation: judge.texts(table, "documentation"),
    form: judge.choice(table, { path: "", key: "form" }, FORMS, "text"),
    columns: judge.texts(table, "columns"),
    absent: judge.texts(table, "absent"),
    head: judge.template(table, "", "head"),
    rules: rules.slice(0, RULES_MAX).map((rule, index) => judgeRule(judge, rule, `rule[${index}]`)),
  };
  if (format.form === "csv" && format.columns.length === 0) {
    judge.refuse("columns", 'is missing: form = "csv" needs the names of the columns');
  }
  judgeReferences(judge, format);
  return format;
}

/** The format, or everything that is wrong with its file. */
export function parseFormat(text: string, file: string): Format | readonly FormatProblem[] {
  if (text.length > FILE_BYTES_MAX) {
    return [{ file, line: null, key: "", reason: `has more than ${FILE_BYTES_MAX} characters` }];
  }
  let table: Table;
  try {
    table = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = `is no TOML: ${error.message.split("\n")[0]}`;
    return [{ file, line: error.line, key: "", reason }];
  }
  const judge = new Judge(file, text);
  const format = judgeFormat(judge, table);
  return judge.problems.length > 0 ? judge.problems : format;
}
