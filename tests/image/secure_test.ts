/**
 * The edition for Secure Boot: a machine without keys takes ours, starts what they signed, and nothing else.
 *
 * Part of the long form (`deno task test:image`): it builds a disk of its own and starts it three times.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { layout } from "../../scripts/image/disk.ts";
import { Machine, type MachineOptions, OVMF } from "../../scripts/image/machine.ts";
import { run } from "../../scripts/image/run.ts";
import { KEY_NAMES } from "../../scripts/image/secure.ts";
import { Lab } from "../../scripts/lab/engine.ts";
import { sleep } from "../../scripts/lab/process.ts";
import { hotReplica, NODE_NS } from "../../scripts/lab/topology.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const MS_MAX = 900_000;
const MIB = 1 << 20;

/** As docs/appliance.md tells operators to. */
async function makeKeys(directory: string): Promise<void> {
  for (const name of KEY_NAMES) {
    await run([
      ...["openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", "3650"],
      ...[
        "-subj",
        `/CN=test ${name}/`,
        "-keyout",
        `${directory}/${name}.key`,
        "-out",
        `${directory}/${name}.crt`,
      ],
    ]);
  }
}

/** Where a file lies in the disk's ESP: it is found by its content, which is unique. */
async function spoilKernel(disk: string): Promise<void> {
  const { firstMib } = layout().get("esp")!;
  const esp = `${disk}@@${firstMib}M`;
  const file = `${disk}.uki`;
  await run(["mcopy", "-n", "-i", esp, "::EFI/Linux/remediate-a.efi", file]);
  using open = await Deno.open(file, { read: true, write: true });
  // Somewhere in the kernel itself: one bit.
  await open.seek(4 * MIB, Deno.SeekMode.Start);
  const byte = new Uint8Array(1);
  await open.read(byte);
  await open.seek(4 * MIB, Deno.SeekMode.Start);
  await open.write(Uint8Array.of(byte[0]! ^ 1));
  await run(["mcopy", "-o", "-i", esp, file, "::EFI/Linux/remediate-a.efi"]);
}

async function check(): Promise<void> {
  await using lab = await Lab.up(hotReplica({ clients: 1, servers: 1 }));
  const keys = `${lab.directory}/keys`, disk = `${lab.directory}/secure.img`;
  await Deno.mkdir(keys);
  await makeKeys(keys);
  const wish = ["--raw", "--secure-boot", "--keys", keys, "--output", disk];
  await run([Deno.execPath(), "run", "-A", "--no-check", `${TOP}/scripts/image.ts`, ...wish]);
  const variables = `${lab.directory}/vars.fd`;
  await Deno.copyFile(OVMF.vars, variables);
  const options: MachineOptions = {
    ns: NODE_NS,
    disk,
    firmware: "secure",
    variables,
    nics: [],
    tcpPort: 8443,
  };

  // It has no keys yet: it is given them, and starts again, which ends the machine.
  const first = await Machine.start(lab, options);
  for (const until = Date.now() + MS_MAX; first.runs && Date.now() < until;) await sleep(500);
  assert.ok(!first.runs, "it was given keys and starts again");
  await first.stop();

  const second = await Machine.begin(lab, options, (machine) => machine.untilOurs(MS_MAX));
  await second.stop();

  await spoilKernel(disk);
  const third = await Machine.start(lab, options);
  await third.untilSaid(
    /Access [Dd]enied|Security [Vv]iolation|Verification failed|security policy/i,
    MS_MAX,
  );
  assert.doesNotMatch(await third.console(), /data partition/);
  await third.stop();
}

if (Deno.env.get("REMEDIATE_IMAGE") === "all") {
  Deno.test(
    "the edition for Secure Boot takes its keys, starts, and refuses a kernel that was changed",
    check,
  );
}
