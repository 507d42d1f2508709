/**
 * The part of JSON Schema (2020-12) that the API and the fleet's protocol are described in, and its validator.
 *
 * Pure. The objects go into the OpenAPI document as they stand. A library would be ten times this and say "must match
 * pattern"; here a fault is one sentence with the place, the value and what is accepted, which for texts is the schema's
 * own description.
 */
interface Common {
  readonly description?: string;
}
export interface TextSchema extends Common {
  readonly type: "string";
  readonly enum?: readonly string[];
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly default?: string;
}
export interface IntegerSchema extends Common {
  readonly type: "integer";
  readonly minimum: number;
  readonly maximum: number;
  readonly default?: number;
}
export interface BooleanSchema extends Common {
  readonly type: "boolean";
  readonly default?: boolean;
}
export interface ObjectSchema extends Common {
  readonly type: "object";
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  /**
   * False in what comes in: a misspelt member would otherwise be obeyed as if it were not there. A schema: what further
   * members are.
   */
  readonly additionalProperties?: boolean | Schema;
  readonly maxProperties?: number;
}
export interface ListSchema extends Common {
  readonly type: "array";
  readonly items: Schema;
  readonly maxItems?: number;
}
export interface NumberSchema extends Common {
  readonly type: "number";
}
export interface NullableSchema extends Common {
  readonly anyOf: readonly [Schema, { readonly type: "null" }];
}
export type ParameterSchema = TextSchema | IntegerSchema | BooleanSchema;
export type Schema = ParameterSchema | ObjectSchema | ListSchema | NumberSchema | NullableSchema;

/** A body without members. */
export const NOTHING: ObjectSchema = { type: "object", properties: {}, additionalProperties: false };

/** The members of a body that comes in; all of them known. */
export function members(
  properties: Readonly<Record<string, Schema>>,
  required: readonly string[] = [],
): ObjectSchema {
  return { type: "object", properties, required, additionalProperties: false };
}

/** An answer with at least these members; more may come with later versions. */
export function answer(properties: Readonly<Record<string, Schema>>): ObjectSchema {
  return { type: "object", properties, required: Object.keys(properties) };
}

export function nullable(schema: Schema): NullableSchema {
  return { anyOf: [schema, { type: "null" }] };
}

/** What is wrong with `value`, in one sentence; null: nothing. `name`: the place, "" for the whole. */
export function faultIn(schema: Schema, value: unknown, name = ""): string | null {
  if ("anyOf" in schema) {
    const fault = value === null ? null : faultIn(schema.anyOf[0], value, name);
    return fault === null ? null : `${fault}, or null`;
  }
  switch (schema.type) {
    case "string":
      return fits(schema, value) ? null : refusal(schema, value, name);
    case "integer":
      return Number.isSafeInteger(value) && Number(value) >= schema.minimum && Number(value) <= schema.maximum
        ? null
        : refusal(schema, value, name);
    case "number":
      return typeof value === "number" ? null : refusal(schema, value, name);
    case "boolean":
      return typeof value === "boolean" ? null : refusal(schema, value, name);
    case "array": {
      if (!Array.isArray(value) || value.length > (schema.maxItems ?? Infinity)) {
        return refusal(schema, value, name);
      }
      const faults = value.map((item: unknown, index) => faultIn(schema.items, item, `${name}[${index}]`));
      return faults.find((fault) => fault !== null) ?? null;
    }
    case "object":
      return objectFault(schema, value, name);
  }
}

function objectFault(schema: ObjectSchema, value: unknown, name: string): string | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return refusal(schema, value, name);
  }
  const given = value as Readonly<Record<string, unknown>>, { properties = {}, required = [] } = schema;
  if (Object.keys(given).length > (schema.maxProperties ?? Infinity)) return refusal(schema, value, name);
  if (schema.additionalProperties === false) {
    const strange = Object.keys(given).find((key) => !Object.hasOwn(properties, key));
    if (strange !== undefined) return `There is no member "${strange}" in this body; ${known(properties)}`;
  }
  for (const [key, inner] of Object.entries(properties)) {
    const there = Object.hasOwn(given, key);
    if (!there && !required.includes(key)) continue;
    const fault = faultIn(inner, there ? given[key] : undefined, name === "" ? key : `${name}.${key}`);
    if (fault !== null) return fault;
  }
  const further = schema.additionalProperties;
  if (typeof further !== "object") return null;
  for (const [key, one] of Object.entries(given)) {
    const fault = Object.hasOwn(properties, key) ? null : faultIn(further, one, `${name}.${key}`);
    if (fault !== null) return fault;
  }
  return null;
}

/** "there is force, box", "there are none". */
function known(properties: object): string {
  const names = Object.keys(properties);
  return names.length === 0 ? "there are none" : `there is ${names.join(", ")}`;
}

function fits(schema: TextSchema, value: unknown): boolean {
  if (typeof value !== "string") return false;
  if (schema.enum !== undefined && !schema.enum.includes(value)) return false;
  if (value.length < (schema.minLength ?? 0) || value.length > (schema.maxLength ?? Infinity)) return false;
  return schema.pattern === undefined || new RegExp(schema.pattern, "u").test(value);
}

function refusal(schema: Schema, value: unknown, name: string): string {
  const shown = JSON.stringify(value) ?? "undefined";
  const short = shown.length > 80 ? `${shown.slice(0, 80)}...` : shown;
  return `"${name}" is ${short}; accepted: ${accepted(schema)}`;
}

/** What a schema takes, as the end of "accepted: ". */
export function accepted(schema: Schema): string {
  if ("anyOf" in schema) return `${accepted(schema.anyOf[0])}, or null`;
  switch (schema.type) {
    case "integer":
      return `an integer from ${schema.minimum} to ${schema.maximum}`;
    case "boolean":
      return "true or false";
    case "string":
      return schema.enum?.map((one) => `"${one}"`).join(" or ") ?? schema.description ?? "a text";
    case "array":
      return schema.maxItems === undefined ? "a list" : `a list of at most ${schema.maxItems}`;
    default:
      return { number: "a number", object: "a JSON object" }[schema.type];
  }
}

/** The value of a parameter that came as text; undefined: it is none. */
export function fromText(schema: ParameterSchema, text: string): string | number | boolean | undefined {
  const value = schema.type === "integer"
    ? /^\d{1,16}$/.test(text) ? Number(text) : undefined
    : schema.type === "boolean"
    ? ["true", "false"].includes(text) ? text === "true" : undefined
    : text;
  return value !== undefined && faultIn(schema, value) === null ? value : undefined;
}
