/**
 * What a route of the API is: all that validation, the OpenAPI document and the tests of security need, in one value.
 *
 * Types, and the helpers that tables of routes are written with. `work` hears of nothing that its schemas do not
 * accept, and of nobody below its role.
 */
import type { ResetWish } from "../appliance/reset.ts";
import type { NodeControl } from "../appliance/view.ts";
import type { ConfigControl } from "../appliance/view_config.ts";
import type { AccessControl } from "./access/view.ts";
import type { FleetControl } from "../appliance/fleet/contract.ts";
import type { Streams } from "./streams.ts";
import { answer, type ObjectSchema, type ParameterSchema, type Schema } from "../appliance/schema.ts";
import type { AccessRole, Visitor } from "./session.ts";
import type { UpdateDesk } from "./update_desk.ts";

export type Method = "GET" | "POST" | "PUT" | "DELETE";

/** One request that was accepted. */
export interface Asked {
  /** Null only for routes that anybody may ask. */
  readonly visitor: Visitor | null;
  /** Values of the `{names}` in the path. */
  readonly path: Readonly<Record<string, string>>;
  /** Those given, and defaults. */
  readonly query: Readonly<Record<string, string | number | boolean>>;
  readonly body: Readonly<Record<string, unknown>>;
  /** The body as it came; for routes that take a text. */
  readonly text: string;
  /** The body as it comes; for routes that take a stream. */
  readonly stream: ReadableStream<Uint8Array> | null;
  readonly headers: Headers;
  /** Where it came from; "" for the unix socket. */
  readonly address: string;
}

/** What the API stands on. Null: this listener has it not. */
export interface ApiMeans {
  readonly control: NodeControl;
  readonly config: ConfigControl | null;
  readonly access: AccessControl | null;
  readonly streams: Streams | null;
  /** Makes the archive for whoever is to help. */
  readonly support: (() => Promise<Uint8Array<ArrayBuffer>>) | null;
  /** Control ends a moment later. Returns a sentence. @throws Error with one */
  readonly reset: ((wish: ResetWish) => string) | null;
  /** Of a controller; a node has none. */
  readonly fleet: FleetControl | null;
  /** Absent: another stage has it. */
  readonly update?: UpdateDesk;
  /** Who asks; null: nobody who is known. */
  readonly who: (request: Request, address: string) => Visitor | null;
  /** One line of the audit log. */
  readonly audit: (entry: AuditEntry) => void;
  readonly nowMs: () => number;
}

export interface AuditEntry {
  /** A name, or what somebody claimed to be. */
  readonly who: string;
  /** "" for the unix socket. */
  readonly from: string;
  readonly what: string;
  /** The HTTP status. */
  readonly result: number;
  readonly detail?: string;
}

export interface Answer {
  readonly description: string;
  /** @default "application/json" */
  readonly type?: string;
  /** Absent: not described further. */
  readonly schema?: Schema;
}

export interface Route {
  readonly method: Method;
  /** "/api/v1/users/{name}" */
  readonly path: string;
  /** operationId */
  readonly name: string;
  readonly summary: string;
  /** Null: anybody. */
  readonly role: AccessRole | null;
  readonly query?: Readonly<Record<string, ParameterSchema>>;
  /** Parameters of the query that must be given. */
  readonly needs?: readonly string[];
  /** Absent: none is taken. */
  readonly body?: ObjectSchema;
  /** The body is a text of this media type, which the work judges. */
  readonly text?: string;
  /** The body is a stream of this media type, which the work bounds. */
  readonly stream?: string;
  /** Of a body; 4 KiB unless told. */
  readonly bytesMax?: number;
  /** The body is nothing for the audit log. */
  readonly secret?: true;
  /** Whether `Idempotency-Key` is honoured. */
  readonly idempotent?: true;
  /** Other headers that matter, with what they are for. */
  readonly headers?: Readonly<Record<string, string>>;
  /** By status. Refusals are problem details and not listed, but for those that say more. */
  readonly answers: Readonly<Record<number, Answer>>;
  /** A value is answered as JSON with status 200. @throws Refused */
  readonly work: (asked: Asked, means: ApiMeans) => object | Promise<object>;
}

export const TEXT: Schema = { type: "string" };
export const YES_NO: Schema = { type: "boolean" };
export const LIST: Schema = { type: "array", items: { type: "object" } };
export const OBJECT: ObjectSchema = { type: "object" };

export const LIMIT_MAX = 10000;
export const LIMIT = { type: "integer", minimum: 1, maximum: LIMIT_MAX, default: 100 } as const;

/** One good answer of JSON. */
export function gives(description: string, properties: Readonly<Record<string, Schema>>): Route["answers"] {
  return { 200: { description, schema: answer(properties) } };
}

export function json(value: unknown, status: number, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: { "content-type": "application/json", ...headers },
  });
}
