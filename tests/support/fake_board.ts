/**
 * Duty: a board in plain memory, laid out as the plane would lay out another version of itself.
 *
 * Every offset differs from the real ones on purpose: whoever reads it by name finds everything, whoever knows an
 * offset by heart does not.
 */
import { ABI_VERSION, Board } from "../../filter/board.ts";
import { BFD_DISCARD, BOX, COUNTER, DETECTOR, LIMIT, PARSE, ROLE, WHY } from "../../filter/names.ts";

const MAGIC = 0x42584d52;
const FIELD_BYTES = 56;
const HEAD_BYTES = 64;
const FLOW_BYTES = 256;
export const FLOW_SLOTS = 8;
const EVENTS = 4;
const UNLIKES = 4;

type Layout = readonly [name: string, width: number, count?: number];

const named = (label: string, count: number): Layout[] => [
  [`${label}.name`, 32, count],
  [`${label}.packets`, 8, count],
  [`${label}.bytes`, 8, count],
];
const many = (label: string, width: number, members: readonly string[], count: number): Layout[] =>
  members.map((member) => [`${label}.${member}`, width, count] as const);

const RESYNC = [
  "order",
  "running",
  "refreshes",
  "flows",
  "done",
  "unlike",
  "unheard",
  "failed",
  "gone",
  "begun_ns",
  "ended_ns",
];
const BFD_ORDER_WORDS = [
  ...["box", "side", "vlan", "multihop", "passive", "min_tx_us", "min_rx_us", "multiplier", "echo_us"],
  ...["auth", "key_id", "key_bytes"],
];
const BFD_WORDS = [
  ...["state", "remote_state", "diag", "remote_diag", "light", "local_discr", "remote_discr", "tx_us"],
  ...["detect_us", "echo_us", "remote_multiplier", "polling", "demand", "found"],
];
const BFD_COUNTS = [
  ...["changed_ns", "heard_ns", "echo_heard_ns", "ups", "downs", "sent", "taken", "echoes_sent"],
  ...["echoes_back", "echoes_returned", "late", "excused_ns"],
];

const CHANNEL_COUNTS = [
  ...["sessions", "rtt_ns", "sent", "again", "gone", "shed", "received", "asked", "recovered"],
  ...["lost", "beyond", "repeated", "torn", "refused", "far_lost"],
];

