/**
 * An updater over a directory: two slots that are files, a boot state that is a file, and bundles that must be signed.
 *
 * A bundle is `{"version", "works"}` in its first line, whatever else, and 64 bytes of an Ed25519 signature over all before.
 * It stands for RAUC in tests of the fleet: what it shows and refuses is that of the contract.
 */
import { generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";
import { digestFile } from "../../appliance/fleet/transfer/digest.ts";
import { candidateFault } from "../../appliance/update/versions.ts";
import type {
  InstallOptions,
  SlotName,
  SlotView,
  Updater,
  UpdateReport,
  UpdateView,
} from "../../appliance/update/contract.ts";

const BOARD = "lab";

interface Kept {
  booted: SlotName;
  slots: Record<SlotName, { state: SlotView["state"]; version: string | null; digest: string | null }>;
  reports: UpdateReport[];
  badVersions: string[];
}

export interface Publisher {
  readonly key: KeyObject;
  /** A signed bundle. */
  bundle(version: string, works: boolean, content: Uint8Array): Uint8Array<ArrayBuffer>;
}

export function publisher(): Publisher {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  return {
    key: publicKey,
    bundle: (version, works, content) => {
      const head = new TextEncoder().encode(`${JSON.stringify({ version, works })}\n`);
      const body = new Uint8Array(head.length + content.length);
      body.set(head);
      body.set(content, head.length);
      const out = new Uint8Array(body.length + 64);
      out.set(body);
      out.set(sign(null, body, privateKey), body.length);
      return out;
    },
  };
}

export class SlotDirectory implements Updater {
  readonly #path: string;
  #installing: UpdateView["installing"] = null;
  installs = 0;
  restarts = 0;

  constructor(
    readonly directory: string,
    readonly key: KeyObject,
    /** The machine goes down and comes up again. */
    readonly reboot: () => Promise<void>,
  ) {
    this.#path = `${directory}/boot.json`;
    Deno.mkdirSync(directory, { recursive: true });
    try {
      Deno.statSync(this.#path);
    } catch {
      const empty = { state: "empty", version: null, digest: null } as const;
      const slots = { A: { state: "good", version: "1.0.0", digest: "0".repeat(64) }, B: empty } as const;
      this.#keep({ booted: "A", slots, reports: [], badVersions: [] });
    }
  }

  #load(): Kept {
    return JSON.parse(Deno.readTextFileSync(this.#path));
  }

  #keep(kept: Kept): void {
    Deno.writeTextFileSync(`${this.#path}.new`, JSON.stringify(kept));
    Deno.renameSync(`${this.#path}.new`, this.#path);
  }

  view(): Promise<UpdateView> {
    const { booted, slots, reports, badVersions } = this.#load();
    const views = (["A", "B"] as const).map((name): SlotView => ({
      ...slots[name],
      name,
      triesLeft: slots[name].state === "trial" ? 3 : 0,
      booted: name === booted,
    }));
    return Promise.resolve({ slots: views, installing: this.#installing, reports, badVersions });
  }

  async install(path: string, { digest, force }: InstallOptions): Promise<UpdateReport> {
    const refuse = (reason: string) => {
      throw new Error(`Cannot install ${path}: ${reason}`);
    };
    this.#installing = { version: null, digest, percent: 50 };
    try {
      if (await digestFile(path) !== digest) refuse("its content is not what was offered");
      const content = await Deno.readFile(path), body = content.subarray(0, -64);
      if (!verify(null, body, this.key, content.subarray(-64))) refuse("it is not signed by the publisher");
      const { version } = JSON.parse(new TextDecoder().decode(body.subarray(0, body.indexOf(10))));
      const kept = this.#load(), other = kept.booted === "A" ? "B" : "A";
      const { badVersions, booted, slots } = kept, running = slots[booted].version ?? "";
      const fault = candidateFault({ version, compatible: BOARD }, {
        ...{ running, compatible: BOARD, badVersions, force },
      });
      if (fault !== null) refuse(fault);
      await Deno.copyFile(path, `${this.directory}/slot-${other}`);
      this.installs++;
      kept.slots[other] = { state: "trial", version, digest };
      return this.#report(kept, other, "installed", "waits for a restart");
    } finally {
      this.#installing = null;
    }
  }

  #report(kept: Kept, slot: SlotName, outcome: UpdateReport["outcome"], reason: string): UpdateReport {
    const { version, digest } = kept.slots[slot];
    const last = kept.reports.at(-1)?.atMs ?? 0;
    const report = { atMs: Math.max(Date.now(), last + 1), version, digest, outcome, reason };
    this.#keep({ ...kept, reports: [...kept.reports, report].slice(-16) });
    return report;
  }

  async restart(): Promise<void> {
    this.restarts++;
    const kept = this.#load();
    kept.booted = kept.booted === "A" ? "B" : "A";
    this.#keep(kept);
    await this.reboot();
  }

  rollBack(): Promise<void> {
    return this.restart();
  }

  /** What a start does with a slot on trial: it proves itself, or the other one starts again. */
  async prove(): Promise<void> {
    const kept = this.#load(), { booted } = kept, slot = kept.slots[booted];
    if (slot.state !== "trial") return;
    const content = await Deno.readFile(`${this.directory}/slot-${booted}`);
    const { works } = JSON.parse(new TextDecoder().decode(content.subarray(0, content.indexOf(10))));
    slot.state = works ? "good" : "bad";
    if (works) return void this.#report(kept, booted, "good", "it proved itself");
    kept.booted = booted === "A" ? "B" : "A";
    kept.badVersions.push(slot.version!);
    this.#report(kept, booted, "fell-back", "the plane of the new version does not forward");
  }
}
