/**
 * Duty: what is known of a flow through a box whatever told of it: names, state, time, as the value of codec "flow/1".
 *
 *    0 version 1 | 1 flags (1 IPv6, 2 reply IPv6) | 2 protocol | 3 state (index in FLOW_STATES)
 *    4 timeout_ms u32, 0 none | 8 opened_ms f64 | 16 changed_ms f64
 *   24 four ports u16: original source, destination, reply source, destination
 *   32 four addresses in the same order, 4 or 16 bytes each; big endian throughout
 *
 * The reply is the binding: how the far side addresses its answers. A flow that no NAT touched has the mirror image.
 * Of ICMP both ports are the identifier of the echo. 48 bytes for IPv4 to IPv4.
 */
import { parseIpAddress } from "../filter/ip_address.ts";
import type { HeaderFields } from "./fields.ts";

export const FLOW_CODEC = "flow/1";

export interface FlowTuple {
  readonly protocol: number;
  /** Canonical text: `canonicalAddress()`. */
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
}

/** As Linux calls the states of a TCP connection; "none" where nobody said. */
export const FLOW_STATES = [
  "none",
  "syn_sent",
  "syn_recv",
  "established",
  "fin_wait",
  "close_wait",
  "last_ack",
  "time_wait",
  "close",
] as const;
export type FlowState = (typeof FLOW_STATES)[number];

export interface FlowValue {
  /** As the client sends it. */
  readonly original: FlowTuple;
  /** As the server's answers arrive at the box; of the same protocol. */
  readonly reply: FlowTuple;
  readonly state: FlowState;
  /** How long the box keeps it without a packet; null: not known. */
  readonly timeoutMs: number | null;
  /** Milliseconds since the epoch, by the clock of who read it. */
  readonly openedMs: number;
  readonly changedMs: number;
}

const HEAD_BYTES = 32;
const VERSION = 1;

const V4_WIDTH = 4;
const V4 = new Uint8Array(V4_WIDTH);

/** Reads a.b.c.d without leading zeros; returns how many bytes it found, 4 where the text is one. */
function readV4(text: string, into: Uint8Array): number {
  let count = 0, value = -1;
  for (let at = 0; at <= text.length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit >= 0 && digit <= 9) {
      if (value === 0) return -1;
      value = value < 0 ? digit : value * 10 + digit;
      if (value > 255) return -1;
    } else {
      if (value < 0 || count === V4_WIDTH || at < text.length && digit !== -2) return -1;
      into[count++] = value;
      value = -1;
    }
  }
  return count;
}

/** The way RFC 5952 writes it; null: this is no address. */
export function canonicalAddress(text: string): string | null {
  if (readV4(text, V4) === V4_WIDTH) return text;
  const bytes = parseIpAddress(text);
  return bytes === null ? null : addressText(bytes);
}

/** Four or sixteen bytes as text, the longest run of zero groups shortened (RFC 5952). */
export function addressText(bytes: ArrayLike<number>): string {
  if (bytes.length === 4) return Array.from(bytes).join(".");
  const groups = Array.from({ length: 8 }, (_, n) => (bytes[2 * n]! << 8 | bytes[2 * n + 1]!).toString(16));
  let first = -1, longest = 1;
  for (let n = 0; n < 8; n++) {
    let length = 0;
    while (groups[n + length] === "0") length++;
    if (length > longest) [first, longest] = [n, length];
  }
  if (first < 0) return groups.join(":");
  return `${groups.slice(0, first).join(":")}::${groups.slice(first + longest).join(":")}`;
}

/** The tuple of its answers, as long as nothing is translated. */
export function mirrored(
  { protocol, source, sourcePort, destination, destinationPort }: FlowTuple,
): FlowTuple {
  return {
    protocol,
    source: destination,
    sourcePort: destinationPort,
    destination: source,
    destinationPort: sourcePort,
  };
}

/** The flow's own list, by which records of it are asked for. */
export function flowFields(
  { protocol, source, sourcePort, destination, destinationPort }: FlowTuple,
): HeaderFields {
  return { protocol, source, sourcePort, destination, destinationPort };
}

/** @throws TypeError for an address that is none */
export function encodeFlow(flow: FlowValue): Uint8Array {
  const { original, reply } = flow;
  const width = original.source.includes(":") ? 16 : 4, replyWidth = reply.source.includes(":") ? 16 : 4;
  const bytes = new Uint8Array(HEAD_BYTES + 2 * width + 2 * replyWidth);
  const view = new DataView(bytes.buffer);
  bytes[0] = VERSION;
  bytes[1] = (width === 16 ? 1 : 0) | (replyWidth === 16 ? 2 : 0);
  bytes[2] = original.protocol;
  bytes[3] = FLOW_STATES.indexOf(flow.state);
  view.setUint32(4, Math.min(flow.timeoutMs ?? 0, 0xffff_ffff));
  view.setFloat64(8, flow.openedMs);
  view.setFloat64(16, flow.changedMs);
  view.setUint16(24, original.sourcePort);
  view.setUint16(26, original.destinationPort);
  view.setUint16(28, reply.sourcePort);
  view.setUint16(30, reply.destinationPort);
  let at = HEAD_BYTES;
  for (const { source, destination } of [original, reply]) {
    const each = source.includes(":") ? 16 : 4;
    write(bytes, [at, at + each], source);
    write(bytes, [at + each, at += 2 * each], destination);
  }
  return bytes;
}

function write(bytes: Uint8Array, [from, to]: readonly [number, number], text: string): void {
  const found = readV4(text, V4) === V4_WIDTH ? V4 : parseIpAddress(text);
  if (found === null) throw new TypeError(`Cannot write a flow: "${text}" is no address`);
  if (found.length !== to - from) throw new TypeError(`Cannot write a flow: "${text}" is of another family`);
  bytes.set(found, from);
}

/** Null: these bytes are no such value. */
export function decodeFlow(bytes: Uint8Array): FlowValue | null {
  if (bytes.length < HEAD_BYTES || bytes[0] !== VERSION || bytes[1]! > 3) return null;
  const [width, replyWidth] = [bytes[1]! & 1 ? 16 : 4, bytes[1]! & 2 ? 16 : 4];
  const state = FLOW_STATES[bytes[3]!];
  if (state === undefined || bytes.length !== HEAD_BYTES + 2 * width + 2 * replyWidth) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const [openedMs, changedMs] = [view.getFloat64(8), view.getFloat64(16)];
  if (!Number.isFinite(openedMs) || !Number.isFinite(changedMs)) return null;
  let at = HEAD_BYTES;
  const next = (length: number) => addressText(bytes.subarray(at, at += length));
  const tuple = (length: number, ports: number): FlowTuple => ({
    protocol: bytes[2]!,
    source: next(length),
    sourcePort: view.getUint16(ports),
    destination: next(length),
    destinationPort: view.getUint16(ports + 2),
  });
  const original = tuple(width, 24), reply = tuple(replyWidth, 28);
  return { original, reply, state, timeoutMs: view.getUint32(4) || null, openedMs, changedMs };
}
