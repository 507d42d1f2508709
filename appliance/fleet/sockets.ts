/**
 * Duty: WebSockets of agents at a controller. An edge: sockets and timers.
 *
 * One timer asks all connections whether they live. A reader that takes nothing is cut off at a bound of what waits for it.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Buffer } from "node:buffer";
// @ts-types="./ws.d.ts"
import { type default as WebSocket, WebSocketServer } from "ws";
import type { Controller } from "./controller.ts";
import { FLEET_PATH, FRAME_BYTES_MAX } from "./protocol.ts";
import type { Session } from "./session.ts";

/** Until the welcome. */
const OPENING_MS = 45_000;
const WAITING_BYTES_MAX = 4 * FRAME_BYTES_MAX;

interface Held {
  readonly socket: WebSocket;
  readonly session: Session;
  readonly sinceMs: number;
  answered: boolean;
}

export class FleetSockets {
  readonly #controller: Controller;
  readonly #heartbeatMs: number;
  readonly #held = new Set<Held>();
  readonly #endings = new Set<Promise<void>>();
  readonly #beat: ReturnType<typeof setInterval>;
  readonly #server = new WebSocketServer({
    noServer: true,
    maxPayload: FRAME_BYTES_MAX,
    perMessageDeflate: false,
    clientTracking: false,
  });
  #pingMs = Date.now();
  #closed = false;

  constructor(controller: Controller, heartbeatS: number) {
    this.#controller = controller;
    this.#heartbeatMs = heartbeatS * 1000;
    this.#beat = setInterval(() => this.#beats(), Math.min(this.#heartbeatMs, 5000));
  }

  /** Takes over a request to upgrade; false: it is not for the fleet. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    if ((request.url ?? "").split("?")[0] !== FLEET_PATH) return false;
    if (this.#closed) return socket.destroy(), true;
    const address = (socket as Duplex & { remoteAddress?: string }).remoteAddress ?? "";
    this.#server.handleUpgrade(request, socket, head, (upgraded) => this.#accept(upgraded, address));
    return true;
  }

  /** Ends all connections, and waits until that is kept. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#beat);
    for (const one of [...this.#held]) {
      one.socket.terminate();
      this.#gone(one);
    }
    await Promise.all(this.#endings);
    this.#server.close();
  }

  #accept(socket: WebSocket, address: string): void {
    if (this.#closed) return socket.terminate();
    const session = this.#controller.accept({
      address,
      send: (text) => {
        if (socket.bufferedAmount > WAITING_BYTES_MAX) socket.terminate();
        else socket.send(text, () => {}); // that it ended is told by "close"
      },
      close: () => socket.close(4000, "refused"),
    });
    const one: Held = { socket, session, sinceMs: Date.now(), answered: true };
    this.#held.add(one);
    socket.on("message", (data, isBinary) => {
      one.answered = true;
      session.hear(isBinary ? null : data.toString());
      if (!session.full || socket.isPaused) return;
      socket.pause();
      void session.settled.then(() => socket.resume());
    });
    socket.on("pong", () => one.answered = true);
    socket.on("error", (error) => {
      if (/max payload/i.test(error.message)) session.refuse("oversize", "a frame that is too long");
      socket.terminate();
    });
    socket.on("close", () => this.#gone(one));
  }

  #gone(one: Held): void {
    if (!this.#held.delete(one)) return;
    const ending = this.#controller.ended(one.session).finally(() => this.#endings.delete(ending));
    this.#endings.add(ending);
  }

  #beats(): void {
    const now = Date.now(), ping = now - this.#pingMs >= this.#heartbeatMs;
    if (ping) this.#pingMs = now;
    for (const { socket, session, sinceMs, answered } of this.#held) {
      const late = session.node === null && now - sinceMs > OPENING_MS;
      // What is not read cannot be heard to answer.
      if (late || (ping && !answered && !socket.isPaused)) socket.terminate();
    }
    if (!ping) return;
    for (const one of this.#held) {
      one.answered = false;
      one.socket.ping();
    }
  }
}
