/**
 * Duty: the driver "openflow": a switch as a place of state, by its management connection.
 *
 * Puts pieces in batches that end with a barrier, so that each refusal of the switch comes back to its record. It
 * remembers what it has put: when the switch comes anew, what is missing is put again. An entry that stands by sees no
 * packets, and to send it again does not begin its idle time anew (in Open vSwitch), so it has no idle timeout until
 * the switch has counted a packet of it.
 */
import type {
  DriverContext,
  DriverEvent,
  DriverKind,
  PutResult,
  Refusal,
  Settings,
  StateDriver,
} from "../driver.ts";
import { type HeaderFields, holds } from "../fields.ts";
import { recordFault, type StateRecord, type StateRole } from "../record.ts";
import { Channel, type Refused } from "./channel.ts";
import { prefixList } from "./flow_fields.ts";
import { type Change, Holdings } from "./holdings.ts";
import { afterRefusal, orderOf, stepsOf, type Timeouts, type Work, workOf } from "./insert_plan.ts";
import { NETWORK } from "./link.ts";
import { VERSION } from "./names.ts";
import { flowKey, isOwnMeter, type PieceBody, pieceKey } from "./piece.ts";
import { CODEC, countsRecord, pieceRecord } from "./records.ts";
import {
  addressSetting,
  CLIENTS_SETTING,
  DATAPATH_SETTING,
  integer,
  text,
  TLS_SETTINGS,
  whereOf,
} from "./settings.ts";
import { askFlows, survey } from "./survey.ts";
import { Watchers } from "./watchers.ts";

/** What a switch takes at once; its answers to a batch are few, so nothing piles up. */
const BATCH = 256;
const ENDED_MAX = 65_536;
/** Entries are asked for their packets so often, but never for more than a tenth of the time. */
const LOOK_MS = 1000;
const LOOK_SHARE = 0.1;
const OPEN_MS_MAX = 5000;

const SETTINGS = {
  address: addressSetting("Where the switch listens:"),
  listen: addressSetting("Where the switch connects to, instead of `address`:"),
  ...TLS_SETTINGS,
  datapath: DATAPATH_SETTING,
  poll_ms: {
    type: "integer",
    help: "How often the switch is asked for changes while somebody watches.",
    default: 1000,
    min: 100,
    max: 3_600_000,
  },
  timeouts: {
    type: "choice",
    help:
      "serving: an entry gets its idle timeout when the switch has counted a packet of it, and has none before. " +
      "keep: from the beginning. none: entries stay until their end is told.",
    choices: ["serving", "keep", "none"],
    default: "serving",
  },
  clients: CLIENTS_SETTING,
  pieces_max: {
    type: "integer",
    help: "Entries, groups and meters that are put at most. Further ones are refused.",
    default: 200_000,
    min: 1,
    max: 2_000_000,
  },
} as const;

/** A piece that is in the switch because it was put. */
interface Taken {
  readonly work: Work;
  /** The switch has counted packets of it: its timeouts are the switch's own affair now. */
  readonly serving: boolean;
}

class Insert implements StateDriver {
  readonly kind = "openflow";
  readonly abilities = OPENFLOW.abilities;
  readonly #channel: Channel;
  readonly #taken = new Map<string, Taken>();
  /** Versions of pieces that ended, the oldest first. */
  readonly #ended = new Map<string, number>();
  readonly #view: Holdings;
  readonly #watchers = new Watchers();
  readonly #clients: readonly string[];
  readonly #timeouts: Timeouts;
  readonly #timers: ReturnType<typeof setInterval>[] = [];
  #turn: Promise<unknown> = Promise.resolve();
  #looking = false;
  /** Not before this. */
  #lookMs = 0;
  #polling = false;
  #watching = 0;
  #counts = { put: 0, known: 0, refused: 0, ended: 0, timed: 0, put_again: 0, packet_ins: 0, lost: 0 };

