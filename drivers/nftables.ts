/**
 * Duty: the driver of nftables: elements of named sets and maps of one table, with their time left.
 *
 * Lists of blocked addresses and maps of persistence are state of all flows. They are read and written by `nft -j`, many
 * in one transaction. The kernel does not tell of elements that its own rules add, nor of those whose time is over, so
 * `nft monitor` would miss what matters most: the table is listed in intervals instead.
 */
import { commandIn, pause, type RunCommand, runCommand } from "./command.ts";
import type { DriverContext, DriverKind, Setting, Settings } from "./driver.ts";
import { type Entry, PolledDriver, type Store } from "./polled.ts";
import { KEY_CHARACTERS_MAX } from "./record.ts";

export const NFTABLES_CODEC = "nftables/1";
const NFT_MS = 10_000;
/** Elements in one transaction. */
const BATCH_ELEMENTS_MAX = 512;

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** An element, as nft writes keys and data: libnftables-json(5). */
interface Element {
  readonly set: string;
  readonly key: Json;
  /** What a map says to the key; absent in a set. */
  readonly data?: Json;
  readonly timeoutS?: number;
  readonly expiresS?: number;
  readonly comment?: string;
}

const FAMILIES = ["inet", "ip", "ip6", "arp", "bridge", "netdev"];
const NAME = /^[A-Za-z_][A-Za-z0-9_./\\-]{0,127}$/;

const SETTINGS: Readonly<Record<string, Setting>> = {
  namespace: {
    type: "text",
    default: "",
    help:
      "The network namespace of the box: a name of `ip netns`, or a path like /proc/123/ns/net. Empty: our own.",
    fault: (text) => /^$|^\/.+|^[^/.][^/]*$/.test(text) ? null : "is no name of a namespace and no path",
  },
  family: { type: "choice", choices: FAMILIES, default: "inet", help: "The family of the table." },
  table: {
    type: "text",
    required: true,
    help: "The table whose sets and maps are carried.",
    fault: (text) => NAME.test(text) ? null : "is no name of a table",
  },
  sets: {
    type: "text",
    default: "",
    help: "Names of sets and maps, with blanks between them. Empty: all of the table that have a name.",
    fault: (text) =>
      text.split(/\s+/).every((name) => name === "" || NAME.test(name)) ? null : "has what is no name",
  },
  poll_ms: {
    type: "integer",
    default: 1000,
    min: 50,
    max: 3_600_000,
    help: "How often the table is listed to see what changed.",
  },
};

const isObject = (json: unknown): json is { readonly [name: string]: Json } =>
  typeof json === "object" && json !== null && !Array.isArray(json);

const keyText = (key: Json) => typeof key === "string" ? key : JSON.stringify(key);

const seconds = (json: Json | undefined, min: 0 | 1) =>
  typeof json === "number" && json >= min ? json : undefined;
/** What is left of the last second is no whole second. */
const LAST_SECOND_MS = 1;

/** One of the `elem` of a set: a key, a key with more about it, or a pair of such a key and data. */
export function readElement(set: string, json: Json): Element {
  const [left, data] = Array.isArray(json) ? [json[0] as Json, json[1] as Json] : [json, undefined];
  const more = isObject(left) && isObject(left["elem"]) ? left["elem"] : null;
  const [timeoutS, expiresS] = [seconds(more?.["timeout"], 1), seconds(more?.["expires"], 0)];
  const comment = more?.["comment"];
  return {
    set,
    key: more ? more["val"] ?? null : left,
    ...(data !== undefined && { data }),
    ...(timeoutS !== undefined && { timeoutS }),
    ...(expiresS !== undefined && { expiresS }),
    ...(typeof comment === "string" && { comment }),
  };
}

/** For `nft -j`; `whole` with all that it says beside its key. */
export function writeElement(element: Element, whole: boolean): Json {
  const { key, data, timeoutS, expiresS, comment } = element;
  if (!whole) return key;
  // The time left is refused without a time to live of its own, which an element may have from its set.
  const expires = expiresS === undefined ? undefined : Math.max(1, Math.min(expiresS, timeoutS ?? expiresS));
  const timeout = timeoutS ?? expires;
  const more = {
    ...(timeout !== undefined && { timeout }),
    ...(expires !== undefined && { expires }),
    ...(comment !== undefined && { comment }),
  };
  const left: Json = Object.keys(more).length === 0 ? key : { elem: { val: key, ...more } };
  return data === undefined ? left : [left, data];
}

