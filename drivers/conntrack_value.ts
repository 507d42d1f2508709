/**
 * Duty: the codec `conntrack/1`: a flow of connection tracking in about fifty bytes.
 *
 *   form(1) parts(2) protocol(1) status(4) timeout(4) original reply [parts, in the order of their bits]
 *   tuple: source(4|16) destination(4|16) first(2) second(2)
 *
 * Numbers are big-endian. What a flow has not takes no room: a bit of `parts` says which there are. A reader refuses
 * bits that it does not know, and bytes that are left over.
 */
import type { Adjustment, Flow, SctpState, TcpState, Tuple } from "./netlink/flow.ts";
import { hasPorts, isIcmp } from "./netlink/flow.ts";

export const CONNTRACK_CODEC = "conntrack/1";
const FORM = 1;
const PART = {
  v6: 1,
  tcp: 2,
  sctp: 4,
  mark: 8,
  zone: 16,
  helper: 32,
  labels: 64,
  adjustOriginal: 128,
  adjustReply: 256,
  master: 512,
} as const;
const PARTS_ALL = 1023;
const HELPER_BYTES_MAX = 15;
const LABELS_BYTES_MAX = 16;
/** Far more than any flow has. */
const BYTES_MAX = 256;

/** Everything is put together here, one value after the other. */
const SCRATCH = new DataView(new ArrayBuffer(BYTES_MAX));
const SCRATCH_BYTES = new Uint8Array(SCRATCH.buffer);

class Out {
  #at = 0;

