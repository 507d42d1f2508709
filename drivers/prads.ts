/**
 * Duty: the driver of PRADS: assets that it has seen, from its log, as reporting state.
 *
 *   asset,vlan,port,proto,service,[service-info],distance,discovered
 *
 * A line is something seen of a host: a service, a fingerprint. What two boxes have seen together is the union of both, so
 * each thing is a record of its own, whose key names it whole. PRADS takes nothing back: there is no put.
 *
 * @see README of PRADS 0.3.3, "asset log"
 */
import { pause } from "./command.ts";
import type { DriverContext, DriverKind, Setting, Settings } from "./driver.ts";
import type { HeaderFields } from "./fields.ts";
import { parseIpAddress } from "../filter/ip_address.ts";
import { type Entry, PolledDriver, type Store } from "./polled.ts";
import { FileLines, type ReadLines } from "./prads_file.ts";
import { digestOf } from "./versions.ts";

export const PRADS_CODEC = "prads/1";

export interface Asset {
  readonly asset: string;
  readonly vlan: number;
  readonly port: number;
  readonly protocol: number;
  /** "SYN", "SYNACK", "SERVER", "CLIENT", "UDP", "ARP" and others. */
  readonly service: string;
  readonly info: string;
  /** Hops away, as the time to live lets guess. */
  readonly distance: number;
  /** Seconds since 1970. */
  readonly discoveredS: number;
}

const HEADER = "asset,vlan,port,proto,service";
const INFO_CHARACTERS_KEY = 200;
/** Of these the asset is the one that was asked. */
const SERVERS = new Set(["SYNACK", "SERVER", "TCP-SERVICE", "UDP-SERVICE"]);

const SETTINGS: Readonly<Record<string, Setting>> = {
  path: {
    type: "text",
    default: "/var/log/prads-asset.log",
    help: "The asset log of PRADS.",
    fault: (text) => text.startsWith("/") ? null : "is no absolute path",
  },
  assets_max: {
    type: "integer",
    default: 65_536,
    min: 1,
    max: 1_000_000,
    help: "How many things seen are kept. What comes beyond that is counted and left out.",
  },
  poll_ms: { type: "integer", default: 1000, min: 50, max: 3_600_000, help: "How often the log is read on." },
};

const LINE = /^([^,\s]+),(\d{1,4}),(\d{1,5}),(\d{1,3}),([A-Z0-9-]{1,20}),\[(.*)\],(\d{1,3}),(\d{1,12})$/;

/** Null: this is no line of an asset log. */
export function readAsset(line: string): Asset | null {
  const [, asset = "", vlan, port, protocol, service = "", info = "", distance, discovered] =
    LINE.exec(line) ?? [];
  if (parseIpAddress(asset) === null || Number(port) > 65_535 || Number(protocol) > 255) return null;
  return {
    asset,
    vlan: Number(vlan),
    port: Number(port),
    protocol: Number(protocol),
    service,
    info,
    distance: Number(distance),
    discoveredS: Number(discovered),
  };
}

function fieldsOf({ asset, protocol, port, service }: Asset): HeaderFields {
  const of = protocol === 0 ? {} : { protocol };
  if (!SERVERS.has(service)) return { ...of, source: asset };
  return { ...of, destination: asset, ...(port > 0 && { destinationPort: port }) };
}

export function assetEntry(one: Asset): Entry {
  const { asset, vlan, port, protocol, service, info } = one;
  const long = info.length > INFO_CHARACTERS_KEY;
  const name = long
    ? `${info.slice(0, INFO_CHARACTERS_KEY)} ${digestOf(new TextEncoder().encode(info)).toString(16)}`
    : info;
  const { discoveredS: _, ...lasting } = one;
  return {
    key: `${asset} ${vlan} ${protocol} ${port} ${service} ${name}`,
    fields: fieldsOf(one),
    value: new TextEncoder().encode(JSON.stringify(one)),
    sameness: JSON.stringify(lasting),
    ttlMs: null,
  };
}

class PradsStore implements Store {
  readonly #lines: ReadLines;
  readonly #max: number;
  readonly #assets = new Map<string, Entry>();
  readonly #counts = { lines_read: 0, lines_unread: 0, assets_over: 0 };
  #reading: Promise<void> = Promise.resolve();

  constructor(lines: ReadLines, max: number) {
    this.#lines = lines;
    this.#max = max;
  }

  async #readOn(): Promise<void> {
    for (const line of await this.#lines()) {
      if (line === "" || line.startsWith(HEADER)) continue;
      const asset = readAsset(line);
      this.#counts[asset ? "lines_read" : "lines_unread"]++;
      if (asset) this.#take(assetEntry(asset));
    }
  }

  #take(entry: Entry): void {
    if (this.#assets.size < this.#max || this.#assets.has(entry.key)) this.#assets.set(entry.key, entry);
    else this.#counts.assets_over++;
  }

  async list(): Promise<readonly Entry[]> {
    // One after the other: two readings at once would take the same lines.
    this.#reading = this.#reading.catch(() => {}).then(() => this.#readOn());
    await this.#reading;
    return [...this.#assets.values()];
  }

  read(): Entry {
    throw new RangeError("PRADS takes none");
  }

  write(entries: readonly Entry[]): Promise<ReadonlyMap<string, string>> {
    return Promise.resolve(new Map(entries.map(({ key }) => [key, "PRADS takes none"])));
  }

  remove(): Promise<number> {
    return Promise.resolve(0);
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counts };
  }

  close(): void {
    // The file is open only while it is read.
  }
}

const ABILITIES = { get: ["reporting"], put: [], del: [], watch: true, codecs: [] } as const;

/** @throws Error where the log cannot be read */
export async function openPrads(
  settings: Settings,
  context: Pick<DriverContext, "nowMs">,
  lines?: ReadLines,
): Promise<PolledDriver> {
  const path = String(settings["path"] ?? SETTINGS["path"]!.default);
  const file = new FileLines(path);
  const store = new PradsStore(lines ?? (() => file.read()), Number(settings["assets_max"] ?? 65_536));
  try {
    await store.list();
  } catch (cause) {
    throw new Error(`Cannot read the asset log ${path}: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
  return new PolledDriver(store, {
    kind: "prads",
    codec: PRADS_CODEC,
    role: "reporting",
    merge: "union",
    abilities: ABILITIES,
    pollMs: Number(settings["poll_ms"] ?? SETTINGS["poll_ms"]!.default),
    nowMs: context.nowMs,
    sleep: pause,
  });
}

export const PRADS: DriverKind = {
  kind: "prads",
  summary: "Assets that PRADS has seen, from its log; read only",
  abilities: ABILITIES,
  settings: SETTINGS,
  open: (settings, context) => openPrads(settings, context),
};
