/**
 * The first program of ours in a start, on a data partition that is full: it leads a node to a whole configuration all the
 * same. Its paths lie in a directory of the test, and what it mounts in a mount namespace of its own.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { shell } from "../../scripts/image/run.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const CONFIG = '[node]\nname = "of the image"\n'.padEnd(6000, "# more than a page of a disk\n");

interface Start {
  /** What lies on the partition before, in its folder `etc`. */
  readonly before?: Readonly<Record<string, string>>;
  readonly full: boolean;
}

interface Started {
  readonly said: string;
  /** The folder `etc` as the node finds it, and as the partition keeps it. */
  readonly etc: Readonly<Record<string, string>>;
  readonly kept: readonly string[];
}

async function start({ before = {}, full }: Start): Promise<Started> {
  const at = await Deno.makeTempDir({ prefix: "rm-first-" });
  try {
    for (const name of ["data", "run", "seen", "given", "programs", "var", "before"]) {
      await Deno.mkdir(`${at}/${name}`);
    }
    await Deno.writeTextFile(`${at}/given/remediate.toml`, CONFIG);
    for (const [name, text] of Object.entries(before)) await Deno.writeTextFile(`${at}/before/${name}`, text);
    const source = await Deno.readTextFile(`${TOP}/appliance/image/root/usr/lib/remediate/first-boot`);
    const script = source
      .replace(/(?<![\w/])\/data\b/g, `${at}/data`).replaceAll("/usr/share/remediate", `${at}/given`)
      .replaceAll("/run/remediate", `${at}/run`).replaceAll("/usr/lib/remediate", `${at}/programs`)
      .replaceAll("/var/lib", `${at}/var`).replaceAll("/proc/sys/vm/nr_hugepages", `${at}/pages`)
      .replaceAll("modprobe", "true");
    await Deno.writeTextFile(`${at}/first-boot`, script);
    const said = await shell(
      `exec 2>&1; cd "$1"; unshare --mount --propagation private /bin/bash -euc '
         mount -t tmpfs -o size=64k data data; mkdir data/etc data/state; cp -r before/. data/etc/
         if [ "$1" = full ]; then dd if=/dev/zero of=data/filler bs=4k status=none || true; fi
         /bin/sh first-boot; cp -rL data/etc seen/; umount data/etc || true; ls data/etc >kept' start "$2"`,
      at,
      full ? "full" : "room",
    );
    const etc: Record<string, string> = {};
    for await (const { name } of Deno.readDir(`${at}/seen/etc`)) {
      etc[name] = await Deno.readTextFile(`${at}/seen/etc/${name}`);
    }
    const kept = (await Deno.readTextFile(`${at}/kept`)).trim().split("\n").filter((name) => name !== "");
    return { said, etc, kept };
  } finally {
    await Deno.remove(at, { recursive: true });
  }
}

Deno.test("a machine starts with the configuration of its image, which its data partition keeps", async () => {
  const { etc, kept } = await start({ full: false });
  assert.deepEqual(etc, { "remediate.toml": CONFIG });
  assert.deepEqual(kept, ["remediate.toml"]);
});

Deno.test("a full data partition: the whole configuration of the image from memory, said, and no half one kept", async () => {
  const { said, etc, kept } = await start({ full: true, before: { "machine.conf": "hugepages = 7\n" } });
  assert.match(said, /data partition: it has no room for the configuration of the image/);
  assert.deepEqual(etc, { "machine.conf": "hugepages = 7\n", "remediate.toml": CONFIG });
  assert.deepEqual(kept, ["machine.conf"]);
});

Deno.test("a full data partition with a configuration of its own: that one", async () => {
  const own = { "remediate.toml": '[node]\nname = "own"\n' };
  const { said, etc } = await start({ full: true, before: own });
  assert.doesNotMatch(said, /no room/);
  assert.deepEqual(etc, own);
});
