/**
 * Duty: what is used of the package ioredis. Its own types bring those of an old Node with them, which are not ours.
 */
interface Stream {
  on(event: "error", hear: (error: Error) => void): void;
}

export interface Connector {
  connect: (emitter: unknown) => Promise<Stream>;
}

interface Connection {
  readonly status: string;
  connect(): Promise<void>;
  on(event: "error", hear: (error: Error) => void): void;
  on(event: "end", hear: () => void): void;
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
  disconnect(): void;
}

export interface Redis extends Connection {
  readonly connector: Connector;
}

export const Redis: new (options: Readonly<Record<string, unknown>>) => Redis;

export interface Cluster extends Connection {
  on(event: "error", hear: (error: Error) => void): void;
  on(event: "end", hear: () => void): void;
  on(event: "+node", hear: (node: Redis) => void): void;
}

export const Cluster: new (
  nodes: readonly { host: string; port: number }[],
  options: Readonly<Record<string, unknown>>,
) => Cluster;
