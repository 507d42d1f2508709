/**
 * Duty: rules for single flows and moves of them on the board (filter/native/abi_steer.h): written whole, read back.
 *
 * What is there outlives control, so it is read from the board each time and never remembered here. Pure but for the
 * memory it writes.
 */
import { type HeaderFields, parsePrefix, type PortRange } from "../drivers/fields.ts";
import type { Board } from "../filter/board.ts";
import { STEER_PHASE, STEER_STATE, type SteerPhase, type SteerState } from "../filter/names.ts";
import type { Publish } from "./board_command.ts";
import type { SteeringMove, SteeringRule } from "./layer/steering.ts";
import { BOXES } from "./view.ts";

const NS_PER_MS = 1_000_000;
const PORT_MAX = 65_535;
/** struct rm_steer_fields. */
const FIELDS = { ports: 32, prefix: 40, protocol: 42, any: 43, bytes: 44 } as const;
const ADDRESS_BITS = 128;

/** Where control wants a move to be. */
export interface BoardMove extends SteeringMove {
  readonly slot: number;
  readonly phase: SteerPhase;
  readonly holdOrder: number;
  readonly againOrder: number;
}

/** Where the plane says that it is. */
export interface BoardView {
  readonly state: SteerState;
  readonly holdDone: number;
  readonly drained: boolean;
  readonly heldAll: number;
  readonly againDone: number;
  readonly againPlayed: number;
  readonly busy: boolean;
}

const ends = (range: PortRange = [0, PORT_MAX]): readonly [number, number] =>
  typeof range === "number" ? [range, range] : range;

/** As a struct rm_steer_fields. Throws a SyntaxError that names a bad prefix. */
export function encodeFields(fields: HeaderFields): Uint8Array {
  const bytes = new Uint8Array(FIELDS.bytes), view = new DataView(bytes.buffer);
  [fields.source, fields.destination].forEach((text, end) => {
    if (text === undefined) return;
    const prefix = parsePrefix(text);
    if (prefix === null) throw new SyntaxError(`Cannot steer by "${text}": it is no address or prefix`);
    for (let i = 0; i < 16; i++) bytes[end * 16 + i] = Number(prefix.bits >> BigInt(120 - 8 * i) & 0xffn);
    bytes[FIELDS.prefix + end] = prefix.length;
  });
  [fields.sourcePort, fields.destinationPort].forEach((range, end) => {
    const [first, last] = ends(range);
    view.setUint16(FIELDS.ports + 2 * end, first, true);
    view.setUint16(FIELDS.ports + 4 + 2 * end, last, true);
  });
  bytes[FIELDS.protocol] = fields.protocol ?? 0;
  bytes[FIELDS.any] = fields.protocol === undefined ? 1 : 0;
  return bytes;
}

function prefixText(bytes: Uint8Array, length: number): string {
  const mapped = length >= 96 && bytes.subarray(0, 12).every((byte, i) => byte === (i < 10 ? 0 : 0xff));
  if (mapped) return `${[...bytes.subarray(12)].join(".")}/${length - 96}`;
  const words = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8 | bytes[2 * i + 1]!).toString(16));
  return `${words.join(":")}/${length}`;
}

const whole = (text: string) => text.replace(/^([0-9.]+)\/32$|^([0-9a-f:]+)\/128$/, "$1$2");

/** What `encodeFields()` wrote; prefixes of no length and whole ranges are left out. */
export function decodeFields(bytes: Uint8Array): HeaderFields {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const address = (end: number) => {
    const length = bytes[FIELDS.prefix + end]!;
    if (length === 0) return undefined;
    const text = prefixText(bytes.subarray(16 * end, 16 * end + 16), length);
    return length === ADDRESS_BITS ? whole(text) : text;
  };
  const ports = (end: number): PortRange | undefined => {
    const first = view.getUint16(FIELDS.ports + 2 * end, true);
    const last = view.getUint16(FIELDS.ports + 4 + 2 * end, true);
    if (first === 0 && last === PORT_MAX) return undefined;
    return first === last ? first : [first, last];
  };
  const [source, destination] = [address(0), address(1)],
    [sourcePort, destinationPort] = [ports(0), ports(1)];
  return {
    ...(bytes[FIELDS.any] === 0 && { protocol: bytes[FIELDS.protocol]! }),
    ...(source !== undefined && { source }),
    ...(sourcePort !== undefined && { sourcePort }),
    ...(destination !== undefined && { destination }),
    ...(destinationPort !== undefined && { destinationPort }),
  };
}

