/**
 * An install by RAUC itself, with our boot state behind it: slots and partition are files, the bus is a private one. Without
 * the kernel's device mapper the bundle is of RAUC's plain format; the verity format is for the machine in QEMU.
 */
import assert from "node:assert/strict";
import { readBoot, writeBoot } from "../../appliance/update/boot_copies.ts";
import { FRESH, proved, start } from "../../appliance/update/boot_state.ts";
import { DeviceCopies } from "../../appliance/update/device.ts";
import { encodeCopy } from "../../appliance/update/boot_state.ts";
import { NOTHING_BEFORE } from "../../appliance/update/gate.ts";
import { Rauc } from "../../appliance/update/installer.ts";
import { NO_MEMORY, type UpdateMemory } from "../../appliance/update/memory.ts";
import { passed, settle } from "../../appliance/update/settle.ts";
import { type Machine, SlotUpdater } from "../../appliance/update/updater.ts";
import { COMPATIBLE, manifestText } from "../../scripts/image/bundle.ts";
import { fat } from "../../scripts/image/disk.ts";
import { ownSigner } from "../../scripts/image/keys.ts";
import { run } from "../../scripts/image/run.ts";

const TOP = decodeURIComponent(new URL("../..", import.meta.url).pathname).replace(/\/$/, "");
const EPOCH = 1_767_225_600;
const START_MS_MAX = 60_000;

function systemText(at: string): string {
  const slots = ["a", "b"].flatMap((name, i) => [
    ...[`[slot.rootfs.${i}]`, `device=${at}/rootfs-${name}`, "type=raw", `bootname=${name}`],
    ...[`[slot.boot.${i}]`, `device=${at}/boot-${name}`, "type=raw", `parent=rootfs.${i}`],
  ]);
  return [
    ...["[system]", `compatible=${COMPATIBLE}`, "bootloader=custom", `mountprefix=${at}/mount`],
    ...[`statusfile=${at}/status`, "[handlers]", `bootloader-custom-backend=${at}/backend`],
    ...["[keyring]", `path=${at}/keys/keyring.pem`, "check-purpose=codesign", ...slots],
  ].join("\n") + "\n";
}

async function prepare(at: string): Promise<{ bundle: string; payload: Uint8Array }> {
  const signer = await ownSigner(`${at}/keys`);
  await Deno.writeFile(`${at}/state`, encodeCopy({ round: 0, state: FRESH }));
  await Deno.writeFile(`${at}/loader`, new Uint8Array(16_384));
  const files = new Map([["remediate/state.1", `${at}/state`], ["x", `${at}/loader`], [
    "remediate/state.2",
    `${at}/state`,
  ]]);
  await fat(`${at}/esp`, { label: "ESP", mib: 40, files, epoch: EPOCH });
  for (const name of ["rootfs-a", "rootfs-b", "boot-a", "boot-b"]) {
    await Deno.writeFile(`${at}/${name}`, new Uint8Array(1 << 20));
  }
  await Deno.mkdir(`${at}/mount`);
  const backend =
    `${Deno.execPath()} run -A --no-check ${TOP}/tests/support/rauc_backend.ts ${at}/esp A "$@"`;
  await Deno.writeTextFile(`${at}/backend`, `#!/bin/sh\nexec ${backend}\n`, { mode: 0o755 });
  await Deno.writeTextFile(`${at}/system.conf`, systemText(at));
  const payload = crypto.getRandomValues(new Uint8Array(65_536));
  await Deno.mkdir(`${at}/bundle`);
  await Deno.writeFile(`${at}/bundle/rootfs.img`, payload);
  await Deno.writeFile(`${at}/bundle/boot.img`, payload);
  const plain = manifestText({ version: "1.2.3", rootfs: "", boot: "", epoch: EPOCH })
    .replace("format=verity", "format=plain").replace("adaptive=block-hash-index\n", "");
  await Deno.writeTextFile(`${at}/bundle/manifest.raucm`, plain);
  const bundle = `${at}/good.raucb`;
  await run([
    "rauc",
    "bundle",
    `--cert=${signer.certificate}`,
    `--key=${signer.key}`,
    `${at}/bundle`,
    bundle,
  ]);
  return { bundle, payload };
}

