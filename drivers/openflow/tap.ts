/**
 * Duty: the driver "openflow-tap": between a controller and its switch, unseen by both, telling what the switch is given.
 *
 * Bytes pass unchanged (relay.ts) and are read beside that (ear.ts). With a survey address the switch itself is asked
 * besides, on a connection of its own: for what it held before the tap came, and for flows that ended without a word.
 */
import type { DriverContext, DriverEvent, DriverKind, PutResult, Settings, StateDriver } from "../driver.ts";
import { type HeaderFields, holds } from "../fields.ts";
import type { StateRecord, StateRole } from "../record.ts";
import { Channel } from "./channel.ts";
import { Ear, type Hearing, TapCounters } from "./ear.ts";
import { prefixList } from "./flow_fields.ts";
import { type Change, type Held, Holdings } from "./holdings.ts";
import { NETWORK } from "./link.ts";
import { VERSION } from "./names.ts";
import { CODEC, pieceRecord } from "./records.ts";
import { type RelayServer, serveRelay } from "./relay.ts";
import {
  addressSetting,
  CLIENTS_SETTING,
  DATAPATH_SETTING,
  integer,
  text,
  TLS_SETTINGS,
  whereOf,
} from "./settings.ts";
import { survey } from "./survey.ts";
import { Watchers } from "./watchers.ts";
import { addressText, parseAddress } from "./where.ts";

const TICK_MS = 500;
/** A switch has one controller or a few, each with a few connections. */
const CONNECTIONS_MAX = 16;
/** The same is said of a channel at most so often. */
const SAID_MS = 60_000;
const SAID_MAX = 64;

const SETTINGS = {
  listen: addressSetting("Where the switch connects to instead of its controller:", true),
  controller: addressSetting("The controller, to which everything is handed on:", true),
  ...TLS_SETTINGS,
  datapath: DATAPATH_SETTING,
  survey: addressSetting(
    "Where the switch listens for a further controller. It is asked there for all it holds:",
  ),
  survey_ms: { type: "integer", help: "How often it is asked.", default: 5000, min: 200, max: 3_600_000 },
  clients: CLIENTS_SETTING,
  pieces_max: {
    type: "integer",
    help: "Entries, groups and meters that are followed at most. Further ones are counted and left out.",
    default: 200_000,
    min: 1,
    max: 2_000_000,
  },
  lease_s: {
    type: "integer",
    help:
      "How long an entry with an idle timeout is believed in when its end will not be told and no survey is made.",
    default: 3600,
    min: 1,
    max: 1_000_000,
  },
} as const;

class Tap implements StateDriver {
  readonly kind = "openflow-tap";
  readonly abilities = OPENFLOW_TAP.abilities;
  readonly #holdings: Holdings;
  readonly #counters = new TapCounters();
  readonly #watchers = new Watchers();
  readonly #clients: readonly string[];
  readonly #hearing: Hearing;
  readonly #said = new Map<string, number>();
  readonly #tick: ReturnType<typeof setInterval>;
  #surveyTimer: ReturnType<typeof setInterval> | undefined;
  #relay: RelayServer | null = null;
  #channel: Channel | null = null;
  #connected = 0;
  #surveys = 0;
  #surveying = false;

