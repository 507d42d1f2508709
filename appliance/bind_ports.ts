/**
 * Gives PCI ports to the driver that the plane needs, by sysfs, as binding.ts planned it.
 *
 * `driver_override` names the driver first, so that no other takes the card in between. What was changed is undone by a
 * restart of the machine and by nothing else.
 */
import { type BindingPlan, type Move, planBinding } from "./binding.ts";
import type { Config } from "./config.ts";
import { gatherPorts } from "./doctor.ts";
import { reasonOf } from "../drivers/reason.ts";

const HOME = "/sys/bus/pci";
const MODULE_MS_MAX = 10_000;

async function write(path: string, text: string): Promise<void> {
  await Deno.writeTextFile(path, text, { create: false }).catch((error) => {
    throw new Error(`Cannot write "${text}" to ${path}: ${reasonOf(error)}`, { cause: error });
  });
}

/** A driver that is built in, or loaded, needs no module. */
async function loadDriver(driver: string): Promise<void> {
  const signal = AbortSignal.timeout(MODULE_MS_MAX);
  await new Deno.Command("modprobe", { args: [driver], stdout: "null", stderr: "null", signal }).output()
    .catch(() => {});
  await Deno.stat(`${HOME}/drivers/${driver}`).catch((error) => {
    throw new Error(`Cannot bind a port: the kernel has no driver ${driver}`, { cause: error });
  });
}

async function move({ address, from, to }: Move): Promise<void> {
  const device = `${HOME}/devices/${address}`;
  await write(`${device}/driver_override`, to);
  if (from !== null) await write(`${device}/driver/unbind`, address);
  await write(`${HOME}/drivers_probe`, address);
  const link = await Deno.readLink(`${device}/driver`).catch(() => "nothing");
  const got = link.split("/").at(-1);
  if (got !== to) throw new Error(`Cannot bind ${address}: it went to ${got}, not to ${to}`);
}

/** Binds every PCI port of the configuration. @throws Error with a sentence; ports before it stay bound */
export async function bindPorts(config: Config): Promise<BindingPlan> {
  const plan = planBinding(await gatherPorts(config), config);
  for (const driver of new Set(plan.moves.map(({ to }) => to))) await loadDriver(driver);
  for (const one of plan.moves) await move(one);
  return plan;
}
