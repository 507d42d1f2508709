/**
 * Duty: connections to Redis or Valkey: one server, what sentinels watch over, or a cluster.
 *
 * An edge. A command that cannot be sent now fails now: what waits, waits in the spool, which has a bound.
 */
import { Buffer } from "node:buffer";
// @ts-types="./ioredis.d.ts"
import { Cluster, Redis } from "ioredis";
import { reasonOf } from "../../drivers/reason.ts";
import { APPEND, BEGIN, KEYS, TRIM } from "./redis_scripts.ts";
import type { RedisAddress } from "./redis_address.ts";

export interface RedisOptions {
  readonly address: RedisAddress;
  /** Of an access list (ACL); null: the default user. */
  readonly user: string | null;
  readonly password: string | null;
  /** PEM; null: those of the system, and no certificate of its own. */
  readonly ca: string | null;
  readonly certificate: string | null;
  readonly key: string | null;
  /** A command that takes longer has failed. */
  readonly commandMs: number;
}

/** What is asked of a server, and nothing more. */
export interface RedisClient {
  /** Buffers in place of texts. */
  call(command: string, ...words: (string | Uint8Array | number)[]): Promise<unknown>;
  script(name: "append" | "begin" | "trim", keys: readonly string[], words: ScriptWords): Promise<unknown>;
  /** One of its own, for commands that wait, without a limit of time. */
  duplicate(): RedisClient;
  readonly ready: boolean;
  /** Ends what waits in it with an error. */
  close(): Promise<void>;
}

type ScriptWords = readonly (string | Uint8Array | number)[];
type Connection = Redis | Cluster;
type Callable = Record<string, (...words: unknown[]) => Promise<unknown>>;

const RETRY_MS_MAX = 2_000;
const CLOSE_MS_MAX = 1_000;
const NOT_CONNECTED = /isn't (writeable|ready)|max retries per request|all cluster nodes/i;
const SCRIPTS = { append: APPEND, begin: BEGIN, trim: TRIM } as const;

function connect(options: RedisOptions, waits: boolean): Connection {
  const { address, user, password, ca, certificate, key, commandMs } = options;
  const tls = address.tls
    ? { ...(ca && { ca }), ...(certificate && { cert: certificate }), ...(key && { key }) }
    : undefined;
  const common = {
    ...(user !== null && { username: user }),
    ...(password !== null && { password }),
    ...(tls && { tls }),
    ...(!waits && { commandTimeout: commandMs }),
    connectTimeout: commandMs,
    enableOfflineQueue: waits,
    maxRetriesPerRequest: waits ? 1 : 0,
    enableReadyCheck: true,
    lazyConnect: true,
    disconnectTimeout: CLOSE_MS_MAX / 2,
    // The older form of answers, which every server has.
    protocol: 2,
  };
  const retry = (times: number) => Math.min(50 * 2 ** Math.min(times, 8), RETRY_MS_MAX);
  const [first] = address.hosts;
  switch (address.by) {
    case "server":
      return hardened({ ...common, ...first, db: address.database, retryStrategy: retry });
    case "sentinel":
      return hardened({
        ...common,
        sentinels: address.hosts.map((host) => ({ ...host })),
        name: address.master,
        retryStrategy: retry,
        sentinelRetryStrategy: retry,
        ...(tls && { sentinelTLS: tls, enableTLSForSentinelMode: true }),
      });
    case "cluster": {
      const cluster = new Cluster(address.hosts.map((host) => ({ ...host })), {
        // What waits for a node of it waits here, not there.
        redisOptions: { ...common, enableOfflineQueue: true },
        enableOfflineQueue: waits,
        clusterRetryStrategy: retry,
        lazyConnect: true,
      });
      cluster.on("+node", harden);
      return cluster;
    }
  }
}

function hardened(options: Readonly<Record<string, unknown>>): Redis {
  const redis = new Redis(options);
  harden(redis);
  return redis;
}

/** The package hears of the first error of a socket only; a second one, as TLS may have, would end the node. */
function harden({ connector }: Redis): void {
  const connect = connector.connect.bind(connector);
  connector.connect = async (emitter) => {
    const stream = await connect(emitter);
    stream.on("error", () => {}); // The first one has been told.
    return stream;
  };
}

/** Nothing is awaited: connecting goes on by itself, for as long as it takes. `complain` hears why it fails. */
export function openRedis(options: RedisOptions, complain: (reason: string) => void): RedisClient {
  return clientOf(options, complain, false);
}

function clientOf(options: RedisOptions, complain: (reason: string) => void, waits: boolean): RedisClient {
  const connection = connect(options, waits);
  let why = "there is no connection";
  connection.on("error", (error: Error) => complain(why = reasonOf(error)));
  // That nothing can be sent now is the package's own affair; why there is no connection helps.
  const told = (error: Error) => {
    throw NOT_CONNECTED.test(error.message) ? new Error(why, { cause: error }) : error;
  };
  for (const [name, lua] of Object.entries(SCRIPTS)) {
    connection.defineCommand(name + "State", { numberOfKeys: KEYS.length, lua });
  }
  connection.connect().catch(() => {}); // It goes on trying, and "error" has told why.
  let closing: Promise<void> | null = null;
  const methods = connection as unknown as Callable;
  return {
    call: (command, ...words) => methods.callBuffer!(command, ...words.map(binary)).catch(told),
    script: (name, keys, words) => methods[name + "State"]!(...keys, ...words.map(binary)).catch(told),
    duplicate: () => clientOf(options, complain, true),
    get ready() {
      return connection.status === "ready";
    },
    close: () => closing ??= ended(connection),
  };
}

/** Whoever closes a second time waits for the first; the package would begin to wait for a socket that is gone. */
async function ended(connection: Connection): Promise<void> {
  let timer;
  const end = new Promise<void>((resolve) => connection.on("end", resolve));
  connection.disconnect();
  if (connection.status !== "end") {
    await Promise.race([end, new Promise((resolve) => timer = setTimeout(resolve, CLOSE_MS_MAX))]);
  }
  clearTimeout(timer);
}

/** The client knows bytes by the class of Node. */
function binary(word: string | Uint8Array | number): unknown {
  return word instanceof Uint8Array ? Buffer.from(word.buffer, word.byteOffset, word.byteLength) : word;
}
