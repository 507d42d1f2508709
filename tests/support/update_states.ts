/** Boot states of all kinds, for the tests of updates. */
import type { BootState } from "../../appliance/update/boot_state.ts";
import { SLOT_NAMES } from "../../appliance/update/contract.ts";

export function someStates(): BootState[] {
  const states: BootState[] = [];
  for (const first of SLOT_NAMES) {
    for (const good of SLOT_NAMES) {
      for (const a of ["good", "trial", "bad", "empty"] as const) {
        for (const aTries of [0, 1, 3]) {
          for (const bTries of [0, 2]) {
            states.push({
              first,
              good,
              slots: { A: { state: a, tries: aTries }, B: { state: "good", tries: bTries } },
            });
          }
        }
      }
    }
  }
  return states;
}