  constructor(readonly settings: Settings, readonly context: DriverContext) {
    this.#view = new Holdings({ piecesMax: integer(settings, "pieces_max"), leaseMs: Infinity });
    this.#clients = prefixList(text(settings, "clients") ?? "") ?? [];
    this.#timeouts = (text(settings, "timeouts") ?? "serving") as Timeouts;
    const by = text(settings, "address") === null ? "listen" : "connect";
    this.#channel = new Channel({
      where: whereOf(settings, by === "listen" ? "listen" : "address"),
      ...{ by, network: NETWORK, datapath: text(settings, "datapath") },
      ready: () => this.#ready(),
      lost: (reason) => this.#lost(reason),
      heard: (body) => {
        if (body.kind === "packet-in") this.#counts.packet_ins++;
      },
    });
    this.#timers.push(setInterval(() => void this.#lookForPackets(), LOOK_MS));
    this.#timers.push(setInterval(() => void this.#poll(), integer(settings, "poll_ms")));
  }

  ready(): Promise<void> {
    return this.#channel.ready(OPEN_MS_MAX);
  }

  #ready(): void {
    this.context.say("info", "the switch is connected");
    if (this.#taken.size > 0) void this.#quietly(() => this.#restore());
  }

  #lost(reason: string): void {
    this.#counts.lost++;
    this.context.say("warn", `the switch is lost: ${reason}`);
    this.#watchers.tell([{ kind: "gap", reason }]);
  }

  /** For what nobody waits: a failure is said, and the next turn tries again. */
  async #quietly(act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.context.say("warn", error.message);
    }
  }

  /** One after the other: two batches about the same piece must not overtake each other. */
  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(act);
    this.#turn = result.catch(() => {});
    return result;
  }

  put(records: readonly StateRecord[]): Promise<PutResult> {
    return this.#inTurn(() => this.#put(records));
  }

  async #put(records: readonly StateRecord[]): Promise<PutResult> {
    const refused: Refusal[] = [];
    const newest = new Map<string, Work>();
    let known = 0;
    for (const record of records) {
      const work = recordFault(record) ?? workOf(record);
      if (typeof work === "string") refused.push({ key: record.key, reason: work });
      else if (this.#isKnown(work) || (newest.get(work.key)?.record.version ?? 0) >= record.version) known++;
      else {
        if (newest.has(work.key)) known++;
        newest.set(work.key, work);
      }
    }
    const before = refused.length;
    for (const step of stepsOf([...newest.values()])) refused.push(...await this.#carryOut(step));
    const taken = newest.size - (refused.length - before);
    this.#counts.put += taken;
    this.#counts.known += known;
    this.#counts.refused += refused.length;
    return { taken, known, refused };
  }

  #isKnown({ key, record: { version } }: Work): boolean {
    const there = this.#taken.get(key)?.work.record.version ?? this.#ended.get(key) ?? 0;
    return there >= version;
  }

  /** Returns what the switch did not take. */
  async #carryOut(step: readonly Work[]): Promise<Refusal[]> {
    const refusals: Refusal[] = [];
    const room = integer(this.settings, "pieces_max");
    for (let at = 0; at < step.length; at += BATCH) {
      const batch = step.slice(at, at + BATCH).filter(({ record, key }) => {
        if (record.ended || this.#taken.has(key) || this.#taken.size < room) return true;
        refusals.push({ key: record.key, reason: `${room} pieces are there already, which is pieces_max` });
        return false;
      });
      const answers = await this.#send(batch, (key) => this.#taken.has(key));
      for (const [index, work] of batch.entries()) {
        const refused = answers[index] ?? null;
        if (refused === null) this.#took(work);
        else refusals.push({ key: work.record.key, reason: `the switch says: ${refused.text}` });
      }
    }
    return refusals;
  }

  #orderOf(work: Work, there: boolean): PieceBody {
    const serving = this.#taken.get(work.key)?.serving ?? false;
    const timeouts = this.#timeouts === "serving" && serving ? "keep" : this.#timeouts;
    return orderOf(work, there, timeouts);
  }

  /** A group that is there is modified, and one that is not is added, whatever was believed. */
  async #send(batch: readonly Work[], there: (key: string) => boolean): Promise<(Refused | null)[]> {
    const orders = batch.map((work) => this.#orderOf(work, there(work.key)));
    const answers = await this.#channel.order(orders);
    const again = batch.flatMap((work, index) => {
      const refused = answers[index] ?? null;
      const verdict = refused === null ? "failed" : afterRefusal(work, refused);
      return verdict === "failed" ? [] : [{ work, index, there: verdict === "there" }];
    });
    const second = again.filter(({ work }) => !work.record.ended);
    for (const { work, index } of again) if (work.record.ended) answers[index] = null;
    if (second.length === 0) return answers;
    const later = await this.#channel.order(
      second.map(({ work, there }) => this.#orderOf(work, there)),
    );
    for (const [at, { index }] of second.entries()) answers[index] = later[at] ?? null;
    return answers;
  }

  #took(work: Work): void {
    const { record: { ended, version }, key, origin } = work;
    const nowMs = this.context.nowMs();
    const body = { ...this.#orderOf(work, false), command: 0 };
    this.#view.adopt({ key, body, origin, version, ended }, nowMs);
    if (!ended) {
      this.#ended.delete(key);
      this.#taken.set(key, { work, serving: this.#taken.get(key)?.serving ?? false });
      return;
    }
    this.#counts.ended++;
    this.#taken.delete(key);
    this.#ended.delete(key);
    this.#ended.set(key, version);
    if (this.#ended.size > ENDED_MAX) this.#ended.delete(this.#ended.keys().next().value!);
  }

  /** Sends what was put before, once more. */
  async #again(taken: readonly Taken[]): Promise<void> {
    const there = (key: string) => this.#taken.has(key);
    for (const step of stepsOf(taken.map(({ work }) => work))) {
      for (let at = 0; at < step.length; at += BATCH) await this.#send(step.slice(at, at + BATCH), there);
    }
  }

  /** After the switch came anew: it may have forgotten everything. */
  #restore(): Promise<void> {
    return this.#inTurn(async () => {
      const there = new Set(
        (await survey(this.#channel)).flatMap(({ found }) => found.map(({ body }) => pieceKey(body))),
      );
      const missing = [...this.#taken.values()].filter(({ work, serving }) =>
        !there.has(work.key) && !serving
      );
      await this.#again(missing);
      this.#counts.put_again += missing.length;
    });
  }

  /** An entry that carries packets is given its idle timeout; before, it would end for want of them. */
  async #lookForPackets(): Promise<void> {
    const nowMs = this.context.nowMs();
    if (this.#timeouts !== "serving" || this.#looking || !this.#channel.isReady || nowMs < this.#lookMs) {
      return;
    }
    if (![...this.#taken.values()].some(waits)) return;
    this.#looking = true;
    await this.#quietly(() => this.#inTurn(() => this.#time()));
    const tookMs = this.context.nowMs() - nowMs;
    this.#lookMs = nowMs + tookMs / LOOK_SHARE;
    this.#looking = false;
  }

  async #time(): Promise<void> {
    const busy = (await askFlows(this.#channel)).filter(({ packets }) => packets > 0n)
      .flatMap((flow) => this.#taken.get(flowKey(flow)) ?? []).filter(waits);
    for (const { work } of busy) this.#taken.set(work.key, { work, serving: true });
    await this.#again(busy);
    for (const { work } of busy) this.#took(work);
    this.#counts.timed += busy.length;
  }

  async *get(role: StateRole, fields: HeaderFields, signal: AbortSignal): AsyncGenerator<StateRecord> {
    if (role === "configuration") return;
    const version = Math.floor(this.context.nowMs());
    const records = role === "reporting"
      ? (await askFlows(this.#channel)).map((flow) => countsRecord(flow, { version, clients: this.#clients }))
      : await this.#inTurn(() => this.#held());
    for (const record of records) {
      if (signal.aborted) return;
      if (record.partition === "shared" || holds(fields, record.fields)) yield record;
    }
  }

  async #held(): Promise<StateRecord[]> {
    await this.#look();
    return [...this.#view.all()].map((held) =>
      pieceRecord({ ...held, ttlMs: null, ended: false }, this.#clients)
    );
  }

  /** Brings the view up to date; returns what changed. */
  async #look(): Promise<Change[]> {
    const askedMs = this.context.nowMs();
    const parts = await survey(this.#channel);
    const seen = { nowMs: this.context.nowMs(), transaction: 0, version: VERSION };
    return parts.flatMap(({ kind, found }) => this.#view.told(found, { askedMs, kind, all: true }, seen));
  }

  /** In turn with what is put, so that nothing is told of that. */
  async #poll(): Promise<void> {
    if (this.#watching === 0 || !this.#channel.isReady || this.#polling) return;
    this.#polling = true;
    await this.#quietly(async () => {
      const changes = await this.#inTurn(() => this.#look());
      this.#watchers.tell(changes.map(({ held, ended }): DriverEvent => ({
        kind: "record",
        record: pieceRecord({ ...held, ttlMs: null, ended }, this.#clients),
      })));
    });
    this.#polling = false;
  }

  /** Shared state goes only with everything else. */
  del(role: StateRole, fields: HeaderFields): Promise<number> {
    if (role !== "supporting") return Promise.reject(new Error(`Cannot delete ${role} state of a switch`));
    const isAll = Object.keys(fields).length === 0;
    return this.#inTurn(async () => {
      const nowMs = Math.floor(this.context.nowMs());
      const works = (await this.#held()).flatMap((record) => {
        if (!isAll && (record.partition === "shared" || !holds(fields, record.fields))) return [];
        const version = Math.max(record.version + 1, nowMs);
        const work = workOf({ ...record, ended: true, value: new Uint8Array(0), ttlMs: null, version });
        return typeof work === "string" || isSwitchs(work) ? [] : [work];
      });
      let refused = 0;
      for (const step of stepsOf(works)) refused += (await this.#carryOut(step)).length;
      return works.length - refused;
    });
  }

  watch(signal: AbortSignal): AsyncIterable<DriverEvent> {
    this.#watching++;
    signal.addEventListener("abort", () => this.#watching--, { once: true });
    return this.#watchers.watch(signal);
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counts, pieces: this.#taken.size, watchers_overrun: this.#watchers.overrun };
  }

  close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#channel.close();
    return Promise.resolve();
  }
}

const waits = ({ work: { body }, serving }: Taken) => body.kind === "flow-mod" && body.idleS > 0 && !serving;
const isSwitchs = ({ body }: Work) => body.kind === "meter-mod" && isOwnMeter(body.meter);

export const OPENFLOW: DriverKind = {
  kind: "openflow",
  summary: "flow entries, groups and meters of an OpenFlow 1.3 switch, read and written as its controller",
  abilities: {
    get: ["supporting", "reporting"],
    put: ["supporting"],
    del: ["supporting"],
    watch: true,
    codecs: [CODEC],
  },
  settings: SETTINGS,
  async open(settings, context) {
    const insert = new Insert(settings, context);
    if (text(settings, "address") === null) return insert;
    try {
      await insert.ready();
      return insert;
    } catch (error) {
      await insert.close();
      throw error;
    }
  },
};
