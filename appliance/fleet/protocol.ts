/**
 * Duty: the codec of the fleet's protocol: versions, bounds, schemas checked both ways, and what is signed. Pure.
 *
 * A message is one text frame: a JSON object with its `type`. A fault is one sentence with the place and the value; who
 * hears one ends the connection, because the other side is not what it says it is.
 */
import { faultIn, type ObjectSchema } from "../schema.ts";
import { argumentsFault } from "./kinds.ts";
import { type AgentMessage, type ControllerMessage, FROM_AGENT, FROM_CONTROLLER } from "./messages.ts";

export type { AgentMessage, ControllerMessage };

/**
 * Best first; both sides accept all of them.
 * 1: reports are whole. 2: reports may be deltas. 3: a file goes on where it was cut off.
 */
export const VERSIONS: readonly number[] = [3, 2, 1];
/** The path of the WebSocket at the controller. */
export const FLEET_PATH = "/fleet";
/** Of a frame, in bytes of UTF-8. Before the welcome much less is taken. */
export const FRAME_BYTES_MAX = 512 * 1024;
export const OPENING_BYTES_MAX = 8 * 1024;

export type Fault = "oversize" | "malformed";
export type Decoded<M> =
  | { readonly ok: true; readonly message: M }
  | { readonly ok: false; readonly fault: Fault; readonly text: string };

/** Opening: before the welcome. */
export interface Moment {
  readonly opening: boolean;
  /** Agreed on; null: not yet. */
  readonly version: number | null;
}

const OPENING: readonly string[] = ["hello", "proof"];

/** What an agent sent. */
export function fromAgent(text: string, { opening, version }: Moment): Decoded<AgentMessage> {
  const decoded = decode<AgentMessage>(text, FROM_AGENT, opening ? OPENING_BYTES_MAX : FRAME_BYTES_MAX);
  if (!decoded.ok) return decoded;
  const { message } = decoded;
  if (opening !== OPENING.includes(message.type)) {
    return malformed(`"${message.type}" has no place ${opening ? "before" : "after"} the welcome`);
  }
  if (message.type === "resume" && version !== null && version < 3) {
    return malformed(`version ${version} cannot resume a file`);
  }
  if (message.type === "report") {
    if (version === 1 && message.base !== null) return malformed("version 1 has no deltas");
    const missing = Object.keys(FROM_AGENT.report.properties.sections.properties).find((name) =>
      !Object.hasOwn(message.sections, name)
    );
    if (message.base === null && missing !== undefined) {
      return malformed(`a whole report without "${missing}"`);
    }
  }
  return decoded;
}

/** What a controller sent. */
export function fromController(text: string): Decoded<ControllerMessage> {
  const decoded = decode<ControllerMessage>(text, FROM_CONTROLLER, FRAME_BYTES_MAX);
  if (!decoded.ok || decoded.message.type !== "command") return decoded;
  const fault = argumentsFault(decoded.message.kind, decoded.message.arguments);
  return fault === null ? decoded : malformed(fault);
}

/** A frame for this message. @throws TypeError: it is none, which is a fault of ours */
export function encode(message: AgentMessage | ControllerMessage): string {
  const { type, ...members } = message;
  const tables: Readonly<Record<string, ObjectSchema>> = { ...FROM_AGENT, ...FROM_CONTROLLER };
  const fault = faultIn(tables[type]!, members);
  if (fault !== null) throw new TypeError(`Cannot send "${type}": ${fault}`);
  const text = JSON.stringify(message), bytes = bytesOf(text);
  if (bytes > FRAME_BYTES_MAX) {
    throw new TypeError(`Cannot send "${type}": ${bytes} bytes, at most ${FRAME_BYTES_MAX} are taken`);
  }
  return text;
}

function decode<M>(
  text: string,
  table: Readonly<Record<string, ObjectSchema>>,
  bytesMax: number,
): Decoded<M> {
  const bytes = bytesOf(text);
  if (bytes > bytesMax) {
    return { ok: false, fault: "oversize", text: `a frame of ${bytes} bytes; at most ${bytesMax} are taken` };
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return malformed("it is no JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return malformed("it is no JSON object");
  }
  const { type, ...members } = value as { type?: unknown };
  const schema = typeof type === "string" && Object.hasOwn(table, type) ? table[type] : undefined;
  if (schema === undefined) {
    return malformed(`there is no message of type ${JSON.stringify(type)?.slice(0, 40) ?? "undefined"}`);
  }
  const fault = faultIn(schema, members);
  return fault === null ? { ok: true, message: value as M } : malformed(`${String(type)}: ${fault}`);
}

function malformed(text: string): { ok: false; fault: Fault; text: string } {
  return { ok: false, fault: "malformed", text };
}

/** UTF-16 units are a lower bound of bytes; only texts near the limit are counted exactly. */
function bytesOf(text: string): number {
  return text.length > OPENING_BYTES_MAX / 3 ? new TextEncoder().encode(text).length : text.length;
}

/** The best version of both; null: there is none. */
export function agree(mine: readonly number[], theirs: readonly number[]): number | null {
  const both = mine.filter((version) => theirs.includes(version));
  return both.length === 0 ? null : Math.max(...both);
}

/** What an agent signs when it connects. */
export interface Transcript {
  readonly offered: readonly number[];
  readonly accepted: readonly number[];
  readonly version: number;
  readonly fleet: string;
  readonly key: string;
  readonly agentNonce: string;
  readonly controllerNonce: string;
  /** SHA-256 of the certificate that the agent saw, "AB:CD:..": a proof made for another server is worth nothing. */
  readonly certificate: string;
  /** "" where none is used. */
  readonly token: string;
}

/** One text for one connection: whatever was altered on the way, or belongs to another one, makes another text. */
export function proofText(transcript: Transcript): string {
  const { offered, accepted, version, fleet, key, agentNonce, controllerNonce, certificate, token } =
    transcript;
  const parts = [offered, accepted, version, fleet, key, agentNonce, controllerNonce, certificate, token];
  return `remediate fleet proof\n${JSON.stringify(parts)}`;
}

/** What the fresh key signs when a node changes its key. */
export function rotationText(node: string, fresh: string): string {
  return `remediate fleet rotation\n${JSON.stringify([node, fresh])}`;
}

/** The whole protocol as JSON Schema 2020-12, for who writes another side of it. */
export function jsonSchema(): object {
  const side = (table: Readonly<Record<string, ObjectSchema>>) => ({
    oneOf: Object.entries(table).map(([type, schema]) => ({
      ...schema,
      title: type,
      properties: { type: { const: type }, ...schema.properties },
      required: ["type", ...schema.required ?? []],
    })),
  });
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Remediate fleet protocol",
    description: `Versions ${VERSIONS.join(", ")}; a frame has at most ${FRAME_BYTES_MAX} bytes`,
    $defs: { agent: side(FROM_AGENT), controller: side(FROM_CONTROLLER) },
  };
}
