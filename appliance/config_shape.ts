/**
 * First pass over a configuration: every key on its own.
 *
 * Pure. Walks the parsed TOML along the sections of the key table. What is known and well formed is kept by
 * path, with defaults filled in; everything else is a problem. What depends on two keys is the second pass's
 * (config_checks.ts).
 */
import { acceptedForm, type Key, type Keys } from "./config_key.ts";
import { type Section, SECTIONS } from "./config_keys.ts";
import { joinKey, type Place } from "../filter/toml_places.ts";
import { suggest } from "./suggest.ts";

export interface Problem {
  readonly file: string;
  /** Counts from 1; null: the problem stands nowhere in the text, such as a key that is missing. */
  readonly line: number | null;
  readonly column: number | null;
  /** "failover.silence_ms", "filter.rules[1].match"; empty: the text as a whole. */
  readonly key: string;
  /** What is wrong, as the end of a sentence that begins with the key. */
  readonly reason: string;
  /** The value as it was found; null: nothing was. */
  readonly found: string | null;
  /** What would be right; null: the reason says it. */
  readonly accepted: string | null;
}

export type Scalar = string | number | boolean | null;
type Table = Readonly<Record<string, unknown>>;

/** What the first pass hands to the second. */
export interface Shape {
  /** Good values and defaults by path. A path that is not there had a problem. */
  readonly values: ReadonlyMap<string, Scalar>;
  /** Paths that the text gives, as opposed to defaults. */
  readonly given: ReadonlySet<string>;
  /** How many tables each list has, by its path. */
  readonly lists: ReadonlyMap<string, number>;
  /** What tables with a name are called, by the path of their section, in the order of the text. */
  readonly names: ReadonlyMap<string, readonly string[]>;
  readonly problems: Problem[];
  readonly places: ReadonlyMap<string, Place>;
  readonly file: string;
}

/** All keys of `root`, the value of a TOML text whose keys stand at `places`. */
export function readShape(root: Table, places: ReadonlyMap<string, Place>, file: string): Shape {
  const reader = new Reader(places, file);
  reader.members("", "", root);
  return reader;
}

