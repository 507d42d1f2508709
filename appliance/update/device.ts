/**
 * Duty: the parts of the disk that hold boot state and boot files, read and written in place. An edge.
 *
 * Whatever is written is on the disk when `write` returns. The copies lie in different blocks of 4 KiB (scripts/image
 * sees to it), the least that a disk rewrites.
 */
import { COPY_BYTES } from "./boot_state.ts";
import type { Copies } from "./boot_copies.ts";
import { type Extent, findFile, joined, type ReadAt, readFileText } from "./fat.ts";

const SLOT_FILE_BYTES_MAX = 4096;

async function readAt(file: Deno.FsFile, offset: number, bytes: number): Promise<Uint8Array> {
  const whole = new Uint8Array(bytes);
  await file.seek(offset, Deno.SeekMode.Start);
  for (let at = 0; at < bytes;) {
    const got = await file.read(whole.subarray(at));
    if (got === null) throw new RangeError(`Cannot read ${bytes} bytes at ${offset}: the device ends before`);
    at += got;
  }
  return whole;
}

async function reading<T>(device: string, work: (read: ReadAt) => Promise<T>): Promise<T> {
  using file = await Deno.open(device);
  return await work((offset, bytes) => readAt(file, offset, bytes));
}

/** The copies of the boot state in the system partition. */
export class DeviceCopies implements Copies {
  constructor(readonly device: string) {}

  async #extents(copy: 1 | 2): Promise<readonly Extent[]> {
    const path = `remediate/state.${copy}`;
    const extents = await reading(this.device, (read) => findFile(read, path));
    const bytes = extents?.reduce((sum, one) => sum + one.bytes, 0);
    if (extents === null || bytes !== COPY_BYTES) {
      throw new Error(`Cannot use the boot state ${path} of ${this.device}: it has ${bytes ?? "no"} bytes`);
    }
    return extents;
  }

  async read(copy: 1 | 2): Promise<Uint8Array> {
    const extents = await this.#extents(copy).catch(() => null);
    // A file that cannot be found is a copy that is not whole.
    if (extents === null) return new Uint8Array(COPY_BYTES);
    return await reading(this.device, async (read) => {
      const pieces: Uint8Array[] = [];
      for (const { offset, bytes } of extents) pieces.push(await read(offset, bytes));
      return joined(pieces);
    });
  }

  async write(copy: 1 | 2, block: Uint8Array): Promise<void> {
    const extents = await this.#extents(copy);
    using file = await Deno.open(this.device, { write: true });
    let from = 0;
    for (const { offset, bytes } of extents) {
      await file.seek(offset, Deno.SeekMode.Start);
      for (const end = from + bytes; from < end;) from += await file.write(block.subarray(from, end));
    }
    await file.sync();
  }
}

/** What a slot's boot files call it; null: they name none. */
export function versionIn(text: string): string | null {
  return /^set slot_version="([^"]+)"$/m.exec(text)?.[1] ?? null;
}

/** Of a boot partition. Null: there is none, or it cannot be read. */
export async function versionOn(device: string): Promise<string | null> {
  const text = await reading(device, (read) => readFileText(read, "slot.cfg", SLOT_FILE_BYTES_MAX))
    .catch(() => null);
  return text === null ? null : versionIn(text);
}
