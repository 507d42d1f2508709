/**
 * Duty: files that came with results, on the controller's disk. An edge.
 *
 * Bounded by file and in all: the oldest go first. A file is as long as its pieces in their order.
 */
import { makeDirectory } from "../directories.ts";
import type { FleetFiles } from "./controller.ts";

export const FILE_BYTES_MAX = 64 * 1024 * 1024;
const FILES_MAX = 200;

export function fleetFiles(directory: string, bytesMax = FILE_BYTES_MAX): FleetFiles {
  makeDirectory(directory);
  const pathOf = (node: string, command: number) => `${directory}/${node}-${command}`;
  return {
    append: async (node, command, offset, content) => {
      const path = pathOf(node, command), bytes = bytesIn(content);
      if (bytes === null || offset + bytes.length > bytesMax) return false;
      if (offset === 0) await makeRoom(directory);
      using file = await Deno.open(path, {
        create: true,
        write: true,
        mode: 0o600,
        ...(offset === 0 && { truncate: true }),
      });
      if ((await file.stat()).size !== offset) return false;
      await file.seek(offset, Deno.SeekMode.Start);
      for (let left = bytes; left.length > 0;) left = left.subarray(await file.write(left));
      return true;
    },
    bytes: async (node, command) => {
      return await Deno.stat(pathOf(node, command)).then(({ size }) => size, () => 0);
    },
    read: async (node, command) => {
      try {
        return (await Deno.open(pathOf(node, command))).readable;
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return null;
        throw error;
      }
    },
  };
}

function bytesIn(content: string): Uint8Array | null {
  try {
    return Uint8Array.fromBase64(content);
  } catch {
    return null;
  }
}

async function makeRoom(directory: string): Promise<void> {
  const files: { path: string; atMs: number }[] = [];
  for await (const { name } of Deno.readDir(directory)) {
    const path = `${directory}/${name}`, { mtime } = await Deno.stat(path);
    files.push({ path, atMs: mtime?.getTime() ?? 0 });
  }
  files.sort((a, b) => a.atMs - b.atMs);
  for (const { path } of files.slice(0, Math.max(0, files.length + 1 - FILES_MAX))) await Deno.remove(path);
}