/** A problem at the place of `key`, or at the nearest table around it that the text has. */
export function problemAt(
  where: { readonly places: ReadonlyMap<string, Place>; readonly file: string },
  key: string,
  said: { reason: string; found?: string; accepted?: string },
): Problem {
  let path = key;
  while (path !== "" && !where.places.has(path)) path = path.replace(/(\.[^.]*|\[\d+\]|^[^.[]*)$/, "");
  const place = where.places.get(path);
  const { reason, found = null, accepted = null } = said;
  return {
    file: where.file,
    line: place?.line ?? null,
    column: place?.column ?? null,
    key,
    reason,
    found,
    accepted,
  };
}

/** A value as a person would write it. */
export function showValue(value: unknown): string {
  if (typeof value === "string") {
    return value.length > 60 ? `${JSON.stringify(value.slice(0, 60))}...` : JSON.stringify(value);
  }
  if (Array.isArray(value)) return value.length === 0 ? "[]" : `an array of ${value.length}`;
  if (value instanceof Date) return value.toISOString();
  if (typeof value === "object" && value !== null) return "a table";
  return String(value);
}

class Reader implements Shape {
  readonly values = new Map<string, Scalar>();
  readonly given = new Set<string>();
  readonly problems: Problem[] = [];
  readonly lists = new Map<string, number>();
  readonly names = new Map<string, string[]>();

  constructor(readonly places: ReadonlyMap<string, Place>, readonly file: string) {}

  get rules(): number {
    return this.lists.get("filter.rules") ?? 0;
  }

  /**
   * The keys and the inner sections of the table at `path`, which is an instance of the section
   * `sectionPath`.
   */
  members(sectionPath: string, path: string, table: Table): void {
    const keys = SECTIONS.find((section) => section.path === sectionPath)?.keys ?? {};
    const inner = SECTIONS.filter((section) => parentOf(section.path) === sectionPath);
    const known = [...Object.keys(keys), ...inner.map((section) => lastOf(section.path))];
    this.#keys(sectionPath, path, { table, keys, known });
    for (const section of inner) this.#section(section, table[lastOf(section.path)]);
  }

  #keys(
    sectionPath: string,
    path: string,
    { table, keys, known }: { table: Table; keys: Keys; known: readonly string[] },
  ): void {
    for (const [name, value] of Object.entries(table)) {
      if (!known.includes(name)) this.#unknown(sectionPath, joinKey(path, name), { name, value, known });
    }
    for (const [name, key] of Object.entries(keys)) this.#key(joinKey(path, name), key, table[name]);
  }

  /** Tables that people name, each with keys that its own values decide. */
  #named(section: Section, keysOf: (table: Table) => Keys, value: unknown): void {
    const accepted = `tables, each headed [${section.path}.NAME]`;
    if (value === undefined) return;
    if (!isTable(value)) {
      const reason = `is ${kindOf(value)}, not a table of tables`;
      return this.#problem(section.path, { reason, found: showValue(value), accepted });
    }
    for (const [name, table] of Object.entries(value)) {
      const path = joinKey(section.path, name);
      if (!isTable(table)) {
        this.#problem(path, {
          reason: `is ${kindOf(table)}, not a table`,
          found: showValue(table),
          accepted,
        });
      } else if (!/^[a-z][a-z0-9-]{0,30}$/.test(name)) {
        const form = "1 to 31 small letters, digits and dashes, a letter first";
        this.#problem(path, { reason: "has a name that is none", found: showValue(name), accepted: form });
      } else {
        const keys = keysOf(table);
        this.names.set(section.path, [...this.names.get(section.path) ?? [], name]);
        this.#keys(section.path, path, { table, keys, known: Object.keys(keys) });
      }
    }
  }

  #section(section: Section, value: unknown): void {
    if (section.list) return this.#list(section, value);
    if (section.named) return this.#named(section, section.named, value);
    if (value === undefined || isTable(value)) return this.members(section.path, section.path, value ?? {});
    this.#problem(section.path, {
      reason: `is ${kindOf(value)}, not a table`,
      found: showValue(value),
      accepted: `a table, [${section.path}]`,
    });
  }

  #list(section: Section, value: unknown): void {
    if (value === undefined) return;
    const accepted = `tables, each headed [[${section.path}]]`;
    if (!Array.isArray(value)) {
      const reason = `is ${kindOf(value)}, not a list of tables`;
      return this.#problem(section.path, { reason, found: showValue(value), accepted });
    }
    this.lists.set(section.path, value.length);
    value.forEach((element: unknown, index) => {
      const path = `${section.path}[${index}]`;
      if (isTable(element)) this.members(section.path, path, element);
      else {this.#problem(path, {
          reason: `is ${kindOf(element)}, not a table`,
          found: showValue(element),
          accepted,
        });}
    });
  }

  #key(path: string, key: Key, value: unknown): void {
    if (value === undefined) {
      if (key.required) this.#problem(path, { reason: "is missing", accepted: acceptedForm(key) });
      else this.values.set(path, key.default);
      return;
    }
    this.given.add(path);
    const fault = faultOf(key, value);
    if (fault !== null) {
      return this.#problem(path, { reason: fault, found: showValue(value), accepted: acceptedForm(key) });
    }
    this.values.set(path, typeof value === "bigint" ? Number(value) : value as Scalar);
  }

  #unknown(
    sectionPath: string,
    path: string,
    key: { name: string; value: unknown; known: readonly string[] },
  ): void {
    const where = sectionPath === "" ? "is no section" : `is no key of [${sectionPath}]`;
    const near = suggest(key.name, key.known);
    const home = SECTIONS.find((section) => key.name in section.keys && section.path !== sectionPath);
    let advice = "";
    if (near !== null) advice = `: did you mean "${near}"?`;
    else if (home) advice = `: it belongs in [${home.path}]`;
    this.#problem(path, {
      reason: where + advice,
      found: showValue(key.value),
      ...(advice === "" && { accepted: `one of ${key.known.join(", ")}` }),
    });
  }

  #problem(key: string, said: { reason: string; found?: string; accepted?: string }): void {
    this.problems.push(problemAt(this, key, said));
  }
}

/** Why `value` is none for `key`, as the end of a sentence; null: it is one. */
function faultOf(key: Key, value: unknown): string | null {
  switch (key.type) {
    case "integer":
      if (typeof value !== "bigint") return mismatch(value, "an integer", /^\s*[+-]?\d+\s*$/);
      if (value === 0n && key.zero) return null;
      if (value < BigInt(key.min)) return "is too small";
      return value > BigInt(key.max) ? "is too large" : null;
    case "boolean":
      return typeof value === "boolean" ? null : mismatch(value, "true or false", /^\s*(true|false)\s*$/i);
    case "choice": {
      if (typeof value !== "string") return mismatch(value, "a text");
      if (key.choices.includes(value)) return null;
      const near = suggest(value, key.choices);
      return near === null ? "is no choice" : `is no choice: did you mean "${near}"?`;
    }
    case "text":
      return typeof value === "string" ? key.fault(value) : mismatch(value, "a text");
  }
}

function mismatch(value: unknown, wanted: string, unquoted?: RegExp): string {
  if (typeof value === "string" && unquoted?.test(value)) {
    return `is a text, not ${wanted}: leave out the quotes`;
  }
  return `is ${kindOf(value)}, not ${wanted}`;
}

function kindOf(value: unknown): string {
  if (typeof value === "bigint") return "an integer";
  if (typeof value === "number") return "a fraction";
  if (typeof value === "boolean") return "true or false";
  if (typeof value === "string") return "a text";
  if (Array.isArray(value)) return "an array";
  return value instanceof Date ? "a date" : "a table";
}

function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function parentOf(path: string): string {
  return path.includes(".") ? path.slice(0, path.lastIndexOf(".")) : "";
}

function lastOf(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1);
}
