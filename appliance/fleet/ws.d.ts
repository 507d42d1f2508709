/** What the fleet uses of `ws`, which comes without types. */
import type { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

export default class WebSocket {
  constructor(url: string, options?: Readonly<Record<string, unknown>>);
  readonly bufferedAmount: number;
  readonly isPaused: boolean;
  pause(): void;
  resume(): void;
  send(text: string, done?: (error?: Error) => void): void;
  ping(): void;
  close(code?: number, reason?: string): void;
  terminate(): void;
  on(event: "message", hear: (data: Buffer, isBinary: boolean) => void): this;
  on(event: "close", hear: (code: number, reason: Buffer) => void): this;
  on(event: "error", hear: (error: Error) => void): this;
  on(event: "open" | "ping" | "pong", hear: () => void): this;
  on(event: "upgrade", hear: (response: IncomingMessage) => void): this;
  on(event: "unexpected-response", hear: (request: unknown, response: IncomingMessage) => void): this;
}

export class WebSocketServer {
  constructor(options: Readonly<Record<string, unknown>>);
  handleUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    done: (socket: WebSocket) => void,
  ): void;
  close(): void;
}
