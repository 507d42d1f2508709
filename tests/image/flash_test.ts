/**
 * `flash` as it is typed: onto a file, onto a loop device, and every disk that it must leave alone.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { diskFaults } from "../../scripts/flash/judge.ts";
import { look } from "../../scripts/flash.ts";
import { tryRun } from "../../scripts/lab/process.ts";
import { digestOf } from "../../scripts/image/digest.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const IMAGE_BYTES = 8 << 20;

/** A small image with its digest beside it, and room for disks; gone at the end. */
async function scratch() {
  const path = await Deno.makeTempDir({ prefix: "rm-flash-" });
  const image = `${path}/a.img`;
  const bytes = Uint8Array.from({ length: IMAGE_BYTES }, (_, i) => (i * 31 + (i >> 12)) & 255);
  await Deno.writeFile(image, bytes);
  await tryRun(["zstd", "-q", image]);
  await Deno.writeTextFile(`${path}/SHA256SUMS`, `${await digestOf(`${image}.zst`)}  a.img.zst\n`);
  return { path, image, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

async function disk(path: string, bytes: number): Promise<string> {
  await Deno.writeFile(path, new Uint8Array());
  await Deno.truncate(path, bytes);
  return path;
}

function flash(...args: string[]) {
  const argv = [Deno.execPath(), "run", "-A", "--no-check", `${TOP}/scripts/flash.ts`, "--yes", ...args];
  return tryRun(argv, { timeoutMs: 120_000 });
}

Deno.test("flash writes an image, compressed or not, and reads it back", async () => {
  await using place = await scratch();
  for (const image of [place.image, `${place.image}.zst`]) {
    const target = await disk(`${place.path}/disk`, 2 * IMAGE_BYTES);
    const { code, stderr } = await flash(target, "--image", image);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /8 MB written to .* and read back/);
    assert.equal(await digestOf(target, IMAGE_BYTES), await digestOf(place.image));
  }
});

Deno.test("flash leaves a disk alone that is too small, and an image that is not the published one", async () => {
  await using place = await scratch();
  const small = await disk(`${place.path}/small`, IMAGE_BYTES - 512);
  const before = await digestOf(small);
  const refused = await flash(small, "--image", `${place.image}.zst`);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /Cannot write to .*small: it has 8388096 bytes, and the image needs 8388608/);
  assert.match((await flash(`${place.path}/none`, "--image", place.image)).stderr, /there is no such disk/);
  const target = await disk(`${place.path}/disk`, 2 * IMAGE_BYTES);
  await Deno.writeTextFile(`${place.path}/SHA256SUMS`, `${"0".repeat(64)}  a.img.zst\n`);
  const foreign = await flash(target, "--image", `${place.image}.zst`);
  assert.equal(foreign.code, 1);
  assert.match(foreign.stderr, /its SHA-256 is [0-9a-f]{64}, and SHA256SUMS says 0{64}/);
  assert.equal(await digestOf(target), await digestOf(await disk(`${place.path}/empty`, 2 * IMAGE_BYTES)));
  assert.equal(await digestOf(small), before);
});

Deno.test("flash takes a loop device, and not one that is mounted", async () => {
  await using place = await scratch();
  const file = await disk(`${place.path}/disk`, 64 << 20);
  const loop = (await tryRun(["losetup", "--find", "--show", file])).stdout.trim();
  assert.match(loop, /^\/dev\/loop\d+$/);
  const at = `${place.path}/mounted`;
  try {
    const written = await flash(loop, "--image", place.image);
    assert.equal(written.code, 0, written.stderr);
    assert.equal(await digestOf(loop, IMAGE_BYTES), await digestOf(place.image));
    await tryRun(["mkfs.ext4", "-q", "-F", loop]);
    await Deno.mkdir(at);
    assert.equal((await tryRun(["mount", loop, at])).code, 0);
    const refused = await flash(loop, "--image", place.image);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, new RegExp(`Cannot write to ${loop}: ${loop} is in use at ${at}`));
  } finally {
    await tryRun(["umount", at]);
    await tryRun(["losetup", "--detach", loop]);
  }
});

Deno.test("look() sees the disk of the running system for what it is; nothing is written here", async () => {
  const source = (await tryRun(["findmnt", "--noheadings", "--nofsroot", "--output", "SOURCE", "/"])).stdout
    .trim();
  if (!source.startsWith("/dev/")) return; // a root that lies on no disk, as in a container
  const faults = diskFaults(await look(source), { imageBytes: 1, bytesMax: Infinity });
  assert.ok(faults.some((fault) => fault.includes("the running system is on it")), faults.join("; "));
});