/** Sets and maps with their elements, out of what `nft -j list table` says. @throws SyntaxError */
export function readTable(text: string, wanted: ReadonlySet<string>): Element[] {
  const parsed: unknown = JSON.parse(text);
  const objects = isObject(parsed) && Array.isArray(parsed["nftables"]) ? parsed["nftables"] : [];
  return objects.flatMap((object: Json) => {
    const set = isObject(object) ? object["set"] ?? object["map"] : undefined;
    if (!isObject(set) || typeof set["name"] !== "string" || !Array.isArray(set["elem"])) return [];
    const name = set["name"];
    const flags = Array.isArray(set["flags"]) ? set["flags"] : [set["flags"]];
    const left = name.startsWith("__") || flags.includes("constant");
    if (wanted.size > 0 ? !wanted.has(name) : left) return [];
    return set["elem"].map((element: Json) => readElement(name, element));
  });
}

/** What nft says of a mistake, as the end of a sentence. */
export function reasonOf(stderr: string): string {
  const line = stderr.split("\n").find((one) => one.includes("Error:")) ?? stderr.split("\n")[0] ?? "";
  const reason = line.replace(/^.*Error:\s*/, "").trim();
  return `nft says: ${reason === "" ? "nothing" : reason}`;
}

interface NftOptions {
  readonly namespace: string;
  readonly family: string;
  readonly table: string;
  readonly sets: readonly string[];
  readonly run: RunCommand;
}

class NftStore implements Store {
  readonly #options: NftOptions;
  readonly #wanted: ReadonlySet<string>;
  #tooLong = 0;

  constructor(options: NftOptions) {
    this.#options = options;
    this.#wanted = new Set(options.sets);
  }