/** RAUC's service on a bus of its own. */
async function serve(at: string) {
  const bus = new Deno.Command("dbus-daemon", {
    args: ["--session", "--nofork", "--nopidfile", "--print-address=1", `--address=unix:path=${at}/bus`],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const env = { DBUS_SESSION_BUS_ADDRESS: `unix:path=${at}/bus`, DBUS_STARTER_BUS_TYPE: "session" };
  const args = [`--conf=${at}/system.conf`, "--override-boot-slot=a", "service"];
  await waitFor(() => Deno.stat(`${at}/bus`).then(() => true, () => false));
  const service = new Deno.Command("rauc", { args, env, stdout: "null", stderr: "null" }).spawn();
  await waitFor(() => run(["rauc", "status"], { env }).then(() => true, () => false));
  return {
    env,
    [Symbol.asyncDispose]: async () => {
      for (const child of [service, bus]) {
        child.kill("SIGTERM");
        await child.status;
      }
    },
  };
}

async function waitFor(done: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + START_MS_MAX; performance.now() < end;) {
    if (await done()) return;
    await new Promise((next) => setTimeout(next, 200));
  }
  throw new Error("RAUC's service does not answer");
}

function machineAt(at: string, env: Record<string, string>) {
  let memory: UpdateMemory = NO_MEMORY;
  const machine: Machine = {
    ...{ booted: "A", version: "1.0.0", compatible: COMPATIBLE, copies: new DeviceCopies(`${at}/esp`) },
    installer: new Rauc([`--conf=${at}/system.conf`], env),
    locked: (work) => work(),
    recall: () => Promise.resolve(memory),
    keep: (next) => Promise.resolve(void (memory = next)),
    versionIn: () => Promise.resolve(null),
    digestOf: () => Promise.resolve("00"),
    before: () => Promise.resolve(NOTHING_BEFORE),
    restart: () => Promise.resolve(),
    nowMs: () => 1,
  };
  return machine;
}

Deno.test("RAUC writes the other slot, asks our boot state, and the next start tries and proves it", async () => {
  const at = await Deno.makeTempDir({ prefix: "rm-install-" });
  try {
    const { bundle, payload } = await prepare(at);
    await using service = await serve(at);
    const machine = machineAt(at, service.env), updater = new SlotUpdater(machine);
    const report = await updater.install(bundle, { digest: "00", force: false });
    assert.equal(report.outcome, "installed");
    for (const name of ["rootfs-b", "boot-b"]) {
      assert.deepEqual((await Deno.readFile(`${at}/${name}`)).subarray(0, payload.length), payload, name);
      assert.deepEqual(
        await Deno.readFile(`${at}/${name.replace("-b", "-a")}`),
        new Uint8Array(1 << 20),
        "the running slot",
      );
    }
    const asked = await Deno.readTextFile(`${at}/esp.asked`);
    assert.match(
      asked,
      /^set-state b bad\n[^]*set-primary b$/m,
      "taken out before it is written, first when it is whole",
    );
    const { state } = await readBoot(machine.copies);
    assert.deepEqual(state, {
      ...FRESH,
      first: "B",
      slots: { ...FRESH.slots, B: { state: "trial", tries: 3 } },
    });

    const begun = start(state, () => true);
    assert.equal(begun.slot, "B");
    const memory = await machine.recall(), booted = "B" as const;
    const settled = settle({ state: begun.state, lost: false, booted, memory, otherVersion: null, nowMs: 2 });
    assert.ok(settled.onTrial);
    const last = passed(settled.state, settled.memory, { booted, version: "1.2.3", nowMs: 3 });
    await writeBoot(machine.copies, last.state);
    assert.deepEqual((await readBoot(machine.copies)).state, proved(begun.state, "B"));
    assert.equal(last.report?.outcome, "good");
  } finally {
    await Deno.remove(at, { recursive: true });
  }
});
