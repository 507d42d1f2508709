/**
 * Duty: the driver of HAProxy: entries of its stick tables, through the runtime API.
 *
 * A stick table says which server a client belongs to and counts what it does. Entries are listed in intervals; HAProxy
 * tells of no change. It takes counters and server numbers back, so the server numbers (`id`) of both boxes have to agree;
 * an entry that is put lives as long as a new one, for HAProxy takes no time left.
 *
 * @see "show table" in HAProxy's management.txt, 9.3
 */
import { parseIpAddress } from "../filter/ip_address.ts";
import { pause } from "./command.ts";
import type { DriverContext, DriverKind, Setting, Settings } from "./driver.ts";
import type { HeaderFields } from "./fields.ts";
import { type AskHaproxy, askHaproxy } from "./haproxy_socket.ts";
import { type Entry, PolledDriver, type Store } from "./polled.ts";
import { KEY_CHARACTERS_MAX } from "./record.ts";

export const HAPROXY_CODEC = "haproxy-stick/1";

export interface StickEntry {
  readonly table: string;
  /** ip, ipv6, integer, string or binary. */
  readonly type: string;
  /** As HAProxy shows it, blanks escaped. */
  readonly key: string;
  readonly data: Readonly<Record<string, number>>;
}

const NAME = /^[\w.:-]{1,128}$/;
const DATA_NAME = /^[a-z0-9_]{1,40}$/;
const DATA_MAX = 64;
const NUMBER_MAX = 2 ** 53;
/** What is true of one box at one moment: connections that are open there, the place of the server in a list. */
const OF_THE_BOX = new Set(["conn_cur", "server_key", "gpc0_rate", "gpc1_rate", "glitch_rate"]);
/** Change all the time by themselves. */
const isRate = (name: string) => name.endsWith("_rate");

const SETTINGS: Readonly<Record<string, Setting>> = {
  address: {
    type: "text",
    required: true,
    help: "The runtime API: the path of a socket, or ADDRESS:PORT. It needs `level admin`.",
    fault: (text) => /^\/.+|.:\d{1,5}$/.test(text) ? null : "is no path of a socket and no ADDRESS:PORT",
  },
  tables: {
    type: "text",
    default: "",
    help: "Names of stick tables, with blanks between them. Empty: all.",
    fault: (text) =>
      text.split(/\s+/).every((name) => name === "" || NAME.test(name)) ? null : "has what is no name",
  },
  key_is: {
    type: "choice",
    choices: ["source", "destination"],
    default: "source",
    help: "What the addresses are that are keys of a table: of clients, or of what they ask for.",
  },
  poll_ms: {
    type: "integer",
    default: 1000,
    min: 50,
    max: 3_600_000,
    help: "How often the tables are listed to see what changed.",
  },
};

const HEAD = /^# table: (\S+), type: (\w+), size:\d+, used:\d+/;
const LINE = /^0x[0-9a-f]+: key=((?:\\.|[^ \\])*) use=\d+ exp=(\d+)(?: shard=\d+)?(.*)$/;

/** A data item, "http_req_rate(10000)=5"; null: it is none that can be set. */
function readItem(item: string): readonly [string, number] | null {
  const [, name = "", text = ""] = /^([a-z0-9_]+)(?:\(\d+\))?=(\d+)$/.exec(item) ?? [];
  const value = Number(text);
  if (!DATA_NAME.test(name) || OF_THE_BOX.has(name) || !(value <= NUMBER_MAX)) return null;
  return [name, value];
}

/** What `show table NAME` says, with the milliseconds that each entry has left; lines that are none are counted. */
export function readTable(
  text: string,
): { entries: { entry: StickEntry; leftMs: number }[]; unread: number } {
  let table = "", type = "", unread = 0;
  const entries: { entry: StickEntry; leftMs: number }[] = [];
  for (const line of text.split("\n")) {
    const head = HEAD.exec(line);
    if (head) [table, type] = [head[1]!, head[2]!];
    const found = LINE.exec(line);
    if (!found || table === "") {
      if (!head && line.trim() !== "") unread++;
      continue;
    }
    const items = found[3]!.trim().split(" ").flatMap((item) => {
      const read = readItem(item);
      return read ? [read] : [];
    });
    entries.push({
      entry: { table, type, key: found[1]!, data: Object.fromEntries(items) },
      leftMs: Number(found[2]),
    });
  }
  return { entries, unread };
}

/** Why HAProxy would take the key for another one without a word; null: it would not. */
export function keyFault({ type, key }: StickEntry): string | null {
  const bytes = parseIpAddress(key)?.length;
  const fits: Readonly<Record<string, boolean>> = {
    ip: bytes === 4,
    ipv6: bytes !== undefined,
    integer: /^\d{1,10}$/.test(key),
    // Escaped is only what HAProxy reads back as it wrote it.
    string: /^(?:\\[ \\=]|[^\s;\\"'\p{Cc}])+$/u.test(key),
    binary: /^[0-9A-Fa-f]+$/.test(key),
  };
  if (fits[type] === true) return null;
  return fits[type] === false ? `"${key}" is no key of type ${type}` : `tables of type ${type} are unknown`;
}

/** @throws RangeError, whose message is the end of a sentence */
export function decodeStick(value: Uint8Array): StickEntry {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(value));
  } catch {
    throw new RangeError("it is no JSON");
  }
  const { table, type, key, data } = (json ?? {}) as Partial<Record<keyof StickEntry, unknown>>;
  if (typeof table !== "string" || !NAME.test(table) || typeof type !== "string" || typeof key !== "string") {
    throw new RangeError("it has no table, type and key");
  }
  const items = typeof data === "object" && data !== null ? Object.entries(data) : [];
  const bad = items.find(([name, one]) => !DATA_NAME.test(name) || !Number.isSafeInteger(one) || one < 0);
  if (bad) throw new RangeError(`its data ${bad[0]} is ${JSON.stringify(bad[1])}`);
  if (items.length > DATA_MAX) {
    throw new RangeError(`it has ${items.length} data items, more than ${DATA_MAX}`);
  }
  return { table, type, key, data: Object.fromEntries(items) };
}