  constructor(readonly settings: Settings, readonly context: DriverContext) {
    this.#holdings = new Holdings({
      piecesMax: integer(settings, "pieces_max"),
      leaseMs: integer(settings, "lease_s") * 1000,
    });
    this.#clients = prefixList(text(settings, "clients") ?? "") ?? [];
    const datapath = text(settings, "datapath");
    this.#hearing = {
      holdings: this.#holdings,
      counters: this.#counters,
      datapath: datapath === null ? null : BigInt(`0x${datapath}`),
      left: (reason) => this.#say(reason),
    };
    this.#tick = setInterval(() => this.#changed(this.#holdings.tick(context.nowMs())), TICK_MS);
  }

  /** @throws Error where it cannot listen */
  async start(): Promise<void> {
    this.#relay = serveRelay({
      listen: whereOf(this.settings, "listen"),
      onwards: whereOf(this.settings, "controller"),
      connectionsMax: CONNECTIONS_MAX,
      events: (peer) => this.#connection(peer),
      turnedAway: (reason) => this.#say(`a connection was turned away: ${reason}`),
    });
    await this.#relay.listening;
    if (text(this.settings, "survey") === null) return;
    this.#channel = new Channel({
      ...{ where: whereOf(this.settings, "survey"), by: "connect", network: NETWORK },
      datapath: text(this.settings, "datapath"),
      ready: () => void this.#survey(),
      lost: (reason) => this.#say(`cannot ask the switch: ${reason}`),
      heard: () => {},
    });
    this.#surveyTimer = setInterval(() => void this.#survey(), integer(this.settings, "survey_ms"));
  }

  #connection(peer: string) {
    this.#counters.connections++;
    this.#connected++;
    const ear = new Ear(this.#hearing);
    return {
      heard: (from: "controller" | "switch", bytes: Uint8Array) =>
        this.#changed(ear.hear(from, bytes, this.context.nowMs())),
      closed: (reason: string) => {
        this.context.say("info", `the channel of ${peer} has ended: ${reason}`);
        if (--this.#connected === 0) this.#holdings.doubt();
      },
    };
  }

  /** Each reason once a minute. */
  #say(reason: string): void {
    const nowMs = this.context.nowMs();
    if (nowMs - (this.#said.get(reason) ?? -Infinity) < SAID_MS) return;
    if (this.#said.size >= SAID_MAX) this.#said.clear();
    this.#said.set(reason, nowMs);
    this.context.say("warn", reason);
  }

  async #survey(): Promise<void> {
    const channel = this.#channel;
    if (channel === null || !channel.isReady || this.#surveying) return;
    this.#surveying = true;
    const askedMs = this.context.nowMs();
    try {
      const parts = await survey(channel);
      const seen = { nowMs: this.context.nowMs(), transaction: 0, version: VERSION };
      for (const { kind, found } of parts) {
        this.#changed(this.#holdings.told(found, { askedMs, kind, all: true }, seen));
      }
      this.#surveys++;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.#say(error.message);
    } finally {
      this.#surveying = false;
    }
  }

  #changed(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    this.#watchers.tell(changes.map(({ held, ended }): DriverEvent => ({
      kind: "record",
      record: this.#record(held, ended),
    })));
  }

  #record(held: Held, ended: boolean): StateRecord {
    const ttlMs = ended ? null : this.#holdings.ttlMs(held, this.context.nowMs());
    return pieceRecord({ ...held, ttlMs, ended }, this.#clients);
  }

  async *get(role: StateRole, fields: HeaderFields, signal: AbortSignal): AsyncGenerator<StateRecord> {
    if (role !== "supporting") return;
    for (const held of [...this.#holdings.all()]) {
      if (signal.aborted) return;
      const record = this.#record(held, false);
      if (record.partition === "shared" || holds(fields, record.fields)) yield record;
    }
  }

  put(): Promise<PutResult> {
    return Promise.reject(new Error("Cannot put state through a tap: it only listens"));
  }

  del(): Promise<number> {
    return Promise.reject(new Error("Cannot delete state through a tap: it only listens"));
  }

  watch(signal: AbortSignal): AsyncIterable<DriverEvent> {
    return this.#watchers.watch(signal);
  }

  counters(): Readonly<Record<string, number>> {
    const { full, removedLate, refused, size } = this.#holdings;
    return {
      ...{ ...this.#counters },
      ...{ connected: this.#connected, pieces: size, pieces_left_out: full, refused_by_switch: refused },
      ...{ removed_late: removedLate, surveys: this.#surveys, watchers_overrun: this.#watchers.overrun },
    };
  }

  close(): Promise<void> {
    clearInterval(this.#tick);
    clearInterval(this.#surveyTimer);
    this.#relay?.close();
    this.#channel?.close();
    return Promise.resolve();
  }
}

export const OPENFLOW_TAP: DriverKind = {
  kind: "openflow-tap",
  summary:
    "flow entries, groups and meters, read between an OpenFlow controller and its switch (1.0 and 1.3)",
  abilities: { get: ["supporting"], put: [], del: [], watch: true, codecs: [CODEC] },
  settings: SETTINGS,
  async open(settings, context) {
    const tap = new Tap(settings, context);
    try {
      await tap.start();
      return tap;
    } catch (cause) {
      await tap.close();
      const address = parseAddress(text(settings, "listen") ?? "");
      const where = address === null ? "" : ` on ${addressText(address)}`;
      throw new Error(`Cannot open the tap${where}: ${(cause as Error).message}`, { cause });
    }
  },
};
