/**
 * Two boxes of the lab with state drivers beside them, and a path that is moved by hand: no node stands between, so what
 * lives afterwards lives by the state that was carried.
 */
import { CONNTRACK } from "../../drivers/conntrack.ts";
import type { DriverContext, DriverEvent, DriverKind, Settings, StateDriver } from "../../drivers/driver.ts";
import type { HeaderFields } from "../../drivers/fields.ts";
import { ALL } from "../../drivers/fields.ts";
import type { StateRecord } from "../../drivers/record.ts";
import type { Lab } from "../../scripts/lab/engine.ts";
import { NODE_INTERFACES, NODE_NS } from "../../scripts/lab/topology.ts";

export const CONTEXT: DriverContext = { name: "test", nowMs: () => Date.now(), say: () => {} };

/** Opened with the defaults of its settings. */
export function openDriver(kind: DriverKind, settings: Settings = {}): Promise<StateDriver> {
  const defaults = Object.entries(kind.settings).flatMap(([name, one]) =>
    one.default === undefined ? [] : [[name, one.default] as const]
  );
  return kind.open({ ...Object.fromEntries(defaults), ...settings }, CONTEXT);
}

export const openConntrack = (lab: Lab, box: string, settings: Settings = {}) =>
  openDriver(CONNTRACK, { namespace: lab.ns(box), ...settings });

export async function readAll(driver: StateDriver, fields: HeaderFields = ALL): Promise<StateRecord[]> {
  const records: StateRecord[] = [];
  for await (const record of driver.get("supporting", fields, new AbortController().signal)) {
    records.push(record);
  }
  return records;
}

/** Moves the outside from the primary to the redundant box. The bridges of startBridge() have to be there. */
export async function movePath(lab: Lab): Promise<void> {
  const { primary_in, primary_out, redundant_in, redundant_out } = NODE_INTERFACES;
  const moves = [[primary_in, redundant_in, "br0"], [primary_out, redundant_out, "br1"]] as const;
  const lines = moves.flatMap(([from, to, bridge]) => [
    `ip link set ${from} nomaster`,
    `ip link set ${to} master ${bridge}`,
  ]);
  await lab.script(NODE_NS, lines.join("\n"));
}

/** Follows a driver until it is ended; what it has told so far can be looked at. */
export class Follower {
  readonly #end = new AbortController();
  readonly events: DriverEvent[] = [];
  readonly #done: Promise<void>;

  constructor(driver: StateDriver) {
    const events = driver.watch(this.#end.signal);
    this.#done = (async () => {
      for await (const event of events) this.events.push(event);
    })();
  }

  /** Keys of what is there, going by the events alone. */
  there(): Set<string> {
    const keys = new Set<string>();
    for (const event of this.events) {
      if (event.kind !== "record") continue;
      if (event.record.ended) keys.delete(event.record.key);
      else keys.add(event.record.key);
    }
    return keys;
  }

  async end(): Promise<void> {
    this.#end.abort();
    await this.#done;
  }
}

/** Flows as `conntrack -L` lists them, by the keys that the driver gives them. */
export async function listed(lab: Lab, box: string, protocol: "tcp" | "udp"): Promise<Set<string>> {
  const text = await lab.exec(box, ["conntrack", "-L", "-p", protocol]);
  const keys = [...text.matchAll(/src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)[^=]* src=/g)].map((
    [, source, destination, from, to],
  ) => `${protocol} ${source} ${from} > ${destination} ${to}`);
  return new Set(keys);
}
