/**
 * Duty: schemas of the fleet's messages, and the types that follow from them. Pure.
 *
 * A message is declared once, as a schema; TypeScript reads the type off it. So what is checked on the wire and what
 * the code takes for granted cannot part.
 */
import type { Schema } from "../schema.ts";

/** The values that a schema accepts. */
export type Of<S> = S extends { readonly anyOf: readonly [infer A, unknown] } ? Of<A> | null
  : S extends { readonly type: "string"; readonly enum: readonly (infer E)[] } ? E
  : S extends { readonly type: "string" } ? string
  : S extends { readonly type: "integer" | "number" } ? number
  : S extends { readonly type: "boolean" } ? boolean
  : S extends { readonly type: "array"; readonly items: infer I } ? readonly Of<I>[]
  : S extends { readonly type: "object" } ? OfObject<S>
  : never;

type OfObject<S> = S extends
  { readonly properties: infer P extends object; readonly required: readonly (infer R)[] } ?
    & { readonly [K in keyof P as K extends R ? K : never]: Of<P[K]> }
    & { readonly [K in keyof P as K extends R ? never : K]?: Of<P[K]> }
  : S extends { readonly additionalProperties: infer A extends Schema } ? Readonly<Record<string, Of<A>>>
  : Readonly<Record<string, unknown>>;

/** An object with these members and no others; all but `optional` must be there. */
export function record<
  const P extends Readonly<Record<string, Schema>>,
  const O extends readonly (keyof P & string)[] = readonly [],
>(properties: P, optional?: O) {
  const left: readonly string[] = optional ?? [];
  const isNeeded = (key: string): key is Exclude<keyof P & string, O[number]> => !left.includes(key);
  const required: readonly Exclude<keyof P & string, O[number]>[] = Object.keys(properties).filter(isNeeded);
  return {
    type: "object",
    properties,
    required,
    additionalProperties: false,
  } as const;
}

export function list<const I extends Schema>(items: I, maxItems: number) {
  return { type: "array", items, maxItems } as const;
}

export function orNull<const S extends Schema>(schema: S) {
  return { anyOf: [schema, { type: "null" }] } as const;
}

export function text(maxLength: number, description = `a text of at most ${maxLength} characters`) {
  return { type: "string", maxLength, description } as const;
}

export function form(pattern: string, description: string) {
  return { type: "string", pattern, description } as const;
}

export function choice<const E extends readonly string[]>(values: E) {
  return { type: "string", enum: values } as const;
}

export function count(maximum: number = Number.MAX_SAFE_INTEGER, minimum = 0) {
  return { type: "integer", minimum, maximum } as const;
}

/** A JSON object of at most so many members, not looked into. */
export function open(maxProperties: number) {
  return { type: "object", maxProperties } as const;
}

export const NUMBER = { type: "number" } as const;
export const FLAG = { type: "boolean" } as const;
export const NODE_ID = form("^[a-z0-9]{16}$", "the id of a node, 16 letters and digits");
export const NONCE = form("^[A-Za-z0-9_-]{43}$", "32 bytes as base64url");
/** An Ed25519 public key, raw. */
export const KEY = NONCE;
export const SIGNATURE = form("^[A-Za-z0-9_-]{86}$", "64 bytes as base64url");
/** SHA-256. */
export const DIGEST = form("^[0-9a-f]{64}$", "SHA-256 in hexadecimal");
/** Milliseconds since 1970. */
export const TIME = count();
export const LABELS = {
  type: "object",
  additionalProperties: form("^[A-Za-z0-9._-]{1,63}$", "1 to 63 letters, digits, dots, dashes, underscores"),
  maxProperties: 32,
} as const;
