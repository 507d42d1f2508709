/**
 * What is done with a packet: actions (1.3.5, 7.2.5) and instructions (7.2.4), between bytes and values.
 *
 * Kinds of no further interest are kept as numbers and bytes, so that what was read can be written again.
 */
import type { Reader, Writer } from "./bytes.ts";
import { type Field, readField, writeField } from "./match.ts";

export type Action =
  | { readonly kind: "output"; readonly port: number; readonly lengthMax: number }
  | { readonly kind: "group"; readonly group: number }
  | { readonly kind: "set-field"; readonly field: Field }
  | { readonly kind: "set-queue"; readonly queue: number }
  | { readonly kind: "push" | "pop-mpls"; readonly type: number; readonly etherType: number }
  | { readonly kind: "ttl"; readonly type: number; readonly ttl: number }
  | { readonly kind: "plain"; readonly type: number }
  | { readonly kind: "experimenter"; readonly experimenter: number; readonly data: Uint8Array }
  | { readonly kind: "unknown"; readonly type: number; readonly data: Uint8Array };

export type Instruction =
  | { readonly kind: "goto"; readonly table: number }
  | { readonly kind: "metadata"; readonly value: bigint; readonly mask: bigint }
  | { readonly kind: "write" | "apply"; readonly actions: readonly Action[] }
  | { readonly kind: "clear" }
  | { readonly kind: "meter"; readonly meter: number }
  | { readonly kind: "unknown"; readonly type: number; readonly data: Uint8Array };

/** Types of actions. Plain ones have no argument: copy, decrement, pop. */
const ACTION = {
  output: 0,
  setQueue: 21,
  group: 22,
  setField: 25,
  popMpls: 20,
  experimenter: 0xffff,
} as const;
const PUSH: readonly number[] = [17, 19, 26];
const TTL: readonly number[] = [15, 23];
const PLAIN: readonly number[] = [11, 12, 16, 18, 24, 27];

export function output(port: number): Action {
  return { kind: "output", port, lengthMax: 0 };
}

function readAction(reader: Reader): Action {
  const place = reader.place;
  const type = reader.u16();
  const length = reader.u16();
  if (length < 8 || length % 8 !== 0) {
    reader.fail(`action of type ${type} at ${place} has ${length} bytes, no multiple of 8`);
  }
  const body = reader.part(length - 4, `action of type ${type}`);
  if (type === ACTION.output) return { kind: "output", port: body.u32(), lengthMax: body.u16() };
  if (type === ACTION.group) return { kind: "group", group: body.u32() };
  if (type === ACTION.setField) return { kind: "set-field", field: readField(body) };
  if (type === ACTION.setQueue) return { kind: "set-queue", queue: body.u32() };
  if (PUSH.includes(type)) return { kind: "push", type, etherType: body.u16() };
  if (type === ACTION.popMpls) return { kind: "pop-mpls", type, etherType: body.u16() };
  if (TTL.includes(type)) return { kind: "ttl", type, ttl: body.u8() };
  if (PLAIN.includes(type)) return { kind: "plain", type };
  if (type === ACTION.experimenter) {
    return { kind: "experimenter", experimenter: body.u32(), data: body.rest() };
  }
  return { kind: "unknown", type, data: body.rest() };
}

function actionType(action: Action): number {
  switch (action.kind) {
    case "output":
      return ACTION.output;
    case "group":
      return ACTION.group;
    case "set-field":
      return ACTION.setField;
    case "set-queue":
      return ACTION.setQueue;
    case "experimenter":
      return ACTION.experimenter;
    default:
      return action.type;
  }
}

function writeAction(writer: Writer, action: Action): void {
  const start = writer.length;
  writer.u16(actionType(action)).u16(0);
  switch (action.kind) {
    case "output":
      writer.u32(action.port).u16(action.lengthMax).zeros(6);
      break;
    case "group":
      writer.u32(action.group);
      break;
    case "set-field":
      writeField(writer, action.field);
      break;
    case "set-queue":
      writer.u32(action.queue);
      break;
    case "push":
    case "pop-mpls":
      writer.u16(action.etherType).zeros(2);
      break;
    case "ttl":
      writer.u8(action.ttl).zeros(3);
      break;
    case "plain":
      writer.zeros(4);
      break;
    case "experimenter":
      writer.u32(action.experimenter).put(action.data);
      break;
    case "unknown":
      writer.put(action.data);
  }
  writer.pad8(start).lengthAt(start + 2, writer.length - start);
}

/** All that is left of `reader`. */
export function readActions(reader: Reader): Action[] {
  return reader.each(readAction);
}

export function writeActions(writer: Writer, actions: readonly Action[]): void {
  for (const action of actions) writeAction(writer, action);
}

const INSTRUCTION = { goto: 1, metadata: 2, write: 3, apply: 4, clear: 5, meter: 6 } as const;

function readInstruction(reader: Reader): Instruction {
  const place = reader.place;
  const type = reader.u16();
  const length = reader.u16();
  if (length < 8 || length % 8 !== 0) {
    reader.fail(`instruction of type ${type} at ${place} has ${length} bytes, no multiple of 8`);
  }
  const body = reader.part(length - 4, `instruction of type ${type}`);
  if (type === INSTRUCTION.goto) return { kind: "goto", table: body.u8() };
  if (type === INSTRUCTION.meter) return { kind: "meter", meter: body.u32() };
  if (type < INSTRUCTION.goto || type > INSTRUCTION.meter) {
    return { kind: "unknown", type, data: body.rest() };
  }
  body.skip(4);
  if (type === INSTRUCTION.metadata) return { kind: "metadata", value: body.u64(), mask: body.u64() };
  if (type === INSTRUCTION.clear) return { kind: "clear" };
  return { kind: type === INSTRUCTION.write ? "write" : "apply", actions: readActions(body) };
}

function writeInstruction(writer: Writer, instruction: Instruction): void {
  const start = writer.length;
  const type = instruction.kind === "unknown" ? instruction.type : INSTRUCTION[instruction.kind];
  writer.u16(type).u16(0);
  switch (instruction.kind) {
    case "goto":
      writer.u8(instruction.table).zeros(3);
      break;
    case "metadata":
      writer.zeros(4).u64(instruction.value).u64(instruction.mask);
      break;
    case "write":
    case "apply":
      writer.zeros(4);
      writeActions(writer, instruction.actions);
      break;
    case "clear":
      writer.zeros(4);
      break;
    case "meter":
      writer.u32(instruction.meter);
      break;
    case "unknown":
      writer.put(instruction.data);
  }
  writer.lengthAt(start + 2, writer.length - start);
}

export function readInstructions(reader: Reader): Instruction[] {
  return reader.each(readInstruction);
}

export function writeInstructions(writer: Writer, instructions: readonly Instruction[]): void {
  for (const instruction of instructions) writeInstruction(writer, instruction);
}
