/**
 * Duty: the updater of the machine this program runs on. An edge: devices, files, processes.
 *
 * What the slots are was found at start by /usr/lib/remediate/slots, which looks under the root that is in use; where its
 * file is not there, this is no machine of ours.
 */
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { reasonOf } from "../../drivers/reason.ts";
import { VERSION } from "../version.ts";
import { absentUpdater } from "./absent.ts";
import { SLOT_NAMES, type SlotName, type Updater } from "./contract.ts";
import { DeviceCopies, versionOn } from "./device.ts";
import type { GateBefore } from "./gate.ts";
import { Rauc } from "./installer.ts";
import { memoryText, NO_MEMORY, parseMemory, type UpdateMemory } from "./memory.ts";
import { type Machine, SlotUpdater } from "./updater.ts";

export const SLOTS_FILE = "/run/remediate/slots";
const LOCK_FILE = "/run/remediate/slots.lock";
/** On the data partition. */
export const UPDATE_DIRECTORY = "/data/update";

export interface Slots {
  readonly booted: SlotName;
  readonly compatible: string;
  /** Devices. */
  readonly esp: string;
  readonly boot: Readonly<Record<SlotName, string>>;
}

/** Null: a word is missing or means nothing. */
export function parseSlots(text: string): Slots | null {
  const words = new Map(
    text.split("\n").map((line) => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1).trim()] as const;
    }),
  );
  const booted = SLOT_NAMES.find((name) => name.toLowerCase() === words.get("slot"));
  const [compatible, esp, a, b] = ["compatible", "esp", "boot_a", "boot_b"].map((name) => words.get(name));
  if (booted === undefined || !compatible || !esp || !a || !b) return null;
  return { booted, compatible, esp, boot: { A: a, B: b } };
}

/** Null: this is no machine with slots. */
export async function readSlots(path = SLOTS_FILE): Promise<Slots | null> {
  const text = await Deno.readTextFile(path).catch(() => null);
  return text === null ? null : parseSlots(text);
}

export interface Opening {
  /** What the node does now. */
  readonly before: () => Promise<GateBefore>;
}

export async function openMachine(slots: Slots, { before }: Opening): Promise<Machine> {
  await Deno.mkdir(UPDATE_DIRECTORY, { recursive: true }).catch(() => {});
  const file = `${UPDATE_DIRECTORY}/state.json`;
  return {
    booted: slots.booted,
    // The image's own word: a bundle is called what its boot files say.
    version: await versionOn(slots.boot[slots.booted]) ?? VERSION,
    compatible: slots.compatible,
    copies: new DeviceCopies(slots.esp),
    installer: new Rauc(),
    locked,
    recall: () => recall(file),
    keep: (memory) => keep(file, memoryText(memory)),
    versionIn: (slot) => versionOn(slots.boot[slot]),
    digestOf: fileDigest,
    before,
    restart: async () => {
      const { success, stderr } = await new Deno.Command("systemctl", { args: ["reboot"], stderr: "piped" })
        .output();
      if (!success) throw new Error(`Cannot restart: ${new TextDecoder().decode(stderr).trim()}`);
    },
    nowMs: () => Date.now(),
  };
}

/** Of this machine, or one that says that there is none. */
export async function openUpdater(opening: Opening): Promise<Updater> {
  const slots = await readSlots();
  if (slots === null) return absentUpdater(`there is no ${SLOTS_FILE}`);
  return new SlotUpdater(await openMachine(slots, opening));
}

async function locked<T>(work: () => Promise<T>): Promise<T> {
  using file = await Deno.open(LOCK_FILE, { create: true, write: true });
  await file.lock(true);
  return await work();
}

async function recall(file: string): Promise<UpdateMemory> {
  const text = await Deno.readTextFile(file).catch(() => "");
  return parseMemory(text) ?? NO_MEMORY;
}

async function keep(path: string, text: string): Promise<void> {
  const part = `${path}.new`;
  try {
    {
      using file = await Deno.open(part, { create: true, write: true, truncate: true, mode: 0o640 });
      const bytes = new TextEncoder().encode(text);
      for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
      await file.sync();
    }
    await Deno.rename(part, path);
    // A name is on the disk once its directory is: without it a power cut soon after brings the old memory back.
    using directory = await Deno.open(dirname(path));
    await directory.sync();
  } catch (error) {
    throw new Error(`the data partition does not take ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

/** SHA-256 of a file, hexadecimal. @throws Error with one sentence */
export async function fileDigest(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    using file = await Deno.open(path);
    const piece = new Uint8Array(1 << 20);
    for (let got = await file.read(piece); got !== null; got = await file.read(piece)) {
      hash.update(piece.subarray(0, got));
    }
  } catch (error) {
    throw new Error(`it cannot be read: ${reasonOf(error)}`, { cause: error });
  }
  return hash.digest("hex");
}
