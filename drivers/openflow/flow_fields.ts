/**
 * Which traffic a flow entry is about, as header fields. Pure.
 *
 * An entry of the way back is turned around, so that both entries of a connection carry the fields that its client
 * sends: what the entry makes of the packet is what the client sees. Which addresses are clients' is the site's to say.
 */
import { type HeaderFields, holds, parsePrefix } from "../fields.ts";
import { type Field, fieldBits } from "./match.ts";
import { actionsOf, type PieceBody } from "./piece.ts";

const PORT_PREFIXES: Readonly<Record<number, string>> = { 6: "tcp", 17: "udp", 132: "sctp" };

type Values = ReadonlyMap<string, Field>;

function ip4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => String(value >> shift & 0xffn)).join(".");
}

/** The longest run of zeros becomes "::" (RFC 5952, 4.2). */
function ip6(value: bigint): string {
  const words = Array.from({ length: 8 }, (_, at) => (value >> BigInt(112 - 16 * at) & 0xffffn).toString(16));
  return new URL(`http://[${words.join(":")}]`).hostname.slice(1, -1);
}

/** Length of a mask that is a prefix; null: it is none. */
function prefixLength(mask: bigint, bits: number): number | null {
  const idle = ((1n << BigInt(bits)) - 1n) ^ mask;
  return (idle & (idle + 1n)) === 0n ? bits - idle.toString(2).replace(/^0$/, "").length : null;
}

function address(values: Values, end: "src" | "dst"): string | undefined {
  const four = values.get(`ipv4_${end}`), six = values.get(`ipv6_${end}`);
  const field = four ?? six;
  if (field === undefined) return undefined;
  const bits = four === undefined ? 128 : 32;
  const mask = field.mask ?? fieldBits(field.name);
  const length = prefixLength(mask, bits);
  if (length === null || length === 0) return undefined;
  const text = four === undefined ? ip6(field.value & mask) : ip4(field.value & mask);
  return length === bits ? text : `${text}/${length}`;
}

function port(values: Values, protocol: number | undefined, end: "src" | "dst"): number | undefined {
  const prefix = protocol === undefined ? undefined : PORT_PREFIXES[protocol];
  const field = prefix === undefined ? undefined : values.get(`${prefix}_${end}`);
  if (field === undefined) return undefined;
  return field.mask === null || field.mask === 0xffffn ? Number(field.value) : undefined;
}

function fieldsOf(values: Values): HeaderFields {
  const proto = values.get("ip_proto");
  const protocol = proto !== undefined && (proto.mask === null || proto.mask === 0xffn)
    ? Number(proto.value)
    : undefined;
  const source = address(values, "src"), destination = address(values, "dst");
  const sourcePort = port(values, protocol, "src"), destinationPort = port(values, protocol, "dst");
  return {
    ...(protocol !== undefined && { protocol }),
    ...(source !== undefined && { source }),
    ...(destination !== undefined && { destination }),
    ...(sourcePort !== undefined && { sourcePort }),
    ...(destinationPort !== undefined && { destinationPort }),
  };
}

/** One connection: whole addresses and both ports. */
export function isOneFlow(fields: HeaderFields): boolean {
  return fields.protocol !== undefined && typeof fields.sourcePort === "number" &&
    typeof fields.destinationPort === "number" && isHost(fields.source) && isHost(fields.destination);
}

const isHost = (text: string | undefined) => text !== undefined && !text.includes("/");

function turned({ protocol, source, destination, sourcePort, destinationPort }: HeaderFields): HeaderFields {
  return {
    ...(protocol !== undefined && { protocol }),
    ...(destination !== undefined && { source: destination }),
    ...(source !== undefined && { destination: source }),
    ...(destinationPort !== undefined && { sourcePort: destinationPort }),
    ...(sourcePort !== undefined && { destinationPort: sourcePort }),
  };
}

/** `clients`: prefixes of the client side; empty: every entry is taken as it matches. */
export function trafficOf(body: PieceBody, clients: readonly string[]): HeaderFields {
  if (body.kind !== "flow-mod") return {};
  const values = new Map(body.match.map((field) => [field.name, field]));
  const fields = fieldsOf(values);
  const isClient = (one: string | undefined) =>
    one !== undefined && clients.some((prefix) => holds({ source: prefix }, { source: one }));
  if (isClient(fields.source) || !isClient(fields.destination)) return fields;
  for (const action of actionsOf(body.instructions)) {
    if (action.kind === "set-field") values.set(action.field.name, action.field);
  }
  return turned(fieldsOf(values));
}

/** "10.1.0.0/16, 2001:db8::/32" in its parts; null: one of them is no prefix. */
export function prefixList(text: string): string[] | null {
  const parts = text.split(",").map((one) => one.trim()).filter((one) => one !== "");
  return parts.every((one) => parsePrefix(one) !== null) ? parts : null;
}