const FIELDS: readonly Layout[] = [
  ["header.state", 4],
  ["header.plane_pid", 4],
  ["header.boot", 8],
  ["header.started_wall_ns", 8],
  ["header.flow_bytes", 4],
  ["header.flow_slots", 8],
  ["header.flow_offset", 8, 2],
  ["header.twin_offset", 8, 2],
  ["header.carried_offset", 8, 2],
  ["header.error", 256],
  ["command.rank", 4, BOX.length],
  ["command.rule_generation", 4],
  ["command.order_path", 4],
  ["command.order_force", 4],
  ["live.path", 4],
  ["live.poll", 4],
  ["live.huge", 4],
  ...many("live", 8, [
    "switches",
    "heartbeat_ns",
    "loop_ns_max",
    "path_since_ns",
    "event_sequence",
    "event_read",
  ], 1),
  ["live.flows", 8, 2],
  ["live.workers", 4],
  ...many("worker", 4, ["cpu", "ports", "queue", "poll"], 2),
  ...many("worker", 8, ["loop_ns_max", "cpu_ns", "rx_packets", "tx_packets"], 2),
  ...many(
    "port",
    8,
    [
      "rx_packets",
      "rx_bytes",
      "tx_packets",
      "tx_bytes",
      "tx_full",
      "rx_missed",
      "mirrored_packets",
      "mirrored_bytes",
      "link_changes",
    ],
    ROLE.length,
  ),
  ["port.link", 4, ROLE.length],
  ["port.mtu", 4, ROLE.length],
  ["port.mac", 8, ROLE.length],
  ["port.driver", 32, ROLE.length],
  ["port.taken", 4, ROLE.length],
  ...many("box", 4, ["alive", "silent", "member"], BOX.length),
  ["live.forgiven", 4, BOX.length],
  ...many("box", 8, ["in_packets", "out_packets", "up_ns"], BOX.length),
  ...many("detection", 4, ["light", "detail"], BOX.length * DETECTOR.length),
  ...many("detection", 8, ["since_ns", "seen_ns"], BOX.length * DETECTOR.length),
  ["usual.bar_ns", 8, 2 * BOX.length],
  ...many("match", 8, ["equal", "different", "followed", "dropped"], 3 * BOX.length),
  ["command.seed_rate", 8],
  ["command.capacity", 8, BOX.length],
  ...many("live", 8, ["held", "missing"], BOX.length),
  ["command.seed_wait_ns", 8],
  ["command.refresh_ns", 8],
  ...many("command", 4, ["resync_order", "resync_stop"], BOX.length),
  ...many("resync", 8, RESYNC, BOX.length),
  ...many("channel", 4, ["present", "open", "unit_bytes"], ROLE.length),
  ...many("channel", 8, CHANNEL_COUNTS, ROLE.length),
  ["live.unlike_sequence", 8],
  ...many("unlike", 8, ["sequence"], UNLIKES),
  ...many("unlike", 4, ["slot", "port"], UNLIKES),
  ...many("unlike", 1, ["side", "box"], UNLIKES),
  ["unlike.addr", 32, UNLIKES],
  ...named("counter", COUNTER.length),
  ...named("why", WHY.length),
  ...named("shed", WHY.length),
  ...named("parse", PARSE.length),
  ...named("copied", LIMIT.rules),
  ["rule.name", 32, LIMIT.rules],
  ["command.bfd_generation", 4],
  ["command.bfd_count", 4],
  ["live.bfd_done", 4],
  ...named("bfd_discard", BFD_DISCARD.length),
  ...many("bfd_order", 4, BFD_ORDER_WORDS, LIMIT.bfd_sessions),
  ...many("bfd_order", 16, ["peer", "local", "gateway"], LIMIT.bfd_sessions),
  ["bfd_order.name", 32, LIMIT.bfd_sessions],
  ["bfd_order.mac", 8, LIMIT.bfd_sessions],
  ["bfd_order.key", LIMIT.bfd_key_bytes, LIMIT.bfd_sessions],
  ...many("bfd", 4, BFD_WORDS, LIMIT.bfd_sessions),
  ...many("bfd", 8, BFD_COUNTS, LIMIT.bfd_sessions),
  ["bfd.mac", 8, LIMIT.bfd_sessions],
  ["bfd.discard", 8 * BFD_DISCARD.length, LIMIT.bfd_sessions],
  ...many("event", 8, ["sequence", "mono_ns", "wall_ns", "silent_ns", "lost_packets"], EVENTS),
  ...many("event", 4, ["kind", "cause", "before", "after", "subject", "order"], EVENTS),
];

/** Inside of an entry of the flow table. */
const FLOW_FIELDS: readonly Layout[] = [
  ["flow.addr", 16, 2],
  ["flow.port", 2, 2],
  ["flow.vlan", 2],
  ["flow.proto", 1],
  ["flow.age", 1],
  ["flow.outer_dir", 1],
  ["flow.rule", 1],
  ["flow.rule_generation", 4],
  ["flow.flags", 1],
  ["flow.peer", 4],
  ["flow.first_ns", 8],
  ["flow.opener", 1],
  ["flow.last_ns", 8],
  ["flow.half.bytes", 8, 2],
  ["flow.half.packets", 4, 2],
  ["flow.half.mirrored", 4, 2],
];

interface Placed {
  readonly offset: number;
  readonly width: number;
  readonly count: number;
}

function place(layout: readonly Layout[], start: number): { placed: Map<string, Placed>; end: number } {
  const placed = new Map<string, Placed>();
  let end = start;
  for (const [name, width, count = 1] of layout) {
    // The real ones have gaps between elements; so has this, with a stride of twice the width.
    placed.set(name, { offset: end, width, count });
    end += 2 * width * count + 8;
  }
  return { placed, end: Math.ceil(end / 64) * 64 };
}

export interface FakeFlow {
  readonly addr: readonly [Uint8Array, Uint8Array];
  readonly port?: readonly [number, number];
  readonly numbers?: Readonly<Record<string, number | readonly [number, number]>>;
}

export class FakeBoard {
  readonly memory: ArrayBuffer;
  readonly #view: DataView;
  readonly #fields: Map<string, Placed>;

