/**
 * Duty: what RAUC asks of a boot loader, in its words, answered by our boot state (RAUC manual, "Custom Bootloader Backend").
 *
 * RAUC takes a slot out of use before it writes (`set-state ... bad`) and puts it first when it is whole (`set-primary`).
 * Good is a slot only by its own word, after the gate; so RAUC's "good" of a slot that is not booted is taken for nothing.
 */
import { armed, type BootState, chosen, emptied, failed } from "./boot_state.ts";
import { SLOT_NAMES, type SlotName } from "./contract.ts";

export interface BackendAnswer {
  /** What RAUC reads; "" for changes. */
  readonly said: string;
  /** Null: nothing changes. */
  readonly state: BootState | null;
}

/** @throws RangeError: RAUC asks for what there is not */
export function answerRauc(args: readonly string[], state: BootState, booted: SlotName): BackendAnswer {
  const [verb = "", name = "", word = ""] = args;
  if (verb === "get-primary") return { said: state.first.toLowerCase(), state: null };
  if (verb === "get-current") return { said: booted.toLowerCase(), state: null };
  const slot = SLOT_NAMES.find((one) => one.toLowerCase() === name);
  if (slot === undefined) throw new RangeError(`Cannot ${verb} "${name}": there are slots a and b`);
  switch (`${verb} ${word}`.trim()) {
    case "get-state":
      return { said: isUsable(state, slot) ? "good" : "bad", state: null };
    case "set-primary":
      return { said: "", state: chosen(state, slot) ?? armed(state, slot) };
    case "set-state good":
      return { said: "", state: null };
    case "set-state bad":
      return { said: "", state: slot === booted ? failed(state, slot) : emptied(state, slot) };
  }
  throw new RangeError(`Cannot do "${[verb, name, word].join(" ").trim()}": it is no word of RAUC's`);
}

function isUsable({ slots }: BootState, slot: SlotName): boolean {
  return slots[slot].state === "good" || (slots[slot].state === "trial" && slots[slot].tries > 0);
}
