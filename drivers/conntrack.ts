/**
 * Duty: the driver of the kernel's connection tracking: NAT and firewalls of Linux, with every flow's binding.
 *
 * State is read and written through netlink, where the box lives: its network namespace, or our own. What the driver
 * itself does to the box is not told by its watch, or two boxes that follow each other would never come to rest.
 */
import { CONNTRACK_CODEC, decodeFlow, encodeFlow, TIMEOUT_END } from "./conntrack_value.ts";
import { flowOfNames } from "./conntrack_named.ts";
import { flowsThere, type Outcome, putFlows, type PutOptions } from "./conntrack_put.ts";
import type {
  DriverContext,
  DriverEvent,
  DriverKind,
  PutResult,
  Refusal,
  Setting,
  Settings,
  StateDriver,
} from "./driver.ts";
import { fieldsOfKey, watchFlows } from "./conntrack_watch.ts";
import { ALL, type HeaderFields } from "./fields.ts";
import { decodeFlow as decodeNamed, FLOW_CODEC } from "./flow_value.ts";
import { dumpFilter, GROUPS, readFlow, TYPE, writeNamed } from "./netlink/conntrack.ts";
import { askCount, BATCH_MESSAGES_MAX, dump, Exchange, RequestError } from "./netlink/exchange.ts";
import { fieldsOf, type Flow, keyOf, type Tuple, tupleOf, tupleTest } from "./netlink/flow.ts";
import { type Message, NetlinkError } from "./netlink/messages.ts";
import { breathe, ERRNO, type NetlinkOptions, type NetlinkSocket, openNetlink } from "./netlink/socket.ts";
import { recordFault, type StateRecord, type StateRole } from "./record.ts";
import { digestOf, Versions } from "./versions.ts";

/** After so many records others have their turn: some milliseconds. */
const BREATHE_RECORDS = 4 * BATCH_MESSAGES_MAX;
export const SETTINGS: Readonly<Record<string, Setting>> = {
  namespace: {
    type: "text",
    default: "",
    help:
      "The network namespace of the box: a name of `ip netns`, or a path like /proc/123/ns/net. Empty: our own.",
    fault: (text) => /^$|^\/.+|^[^/.][^/]*$/.test(text) ? null : "is no name of a namespace and no path",
  },
  existing: {
    type: "choice",
    choices: ["replace", "keep"],
    default: "replace",
    help:
      "What is done with a flow that the box has already: the record replaces it, or it is kept as it is.",
  },
  liberal: {
    type: "boolean",
    default: false,
    help:
      "Whether the box shall let sequence numbers out of window pass, in flows that are put. The kernel does not " +
      "tell windows; without this it learns them anew from the first packets.",
  },
  buffer_bytes: {
    type: "integer",
    default: 4 << 20,
    min: 1 << 16,
    max: 1 << 28,
    help: "How much of events may wait in the kernel. When more do, a gap is told.",
  },
  refresh_s: {
    type: "integer",
    default: 20,
    min: 1,
    max: 3600,
    help:
      "How often all flows are read again, to tell what the kernel does not: that a flow lives on, and that one " +
      "ended which began before anybody listened.",
  },
};

const CODECS = [CONNTRACK_CODEC, FLOW_CODEC];
const ABILITIES = {
  get: ["supporting"],
  put: ["supporting"],
  del: ["supporting"],
  watch: true,
  codecs: CODECS,
} as const;

/** Readers by codec: whatever can be made a flow can be put. */
const READERS: Readonly<Record<string, (record: StateRecord) => Flow>> = {
  [CONNTRACK_CODEC]: (record) => decodeFlow(record.value),
  [FLOW_CODEC]: ({ value }) => {
    const named = decodeNamed(value);
    if (named === null) throw new RangeError(`it is no value of ${FLOW_CODEC}`);
    return flowOfNames(named);
  },
};

export type OpenSocket = (options: NetlinkOptions) => NetlinkSocket;

/** What the driver needs beside its settings; a test has another kernel behind it. */
export interface ConntrackOptions extends PutOptions {
  readonly namespace: string;
  readonly bufferBytes: number;
  readonly refreshMs: number;
  readonly nowMs: () => number;
  readonly open: OpenSocket;
}

interface Tally {
  taken: number;
  known: number;
  readonly refused: Refusal[];
}

interface Wanted {
  readonly record: StateRecord;
  readonly flow: Flow;
}

export class ConntrackDriver implements StateDriver {
  readonly kind = "conntrack";
  readonly abilities = ABILITIES;
  readonly #options: ConntrackOptions;
  readonly #socket: NetlinkSocket;
  readonly #exchange: Exchange;
  readonly #versions: Versions;
  readonly #counts: Record<string, number> = {};
  #kernelFilters = true;

