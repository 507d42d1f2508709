/**
 * Duty: what a driver for boxes with OpenConfig would be, over gNMI (0.10): the mapping, and the driver above a peer.
 *
 * A declared contract: there is no gRPC here, so no kind "gnmi" can be configured. Who brings a peer, that is a gNMI client
 * with these three calls, has a driver. A subtree is one record; its value is JSON_IETF as the box gave it. Pure.
 */
import type { Abilities, DriverContext, DriverEvent, PutResult, StateDriver } from "../driver.ts";
import type { HeaderFields } from "../fields.ts";
import { recordFault, type StateRecord, type StateRole } from "../record.ts";

export const GNMI_CODEC = "gnmi-json-ietf/1";

/** What GetRequest.type is for a role (gNMI, 3.3.1). */
export const GNMI_TYPE = { configuration: "CONFIG", supporting: "OPERATIONAL", reporting: "STATE" } as const;

export interface GnmiUpdate {
  /** "/interfaces/interface[name=eth0]/config" */
  readonly path: string;
  /** Of TypedValue, the json_ietf_val. */
  readonly json: string;
  /** Nanoseconds, of the notification. */
  readonly timestamp: bigint;
}

/** A gNMI client. All calls throw an Error with the status the box gave. */
export interface GnmiPeer {
  get(paths: readonly string[], type: (typeof GNMI_TYPE)[StateRole]): Promise<readonly GnmiUpdate[]>;
  /** One transaction: all of it, or nothing (3.4.3). */
  set(replace: readonly Pick<GnmiUpdate, "path" | "json">[], remove: readonly string[]): Promise<void>;
  /** STREAM with ON_CHANGE; `json` null: the path was deleted. */
  subscribe(
    paths: readonly string[],
    signal: AbortSignal,
  ): AsyncIterable<Omit<GnmiUpdate, "json"> & { readonly json: string | null }>;
}

export interface PathElement {
  readonly name: string;
  readonly keys: Readonly<Record<string, string>>;
}

/** A path as gNMI writes it in text. @throws SyntaxError */
export function parseGnmiPath(text: string): PathElement[] {
  const fail = (): never => {
    throw new SyntaxError(`"${text}" is no gNMI path: /name[key=value]/name`);
  };
  if (!text.startsWith("/")) fail();
  const found: PathElement[] = [];
  const element = /\/([A-Za-z_][\w.:-]*)((?:\[[\w.:-]+=(?:[^\]\\]|\\.)+\])*)/y;
  for (let at = 0; at < text.length; at = element.lastIndex) {
    element.lastIndex = at;
    const [, name = fail(), list = ""] = element.exec(text) ?? [];
    const pairs = [...list.matchAll(/\[([\w.:-]+)=((?:[^\]\\]|\\.)+)\]/g)];
    found.push({
      name,
      keys: Object.fromEntries(pairs.map(([, key, value]) => [key, value!.replace(/\\(.)/g, "$1")])),
    });
  }
  return found;
}

/** One text for the same path: keys in order, brackets and backslashes escaped. */
export function gnmiPathText(path: readonly PathElement[]): string {
  const keyText = ([key, value]: [string, string]) => `[${key}=${value.replace(/[\]\\]/g, "\\$&")}]`;
  return path.map(({ name, keys }) =>
    `/${name}${Object.entries(keys).toSorted(([a], [b]) => a < b ? -1 : 1).map(keyText).join("")}`
  ).join("");
}

/** Versions are the box's own times in microseconds: nanoseconds do not fit a number. */
function recordOf(role: StateRole, { path, json, timestamp }: GnmiUpdate): StateRecord {
  return {
    ...{ role, partition: "shared", key: gnmiPathText(parseGnmiPath(path)), fields: {}, codec: GNMI_CODEC },
    ...{ value: new TextEncoder().encode(json), version: Math.max(1, Number(timestamp / 1000n)) },
    ...{ ttlMs: null, merge: null, ended: false },
  };
}

