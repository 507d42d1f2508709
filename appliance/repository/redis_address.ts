/**
 * Duty: the addresses by which a Redis or Valkey is reached, as one text.
 *
 * Pure. One server, the servers of a cluster, or sentinels and the name of what they watch over.
 */

export interface RedisHost {
  readonly host: string;
  readonly port: number;
}

export interface RedisAddress {
  readonly by: "server" | "sentinel" | "cluster";
  readonly tls: boolean;
  readonly hosts: readonly RedisHost[];
  /** What the sentinels call it; empty without sentinels. */
  readonly master: string;
  readonly database: number;
}

export const REDIS_FORM =
  "redis://HOST:PORT, rediss:// for TLS, redis+cluster://HOST:PORT,HOST:PORT or redis+sentinel://HOST:PORT,HOST:PORT/NAME " +
  "(rediss+cluster, rediss+sentinel)";
const PORTS = { server: 6379, cluster: 6379, sentinel: 26_379 } as const;

function hostOf(text: string, port: number): RedisHost | null {
  const parts = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text);
  const number = Number(parts?.[3] ?? port);
  if (parts === null || number < 1 || number > 65_535) return null;
  return { host: parts[1] ?? parts[2]!, port: number };
}

/** Null: it is none. Users and passwords have no place in it. */
export function parseRedis(text: string): RedisAddress | null {
  const parts = /^(rediss?)(?:\+(cluster|sentinel))?:\/\/([^/@?#]+)(?:\/([A-Za-z0-9._-]*))?$/.exec(text);
  if (parts === null) return null;
  const by = (parts[2] ?? "server") as RedisAddress["by"], path = parts[4] ?? "";
  const hosts = parts[3]!.split(",").map((host) => hostOf(host, PORTS[by]));
  if (hosts.some((host) => host === null) || (by === "server" && hosts.length !== 1)) return null;
  if (by === "sentinel" ? path === "" : !/^\d{0,4}$/.test(path)) return null;
  if (by === "cluster" && path !== "") return null;
  return {
    by,
    tls: parts[1] === "rediss",
    hosts: hosts as RedisHost[],
    master: by === "sentinel" ? path : "",
    database: by === "server" ? Number(path) : 0,
  };
}
