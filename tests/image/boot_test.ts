/**
 * The image as a computer starts it: from a disk and a USB stick to forwarded frames, the first account, and the death of the
 * primary, in QEMU without virtualisation. Times are printed, with the load beside them, and not asserted. The gate has the
 * short form: one start, up to frames and the page.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { fat } from "../../scripts/image/disk.ts";
import { Machine, type MachineOptions, type Nic } from "../../scripts/image/machine.ts";
import { missingForImage } from "../../scripts/image/root.ts";
import { Lab } from "../../scripts/lab/engine.ts";
import { type Programs, programs } from "../../scripts/lab/native.ts";
import { sleep } from "../../scripts/lab/process.ts";
import { parseProbe } from "../../scripts/lab/reports.ts";
import { addressOf, runScenario } from "../../scripts/lab/scenario.ts";
import { ECHO_PORT, startServers } from "../../scripts/lab/servers.ts";
import { hotReplica, NODE_INTERFACES, NODE_NS } from "../../scripts/lab/topology.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const HOME = `${TOP}/.cache/test/image`;
const OWN_DISK = `${HOME}/remediate.img`;
const DISK = Deno.env.get("REMEDIATE_DISK") ?? OWN_DISK;
/** Every firmware, card and way to own a card, the first of them, or, in the gate, a short form: a start takes minutes. */
const WISH = Deno.env.get("REMEDIATE_IMAGE");
const WHOLE = WISH === "all";

interface Case {
  readonly firmware: "bios" | "uefi";
  /** Of the ports to the network, and of those to the boxes. */
  readonly model: Nic["model"];
  readonly boxModel: Nic["model"];
  readonly iommu: boolean;
  readonly driver: "uio_pci_generic" | "vfio-pci";
}

const CASES: readonly Case[] = [
  { firmware: "bios", model: "virtio", boxModel: "e1000e", iommu: false, driver: "uio_pci_generic" },
  { firmware: "uefi", model: "e1000e", boxModel: "virtio", iommu: true, driver: "vfio-pci" },
];
const SHORT: Case = {
  ...{ firmware: "bios", model: "virtio", boxModel: "virtio", iommu: false, driver: "uio_pci_generic" },
};

const MS_MAX = 900_000;
const BUILDS_MAX = 2;
const PASSWORD = "a password for a test";
const FIRST_SLOT = 16;
const TCP_PORT = 8443;

let built: Promise<void> | undefined;

async function build(): Promise<void> {
  await Deno.mkdir(HOME, { recursive: true });
  const args = [
    "run",
    "-A",
    "--no-check",
    `${TOP}/scripts/image.ts`,
    "--raw",
    "--no-bundle",
    "--output",
    DISK,
  ];
  for (let tries = 1;; tries++) {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
    if (success) return;
    // A mirror may break off among hundreds of packages.
    assert.ok(tries < BUILDS_MAX, new TextDecoder().decode(stderr));
  }
}
/** REMEDIATE_DISK names a disk to try in place of one that is built. */
const disk = () => built ??= DISK === OWN_DISK ? build() : Promise.resolve();

/** As a person would write it for this machine. */
const CONFIG = [
  "[node]",
  'name = "image"',
  "[ports]",
  ...Object.keys(NODE_INTERFACES).map((role, i) => `${role} = "0000:00:${(FIRST_SLOT + i).toString(16)}.0"`),
  "[filter]",
  'preset = "nat"',
  "[api]",
  `listen = "0.0.0.0:${TCP_PORT}"`,
].join("\n") + "\n";

async function makeStick(directory: string): Promise<string> {
  await Deno.writeTextFile(`${directory}/remediate.toml`, CONFIG);
  const file = `${directory}/stick.img`;
  const files = new Map([["remediate.toml", `${directory}/remediate.toml`]]);
  await fat(file, { label: "REMEDIATE", mib: 64, files, epoch: 1_767_225_600 });
  return file;
}

/** Whether a datagram comes back from the server, through the machine and the box that serves. */
async function forwards(lab: Lab, tools: Programs): Promise<true | null> {
  const argv = [tools.probe, "send", addressOf(lab, "s1"), String(ECHO_PORT), "1000", "20"];
  return parseProbe(await lab.exec("c1", argv)).received > 0 ? true : null;
}

/** The machine's API as a person at the management port reaches it. */
class Api {
  constructor(readonly lab: Lab) {}

  async ask<T>(path: string, body?: unknown): Promise<T | null> {
    const jar = `${this.lab.directory}/cookies`;
    const more = body === undefined
      ? []
      : ["-H", "content-type: application/json", "--data", JSON.stringify(body)];
    const url = `https://127.0.0.1:${TCP_PORT}${path}`;
    const { code, stdout } = await this.lab.tryExec(NODE_NS, [
      ...["curl", "-sk", "-b", jar, "-c", jar, "--max-time", "120", ...more, url],
    ], { timeoutMs: 150_000 });
    if (code !== 0 || stdout === "") return null;
    try {
      return JSON.parse(stdout) as T;
    } catch {
      return { text: stdout } as T;
    }
  }
}

/** What the machine shows to whoever talks TLS to it. */
async function fingerprint(lab: Lab): Promise<string | undefined> {
  const script =
    `openssl s_client -connect 127.0.0.1:${TCP_PORT} </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256`;
  return /=([0-9A-F:]{95})/.exec((await lab.tryExec(NODE_NS, ["sh", "-c", script])).stdout)?.[1];
}

