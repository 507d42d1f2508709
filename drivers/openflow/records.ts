/**
 * Duty: pieces of a switch as records, and back.
 *
 * The value of "openflow/1" is a head of four bytes (1, the version of OpenFlow that the entry was made by, two zeros)
 * and the message of OpenFlow 1.3 that adds the piece, so any controller could send it. The value of
 * "openflow-counts/1" is three numbers of 64 bits: packets, bytes, and milliseconds that the entry has lived. Pure.
 */
import { fieldsText } from "../fields.ts";
import { KEY_CHARACTERS_MAX, type StateRecord } from "../record.ts";
import { OpenFlowError, Reader, Writer } from "./bytes.ts";
import { isOneFlow, trafficOf } from "./flow_fields.ts";
import { decode, encode } from "./messages.ts";
import type { FlowDescription } from "./multipart.ts";
import { flowPiece, type PieceBody, pieceKey } from "./piece.ts";

export const CODEC = "openflow/1";
export const COUNTS_CODEC = "openflow-counts/1";
const FORM = 1;
const COUNTS_BYTES = 24;

export interface Piece {
  readonly body: PieceBody;
  readonly origin: number;
}

export function encodePiece({ body, origin }: Piece): Uint8Array {
  const message = encode({ transaction: 0, body });
  return new Writer().u8(FORM).u8(origin).zeros(2).put(message).done();
}

/** @throws OpenFlowError with what is wrong with it */
export function decodePiece(value: Uint8Array): Piece {
  const reader = new Reader(value, "record");
  const [form, origin] = [reader.u8(), reader.u8()];
  if (form !== FORM) reader.fail(`its form is ${form}, only ${FORM} is known`);
  reader.skip(2);
  const { body } = decode(reader.rest());
  if (body.kind === "flow-mod" || body.kind === "group-mod" || body.kind === "meter-mod") {
    return { body, origin };
  }
  throw new OpenFlowError(`Cannot read OpenFlow record: it holds a ${body.kind}`);
}

/** 128 bits of FNV-1a, for keys that are too long to be carried whole. */
function digest(text: string): string {
  let hash = 0x6c62272e07bb014262b821756295c58dn;
  for (const byte of new TextEncoder().encode(text)) {
    hash = (hash ^ BigInt(byte)) * 0x0000000001000000000000000000013bn & (1n << 128n) - 1n;
  }
  return hash.toString(16);
}

function bounded(text: string): string {
  return text.length <= KEY_CHARACTERS_MAX
    ? text
    : `${text.slice(0, KEY_CHARACTERS_MAX - 40)} ~${digest(text)}`;
}

export interface Told extends Piece {
  readonly version: number;
  readonly ttlMs: number | null;
  readonly ended: boolean;
}

/** `clients` as of `trafficOf()`. */
export function pieceRecord(told: Told, clients: readonly string[]): StateRecord {
  const fields = trafficOf(told.body, clients);
  const isFlow = isOneFlow(fields);
  const key = pieceKey(told.body);
  return {
    role: "supporting",
    partition: isFlow ? "flow" : "shared",
    // Several entries may be about one connection: both ways, several tables.
    key: bounded(isFlow ? `${fieldsText(fields)}, ${key}` : key),
    ...{ fields, codec: CODEC, version: told.version, ended: told.ended, merge: null },
    value: told.ended ? new Uint8Array(0) : encodePiece(told),
    ttlMs: told.ended ? null : told.ttlMs,
  };
}

export interface Counts {
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly livedMs: bigint;
}

export function encodeCounts({ packets, bytes, livedMs }: Counts): Uint8Array {
  return new Writer().u64(packets).u64(bytes).u64(livedMs).done();
}

/** @throws OpenFlowError for a value of another length */
export function decodeCounts(value: Uint8Array): Counts {
  const reader = new Reader(value, "counts");
  if (value.length !== COUNTS_BYTES) reader.fail(`${value.length} bytes, not ${COUNTS_BYTES}`);
  return { packets: reader.u64(), bytes: reader.u64(), livedMs: reader.u64() };
}

const U64_MAX = 0xffff_ffff_ffff_ffffn;
const capped = (value: bigint) => value > U64_MAX ? U64_MAX : value;

/** Packets and bytes of two boxes add up; an entry has lived as long as the older of the two. */
export function mergeCounts(one: Uint8Array, other: Uint8Array): Uint8Array {
  const [a, b] = [decodeCounts(one), decodeCounts(other)];
  return encodeCounts({
    packets: capped(a.packets + b.packets),
    bytes: capped(a.bytes + b.bytes),
    livedMs: a.livedMs > b.livedMs ? a.livedMs : b.livedMs,
  });
}

export function countsRecord(
  flow: FlowDescription,
  { version, clients }: { version: number; clients: readonly string[] },
): StateRecord {
  const { key, fields, partition } = pieceRecord(
    { body: flowPiece(flow), origin: 4, version, ttlMs: null, ended: true },
    clients,
  );
  const livedMs = BigInt(flow.durationS) * 1000n + BigInt(Math.floor(flow.durationNs / 1e6));
  return {
    ...{ role: "reporting", partition, key, fields, codec: COUNTS_CODEC, version, ttlMs: null, merge: "sum" },
    value: encodeCounts({ packets: flow.packets, bytes: flow.bytes, livedMs }),
    ended: false,
  };
}
