/**
 * Duty: state drivers around a repository in one process, as a node has them, with what they say kept.
 */
import { parseConfig } from "../../appliance/config.ts";
import type { Repository } from "../../appliance/repository/contract.ts";
import { EmbeddedRepository } from "../../appliance/repository/embedded.ts";
import { StateDrivers } from "../../appliance/state_drivers.ts";
import { importSecret, Sealer } from "../../drivers/seal.ts";
import { Random } from "../../filter/random.ts";
import { sleep } from "../../scripts/lab/process.ts";
import { BOUNDS } from "./repository_conformance.ts";

const UNTIL_MS_MAX = 30_000;
const PORTS = ["upstream", "downstream", "primary_in", "primary_out", "redundant_in", "redundant_out"];

/** Drivers of a configuration: `[driver.NAME]` tables. */
export function driversFrom(text: string) {
  const ports = PORTS.map((role) => `${role} = "null"`).join("\n");
  const { config, problems } = parseConfig(`[ports]\n${ports}\n${text}`, "test");
  if (config === undefined) throw new Error(JSON.stringify(problems));
  return config.drivers;
}

export const memoryDriver = (
  name: string,
  box: "primary" | "redundant",
  role: "source" | "replica",
  more = "",
) => `[driver.${name}]\nkind = "memory"\nbox = "${box}"\nrole = "${role}"\n${more}\n`;

export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}

let epoch = 0;

export async function stateWorld(
  { node = "node", repository, serves = () => false }: {
    node?: string;
    repository?: Repository;
    serves?: (box: string) => boolean;
  } = {},
) {
  const said: string[] = [];
  const secret = await importSecret(new Uint8Array(32).fill(5));
  const kept = repository ?? new EmbeddedRepository({ ...BOUNDS, path: ":memory:", nowMs: Date.now });
  const drivers = new StateDrivers({
    node,
    repository: kept,
    secret,
    sealer: (source) =>
      Sealer.open({
        secret,
        source,
        epoch: Date.now() + ++epoch,
        salt: crypto.getRandomValues(new Uint8Array(16)),
      }),
    tombstoneMs: 60_000,
    serves,
    random: new Random(1),
    nowMs: Date.now,
    sleep: pause,
    say: (_, text) => said.push(text),
    tell: ({ text }) => said.push(text),
    hint: ({ kind }, driver) => said.push(`${driver}: ${kind}`),
  });
  const close = async () => {
    await drivers.close();
    if (repository === undefined) await kept.close();
  };
  return { drivers, repository: kept, said, close };
}

/** Waits until something is so; bounded. */
export async function until(what: string, is: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + UNTIL_MS_MAX;
  while (Date.now() < deadline) {
    if (await is()) return;
    await sleep(5);
  }
  throw new Error(`Cannot see ${what}`);
}
