/**
 * Duty: what starts a slot: the hash tree behind its file system, the initrd, and its line for the boot loader.
 */
import { createHash } from "node:crypto";
import { readList, run, shell } from "./run.ts";
import type { Root } from "./root.ts";

export const BLOCK_BYTES = 4096;

export interface Verity {
  readonly hash: string;
  readonly salt: string;
  /** Of the file system; its hash tree begins in the next one. */
  readonly blocks: number;
}

/** Appends the hash tree to the file. Salt and name are made from the content, so that equal content gives equal trees. */
export async function addVerity(file: string): Promise<Verity> {
  const bytes = (await Deno.stat(file)).size;
  const blocks = Math.ceil(bytes / BLOCK_BYTES);
  await Deno.truncate(file, blocks * BLOCK_BYTES);
  const salt = createHash("sha256").update(await Deno.readFile(file)).digest("hex");
  const uuid = salt.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, "$1-$2-$3-$4-$5");
  const said = await run([
    "veritysetup",
    "format",
    `--salt=${salt}`,
    `--uuid=${uuid}`,
    `--data-blocks=${blocks}`,
    `--hash-offset=${blocks * BLOCK_BYTES}`,
    file,
    file,
  ]);
  const hash = /^Root hash:\s+([0-9a-f]{64})$/m.exec(said)?.[1];
  if (hash === undefined) throw new Error(`Cannot read the root hash of ${file} out of: ${said}`);
  return { hash, salt, blocks };
}

/** The words of the kernel's command line that name and prove a slot; the initrd reads them. */
export function slotArguments({ hash, salt, blocks }: Verity): string {
  return `remediate.hash=${hash} remediate.salt=${salt} remediate.blocks=${blocks}`;
}

/** Modules with what they need, in the order in which they are loaded; numbered so that a shell's `*` keeps it. */
async function copyModules(root: Root, wanted: readonly string[], into: string): Promise<void> {
  const files: string[] = [];
  for (const name of wanted) {
    const shown = await run(["modprobe", "-d", root.path, "-S", root.kernel, "--show-depends", name]);
    for (const [, file] of shown.matchAll(/^insmod (\S+)/gm)) if (!files.includes(file!)) files.push(file!);
  }
  for (const [i, file] of files.entries()) {
    const from = file.startsWith(root.path) ? file : `${root.path}${file}`;
    await Deno.copyFile(from, `${into}/${String(i).padStart(3, "0")}-${file.split("/").at(-1)}`);
  }
}

export async function makeInitrd(top: string, root: Root, cache: string, epoch: number): Promise<string> {
  const tree = `${cache}/initrd`;
  const file = `${cache}/initrd.img`;
  await shell(
    `rm -rf "$1"; mkdir -p "$1/bin" "$1/modules"; cp "$2/usr/bin/busybox" "$1/bin/"; cp "$2/usr/sbin/dmsetup" "$1/bin/"
     ln -s bin "$1/sbin"; mkdir -p "$1/lib64" "$1/lib/x86_64-linux-gnu"
     cp -L "$2/usr/lib64/ld-linux-x86-64.so.2" "$1/lib64/"
     chroot "$2" ldd /usr/sbin/dmsetup | grep -o '/[^ ]*' | while read -r lib; do
       cp -L "$2/$lib" "$1/lib/x86_64-linux-gnu/"; done`,
    tree,
    root.path,
  );
  await Deno.copyFile(`${top}/appliance/image/initrd/init`, `${tree}/init`);
  await Deno.chmod(`${tree}/init`, 0o755);
  await copyModules(root, await readList(`${top}/appliance/image/initrd/modules`), `${tree}/modules`);
  await shell(
    `cd "$1"; find . -exec touch -h -d "@$3" {} +
     find . -print0 | LC_ALL=C sort -z | cpio --null --quiet --reproducible -o -H newc -R 0:0 | zstd -q -19 >"$2"`,
    tree,
    file,
    String(epoch),
  );
  return file;
}