  constructor() {
    const { placed, end } = place(FIELDS, HEAD_BYTES);
    const flows = place(FLOW_FIELDS, 0);
    const twins = end + 2 * FLOW_SLOTS * FLOW_BYTES;
    const carried = twins + 2 * FLOW_SLOTS * 4;
    const descriptions = carried + 2 * FLOW_SLOTS * 4;
    this.#fields = new Map([...placed, ...flows.placed]);
    this.memory = new ArrayBuffer(descriptions + this.#fields.size * FIELD_BYTES);
    this.#view = new DataView(this.memory);
    this.#writeHead(descriptions);
    let at = descriptions;
    for (const [name, field] of this.#fields) {
      this.#describe(at, name, field);
      at += FIELD_BYTES;
    }
    this.set("header.flow_bytes", FLOW_BYTES);
    this.set("header.flow_slots", FLOW_SLOTS);
    this.set("header.flow_offset", end, 0);
    this.set("header.flow_offset", end + FLOW_SLOTS * FLOW_BYTES, 1);
    this.set("header.twin_offset", twins, 0);
    this.set("header.twin_offset", twins + FLOW_SLOTS * 4, 1);
    this.set("header.carried_offset", carried, 0);
    this.set("header.carried_offset", carried + FLOW_SLOTS * 4, 1);
    this.#nameAll("counter", COUNTER);
    this.#nameAll("why", WHY);
    this.#nameAll("shed", WHY);
    this.#nameAll("parse", PARSE);
  }

  #writeHead(fieldOffset: number): void {
    this.#view.setUint32(0, MAGIC, true);
    this.#view.setUint32(4, ABI_VERSION, true);
    this.#view.setBigUint64(8, BigInt(this.memory.byteLength), true);
    this.#view.setUint32(16, fieldOffset, true);
    this.#view.setUint32(20, this.#fields.size, true);
    this.#view.setUint32(24, FIELD_BYTES, true);
  }

  #describe(at: number, name: string, { offset, width, count }: Placed): void {
    new Uint8Array(this.memory).set(new TextEncoder().encode(name), at);
    [offset, width, count, 2 * width].forEach((value, i) =>
      this.#view.setUint32(at + 40 + 4 * i, value, true)
    );
  }

  #nameAll(label: string, names: readonly string[]): void {
    names.forEach((name, i) => this.setText(`${label}.name`, name, i));
  }

  /** Overwrite a word of the head: 4 is the version, 8 the size, 24 the bytes of a description. */
  head(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  get board(): Board {
    return new Board(this.memory);
  }

  #at(name: string, i: number): Placed & { at: number } {
    const field = this.#fields.get(name);
    if (field === undefined) throw new RangeError(`Cannot set ${name}: the fake board has no such field`);
    return { ...field, at: field.offset + 2 * field.width * i };
  }

  set(name: string, value: number, i = 0, base = 0): this {
    const { at, width } = this.#at(name, i);
    if (width === 1) this.#view.setUint8(base + at, value);
    else if (width === 2) this.#view.setUint16(base + at, value, true);
    else if (width === 4) this.#view.setUint32(base + at, value, true);
    else this.#view.setBigUint64(base + at, BigInt(value), true);
    return this;
  }

  setText(name: string, text: string, i = 0): this {
    new Uint8Array(this.memory).set(new TextEncoder().encode(text), this.#at(name, i).at);
    return this;
  }

  setBytes(name: string, bytes: Uint8Array | readonly number[], i = 0, base = 0): this {
    new Uint8Array(this.memory).set(bytes, base + this.#at(name, i).at);
    return this;
  }

  /** What standbys made of the flow at a place: its first_ns tells it from others. */
  setTwins(side: 0 | 1, slot: number, firstNs: number, verdicts: number): this {
    const base = Number(this.#view.getBigUint64(this.#at("header.twin_offset", side).at, true));
    this.#view.setUint32(base + 4 * slot, (Math.floor(firstNs / 256) % 2 ** 24) * 256 + verdicts, true);
    return this;
  }

  /** What was seen of a flow since a switch: bit 0 from outside, bit 1 out of the box; bit 2: bits 3 and 4 are the verdict before. */
  setCarried(side: 0 | 1, slot: number, switches: number, bits: number): this {
    const base = Number(this.#view.getBigUint64(this.#at("header.carried_offset", side).at, true));
    this.#view.setUint32(base + 4 * slot, 32 * switches + bits, true);
    return this;
  }

  /** An entry of the flow table. Numbers by the rest of their name: "half.bytes": [10, 20]. */
  setFlow(side: 0 | 1, slot: number, { addr, port = [0, 0], numbers = {} }: FakeFlow): this {
    const { at } = this.#at("header.flow_offset", side);
    const base = Number(this.#view.getBigUint64(at, true)) + slot * FLOW_BYTES;
    for (const i of [0, 1]) {
      this.setBytes("flow.addr", addr[i]!, i, base);
      this.set("flow.port", port[i]!, i, base);
    }
    for (const [name, value] of Object.entries({ flags: 1, rule: 0xff, peer: 0xffffffff, ...numbers })) {
      const values = typeof value === "number" ? [value] : value;
      values.forEach((one, i) => this.set(`flow.${name}`, one, i, base));
    }
    return this;
  }
}
