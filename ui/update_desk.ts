/**
 * Duty: updates as a running node offers them: the updater, a place for bundles that are sent in, and the journal's word of
 * every report. An edge: files, and a timer that looks for reports which the machine wrote besides.
 */
import { createHash } from "node:crypto";
import { beforeOf } from "../appliance/update/gate_facts.ts";
import type { Updater, UpdateReport } from "../appliance/update/contract.ts";
import { openUpdater, readSlots, UPDATE_DIRECTORY } from "../appliance/update/machine.ts";
import type { NodeControl } from "../appliance/view.ts";
import { reasonOf } from "../drivers/reason.ts";

const LOOK_MS = 5000;
/** Four times what a bundle has today. */
export const BUNDLE_BYTES_MAX = 512 << 20;

export interface Arrived {
  readonly path: string;
  /** SHA-256, hexadecimal. */
  readonly digest: string;
  readonly bytes: number;
}

export interface UpdateDesk {
  readonly updater: Updater;
  /** Whether this machine has slots at all. */
  readonly present: boolean;
  /** Takes a bundle in; the one before is gone. @throws Error with one sentence; nothing is kept then */
  take(bundle: ReadableStream<Uint8Array>): Promise<Arrived>;
  /** A bundle that lies on the machine, by the name of its file. */
  pathOf(name: string): string;
}

export async function openDesk(
  control: NodeControl,
  note: (report: UpdateReport) => void,
): Promise<UpdateDesk & { close(): void }> {
  const present = await readSlots() !== null;
  const updater = await openUpdater({ before: () => Promise.resolve(beforeOf(control.status())) });
  const look = () => void updater.view().then(({ reports }) => reports.forEach(note), () => {});
  const timer = present ? setInterval(look, LOOK_MS) : undefined;
  let taking = false;
  return {
    updater,
    present,
    pathOf: (name) => `${UPDATE_DIRECTORY}/${name}`,
    take: async (bundle) => {
      if (!present) await updater.view();
      if (taking) throw new Error("Cannot take the bundle: another one is coming in");
      taking = true;
      try {
        return await save(bundle, `${UPDATE_DIRECTORY}/sent.raucb`);
      } finally {
        taking = false;
      }
    },
    close: () => clearInterval(timer),
  };
}

async function save(bundle: ReadableStream<Uint8Array>, path: string): Promise<Arrived> {
  const part = `${path}.part`, hash = createHash("sha256");
  let bytes = 0;
  try {
    {
      // The one before makes room.
      await Deno.remove(path).catch(() => {});
      using file = await Deno.open(part, { create: true, write: true, truncate: true, mode: 0o640 });
      for await (const piece of bundle) {
        bytes += piece.length;
        if (bytes > BUNDLE_BYTES_MAX) throw new RangeError(`it is larger than ${BUNDLE_BYTES_MAX} bytes`);
        hash.update(piece);
        for (let at = 0; at < piece.length;) at += await file.write(piece.subarray(at));
      }
    }
    await Deno.rename(part, path);
  } catch (error) {
    await Deno.remove(part).catch(() => {});
    throw new Error(`Cannot take the bundle: ${reasonOf(error)}`, { cause: error });
  }
  return { path, digest: hash.digest("hex"), bytes };
}
