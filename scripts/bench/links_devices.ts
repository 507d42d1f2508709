/**
 * Duty: put a device between the links of a lab: the plane, Open vSwitch, tc, or our export as eBPF.
 *
 * Every one has the node's processor: a program is bound to it, and the kernel is told to work there on what arrives at
 * the device's interfaces (the lab steers it).
 */
import { compileEbpf, findClang } from "../../tests/support/clang.ts";
import type { Lab } from "../lab/engine.ts";
import { LabNode, nodeConfig } from "../lab/node.ts";
import { run, sleep } from "../lab/process.ts";
import { NODE_NS } from "../lab/topology.ts";
import { COPIES, type Device, ebpfScript, switchFlows, tcScript, WAY, type Work } from "./links_setup.ts";
import { OpenVSwitch } from "./ovs.ts";
import { mirredPackets } from "./ovs_text.ts";

const PINNED = "/sys/fs/bpf/tc/globals";
/** After a start there is work left (caches, the first second of a table); it is not the load's. */
const SETTLE_MS = 500;

export interface DeviceContext {
  readonly lab: Lab;
  readonly core: number;
  /** Top of the checkout. */
  readonly top: string;
}

async function startPlane({ lab, top }: DeviceContext, work: Work): Promise<void> {
  await LabNode.start(lab, { top, preset: "none", rules: work.rules, silenceMs: 0 });
}

async function startSwitch({ lab, core }: DeviceContext, { copies }: Work): Promise<void> {
  const ports = [WAY.from, WAY.to, COPIES].map((name, i) => ({ name, number: i + 1 }));
  const ovs = await OpenVSwitch.start(lab, { kind: "sockets", core, ports });
  await ovs.use(switchFlows(copies), copies === "all" ? { from: WAY.from, to: COPIES } : undefined);
}

async function startTc({ lab }: DeviceContext, { copies }: Work): Promise<void> {
  await lab.script(NODE_NS, tcScript(copies));
  // What the kernel made of the rules, not only that it took them.
  const shown = await lab.exec(NODE_NS, ["tc", "-s", "filter", "show", "dev", WAY.from, "ingress"]);
  mirredPackets(shown, "Mirror", COPIES);
  mirredPackets(shown, "Redirect", WAY.to);
}

async function startEbpf({ lab, top }: DeviceContext, work: Work): Promise<void> {
  const clang = findClang();
  if (clang === undefined) {
    throw new Error("Cannot measure the eBPF export: there is no clang (./scripts/setup --only bench)");
  }
  const { directory, prefix } = lab;
  const config = `${directory}/export.toml`,
    source = `${directory}/filter.c`,
    object = `${directory}/filter.o`;
  await Deno.writeTextFile(config, nodeConfig(directory, { preset: "none", rules: work.rules }));
  const wish = ["filter", "export", "--format", "ebpf", "--config", config, "--output", source];
  await run([`${top}/scripts/remediate`, ...wish]);
  const index = await lab.exec(NODE_NS, ["sh", "-c", `ip -o link show dev ${COPIES} | cut -d: -f1`]);
  const pin = `${prefix}_bench`;
  await compileEbpf(clang, source, object, { STANDBY_IFINDEX: Number(index), FLOWS: pin });
  try {
    // Not `lab.script`: the pinned map is found below the machine's own /sys.
    await lab.exec(NODE_NS, ["sh", "-e"], { stdin: ebpfScript(object) });
  } finally {
    // Both hooks hold the map; the name would outlive them.
    await Deno.remove(`${PINNED}/${pin}`).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}

const START: Readonly<Record<Device, ((context: DeviceContext, work: Work) => Promise<void>) | null>> = {
  cable: null,
  plane: startPlane,
  ovs: startSwitch,
  tc: startTc,
  ebpf: startEbpf,
};

/** Starts a device; it ends with the lab. @throws Error with the reason */
export async function startDevice(device: Device, context: DeviceContext, work: Work): Promise<void> {
  await START[device]?.(context, work);
  await sleep(SETTLE_MS);
}
