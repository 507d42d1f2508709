/**
 * Duty: the driver "click": state of a Click router, by the read and write handlers that a table names.
 *
 * What a handler prints is taken as text: only the router knows what it means, and another router of the same
 * configuration takes it back by the write handler. It tells of no changes; whoever wants them asks again.
 */
import { type ClickAddress, ClickRefusal, ClickSocket } from "./click_socket.ts";
import { clickPieces, type ClickRow, lineKey, mergeTexts, parseClickTable } from "./click_table.ts";
import type {
  DriverContext,
  DriverEvent,
  DriverKind,
  PutResult,
  Refusal,
  Settings,
  StateDriver,
} from "./driver.ts";
import type { HeaderFields } from "./fields.ts";
import { recordFault, type StateRecord, type StateRole } from "./record.ts";

export const CLICK_CODEC = "click/1";
const VERSIONS_MAX = 65_536;

function addressOf(text: string): ClickAddress | null {
  const [, path, host, port] =
    /^(?:unix:(\/.+)|tcp:(\[[0-9a-f:.]+\]|[A-Za-z0-9.-]+):(\d{1,5}))$/i.exec(text) ?? [];
  if (path !== undefined) return { path };
  if (host === undefined || Number(port) < 1 || Number(port) > 65535) return null;
  return { host: host.replace(/^\[|\]$/g, ""), port: Number(port) };
}

function tableFault(text: string): string | null {
  try {
    parseClickTable(text);
    return null;
  } catch (error) {
    return `is no table of handlers: ${(error as Error).message}`;
  }
}

class Click implements StateDriver {
  readonly kind = "click";
  readonly abilities = CLICK.abilities;
  /** By key: the version and text that were read or put last. */
  readonly #known = new Map<string, { readonly version: number; readonly text: string }>();
  readonly #counts = { handlers_read: 0, handlers_written: 0, refused: 0 };

  constructor(
    readonly socket: ClickSocket,
    readonly rows: readonly ClickRow[],
    readonly context: DriverContext,
  ) {}

  #keep(key: string, version: number, text: string): void {
    this.#known.delete(key);
    this.#known.set(key, { version, text });
    if (this.#known.size > VERSIONS_MAX) this.#known.delete(this.#known.keys().next().value!);
  }

  /** The same text has the same version. */
  #versionOf(key: string, text: string): number {
    const known = this.#known.get(key);
    if (known?.text === text) return known.version;
    const version = Math.max((known?.version ?? 0) + 1, Math.floor(this.context.nowMs()));
    this.#keep(key, version, text);
    return version;
  }

  async *get(role: StateRole, _fields: HeaderFields, signal: AbortSignal): AsyncGenerator<StateRecord> {
    for (const row of this.rows.filter((one) => one.role === role)) {
      if (signal.aborted) return;
      this.#counts.handlers_read++;
      for (const { key, text } of clickPieces(row, await this.socket.read(row.read))) {
        yield {
          ...{ role, partition: "shared", key, fields: {}, codec: CLICK_CODEC, merge: row.merge },
          ...{ value: new TextEncoder().encode(text), version: this.#versionOf(key, text) },
          ...{ ttlMs: null, ended: false },
        };
      }
    }
  }

  async put(records: readonly StateRecord[]): Promise<PutResult> {
    const refused: Refusal[] = [];
    let taken = 0, known = 0;
    for (const record of records) {
      const row = this.rows.find(({ name }) => name === record.key.split(" ")[0]);
      const fault = recordFault(record) ?? putFault(record, row);
      if (fault !== null || row === undefined) refused.push({ key: record.key, reason: fault ?? "no row" });
      else if ((this.#known.get(record.key)?.version ?? 0) >= record.version) known++;
      else {
        const reason = await this.#write(row, record);
        if (reason === null) taken++;
        else refused.push({ key: record.key, reason });
      }
    }
    this.#counts.refused += refused.length;
    return { taken, known, refused };
  }

  /** Returns why the router did not take it. */
  async #write(row: ClickRow, record: StateRecord): Promise<string | null> {
    const text = new TextDecoder().decode(record.value);
    try {
      if (record.ended) await this.socket.write(row.remove!, record.key.slice(row.name.length + 1));
      else {
        const there = row.merge === null ? "" : await this.socket.read(row.read);
        await this.socket.write(row.write!, mergeTexts(row.merge, there, text));
      }
      this.#counts.handlers_written++;
      this.#keep(record.key, record.version, text);
      return null;
    } catch (error) {
      if (error instanceof ClickRefusal || error instanceof SyntaxError) return error.message;
      throw error;
    }
  }

  /** Rows with each=line and a remove handler; fields mean nothing here, so all of them go. */
  async del(role: StateRole, fields: HeaderFields): Promise<number> {
    if (Object.keys(fields).length > 0) {
      throw new Error("Cannot delete some flows of a Click router: its state has no fields");
    }
    let gone = 0;
    for (
      const row of this.rows.filter((one) => one.role === role && one.remove !== null && one.each === "line")
    ) {
      for (const { text } of clickPieces(row, await this.socket.read(row.read))) {
        await this.socket.write(row.remove!, lineKey(row, text));
        gone++;
      }
    }
    return gone;
  }

  watch(): AsyncIterable<DriverEvent> {
    throw new Error("Cannot watch a Click router: it tells of no changes");
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counts };
  }

  close(): Promise<void> {
    this.socket.close();
    return Promise.resolve();
  }
}

function putFault(record: StateRecord, row: ClickRow | undefined): string | null {
  if (record.codec !== CLICK_CODEC) return `its codec is "${record.codec}", not "${CLICK_CODEC}"`;
  if (row === undefined || row.role !== record.role) {
    return `no row of the table is for it as ${record.role} state`;
  }
  if (record.ended) {
    return row.remove === null || row.each === "whole" ? `row ${row.name} cannot remove anything` : null;
  }
  return row.write === null ? `row ${row.name} has no write handler` : null;
}

export const CLICK: DriverKind = {
  kind: "click",
  summary: "state of a Click router by the handlers of its elements, as a table names them",
  abilities: {
    get: ["configuration", "supporting", "reporting"],
    put: ["configuration", "supporting", "reporting"],
    del: ["configuration", "supporting", "reporting"],
    watch: false,
    codecs: [CLICK_CODEC],
  },
  settings: {
    address: {
      type: "text",
      help: "The router's ControlSocket: tcp:HOST:PORT or unix:/PATH.",
      required: true,
      fault: (text) => addressOf(text) === null ? "is no address: tcp:HOST:PORT or unix:/PATH" : null,
    },
    handlers: {
      type: "text",
      help:
        "Which handlers are state, one row a line: NAME role=ROLE read=ELEMENT.HANDLER write=ELEMENT.HANDLER " +
        "remove=ELEMENT.HANDLER each=whole|line key=WORDS merge=sum|max|union.",
      required: true,
      fault: tableFault,
    },
  },
  async open(settings: Settings, context) {
    const rows = parseClickTable(String(settings["handlers"] ?? ""));
    const address = addressOf(String(settings["address"] ?? ""));
    if (address === null) {
      throw new Error(`Cannot open the driver: address "${settings["address"]}" is no address`);
    }
    return new Click(await ClickSocket.open(address), rows, context);
  },
};