  /** @throws Error where connection tracking cannot be reached */
  constructor(options: ConntrackOptions) {
    this.#options = options;
    this.#versions = new Versions(options.nowMs);
    this.#socket = options.open({ namespace: options.namespace, bufferBytes: options.bufferBytes });
    try {
      askCount(this.#socket);
    } catch (error) {
      this.#socket.close();
      throw error;
    }
    this.#exchange = new Exchange(this.#socket);
  }

  #count(name: string, by = 1): void {
    this.#counts[name] = (this.#counts[name] ?? 0) + by;
  }

  /** As it is at the time `stamp`, which is its version unless it is known like this; `anew`: in any case. */
  #record(flow: Flow, stamp: number, anew = false): StateRecord {
    const fields = fieldsOf(flow.original);
    const key = keyOf(flow, fields), value = encodeFlow(flow);
    return {
      role: "supporting",
      partition: "flow",
      key,
      fields,
      codec: CONNTRACK_CODEC,
      value,
      version: this.#versions.of(key, digestOf(value, TIMEOUT_END), stamp, anew),
      ttlMs: Math.max(1, flow.timeoutS) * 1000,
      merge: null,
      ended: false,
    };
  }

  /** Null, and counted: it cannot be carried. */
  #read(message: Message): Flow | null {
    try {
      const flow = readFlow(message.body);
      if (flow === null) this.#count("one_sided_zones");
      return flow;
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      this.#count("unreadable");
      return null;
    }
  }

  async *#flows(fields: HeaderFields, signal: AbortSignal): AsyncGenerator<readonly Flow[]> {
    const test = tupleTest(fields);
    const filter = this.#kernelFilters ? dumpFilter(fields) : null;
    const { namespace, bufferBytes, open } = this.#options;
    const socket = open({ namespace, bufferBytes });
    try {
      for await (const messages of dump(socket, filter, signal)) {
        yield messages.map((message) => this.#read(message)).filter((flow) =>
          flow !== null && test(flow.original)
        ) as Flow[];
      }
    } catch (error) {
      const refused = error instanceof RequestError && filter !== null &&
        (error.errno === ERRNO.EINVAL || error.errno === ERRNO.EOPNOTSUPP);
      if (!refused) throw error;
      this.#kernelFilters = false;
    } finally {
      socket.close();
    }
    // A kernel before 5.8, which filters nothing.
    if (filter !== null && !this.#kernelFilters) yield* this.#flows(fields, signal);
  }

  async *get(role: StateRole, fields: HeaderFields, signal: AbortSignal): AsyncGenerator<StateRecord> {
    if (role !== "supporting") return;
    // From before the reading: an event that comes meanwhile is newer.
    const stamp = this.#versions.next();
    for await (const flows of this.#flows(fields, signal)) {
      this.#count("flows_read", flows.length);
      for (const flow of flows) yield this.#record(flow, stamp);
    }
  }

  /** What a record says, or why it cannot be put. */
  #wanted(record: StateRecord): Wanted | Refusal {
    const { key, codec } = record;
    const reader = READERS[codec];
    if (!reader) return { key, reason: `its codec is ${codec}, not ${Object.keys(READERS).join(" or ")}` };
    try {
      return { record, flow: reader(record) };
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return { key, reason: `its value cannot be read: ${error.message}` };
    }
  }

  async put(records: readonly StateRecord[]): Promise<PutResult> {
    const tally: Tally = { taken: 0, known: 0, refused: [] };
    for (let from = 0; from < records.length; from += BATCH_MESSAGES_MAX) {
      if (from > 0 && from % BREATHE_RECORDS === 0) await breathe();
      const wanted: Wanted[] = [];
      for (const record of records.slice(from, from + BATCH_MESSAGES_MAX)) {
        const reason = recordFault(record);
        if (reason !== null) tally.refused.push({ key: record.key, reason });
        else if (this.#versions.has(record.key, record.version) === "ended") tally.known++;
        else if (record.ended) this.#putEnded(record, tally);
        else {
          const one = this.#wanted(record);
          if ("reason" in one) tally.refused.push(one);
          else wanted.push(one);
        }
      }
      this.#putBatch(this.#missing(wanted, tally), tally);
    }
    this.#count("put_known", tally.known);
    this.#count("put_refused", tally.refused.length);
    return tally;
  }

  /** Without those whose version is still there. A flow that was put may have ended since. */
  #missing(wanted: readonly Wanted[], tally: Tally): Wanted[] {
    const known = wanted.filter(({ record }) => this.#versions.has(record.key, record.version) !== null);
    const there = flowsThere(this.#exchange, known.map(({ flow }) => flow));
    const left = new Set(known.filter((_, place) => there.has(place)));
    tally.known += left.size;
    return wanted.filter((one) => !left.has(one));
  }

  #putBatch(wanted: Wanted[], tally: Tally): void {
    // A flow that another one announced comes after that one.
    wanted.sort((a, b) => Number(a.flow.master !== null) - Number(b.flow.master !== null));
    const outcomes = wanted.length === 0
      ? []
      : putFlows(this.#exchange, wanted.map(({ flow }) => flow), this.#options);
    for (const [place, { record }] of wanted.entries()) {
      const outcome: Outcome = outcomes[place]!;
      if (outcome.did === "refused") {
        tally.refused.push({ key: record.key, reason: outcome.reason });
        continue;
      }
      this.#count(`put_${outcome.did}`);
      if (outcome.did === "kept") tally.known++;
      else {
        tally.taken++;
        this.#versions.put(record.key, record.version, digestOf(record.value, TIMEOUT_END));
      }
    }
  }

  #putEnded({ key, fields, version }: StateRecord, tally: Tally): void {
    const one = tupleOf(fields, key);
    if (one === null) tally.refused.push({ key, reason: "it ended, and its fields name no single flow" });
    else if (this.#versions.has(key, version) !== null) tally.known++;
    else {
      if (this.#delete([one]) === 1) tally.taken++;
      else tally.known++;
      this.#versions.put(key, version);
    }
  }

  /** Returns how many were there. */
  #delete(flows: readonly { readonly tuple: Tuple; readonly zone: number }[]): number {
    if (flows.length === 0) return 0;
    const { refused } = this.#exchange.send(
      flows.length,
      (writer, sequence, i) => writeNamed(writer, TYPE.delete, sequence, flows[i]!),
    );
    const errno = [...refused.values()].find((one) => one !== ERRNO.ENOENT);
    if (errno !== undefined) throw new RequestError("delete flows", errno);
    this.#count("deleted", flows.length - refused.size);
    return flows.length - refused.size;
  }

  async del(role: StateRole, fields: HeaderFields): Promise<number> {
    let gone = 0, since = 0;
    if (role !== "supporting") return gone;
    for await (const flows of this.#flows(fields, new AbortController().signal)) {
      for (let from = 0; from < flows.length; from += BATCH_MESSAGES_MAX) {
        const batch = flows.slice(from, from + BATCH_MESSAGES_MAX);
        gone += this.#delete(batch.map(({ original, zone }) => ({ tuple: original, zone })));
        for (const flow of batch) this.#versions.forget(keyOf(flow));
      }
      since += flows.length;
      if (since < BREATHE_RECORDS) continue;
      since = 0;
      await breathe();
    }
    return gone;
  }

  watch(signal: AbortSignal): AsyncGenerator<DriverEvent> {
    const { namespace, bufferBytes, refreshMs, nowMs, open } = this.#options;
    // Now, not when somebody reads: what changes meanwhile waits in the kernel.
    const socket = open({ namespace, bufferBytes, groups: GROUPS });
    return watchFlows({
      socket,
      ownPort: this.#socket.port,
      refreshMs,
      nowMs,
      flows: () => this.#flows(ALL, signal),
      read: (message) => this.#read(message),
      record: (flow, anew) => this.#record(flow, this.#versions.next(), anew),
      ended: (key) => this.#ended(key),
      count: (name) => this.#count(name),
    }, signal);
  }

  #ended(key: string): StateRecord {
    return {
      role: "supporting",
      partition: "flow",
      key,
      fields: fieldsOfKey(key),
      codec: CONNTRACK_CODEC,
      value: new Uint8Array(),
      version: this.#versions.end(key, this.#versions.next()),
      ttlMs: null,
      merge: null,
      ended: true,
    };
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counts };
  }

  close(): Promise<void> {
    this.#socket.close();
    return Promise.resolve();
  }
}

function open(settings: Settings, context: DriverContext): ConntrackDriver {
  const namespace = String(settings["namespace"] ?? "");
  try {
    return new ConntrackDriver({
      namespace,
      existing: settings["existing"] === "keep" ? "keep" : "replace",
      liberal: settings["liberal"] === true,
      bufferBytes: Number(settings["buffer_bytes"] ?? SETTINGS["buffer_bytes"]!.default),
      refreshMs: 1000 * Number(settings["refresh_s"] ?? SETTINGS["refresh_s"]!.default),
      nowMs: context.nowMs,
      open: openNetlink,
    });
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    const where = namespace === "" ? "this machine" : `the namespace ${namespace}`;
    throw new Error(`Cannot reach connection tracking of ${where}: ${cause.message}`, { cause });
  }
}

export const CONNTRACK: DriverKind = {
  kind: "conntrack",
  summary: "Connection tracking of a Linux box: flows with their NAT, through netlink",
  abilities: ABILITIES,
  settings: SETTINGS,
  open: (settings, context) => {
    try {
      return Promise.resolve(open(settings, context));
    } catch (error) {
      return Promise.reject(error);
    }
  },
};
