/**
 * What an update stands on, with the tools themselves and without a start: bundles that RAUC believes and that it does not,
 * and the boot state as GRUB's own tool reads it from the partition.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { DeviceCopies } from "../../appliance/update/device.ts";
import { readBoot, writeBoot } from "../../appliance/update/boot_copies.ts";
import { armed, COPY_BYTES, encodeCopy, FRESH } from "../../appliance/update/boot_state.ts";
import { type Extent, findFile } from "../../appliance/update/fat.ts";
import { Rauc } from "../../appliance/update/installer.ts";
import { makeBundle } from "../../scripts/image/bundle.ts";
import { fat } from "../../scripts/image/disk.ts";
import type { Signer } from "../../scripts/image/keys.ts";
import { run } from "../../scripts/image/run.ts";
import { signers } from "../../scripts/image/update_disk.ts";

const EPOCH = 1_767_225_600;

async function directory() {
  const path = await Deno.makeTempDir({ prefix: "rm-update-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

Deno.test("bundles: the own signer's is believed; a stranger's, an expired and a truncated one are not", async () => {
  await using home = await directory();
  const at = home.path, by = await signers({ cache: at, directory: at });
  const image = `${at}/image`;
  await Deno.writeFile(image, crypto.getRandomValues(new Uint8Array(65536)));
  const bundle = async (name: string, signer: Signer) => {
    const file = `${at}/${name}.raucb`;
    await makeBundle(file, { version: "1.2.3", rootfs: image, boot: image, epoch: EPOCH }, signer);
    return file;
  };
  const config = `${at}/system.conf`;
  await Deno.writeTextFile(
    config,
    `[system]\ncompatible=remediate-amd64\nbootloader=noop\n[keyring]\npath=${at}/keys/keyring.pem\ncheck-purpose=codesign\n`,
  );
  const rauc = new Rauc([`--conf=${config}`]);
  const good = await bundle("good", by.own);
  assert.deepEqual(await rauc.look(good), { version: "1.2.3", compatible: "remediate-amd64" });
  // During a rotation either authority signs.
  const next = { ...by.own, key: `${at}/keys/next.key`, certificate: `${at}/keys/next.crt` };
  assert.equal((await rauc.look(await bundle("next", next))).version, "1.2.3");
  await assert.rejects(rauc.look(await bundle("stranger", by.stranger)), /verif|self.signed|issuer/i);
  await assert.rejects(rauc.look(await bundle("expired", by.expired)), /expired/i);
  await Deno.truncate(good, Math.floor((await Deno.stat(good)).size / 2));
  await assert.rejects(rauc.look(good), /signature|bundle|size/i);
  await assert.rejects(rauc.look(`${at}/none.raucb`), /no such file/i);
});

Deno.test("the boot state is overwritten in place, in two blocks of the disk, and GRUB's tool reads it", async () => {
  await using home = await directory();
  const at = home.path, esp = `${at}/esp.fat`, state = `${at}/state`, loader = `${at}/loader`;
  await Deno.writeFile(state, encodeCopy({ round: 0, state: FRESH }));
  await Deno.writeFile(loader, new Uint8Array(200_000));
  const files = new Map([["remediate/state.1", state], ["EFI/BOOT/BOOTX64.EFI", loader], [
    "remediate/state.2",
    state,
  ]]);
  await fat(esp, { label: "ESP", mib: 64, files, epoch: EPOCH });
  const before = await Deno.readFile(esp);
  const copies = new DeviceCopies(esp);
  assert.deepEqual(await readBoot(copies), { state: FRESH, lost: false });
  await writeBoot(copies, armed(FRESH, "B"));
  assert.deepEqual((await readBoot(copies)).state, armed(FRESH, "B"));

  const after = await Deno.readFile(esp), blocks: number[][] = [];
  const read = (offset: number, bytes: number) => Promise.resolve(after.slice(offset, offset + bytes));
  const own: Extent[] = [];
  for (const copy of [1, 2] as const) {
    const extents = (await findFile(read, `remediate/state.${copy}`))!;
    blocks.push(extents.map(({ offset }) => Math.floor(offset / 4096)));
    own.push(...extents);
    await run(["mcopy", "-n", "-i", esp, `::remediate/state.${copy}`, `${at}/copy.${copy}`], {
      env: { MTOOLS_SKIP_CHECK: "1" },
    });
    const listed = await run(["grub-editenv", `${at}/copy.${copy}`, "list"]);
    assert.match(listed, /^first=b$/m);
    assert.match(listed, /^b_tries=3$/m);
    assert.equal((await Deno.stat(`${at}/copy.${copy}`)).size, COPY_BYTES);
  }
  assert.ok(!blocks[0]!.some((block) => blocks[1]!.includes(block)), "both copies in one block");
  for (const { offset, bytes } of own) for (const all of [before, after]) all.fill(0, offset, offset + bytes);
  assert.equal(Buffer.compare(before, after), 0, "something else of the partition changed");
});
