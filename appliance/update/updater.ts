/**
 * Duty: the updater of a machine with two slots: judges a bundle, has it written into the other slot, keeps what is known.
 *
 * Order is all: the memory notes what is about to be done, the other slot is taken out of the boot loader's choice, it is
 * written, and only a whole one is put on trial. So the power may be cut at any moment. Whatever is outside stands behind a
 * seam (`Machine`), of which the simulation has one too.
 */
import { type BootView, type Copies, readBoot, writeBoot } from "./boot_copies.ts";
import { armed, type BootState, chosen, emptied, otherSlot } from "./boot_state.ts";
import {
  type InstallOptions,
  SLOT_NAMES,
  type SlotName,
  type SlotView,
  type Updater,
  type UpdateReport,
  type UpdateView,
} from "./contract.ts";
import type { GateBefore } from "./gate.ts";
import type { Installer } from "./installer.ts";
import { type UpdateMemory, withOrigin, withReport } from "./memory.ts";
import { type Candidate, candidateFault } from "./versions.ts";
import { reasonOf } from "../../drivers/reason.ts";

/** All that an updater needs of the machine. */
export interface Machine {
  readonly booted: SlotName;
  /** Of the running program. */
  readonly version: string;
  readonly compatible: string;
  readonly copies: Copies;
  readonly installer: Installer;
  /** Runs `work` while no other process changes boot state or memory. */
  locked<T>(work: () => Promise<T>): Promise<T>;
  recall(): Promise<UpdateMemory>;
  /** Whole or not at all. @throws Error with one sentence */
  keep(memory: UpdateMemory): Promise<void>;
  /** The version that the slot's own boot files name; null: none, or they cannot be read. */
  versionIn(slot: SlotName): Promise<string | null>;
  /** SHA-256 of a file, hexadecimal. @throws Error with one sentence */
  digestOf(path: string): Promise<string>;
  /** What the machine does now, for the next version to be measured by. */
  before(): Promise<GateBefore>;
  restart(): Promise<void>;
  nowMs(): number;
}

export class SlotUpdater implements Updater {
  readonly #machine: Machine;
  #installing: UpdateView["installing"] = null;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  async view(): Promise<UpdateView> {
    const memory = await this.#machine.recall();
    const { state } = await readBoot(this.#machine.copies);
    const slots = await Promise.all(SLOT_NAMES.map((name) => this.#slotView(name, state, memory)));
    return { slots, installing: this.#installing, reports: memory.reports, badVersions: memory.badVersions };
  }

  async #slotView(name: SlotName, { slots }: BootState, memory: UpdateMemory): Promise<SlotView> {
    const { booted, version } = this.#machine, { state, tries } = slots[name], isBooted = booted === name;
    const own = isBooted ? version : await this.#machine.versionIn(name);
    // Three starts without a word are a failed trial, though nobody has said so yet.
    const spent = state === "trial" && tries === 0 && !isBooted;
    return {
      name,
      state: spent ? "bad" : state,
      version: state === "empty" ? null : own ?? memory.origins[name].version,
      digest: state === "empty" ? null : memory.origins[name].digest,
      triesLeft: state === "trial" ? tries : 0,
      booted: isBooted,
    };
  }

  async install(path: string, { digest, force }: InstallOptions): Promise<UpdateReport> {
    if (this.#installing !== null) {
      throw new Error(`Cannot install ${path}: another bundle is being installed`);
    }
    this.#installing = { version: null, digest, percent: 0 };
    try {
      return await this.#judgeAndWrite(path, digest, force);
    } finally {
      this.#installing = null;
    }
  }

  async #judgeAndWrite(path: string, digest: string, force: boolean): Promise<UpdateReport> {
    let known: Candidate | null = null;
    try {
      const found = await this.#machine.digestOf(path);
      if (found !== digest.toLowerCase()) throw new Error(`its SHA-256 is ${found}, not ${digest}`);
      known = await this.#machine.installer.look(path);
      const { version, compatible } = this.#machine;
      const { badVersions } = await this.#machine.recall();
      const fault = candidateFault(known, { running: version, compatible, badVersions, force });
      if (fault !== null) throw new Error(fault);
      return await this.#write(path, known, digest);
    } catch (error) {
      const reason = reasonOf(error);
      await this.#note({ version: known?.version ?? null, digest, outcome: "refused", reason }).catch(
        () => {},
      );
      throw new Error(`Cannot install ${path}: ${reason}`, { cause: error });
    }
  }

  async #write(path: string, { version }: Candidate, digest: string): Promise<UpdateReport> {
    const machine = this.#machine, slot = otherSlot(machine.booted), origin = { version, digest };
    const before = await machine.before();
    await machine.locked(async () => {
      const { state } = await readBoot(machine.copies);
      if (state.slots[machine.booted].state === "trial") {
        throw new Error(`slot ${machine.booted}, which runs, has not proved itself yet`);
      }
      // First of all: a data partition that takes no note could not tell how it ended.
      await machine.keep(
        withOrigin({ ...await machine.recall(), intent: { slot, before, ...origin } }, slot, origin),
      );
      await writeBoot(machine.copies, emptied(state, slot));
    });
    try {
      await machine.installer.install(path, (percent) => {
        this.#installing = { version, digest, percent };
      });
    } catch (error) {
      await this.#forget();
      throw new Error(`${reasonOf(error)}; slot ${slot} is empty now, slot ${machine.booted} is as it was`);
    }
    await machine.locked(async () => {
      const { state } = await readBoot(machine.copies);
      await writeBoot(machine.copies, armed(state, slot));
    });
    const reason = `version ${version} is in slot ${slot} and is tried at the next start`;
    return await this.#note({ version, digest, outcome: "installed", reason });
  }

  async #forget(): Promise<void> {
    const machine = this.#machine;
    await machine.locked(async () => await machine.keep({ ...await machine.recall(), intent: null }))
      .catch(() => {});
  }

  async #note(told: Omit<UpdateReport, "atMs">): Promise<UpdateReport> {
    const report = { atMs: this.#machine.nowMs(), ...told };
    await this.#machine.locked(async () => {
      await this.#machine.keep(withReport(await this.#machine.recall(), report));
    });
    return report;
  }

  async restart(): Promise<void> {
    if (this.#installing !== null) throw new Error("Cannot restart: a bundle is being installed");
    await this.#machine.restart();
  }

  async rollBack(): Promise<void> {
    const machine = this.#machine, slot = otherSlot(machine.booted);
    if (this.#installing !== null) throw new Error("Cannot roll back: a bundle is being installed");
    await machine.locked(async () => {
      const { state }: BootView = await readBoot(machine.copies);
      const next = chosen(state, slot);
      if (next === null) {
        throw new Error(
          `Cannot roll back: slot ${slot} is ${state.slots[slot].state} and was not good before`,
        );
      }
      await writeBoot(machine.copies, next);
    });
  }
}