  get #where(): string {
    return `${this.#options.family} ${this.#options.table}`;
  }

  #nft(args: readonly string[], stdin = "") {
    const { namespace, run } = this.#options;
    return run(commandIn(namespace, ["nft", "-j", ...args]), { stdin, timeoutMs: NFT_MS });
  }

  #entry(element: Element): Entry {
    const { expiresS, ...lasting } = element;
    return {
      key: `${this.#where} ${element.set} ${keyText(element.key)}`,
      fields: {},
      value: new TextEncoder().encode(JSON.stringify(element)),
      sameness: JSON.stringify(lasting),
      ttlMs: expiresS === undefined ? null : expiresS * 1000 || LAST_SECOND_MS,
    };
  }

  async #elements(): Promise<Element[]> {
    const { family, table } = this.#options;
    const { code, stdout, stderr } = await this.#nft(["list", "table", family, table]);
    if (code !== 0) throw new Error(`Cannot read the table ${this.#where}: ${reasonOf(stderr)}`);
    return readTable(stdout, this.#wanted);
  }

  async list(): Promise<readonly Entry[]> {
    const entries = (await this.#elements()).map((element) => this.#entry(element));
    const short = entries.filter(({ key }) => key.length <= KEY_CHARACTERS_MAX);
    this.#tooLong += entries.length - short.length;
    return short;
  }

  read(value: Uint8Array): Entry {
    return this.#entry(decodeElement(value));
  }

  async write(entries: readonly Entry[]): Promise<ReadonlyMap<string, string>> {
    const refused = new Map<string, string>();
    const there = new Set((await this.list()).map(({ key }) => key));
    for (let from = 0; from < entries.length; from += BATCH_ELEMENTS_MAX) {
      await this.#writeSome(entries.slice(from, from + BATCH_ELEMENTS_MAX), there, refused);
    }
    return refused;
  }

  /** One transaction, which is carried out whole or not at all; so if it fails, halves of it are tried. */
  async #writeSome(
    entries: readonly Entry[],
    there: ReadonlySet<string>,
    refused: Map<string, string>,
  ): Promise<void> {
    const commands = entries.flatMap((entry): Json[] => {
      const element = decodeElement(entry.value);
      const add = { add: this.#command(element, true) };
      // What is there keeps its data and its time unless it goes first.
      return there.has(entry.key) ? [{ delete: this.#command(element, false) }, add] : [add];
    });
    const { code, stderr } = await this.#nft(["-f", "-"], JSON.stringify({ nftables: commands }));
    if (code === 0) return;
    if (entries.length === 1) {
      refused.set(entries[0]!.key, reasonOf(stderr));
      return;
    }
    const half = entries.length >> 1;
    await this.#writeSome(entries.slice(0, half), there, refused);
    await this.#writeSome(entries.slice(half), there, refused);
  }

  #command(element: Element, whole: boolean): Json {
    const { family, table } = this.#options;
    return { element: { family, table, name: element.set, elem: [writeElement(element, whole)] } };
  }

  async remove(keys: readonly string[]): Promise<number> {
    const wanted = new Set(keys);
    const gone = (await this.#elements()).filter((element) => wanted.has(this.#entry(element).key));
    let count = 0;
    for (let from = 0; from < gone.length; from += BATCH_ELEMENTS_MAX) {
      count += await this.#removeSome(gone.slice(from, from + BATCH_ELEMENTS_MAX));
    }
    return count;
  }

  async #removeSome(elements: readonly Element[]): Promise<number> {
    const commands = elements.map((element) => ({ delete: this.#command(element, false) }));
    const { code } = await this.#nft(["-f", "-"], JSON.stringify({ nftables: commands }));
    if (code === 0) return elements.length;
    // What is not there any more has ended in the meantime.
    if (elements.length === 1) return 0;
    const half = elements.length >> 1;
    return await this.#removeSome(elements.slice(0, half)) + await this.#removeSome(elements.slice(half));
  }

  counters(): Readonly<Record<string, number>> {
    return this.#tooLong === 0 ? {} : { keys_too_long: this.#tooLong };
  }

  close(): void {
    // Each command is a process of its own that has ended.
  }
}

/** @throws RangeError, whose message is the end of a sentence */
export function decodeElement(value: Uint8Array): Element {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(value));
  } catch {
    throw new RangeError("it is no JSON");
  }
  if (
    !isObject(json) || typeof json["set"] !== "string" || !NAME.test(json["set"]) || json["key"] === undefined
  ) {
    throw new RangeError("it has no set and key");
  }
  for (const [name, min] of [["timeoutS", 1], ["expiresS", 0]] as const) {
    const time = json[name];
    if (time !== undefined && seconds(time, min) === undefined) {
      throw new RangeError(`its ${name} is ${JSON.stringify(time)}`);
    }
  }
  if (json["comment"] !== undefined && typeof json["comment"] !== "string") {
    throw new RangeError("its comment is no text");
  }
  return json as unknown as Element;
}

const ROLES = ["supporting"] as const;
const ABILITIES = { get: ROLES, put: ROLES, del: ROLES, watch: true, codecs: [NFTABLES_CODEC] } as const;

/** @throws Error where the table cannot be read */
export async function openNftables(
  settings: Settings,
  context: Pick<DriverContext, "nowMs">,
  run: RunCommand = runCommand,
): Promise<PolledDriver> {
  const text = (name: string) => String(settings[name] ?? SETTINGS[name]?.default ?? "");
  const sets = text("sets").split(/\s+/).filter((name) => name !== "");
  const options = { namespace: text("namespace"), family: text("family"), table: text("table"), sets, run };
  const store = new NftStore(options);
  await store.list();
  return new PolledDriver(store, {
    kind: "nftables",
    codec: NFTABLES_CODEC,
    role: "supporting",
    merge: null,
    abilities: ABILITIES,
    pollMs: Number(settings["poll_ms"] ?? SETTINGS["poll_ms"]!.default),
    nowMs: context.nowMs,
    sleep: pause,
  });
}

export const NFTABLES: DriverKind = {
  kind: "nftables",
  summary: "Elements of named sets and maps of a table of nftables, through nft",
  abilities: ABILITIES,
  settings: SETTINGS,
  open: (settings, context) => openNftables(settings, context),
};
