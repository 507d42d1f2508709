/**
 * Duty: a record as JSON, for people, the API and the readable part of a sealed record.
 *
 * Fields are their text and a value is Base64. What is read back is judged whole, because it comes from outside: one
 * sentence says what is wrong with it.
 */
import { fieldsText, parseFields } from "./fields.ts";
import {
  KEY_CHARACTERS_MAX,
  type MergeKind,
  type Partition,
  recordFault,
  type StateRecord,
  type StateRole,
  VALUE_BYTES_MAX,
} from "./record.ts";

export const STATE_ROLES = [
  "configuration",
  "supporting",
  "reporting",
] as const satisfies readonly StateRole[];
const PARTITIONS = ["flow", "shared"] as const satisfies readonly Partition[];
const MERGES = ["sum", "max", "union"] as const satisfies readonly MergeKind[];

/** All of a record but its value. */
export type RecordHead = Omit<StateRecord, "value" | "fields"> & { readonly fields: string };
export type RecordJson = RecordHead & { readonly value: string };

const MEMBERS = [
  "role",
  "partition",
  "key",
  "fields",
  "codec",
  "version",
  "ttlMs",
  "merge",
  "ended",
] as const;
/** A member that may be left out, and what it then is. */
const DEFAULTS: Readonly<Record<string, unknown>> = { ttlMs: null, merge: null, ended: false, value: "" };

export function headOf({ value: _, fields, ...rest }: StateRecord): RecordHead {
  return { ...rest, fields: fieldsText(fields) };
}

export function recordToJson(record: StateRecord): RecordJson {
  return { ...headOf(record), value: record.value.toBase64() };
}

/** A record out of its head and its value, or what is wrong, as the end of a sentence. */
export function recordOfHead(head: unknown, value: Uint8Array): StateRecord | string {
  if (typeof head !== "object" || head === null || Array.isArray(head)) return "it is no JSON object";
  const given = { ...DEFAULTS, ...head } as Readonly<Record<string, unknown>>;
  const missing = MEMBERS.find((name) => !(name in given));
  if (missing !== undefined) return `it has no "${missing}"`;
  const { key, codec, version, ttlMs, ended } = given;
  const role = STATE_ROLES.find((known) => known === given.role);
  const partition = PARTITIONS.find((known) => known === given.partition);
  const merge = given.merge === null ? null : MERGES.find((known) => known === given.merge);
  if (role === undefined) return notOneOf(given, "role", STATE_ROLES);
  if (partition === undefined) return notOneOf(given, "partition", PARTITIONS);
  if (merge === undefined) return notOneOf(given, "merge", MERGES);
  if (typeof key !== "string" || key.length > KEY_CHARACTERS_MAX) return wrong(given, "key", "a text");
  if (typeof codec !== "string") return wrong(given, "codec", "a text");
  if (typeof version !== "number") return wrong(given, "version", "a number");
  if (ttlMs !== null && typeof ttlMs !== "number") return wrong(given, "ttlMs", "a number or null");
  if (typeof ended !== "boolean") return wrong(given, "ended", "true or false");
  if (typeof given.fields !== "string") return wrong(given, "fields", "a text");
  let fields;
  try {
    fields = parseFields(given.fields);
  } catch (error) {
    return `its "fields": ${(error as Error).message}`;
  }
  const record = { role, partition, key, fields, codec, value, version, ttlMs, merge, ended };
  return recordFault(record) ?? record;
}

/** The same from the JSON of a whole record. */
export function recordFromJson(json: unknown): StateRecord | string {
  const { value = "", ...head } = { ...(json as Record<string, unknown> | null) };
  const unknown = Object.keys(head).find((name) => !MEMBERS.some((known) => known === name));
  if (unknown !== undefined) return `there is no member "${unknown}"`;
  if (typeof value !== "string" || value.length > VALUE_BYTES_MAX * 4 / 3 + 4) {
    return `its "value" is no Base64 of at most ${VALUE_BYTES_MAX} bytes`;
  }
  let bytes;
  try {
    bytes = Uint8Array.fromBase64(value);
  } catch {
    return 'its "value" is no Base64';
  }
  return recordOfHead(typeof json === "object" && !Array.isArray(json) ? head : json, bytes);
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "absent";
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

function wrong(given: Readonly<Record<string, unknown>>, name: string, wanted: string): string {
  return `its "${name}" is ${shown(given[name])}, not ${wanted}`;
}

function notOneOf(
  given: Readonly<Record<string, unknown>>,
  name: string,
  choices: readonly string[],
): string {
  return wrong(given, name, `one of ${choices.join(", ")}`);
}
