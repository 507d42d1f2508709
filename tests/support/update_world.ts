/**
 * A machine with two slots in memory, whose power may be cut at any write: disk blocks, the data partition, slots.
 *
 * It starts by the boot loader's rules, runs what `judge` of the command line runs, and counts every write. What a slot holds
 * decides how its start ends.
 */
import { type Copies, readBoot, writeBoot } from "../../appliance/update/boot_copies.ts";
import {
  armed,
  COPY_BYTES,
  emptied,
  encodeCopy,
  FRESH,
  otherSlot,
  start,
} from "../../appliance/update/boot_state.ts";
import type { SlotName } from "../../appliance/update/contract.ts";
import { NOTHING_BEFORE } from "../../appliance/update/gate.ts";
import { memoryText, NO_MEMORY, parseMemory, type UpdateMemory } from "../../appliance/update/memory.ts";
import { passed, rejected, settle } from "../../appliance/update/settle.ts";
import { type Machine, SlotUpdater } from "../../appliance/update/updater.ts";

/** good: does its work. fails: its gate says no. panics, hangs: it ends without a word. broken: it cannot be loaded. */
export type Content = "good" | "fails" | "panics" | "hangs" | "broken";

export class PowerCut extends Error {}

export interface Held {
  readonly version: string;
  readonly content: Content;
}

export class UpdateWorld {
  readonly #blocks: [Uint8Array, Uint8Array] = [
    encodeCopy({ round: 0, state: FRESH }),
    encodeCopy({ round: 0, state: FRESH }),
  ];
  #memory = memoryText(NO_MEMORY);
  readonly slots: Record<SlotName, Held> = {
    A: { version: "1.0.0", content: "good" },
    B: { version: "0.0.0", content: "broken" },
  };
  booted: SlotName = "A";
  nowMs = 1000;
  /** Writes that still succeed. */
  left = Infinity;
  /** Bytes of the block that is being written when the power is cut. */
  torn = 0;
  fullData = false;
  /** Bundles by path. */
  readonly bundles = new Map<string, Held>();
  starts = 0;

  #write(): void {
    if (this.left-- <= 0) throw new PowerCut();
  }

  readonly copies: Copies = {
    read: (copy) => Promise.resolve(this.#blocks[copy - 1]!),
    write: (copy, bytes) => {
      const before = this.#blocks[copy - 1]!;
      if (this.left <= 0) {
        const part = Math.min(this.torn, COPY_BYTES);
        this.#blocks[copy - 1] = new Uint8Array([...bytes.subarray(0, part), ...before.subarray(part)]);
      }
      try {
        this.#write();
      } catch (error) {
        return Promise.reject(error);
      }
      this.#blocks[copy - 1] = bytes;
      return Promise.resolve();
    },
  };

  machine(): Machine {
    return {
      booted: this.booted,
      version: this.slots[this.booted].version,
      compatible: "board",
      copies: this.copies,
      installer: {
        look: (path) => {
          const held = this.bundles.get(path);
          if (held === undefined) return Promise.reject(new Error("signature verification failed"));
          return Promise.resolve({ version: held.version, compatible: "board" });
        },
        install: (path, progress) => this.#install(path, progress),
      },
      locked: (work) => work(),
      recall: () => Promise.resolve(parseMemory(this.#memory) ?? NO_MEMORY),
      keep: (memory) => this.#keep(memory),
      versionIn: (slot) =>
        Promise.resolve(this.slots[slot].content === "broken" ? null : this.slots[slot].version),
      digestOf: (path) => Promise.resolve(path),
      before: () => Promise.resolve(NOTHING_BEFORE),
      restart: () => Promise.resolve(),
      nowMs: () => this.nowMs++,
    };
  }

  // Async, so that a cut is a rejection.
  async #keep(memory: UpdateMemory): Promise<void> {
    if (this.fullData) throw new Error("no space left on device");
    await Promise.resolve();
    this.#write();
    this.#memory = memoryText(memory);
  }

  /** As RAUC does: out of use, a few writes, then first. */
  async #install(path: string, progress: (percent: number) => void): Promise<void> {
    const slot = otherSlot(this.booted), held = this.bundles.get(path)!;
    await writeBoot(this.copies, emptied((await readBoot(this.copies)).state, slot));
    this.slots[slot] = { version: "?", content: "broken" };
    for (const percent of [20, 40, 60, 80]) {
      this.#write();
      progress(percent);
    }
    this.slots[slot] = held;
    await writeBoot(this.copies, armed((await readBoot(this.copies)).state, slot));
  }

  updater(): SlotUpdater {
    return new SlotUpdater(this.machine());
  }

  memory(): UpdateMemory {
    return parseMemory(this.#memory) ?? NO_MEMORY;
  }

  spoilMemory(): void {
    this.#memory = "{ nonsense";
  }

  /** One start and what comes of it. @returns whether the machine is at rest; else it starts again */
  async startOnce(): Promise<boolean> {
    this.starts++;
    const { state } = await readBoot(this.copies);
    const begun = start(state, (slot) => this.slots[slot].content !== "broken");
    if (JSON.stringify(begun.state) !== JSON.stringify(state)) await writeBoot(this.copies, begun.state);
    if (begun.slot === null) throw new Error("nothing can be started");
    this.booted = begun.slot;
    const { content } = this.slots[this.booted];
    // A hang is ended by a watchdog.
    if (content === "panics" || content === "hangs") return false;
    return await this.#judge(content);
  }

  async #judge(content: Content): Promise<boolean> {
    const { booted } = this, machine = this.machine();
    const { state, lost } = await readBoot(this.copies);
    const otherVersion = await machine.versionIn(otherSlot(booted));
    const memory = await machine.recall();
    const settled = settle({ state, lost, booted, memory, otherVersion, nowMs: machine.nowMs() });
    const conclude = async ({ state, memory }: typeof settled) => {
      await writeBoot(this.copies, state);
      await machine.keep(memory).catch((error) => {
        if (error instanceof PowerCut) throw error;
      });
    };
    await conclude(settled);
    if (!settled.onTrial) return true;
    const ended = { booted, version: machine.version, nowMs: machine.nowMs() };
    const now = (await readBoot(this.copies)).state, known = await machine.recall();
    if (content === "good") {
      await conclude(passed(now, known, ended));
      return true;
    }
    await conclude(rejected(now, known, { ...ended, faults: ["control does not answer"] }));
    return false;
  }

  /** Starts again and again until it rests, power and all. @returns the starts it took */
  async rest(most = 12): Promise<number> {
    for (let i = 1; i <= most; i++) {
      try {
        if (await this.startOnce()) return i;
      } catch (error) {
        if (!(error instanceof PowerCut)) throw error;
        this.left = Infinity;
      }
    }
    throw new Error(`it does not rest after ${most} starts`);
  }
}