async function figures(machine: Machine, more: Record<string, unknown>): Promise<void> {
  const { blocks } = await Deno.stat(DISK);
  const load = (await Deno.readTextFile("/proc/loadavg")).split(" ")[0];
  const { firmware, iommu } = machine.options;
  console.log(JSON.stringify({
    ...{ firmware, iommu, ...more, load: Number(load) },
    memoryUsedMib: await machine.memoryUsedMib(),
    imageUsedMib: Math.round((blocks ?? 0) * 512 / 1024 / 1024),
  }));
}

/** From the first frame, which passes by now, to the page. */
async function untilPage(machine: Machine): Promise<Api> {
  const powerToFrameMs = Math.round(machine.ageMs);
  const api = new Api(machine.lab);
  await machine.until("page", MS_MAX, () => api.ask("/healthz"));
  await figures(machine, { powerToFrameMs, powerToPageMs: Math.round(machine.ageMs) });
  return api;
}

async function makeAccount(machine: Machine, api: Api): Promise<void> {
  const [, print, code] = await machine.untilSaid(
    /certificate SHA-256: ([0-9A-F:]{95})\s+one-time code: (\S+)/,
    60_000,
  );
  assert.equal(await fingerprint(machine.lab), print, "the console's fingerprint");
  const entered = await api.ask("/api/v1/first", { name: "anna", password: PASSWORD, code });
  assert.ok(entered !== null && !("status" in (entered as object)), JSON.stringify(entered));
}

async function surviveDeath(machine: Machine, tools: Programs): Promise<void> {
  const { lab } = machine;
  // Long behind the cut: what a slow machine drops is sent again by clocks that double.
  const seconds = 24;
  const cut = sleep(seconds * 500).then(async () => {
    await machine.setLink("pin", false);
    await machine.setLink("pout", false);
  });
  const { long } = await runScenario(lab, tools, {
    workloads: [{ kind: "long", from: "c1", to: "s1", flows: 20, bytesPerSecond: 10_240 }],
    box: "primary",
    failure: "none",
    seconds,
  });
  await cut;
  const { ok, stuck, broken, corrupt } = long!;
  const said = (await machine.console()).trim().split("\n").slice(-15).join("\n");
  assert.deepEqual({ ok, stuck, broken, corrupt }, { ok: 20, stuck: 0, broken: 0, corrupt: 0 }, said);
}

/** Five presses of the power button: users are gone, a new code is shown, and the plane forwards meanwhile. */
async function resetByButton(machine: Machine, tools: Programs): Promise<void> {
  const before = (await machine.console()).match(/one-time code/g)?.length ?? 0;
  // A slow machine takes two for one.
  for (let press = 0; press < 30 && !/button: the node is reset/.test(await machine.console()); press++) {
    await machine.monitor.run("system_powerdown");
    await sleep(1_200);
  }
  await machine.untilSaid(/button: the node is reset/, MS_MAX);
  assert.ok(await forwards(machine.lab, tools), "the plane forwards on");
  await machine.until("new code", MS_MAX, async () => {
    const codes = (await machine.console()).match(/one-time code/g)?.length ?? 0;
    return codes > before ? true : null;
  });
  assert.ok(await forwards(machine.lab, tools));
}

/** Starts the image between the lab's namespaces; `work` begins once it forwards. */
async function withMachine(
  { firmware, model, boxModel, iommu, driver }: Case,
  work: (machine: Machine, tools: Programs) => Promise<void>,
): Promise<void> {
  await disk();
  const tools = await programs(TOP);
  await using lab = await Lab.up(hotReplica({ clients: 1, servers: 1, serverMbit: 20 }));
  await startServers(lab, tools);
  const nics: MachineOptions["nics"] = Object.values(NODE_INTERFACES).map((name, i) => ({
    ...{ name, model: i < 2 ? model : boxModel, slot: FIRST_SLOT + i },
  }));
  const sticks = [await makeStick(lab.directory)];
  const options = { ns: NODE_NS, disk: DISK, firmware, nics, iommu, sticks, tcpPort: TCP_PORT };
  const forwarding = (machine: Machine) =>
    machine.until("forwarded frame", MS_MAX, () => forwards(lab, tools));
  const machine = await Machine.begin(lab, options, forwarding);
  try {
    await work(machine, tools);
    const words = await machine.console();
    assert.match(words, /configuration: taken from the USB stick/);
    assert.match(words, new RegExp(`-> ${driver}`));
  } finally {
    await machine.stop();
  }
}

async function whole(machine: Machine, tools: Programs): Promise<void> {
  await makeAccount(machine, await untilPage(machine));
  await surviveDeath(machine, tools);
  if (WHOLE) await resetByButton(machine, tools);
}

for (const one of CASES.slice(0, WHOLE ? CASES.length : WISH === "first" ? 1 : 0)) {
  Deno.test(
    `the image, by ${one.firmware} and ${one.driver}, forwards, copies, and survives the primary`,
    () => withMachine(one, whole),
  );
}

if (WISH === undefined) {
  const missing = DISK === OWN_DISK ? await missingForImage({ top: TOP, cache: `${TOP}/.cache/image` }) : "";
  Deno.test({
    name: `the image starts and forwards${missing && ` (needs ${missing})`}`,
    ignore: missing !== "",
    fn: () => withMachine(SHORT, async (machine) => void await untilPage(machine)),
  });
}