export interface GnmiOptions {
  readonly peer: GnmiPeer;
  /** The subtrees that are state, by what they are for. */
  readonly paths: Readonly<Record<StateRole, readonly string[]>>;
  readonly context: DriverContext;
}

export class GnmiDriver implements StateDriver {
  readonly kind = "gnmi";
  /** A box takes configuration alone: what it has learnt cannot be set by gNMI. */
  readonly abilities: Abilities = {
    ...{ get: ["configuration", "supporting", "reporting"], put: ["configuration"], del: ["configuration"] },
    ...{ watch: true, codecs: [GNMI_CODEC] },
  };
  readonly #versions = new Map<string, number>();
  readonly #counts = { read: 0, set: 0, refused: 0 };

  constructor(readonly options: GnmiOptions) {}

  async *get(role: StateRole, _fields: HeaderFields, signal: AbortSignal): AsyncGenerator<StateRecord> {
    const paths = this.options.paths[role];
    if (paths.length === 0) return;
    for (const update of await this.options.peer.get(paths, GNMI_TYPE[role])) {
      if (signal.aborted) return;
      this.#counts.read++;
      yield recordOf(role, update);
    }
  }

  /** One Set for all: a box that refuses one of them takes none. */
  async put(records: readonly StateRecord[]): Promise<PutResult> {
    const refusals = records.flatMap((record) => {
      const reason = recordFault(record) ?? this.#fault(record);
      return reason === null ? [] : [{ key: record.key, reason }];
    });
    const fit = records.filter(({ key }) => !refusals.some((one) => one.key === key));
    const fresh = fit.filter(({ key, version }) => version > (this.#versions.get(key) ?? 0));
    const known = fit.length - fresh.length;
    const replace = fresh.filter(({ ended }) => !ended)
      .map(({ key, value }) => ({ path: key, json: new TextDecoder().decode(value) }));
    try {
      if (fresh.length > 0) {
        await this.options.peer.set(
          replace,
          fresh.filter(({ ended }) => ended).map(({ key }) => key),
        );
      }
    } catch (error) {
      refusals.push(...fresh.map(({ key }) => ({ key, reason: (error as Error).message })));
      this.#counts.refused += refusals.length;
      return { taken: 0, known, refused: refusals };
    }
    for (const { key, version } of fresh) this.#versions.set(key, version);
    this.#counts.set += fresh.length;
    this.#counts.refused += refusals.length;
    return { taken: fresh.length, known, refused: refusals };
  }

  #fault({ role, codec, key }: StateRecord): string | null {
    if (codec !== GNMI_CODEC) return `its codec is "${codec}", not "${GNMI_CODEC}"`;
    if (role !== "configuration") return `it is ${role} state, which gNMI cannot set`;
    const own = this.options.paths.configuration.some((path) => key === path || key.startsWith(`${path}/`));
    return own ? null : "its path is none of those that are configured";
  }

  async del(role: StateRole, fields: HeaderFields): Promise<number> {
    if (role !== "configuration") throw new Error(`Cannot delete ${role} state by gNMI`);
    if (Object.keys(fields).length > 0) {
      throw new Error("Cannot delete some flows by gNMI: its state has no fields");
    }
    const found = await this.options.peer.get(this.options.paths.configuration, "CONFIG");
    await this.options.peer.set([], found.map(({ path }) => path));
    return found.length;
  }

  async *watch(signal: AbortSignal): AsyncGenerator<DriverEvent> {
    const { paths, peer } = this.options;
    for await (const { json, ...update } of peer.subscribe(Object.values(paths).flat(), signal)) {
      const role = (Object.keys(paths) as StateRole[]).find((one) =>
        paths[one].some((path) => update.path === path || update.path.startsWith(`${path}/`))
      );
      if (role === undefined) continue;
      const record = recordOf(role, { ...update, json: json ?? "" });
      yield { kind: "record", record: { ...record, ended: json === null } };
    }
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counts };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
