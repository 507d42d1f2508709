/**
 * Duty: which slot the boot loader starts, and how that changes: pure rules, and the text that GRUB reads and writes.
 *
 *   empty --installed--> trial --proved--> good
 *                          `--its gate says no, or three starts without a word--> bad
 *
 * A start uses one try up; only the system that started gives them back. `good` is the slot that proved itself last: it is
 * what starts when nothing else is left. `start` is what boot/grub.cfg does; a test runs that script and compares.
 */
import { SLOT_NAMES, type SlotName, type SlotState } from "./contract.ts";

export const TRIES = 3;

export interface BootSlot {
  readonly state: SlotState;
  /** Starts that are left before the other slot is taken. */
  readonly tries: number;
}

export interface BootState {
  /** The slot that is to start. */
  readonly first: SlotName;
  /** The slot that proved itself last. */
  readonly good: SlotName;
  readonly slots: Readonly<Record<SlotName, BootSlot>>;
}

export const FRESH: BootState = {
  first: "A",
  good: "A",
  slots: { A: { state: "good", tries: TRIES }, B: { state: "empty", tries: 0 } },
};

/** What both copies being lost leaves: each slot may be tried, since nobody knows which is whole. */
export const UNKNOWN: BootState = {
  first: "A",
  good: "A",
  slots: { A: { state: "good", tries: TRIES }, B: { state: "good", tries: TRIES } },
};

export const otherSlot = (slot: SlotName): SlotName => slot === "A" ? "B" : "A";

function withSlot(state: BootState, slot: SlotName, changed: BootSlot): BootState {
  return { ...state, slots: { ...state.slots, [slot]: changed } };
}

/** Before the first byte is written into a slot: whatever happens from now on, it does not start. */
export function emptied(state: BootState, slot: SlotName): BootState {
  const keeper = otherSlot(slot);
  return {
    ...withSlot(state, slot, { state: "empty", tries: 0 }),
    first: keeper,
    good: keeper,
  };
}

/** A whole bundle is in the slot: it is started next, on trial. */
export function armed(state: BootState, slot: SlotName): BootState {
  return { ...withSlot(state, slot, { state: "trial", tries: TRIES }), first: slot };
}

/** Said by the system that started from the slot. The other one, if it was good, can stand in for it again. */
export function proved(state: BootState, slot: SlotName): BootState {
  const other = otherSlot(slot), spare = state.slots[other];
  const fresh = withSlot(state, slot, { state: "good", tries: TRIES });
  const kept = spare.state === "good" ? withSlot(fresh, other, { state: "good", tries: TRIES }) : fresh;
  return { ...kept, first: slot, good: slot };
}

/** The trial of a slot failed: it is not started again. */
export function failed(state: BootState, slot: SlotName): BootState {
  const keeper = otherSlot(slot);
  return { ...withSlot(state, slot, { state: "bad", tries: 0 }), first: keeper, good: keeper };
}

/** Back to a slot that was good; null: it was not. */
export function chosen(state: BootState, slot: SlotName): BootState | null {
  if (state.slots[slot].state !== "good") return null;
  return { ...withSlot(state, slot, { state: "good", tries: TRIES }), first: slot };
}

export interface Start {
  /** Null: there is nothing to start. */
  readonly slot: SlotName | null;
  /** As the boot loader leaves it. */
  readonly state: BootState;
}

/** What the boot loader does. `loads`: whether a slot's kernel can be loaded at all. */
export function start(state: BootState, loads: (slot: SlotName) => boolean): Start {
  let left = state;
  for (const slot of [state.first, otherSlot(state.first)]) {
    const { state: word, tries } = left.slots[slot];
    if (tries === 0) continue;
    left = withSlot(left, slot, { state: word, tries: tries - 1 });
    if (loads(slot)) return { slot, state: left };
  }
  // None has tries left. One that starts too often is better than none.
  for (const slot of [left.good, otherSlot(left.good)]) if (loads(slot)) return { slot, state: left };
  return { slot: null, state: left };
}

/** Bytes of a copy: what grub-editenv makes, and what GRUB writes in place. */
export const COPY_BYTES = 1024;
const HEAD = "# GRUB Environment Block\n";
/** `begin` and `end` go round: a copy that was cut while it was written has two that differ. */
export const ROUND = 3;

export interface Copy {
  readonly round: number;
  readonly state: BootState;
}

/** The block, filled with "#". */
export function encodeCopy({ round, state }: Copy): Uint8Array {
  const { first, good, slots: { A, B } } = state;
  const lines = [
    `begin=${round}`,
    `first=${first.toLowerCase()}`,
    `good=${good.toLowerCase()}`,
    `a_state=${A.state}`,
    `a_tries=${A.tries}`,
    `b_state=${B.state}`,
    `b_tries=${B.tries}`,
    `end=${round}`,
  ];
  const text = `${HEAD}${lines.join("\n")}\n`;
  return new TextEncoder().encode(text.padEnd(COPY_BYTES, "#"));
}

/** Null: it is not whole. */
export function decodeCopy(bytes: Uint8Array): Copy | null {
  const text = new TextDecoder().decode(bytes);
  if (bytes.length !== COPY_BYTES || !text.startsWith(HEAD)) return null;
  const lines = text.slice(HEAD.length).split("\n").filter((line) => !line.startsWith("#"));
  const values = new Map(lines.map((line) => {
    const at = line.indexOf("=");
    return [line.slice(0, at), line.slice(at + 1)] as const;
  }));
  const round = Number(values.get("begin"));
  if (!/^[0-2]$/.test(values.get("begin") ?? "") || values.get("end") !== values.get("begin")) return null;
  const first = slotOf(values.get("first")), good = slotOf(values.get("good"));
  const A = bootSlotOf(values, "a"), B = bootSlotOf(values, "b");
  if (first === null || good === null || A === null || B === null) return null;
  return { round, state: { first, good, slots: { A, B } } };
}

function slotOf(text: string | undefined): SlotName | null {
  return SLOT_NAMES.find((name) => name.toLowerCase() === text) ?? null;
}

const STATES: readonly SlotState[] = ["good", "trial", "bad", "empty"];

function bootSlotOf(values: ReadonlyMap<string, string>, name: "a" | "b"): BootSlot | null {
  const state = STATES.find((word) => word === values.get(`${name}_state`));
  const tries = values.get(`${name}_tries`) ?? "";
  if (state === undefined || !/^[0-3]$/.test(tries)) return null;
  return { state, tries: Number(tries) };
}