/** One command of the runtime API. */
export function setCommand({ table, key, data }: StickEntry): string {
  const items = Object.entries(data).map(([name, value]) => ` data.${name} ${value}`);
  return `set table ${table} key ${key}${items.join("")}`;
}

interface StickOptions {
  readonly tables: readonly string[];
  readonly keyIs: "source" | "destination";
  readonly ask: AskHaproxy;
}

class StickStore implements Store {
  readonly #options: StickOptions;
  #unread = 0;

  constructor(options: StickOptions) {
    this.#options = options;
  }

  #entry(entry: StickEntry, leftMs: number | null): Entry {
    const { table, type, key, data } = entry;
    const isAddress = (type === "ip" || type === "ipv6") && parseIpAddress(key) !== null;
    const fields: HeaderFields = isAddress ? { [this.#options.keyIs]: key } : {};
    const lasting = Object.entries(data).filter(([name]) => !isRate(name));
    return {
      key: `${table} ${key}`,
      fields,
      value: new TextEncoder().encode(JSON.stringify(entry)),
      sameness: JSON.stringify([type, lasting]),
      // 0: the table forgets nothing.
      ttlMs: leftMs || null,
    };
  }

  async #tables(): Promise<string[]> {
    if (this.#options.tables.length > 0) return [...this.#options.tables];
    const [text = ""] = await this.#options.ask(["show table"]);
    return text.split("\n").flatMap((line) => HEAD.exec(line)?.[1] ?? []);
  }

  async list(): Promise<readonly Entry[]> {
    const names = await this.#tables();
    const texts = await this.#options.ask(names.map((name) => `show table ${name}`));
    for (const [place, text] of texts.entries()) {
      if (!HEAD.test(text.trimStart())) {
        throw new Error(
          `Cannot read the stick table ${names[place]}: HAProxy says: ${text.trim().split("\n")[0]}`,
        );
      }
    }
    return texts.flatMap((text) => {
      const { entries, unread } = readTable(text);
      this.#unread += unread;
      return entries.map(({ entry, leftMs }) => this.#entry(entry, leftMs))
        .filter(({ key }) => key.length <= KEY_CHARACTERS_MAX);
    });
  }

  read(value: Uint8Array): Entry {
    return this.#entry(decodeStick(value), null);
  }

  async write(entries: readonly Entry[]): Promise<ReadonlyMap<string, string>> {
    const refused = new Map<string, string>();
    const sound = entries.filter((entry) => {
      const fault = keyFault(decodeStick(entry.value));
      if (fault !== null) refused.set(entry.key, fault);
      return fault === null;
    });
    const answers = await this.#options.ask(sound.map(({ value }) => setCommand(decodeStick(value))));
    for (const [place, answer] of answers.entries()) {
      if (answer.trim() !== "") {
        refused.set(sound[place]!.key, `HAProxy says: ${answer.trim().split("\n")[0]}`);
      }
    }
    return refused;
  }

  async remove(keys: readonly string[]): Promise<number> {
    const wanted = new Set(keys);
    const there = (await this.list()).filter(({ key }) => wanted.has(key)).map(({ value }) =>
      decodeStick(value)
    );
    const answers = await this.#options.ask(there.map(({ table, key }) => `clear table ${table} key ${key}`));
    // An entry that is in use is not taken away.
    return answers.filter((answer) => answer.trim() === "").length;
  }

  counters(): Readonly<Record<string, number>> {
    return this.#unread === 0 ? {} : { lines_unread: this.#unread };
  }

  close(): void {
    // Each question has a connection of its own that has ended.
  }
}

const ROLES = ["supporting"] as const;
const ABILITIES = { get: ROLES, put: ROLES, del: ROLES, watch: true, codecs: [HAPROXY_CODEC] } as const;

/** @throws Error where the API cannot be reached */
export async function openHaproxy(
  settings: Settings,
  context: Pick<DriverContext, "nowMs">,
  ask?: AskHaproxy,
): Promise<PolledDriver> {
  const text = (name: string) => String(settings[name] ?? SETTINGS[name]?.default ?? "");
  const store = new StickStore({
    tables: text("tables").split(/\s+/).filter((name) => name !== ""),
    keyIs: text("key_is") === "destination" ? "destination" : "source",
    ask: ask ?? ((commands) => askHaproxy(text("address"), commands)),
  });
  await store.list();
  return new PolledDriver(store, {
    kind: "haproxy",
    codec: HAPROXY_CODEC,
    role: "supporting",
    merge: null,
    abilities: ABILITIES,
    pollMs: Number(settings["poll_ms"] ?? SETTINGS["poll_ms"]!.default),
    nowMs: context.nowMs,
    sleep: pause,
  });
}

export const HAPROXY: DriverKind = {
  kind: "haproxy",
  summary: "Stick tables of HAProxy, through its runtime API",
  abilities: ABILITIES,
  settings: SETTINGS,
  open: (settings, context) => openHaproxy(settings, context),
};