  number(bytes: 1 | 2 | 4, value: number): this {
    if (bytes === 1) SCRATCH.setUint8(this.#at, value);
    else if (bytes === 2) SCRATCH.setUint16(this.#at, value);
    else SCRATCH.setUint32(this.#at, value);
    this.#at += bytes;
    return this;
  }

  bytes(bytes: Uint8Array): this {
    for (let i = 0; i < bytes.length; i++) SCRATCH_BYTES[this.#at + i] = bytes[i]!;
    this.#at += bytes.length;
    return this;
  }

  tuple({ source, destination, first, second }: Tuple): this {
    return this.bytes(source).bytes(destination).number(2, first).number(2, second);
  }

  done(): Uint8Array<ArrayBuffer> {
    return SCRATCH_BYTES.slice(0, this.#at);
  }
}

const NO_LABELS = new Uint8Array();

class In {
  readonly #view: DataView;
  #at = 0;

  constructor(readonly value: Uint8Array) {
    this.#view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  }

  get left(): number {
    return this.value.length - this.#at;
  }

  #need(bytes: number): number {
    if (bytes > this.left) {
      throw new RangeError(`it ends at ${this.value.length}, ${bytes} more bytes are needed`);
    }
    const at = this.#at;
    this.#at += bytes;
    return at;
  }

  number(bytes: 1 | 2 | 4): number {
    const at = this.#need(bytes);
    if (bytes === 1) return this.#view.getUint8(at);
    return bytes === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
  }

  bytes(count: number): Uint8Array {
    const at = this.#need(count);
    const copy = new Uint8Array(count);
    for (let i = 0; i < count; i++) copy[i] = this.value[at + i]!;
    return copy;
  }

  tuple(protocol: number, wide: number): Tuple {
    const source = this.bytes(wide), destination = this.bytes(wide);
    const tuple = { protocol, source, destination, first: this.number(2), second: this.number(2) };
    if (!isIcmp(protocol) && !hasPorts(protocol) && tuple.first + tuple.second > 0) {
      throw new RangeError(`it has ports, and protocol ${protocol} has none`);
    }
    return tuple;
  }
}

function partsOf(flow: Flow): number {
  const when = (there: boolean, part: number) => there ? part : 0;
  return when(flow.original.source.length === 16, PART.v6) | when(flow.tcp !== null, PART.tcp) |
    when(flow.sctp !== null, PART.sctp) | when(flow.mark !== 0, PART.mark) |
    when(flow.zone !== 0, PART.zone) |
    when(flow.helper !== "", PART.helper) | when(flow.labels.length > 0, PART.labels) |
    when(flow.adjustments[0] !== null, PART.adjustOriginal) |
    when(flow.adjustments[1] !== null, PART.adjustReply) | when(flow.master !== null, PART.master);
}

function writeTcp(out: Out, { state, scales, flags }: TcpState): void {
  out.number(1, state).number(1, scales[0] << 4 | scales[1] & 15).number(1, flags[0]).number(1, flags[1]);
}

function writeAdjustment(out: Out, { position, before, after }: Adjustment): void {
  out.number(4, position).number(4, before).number(4, after);
}

function writeHelper(out: Out, helper: string): void {
  const name = new TextEncoder().encode(helper).subarray(0, HELPER_BYTES_MAX);
  out.number(1, name.length).bytes(name);
}

/** Where the time left ends; what follows and what comes before the status says whether a flow has changed. */
export const TIMEOUT_END = 12;

export function encodeFlow(flow: Flow): Uint8Array<ArrayBuffer> {
  const { original, reply, tcp, sctp, adjustments, master } = flow;
  const out = new Out().number(1, FORM).number(2, partsOf(flow)).number(1, original.protocol);
  out.number(4, flow.status).number(4, flow.timeoutS).tuple(original).tuple(reply);
  if (tcp) writeTcp(out, tcp);
  if (sctp) out.number(1, sctp.state).number(4, sctp.tags[0]).number(4, sctp.tags[1]);
  if (flow.mark !== 0) out.number(4, flow.mark);
  if (flow.zone !== 0) out.number(2, flow.zone);
  if (flow.helper !== "") writeHelper(out, flow.helper);
  if (flow.labels.length > 0) {
    const labels = flow.labels.subarray(0, LABELS_BYTES_MAX);
    out.number(1, labels.length).bytes(labels);
  }
  for (const adjustment of adjustments) if (adjustment) writeAdjustment(out, adjustment);
  if (master) out.number(1, master.protocol).tuple(master);
  return out.done();
}

function readTcp(input: In): TcpState {
  const state = input.number(1), scales = input.number(1);
  return { state, scales: [scales >> 4, scales & 15], flags: [input.number(1), input.number(1)] };
}

const readSctp = (input: In): SctpState => ({
  state: input.number(1),
  tags: [input.number(4), input.number(4)],
});

const readAdjustment = (input: In): Adjustment => ({
  position: input.number(4),
  before: input.number(4),
  after: input.number(4),
});

function readCounted(input: In, what: string, max: number): Uint8Array {
  const bytes = input.number(1);
  if (bytes < 1 || bytes > max) throw new RangeError(`its ${what} has ${bytes} bytes, not 1 to ${max}`);
  return input.bytes(bytes);
}

/** @throws RangeError, whose message is the end of a sentence */
export function decodeFlow(value: Uint8Array): Flow {
  const input = new In(value);
  const form = input.number(1), parts = input.number(2), protocol = input.number(1);
  if (form !== FORM) throw new RangeError(`its form is ${form}, not ${FORM}`);
  if (parts & ~PARTS_ALL) throw new RangeError(`it has parts 0x${parts.toString(16)}, which are unknown`);
  const has = (part: keyof typeof PART) => (parts & PART[part]) !== 0;
  const wide = has("v6") ? 16 : 4;
  const status = input.number(4), timeoutS = input.number(4);
  const flow: Flow = {
    status,
    timeoutS,
    original: input.tuple(protocol, wide),
    reply: input.tuple(protocol, wide),
    tcp: has("tcp") ? readTcp(input) : null,
    sctp: has("sctp") ? readSctp(input) : null,
    mark: has("mark") ? input.number(4) : 0,
    zone: has("zone") ? input.number(2) : 0,
    helper: has("helper") ? new TextDecoder().decode(readCounted(input, "helper", HELPER_BYTES_MAX)) : "",
    labels: has("labels") ? readCounted(input, "labels", LABELS_BYTES_MAX) : NO_LABELS,
    adjustments: [
      has("adjustOriginal") ? readAdjustment(input) : null,
      has("adjustReply") ? readAdjustment(input) : null,
    ],
    master: has("master") ? input.tuple(input.number(1), wide) : null,
  };
  if (input.left > 0) throw new RangeError(`${input.left} bytes are left over`);
  return flow;
}
