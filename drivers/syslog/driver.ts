/**
 * Duty: the driver of kind "syslog": a box that tells of its connections in a log becomes a source of state records.
 *
 * Nothing is asked of the box but its log, so nothing can be put into it. What was open before the driver was is not
 * known until the box mentions it again: of a log there is no beginning.
 */
import { setImmediate } from "node:timers";
import type { Abilities, DriverContext, DriverEvent, DriverKind, Settings, StateDriver } from "../driver.ts";
import type { HeaderFields } from "../fields.ts";
import { builtinFormat, goodFormat } from "../formats/builtin.ts";
import { compileFormat } from "../formats/engine.ts";
import type { Format } from "../formats/format.ts";
import { Tracker } from "../formats/tracker.ts";
import type { StateRecord, StateRole } from "../record.ts";
import { Intake } from "./intake.ts";
import { type Listening, listenSyslog } from "./server.ts";
import {
  readSettings,
  settingsFault,
  settingsProblem,
  SYSLOG_SETTINGS,
  type SyslogSettings,
} from "./settings.ts";
import { Watchers } from "./watchers.ts";

const KIND = "syslog";
const ABILITIES: Abilities = {
  get: ["supporting", "reporting"],
  put: [],
  del: [],
  watch: true,
  codecs: [],
};
/** The same complaint is not made more often. */
const SAY_EVERY_MS = 60_000;

/** A built-in format by name, or one of the user's own by path. @throws Error with a sentence */
export async function loadFormat(name: string): Promise<Format> {
  if (!name.startsWith("/")) return builtinFormat(name);
  let text: string;
  try {
    text = await Deno.readTextFile(name);
  } catch (cause) {
    throw new Error(`Cannot read the format ${name}: ${(cause as Error).message}`, { cause });
  }
  return goodFormat(text, name);
}

class SyslogDriver implements StateDriver {
  readonly kind = KIND;
  readonly abilities = ABILITIES;
  readonly #watchers: Watchers;
  readonly #tracker: Tracker;
  readonly #intake: Intake;
  readonly #said = new Map<string, number>();
  #listening: Listening | null = null;
  #closed = false;

  constructor(readonly settings: SyslogSettings, format: Format, readonly context: DriverContext) {
    this.#watchers = new Watchers(settings.queueMax);
    this.#tracker = new Tracker(settings.entriesMax);
    this.#intake = new Intake({
      reader: compileFormat(format),
      tracker: this.#tracker,
      queueMax: settings.queueMax,
      nowMs: context.nowMs,
      soon: (turn) => void setImmediate(() => this.#closed || turn()),
      changed: (record) => this.#watchers.tell({ kind: "record", record }),
      drained: () => this.#listening?.resume(),
      odd: (what, text) => this.#odd(what, text),
    });
  }

  async listen(): Promise<void> {
    this.#listening = await listenSyslog(this.settings, {
      message: (text, heldBack) => this.#intake.put(text, heldBack),
      busy: () => this.#intake.busy,
      deaf: (reason) => this.context.say("error", `hears nothing any more: ${reason}`),
    });
  }

  /** Where it listens; the port is the real one where 0 was asked for. */
  get address(): { readonly host: string; readonly port: number } | null {
    return this.#listening;
  }

  #odd(what: string, text: string): void {
    const nowMs = this.context.nowMs();
    if (nowMs - (this.#said.get(what) ?? -Infinity) < SAY_EVERY_MS) return;
    this.#said.set(what, nowMs);
    this.context.say("warn", `${what.replaceAll("_", " ")}: ${text.slice(0, 200)}`);
  }

  async *get(role: StateRole, fields: HeaderFields, signal: AbortSignal): AsyncIterable<StateRecord> {
    for (const record of this.#tracker.records(fields, this.context.nowMs())) {
      if (signal.aborted) return;
      if (record.role === role) yield record;
    }
  }

  put(records: readonly StateRecord[]) {
    const reason = "a log cannot be written to";
    return Promise.resolve({ taken: 0, known: 0, refused: records.map(({ key }) => ({ key, reason })) });
  }

  del(): Promise<number> {
    return Promise.resolve(0);
  }

  watch(signal: AbortSignal): AsyncIterable<DriverEvent> {
    return this.#watchers.watch(signal);
  }

  counters(): Readonly<Record<string, number>> {
    return {
      ...this.#listening?.counters(),
      ...this.#intake.counters(),
      changes_dropped: this.#watchers.dropped,
    };
  }

  /** May come twice. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#watchers.close();
    await this.#listening?.close();
  }
}

export type OpenSyslog = StateDriver & {
  readonly address: { readonly host: string; readonly port: number } | null;
};

/** @throws Error with a sentence where the settings are unsafe, the format is wrong or the socket cannot be had */
export async function openSyslog(given: Settings, context: DriverContext): Promise<OpenSyslog> {
  const settings = readSettings(given);
  const fault = settingsFault(settings);
  if (fault !== null) {
    throw new Error(`Cannot listen for the log of ${context.name}: \`${fault.key}\` ${fault.reason}`);
  }
  const driver = new SyslogDriver(settings, await loadFormat(settings.format), context);
  const where = `${settings.host}:${settings.port}`;
  await driver.listen().catch((cause: Error) => {
    throw new Error(`Cannot listen for the log of ${context.name} at ${where}: ${cause.message}`, { cause });
  });
  return driver;
}

export const SYSLOG: DriverKind = {
  kind: KIND,
  summary: "a box's log of its connections, sent by syslog, in one of many formats",
  abilities: ABILITIES,
  settings: SYSLOG_SETTINGS,
  fault: settingsProblem,
  open: openSyslog,
};
