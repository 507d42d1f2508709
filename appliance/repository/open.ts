/**
 * Duty: opens the repository that the configuration asks for.
 *
 * An edge. The file beside it always keeps the epochs of this node's sources, so that no key of a seal comes twice.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { RepositoryConfig } from "../config_state.ts";
import { reasonOf } from "../../drivers/reason.ts";
import { readSecretFile } from "../state_key.ts";
import type { Repository } from "./contract.ts";
import { EmbeddedRepository } from "./embedded.ts";
import { parseRedis } from "./redis_address.ts";
import type { RedisOptions } from "./redis_client.ts";
import { type RepositoryEvent, SpooledRepository } from "./spooled.ts";

const COMMAND_MS = 2_000;
const MIB = 1 << 20;
/** Entries of a spool; its size in bytes is what is configured. */
const SPOOL_ENTRIES_MAX = 1_000_000;

export interface Opened {
  readonly repository: Repository;
  /** A number above that of every start before. */
  readonly epoch: () => number;
  /** Goes on with what waits from before. */
  readonly resume: (sources: readonly string[]) => void;
}

/** Ends early with the signal, without an error. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}

/** @throws Error with one sentence */
export async function openRepository(
  config: RepositoryConfig,
  tell: (event: RepositoryEvent) => void,
): Promise<Opened> {
  const bounds = {
    recordsMax: config.recordsMax,
    logMax: config.logMax,
    bytesMax: config.mib * MIB,
    replicaSilenceMs: config.replicaSilenceS * 1_000,
    nowMs: Date.now,
  };
  if (config.kind === "embedded") {
    const repository = openFile(
      `${config.directory}/state.db`,
      (path) => new EmbeddedRepository({ ...bounds, path }),
    );
    return { repository, epoch: () => repository.epoch(), resume: () => {} };
  }
  const options = redisOptions(config);
  const [{ openRedis }, { RedisRepository }] = await Promise.all([
    import("./redis_client.ts"),
    import("./redis.ts"),
  ]);
  const bytesMax = config.spoolMib * MIB;
  const spool = openFile(
    `${config.directory}/spool.db`,
    (path) =>
      new EmbeddedRepository({ ...bounds, path, logMax: SPOOL_ENTRIES_MAX, bytesMax, keepsAll: true }),
  );
  // Why there is no connection is told by what cannot be done without it.
  const client = openRedis(options, () => {});
  const remote = new RedisRepository({ ...bounds, client, prefix: config.prefix });
  const repository = new SpooledRepository({
    remote,
    spool,
    entriesMax: SPOOL_ENTRIES_MAX,
    bytesMax,
    nowMs: Date.now,
    sleep,
    tell,
  });
  return { repository, epoch: () => spool.epoch(), resume: (sources) => repository.resume(sources) };
}

/** The heads of records are readable in it, so it is for the node's user alone. */
function openFile<T>(path: string, open: (path: string) => T): T {
  Deno.openSync(path, { create: true, write: true, mode: 0o600 }).close();
  return open(path);
}

function redisOptions(config: RepositoryConfig): RedisOptions {
  const address = parseRedis(config.url);
  if (address === null) throw new Error(`Cannot reach Redis: "${config.url}" is no address`);
  const { user, passwordFile, ca, certificate, key } = config;
  return {
    address,
    user,
    password: passwordFile === null ? null : readSecretFile(passwordFile, "password of Redis"),
    ca: ca === null ? null : readPem(ca),
    certificate: certificate === null ? null : readPem(certificate),
    key: key === null ? null : readSecretFile(key, "key for Redis"),
    commandMs: COMMAND_MS,
  };
}

function readPem(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (cause) {
    throw new Error(`Cannot read ${path}: ${reasonOf(cause)}`, { cause });
  }
}
