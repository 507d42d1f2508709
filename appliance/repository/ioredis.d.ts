/**
 * Duty: what is used of the package ioredis. Its own types bring those of an old Node with them, which are not ours.
 */
interface Connection {
  readonly status: string;
  on(event: "error", hear: (error: Error) => void): void;
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
  disconnect(): void;
}

export class Redis implements Connection {
  constructor(options: Readonly<Record<string, unknown>>);
  readonly status: string;
  on(event: "error", hear: (error: Error) => void): void;
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
  disconnect(): void;
}

export class Cluster implements Connection {
  constructor(
    nodes: readonly { host: string; port: number }[],
    options: Readonly<Record<string, unknown>>,
  );
  readonly status: string;
  on(event: "error", hear: (error: Error) => void): void;
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
  disconnect(): void;
}