function boxIndex(name: string): number {
  const index = (BOXES as readonly string[]).indexOf(name);
  if (index < 0) throw new RangeError(`Cannot steer flows to "${name}": no box of this node has that name`);
  return index;
}

/** All rules, also those whose box died since. */
export function readRules(board: Board): (SteeringRule & { readonly over: boolean })[] {
  return Array.from({ length: board.number("steer.rule_count") }, (_, i) => ({
    id: board.text("steer.rule.id", i),
    fields: decodeFields(board.bytes("steer.rule.fields", i)),
    box: BOXES[board.number("steer.rule.box", i)] ?? "",
    over: board.number("steer.over", i) !== 0,
  }));
}

export function readMove(board: Board, id: string): BoardMove | null {
  return readMoves(board).find((move) => move.id === id) ?? null;
}

export function readMoves(board: Board): BoardMove[] {
  return Array.from({ length: board.count("steer.move.id") }, (_, slot) => {
    const number = (name: string) => board.number(`steer.move.${name}`, slot);
    return {
      slot,
      id: board.text("steer.move.id", slot),
      fields: decodeFields(board.bytes("steer.move.fields", slot)),
      source: BOXES[number("source")] ?? "",
      destination: BOXES[number("destination")] ?? "",
      guarantee: number("free") !== 0 ? "none" as const : "order-preserving" as const,
      framesMax: number("frames_max"),
      holdMsMax: number("hold_ns_max") / NS_PER_MS,
      phase: STEER_PHASE[number("phase")] ?? "none",
      holdOrder: number("hold_order"),
      againOrder: number("again_order"),
    };
  }).filter(({ phase }) => phase !== "none");
}

/** Of the move that has the place now; null: the plane has not taken it over. */
export function readMoveView(board: Board, slot: number): BoardView | null {
  const number = (name: string) => board.number(`steer.view.${name}`, slot);
  if (number("number") !== board.number("steer.move.number", slot)) return null;
  return {
    state: STEER_STATE[number("state")] ?? "unknown",
    holdDone: number("hold_done"),
    drained: number("drained") !== 0,
    heldAll: number("held_all"),
    againDone: number("again_done"),
    againPlayed: number("again_played"),
    busy: number("busy") !== 0,
  };
}

/** One change, which the plane takes over whole. Returns the generation that `steer.done` reaches with it. */
export function change(board: Board, publish: Publish, write: () => void): number {
  // Odd from here on; a control that died while writing may have left it odd already.
  const odd = board.number("steer.generation") | 1;
  publish("steer.generation", odd);
  try {
    write();
  } finally {
    publish("steer.generation", (odd + 1) >>> 0);
  }
  return (odd + 1) >>> 0;
}

/** Within a change. Throws a RangeError, before anything is written, where they do not fit. */
export function writeSteerRules(board: Board, rules: readonly SteeringRule[]): void {
  const most = board.count("steer.rule.id");
  if (rules.length > most) {
    throw new RangeError(`Cannot use ${rules.length} rules for single flows: at most ${most} fit`);
  }
  const encoded = rules.map(({ fields, box }) => ({ bytes: encodeFields(fields), box: boxIndex(box) }));
  rules.forEach(({ id }, i) => {
    board.setText("steer.rule.id", id, i);
    board.setBytes(board.offset("steer.rule.fields", i), encoded[i]!.bytes);
    board.setNumber("steer.rule.box", encoded[i]!.box, i);
  });
  board.setNumber("steer.rule_count", rules.length);
}

/** Within a change: a move that only notes so far. */
export function writeMove(board: Board, slot: number, move: SteeringMove): void {
  const set = (name: string, value: number) => board.setNumber(`steer.move.${name}`, value, slot);
  const bytes = encodeFields(move.fields),
    ends = [boxIndex(move.source), boxIndex(move.destination)] as const;
  board.setText("steer.move.id", move.id, slot);
  board.setBytes(board.offset("steer.move.fields", slot), bytes);
  set("number", Math.max(1, (board.number("steer.move.number", slot) + 1) >>> 0));
  set("source", ends[0]);
  set("destination", ends[1]);
  set("free", move.guarantee === "none" ? 1 : 0);
  set("frames_max", move.framesMax);
  set("hold_ns_max", move.holdMsMax * NS_PER_MS);
  for (const name of ["hold_order", "again_order", "again_frames"]) set(name, 0);
  set("phase", STEER_PHASE.indexOf("note"));
}

/** Within a change. */
export function writePhase(board: Board, slot: number, phase: SteerPhase): void {
  board.setNumber("steer.move.phase", STEER_PHASE.indexOf(phase), slot);
}
