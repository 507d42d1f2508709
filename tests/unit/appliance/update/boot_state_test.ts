/** The boot state: its text, its two copies under power cuts, and its rules. */
import assert from "node:assert/strict";
import { type Copies, readBoot, writeBoot } from "../../../../appliance/update/boot_copies.ts";
import {
  armed,
  type BootState,
  chosen,
  COPY_BYTES,
  decodeCopy,
  emptied,
  encodeCopy,
  failed,
  FRESH,
  proved,
  start,
  UNKNOWN,
} from "../../../../appliance/update/boot_state.ts";
import type { SlotName } from "../../../../appliance/update/contract.ts";
import { someStates } from "../../../support/update_states.ts";
import { Random } from "../../../../filter/random.ts";

const always = () => true;

Deno.test("encodeCopy() gives a block of GRUB's that decodeCopy() reads again, whatever the state", () => {
  for (const state of someStates()) {
    const bytes = encodeCopy({ round: 2, state });
    assert.equal(bytes.length, COPY_BYTES);
    assert.ok(new TextDecoder().decode(bytes).startsWith("# GRUB Environment Block\n"));
    assert.deepEqual(decodeCopy(bytes), { round: 2, state });
  }
});

Deno.test("decodeCopy() knows every block that was cut while it was written over another", () => {
  const old = encodeCopy({ round: 1, state: proved(armed(FRESH, "B"), "B") });
  const next = { round: 2, state: armed(FRESH, "B") };
  const fresh = encodeCopy(next);
  for (let cut = 0; cut <= COPY_BYTES; cut++) {
    const torn = new Uint8Array([...fresh.subarray(0, cut), ...old.subarray(cut)]);
    const found = decodeCopy(torn);
    if (found === null) continue;
    const whole = found.round === 2 ? next : { round: 1, state: proved(armed(FRESH, "B"), "B") };
    assert.deepEqual(found, whole, `cut at byte ${cut}`);
  }
});

Deno.test("decodeCopy() takes nothing that is not a whole state", () => {
  const text = new TextDecoder().decode(encodeCopy({ round: 0, state: FRESH }));
  const broken = [
    text.replace("GRUB", "gurb"),
    text.replace("begin=0", "begin=1"),
    text.replace("a_tries=3", "a_tries=9"),
    text.replace("first=a", "first=c"),
    text.replace("b_state=empty\n", "").padEnd(COPY_BYTES, "#"),
    text.slice(1),
  ];
  for (const one of broken) assert.equal(decodeCopy(new TextEncoder().encode(one)), null);
});

/** Copies in memory; a write that is cut leaves a part of it. */
class CutCopies implements Copies {
  readonly blocks = [encodeCopy({ round: 0, state: FRESH }), encodeCopy({ round: 0, state: FRESH })];
  /** Writes until the power is cut, and bytes of that last one. */
  writes = Infinity;
  bytes = 0;

  read(copy: 1 | 2) {
    return Promise.resolve(this.blocks[copy - 1]!);
  }

  write(copy: 1 | 2, bytes: Uint8Array) {
    const before = this.blocks[copy - 1]!;
    if (this.writes-- > 0) this.blocks[copy - 1] = bytes;
    else {
      this.blocks[copy - 1] = new Uint8Array([
        ...bytes.subarray(0, this.bytes),
        ...before.subarray(this.bytes),
      ]);
      return Promise.reject(new Error("power is cut"));
    }
    return Promise.resolve();
  }
}

Deno.test("writeBoot() leaves the old or the new state, whenever the power is cut, again and again", async () => {
  const random = new Random(20261122);
  const states = someStates();
  const copies = new CutCopies();
  let current: BootState = FRESH;
  for (let i = 0; i < 3000; i++) {
    const next = states[random.below(states.length)]!;
    copies.writes = random.below(4);
    copies.bytes = random.below(COPY_BYTES + 1);
    const done = await writeBoot(copies, next).then(() => true, () => false);
    const { state, lost } = await readBoot(copies);
    assert.ok(!lost, `both copies are lost in turn ${i}`);
    if (done) assert.deepEqual(state, next);
    else {
      const kept = JSON.stringify(state);
      assert.ok([JSON.stringify(current), JSON.stringify(next)].includes(kept), `turn ${i}: ${kept}`);
    }
    current = state;
  }
});

Deno.test("readBoot() guesses only where both copies are lost, and says so", async () => {
  const copies = new CutCopies();
  copies.blocks[0] = new Uint8Array(COPY_BYTES);
  assert.deepEqual(await readBoot(copies), { state: FRESH, lost: false });
  copies.blocks[1] = new Uint8Array(COPY_BYTES);
  assert.deepEqual(await readBoot(copies), { state: UNKNOWN, lost: true });
});

Deno.test("start() takes a slot on trial three times, then the good one, and never one that is bad", () => {
  let state = armed(FRESH, "B");
  const slots: (SlotName | null)[] = [];
  for (let i = 0; i < 5; i++) {
    const begun = start(state, always);
    slots.push(begun.slot);
    state = begun.state;
  }
  assert.deepEqual(slots, ["B", "B", "B", "A", "A"]);
  assert.equal(start(failed(armed(FRESH, "B"), "B"), always).slot, "A");
});

Deno.test("start() of a slot that cannot be loaded takes the other at once", () => {
  assert.equal(start(armed(FRESH, "B"), (slot) => slot === "A").slot, "A");
  assert.equal(start(FRESH, () => false).slot, null);
});

Deno.test("emptied() keeps a slot from starting before its first byte is written", () => {
  const state = emptied(armed(FRESH, "B"), "B");
  for (let left = state, i = 0; i < 6; i++) {
    const begun = start(left, always);
    assert.equal(begun.slot, "A");
    left = begun.state;
  }
});

Deno.test("proved() gives the tries back, and chosen() goes back only to a slot that was good", () => {
  const state = proved(start(armed(FRESH, "B"), always).state, "B");
  assert.deepEqual(state.slots.B, { state: "good", tries: 3 });
  assert.equal(state.good, "B");
  assert.equal(chosen(state, "A")?.first, "A");
  assert.equal(chosen(FRESH, "B"), null);
  assert.equal(chosen(failed(state, "A"), "A"), null);
});
