/**
 * Duty: hand bytes on between a switch and its controller, unchanged, and let somebody listen.
 *
 * Bytes are sent on before they are listened to. An end that does not read makes the other wait, as it would without
 * us, so nothing piles up here. Each way ends when its sender ends it.
 */
import { connect as connectPlain, createServer, type Server, type Socket } from "node:net";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { reasonOf } from "../reason.ts";
import type { Speaker } from "./ear.ts";
import { secrets } from "./link.ts";
import type { Where } from "./where.ts";

const CONNECT_MS_MAX = 5000;

export interface RelayEvents {
  readonly heard: (from: Speaker, bytes: Uint8Array) => void;
  readonly closed: (reason: string) => void;
}

export interface RelayServer {
  /** Rejects with why it cannot. */
  readonly listening: Promise<void>;
  close(): void;
}

function dial({ address: { host, port }, tls }: Where, opened: () => void): Socket {
  const options = { host, port, allowHalfOpen: true };
  if (tls === null) return connectPlain(options, opened);
  // Certificates of switches and controllers name no host; the authority is what proves them.
  return connectTls({ ...options, ...secrets(tls), checkServerIdentity: () => undefined }, opened);
}

/** One way. What was sent before the end goes out before the end does. */
function forward(from: Socket, to: Socket, heard: (bytes: Uint8Array) => void): void {
  from.on("data", (bytes: Uint8Array) => {
    if (!to.write(bytes)) from.pause();
    heard(bytes);
  });
  to.on("drain", () => from.resume());
  from.on("end", () => to.end());
  from.on("close", () => to.end());
}

/** Joins a switch that has come to the controller at `onwards`; returns how to end it. */
function join(near: Socket, onwards: Where, events: RelayEvents): () => void {
  const sockets: Socket[] = [near];
  let ended = false;
  let left = 2;
  const end = (reason: string) => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    for (const one of sockets) one.destroy();
    events.closed(reason);
  };
  const late = `the controller does not answer within ${CONNECT_MS_MAX} ms`;
  let timer = setTimeout(() => end(late), CONNECT_MS_MAX);
  const follow = (socket: Socket, who: string) => {
    socket.setNoDelay(true);
    socket.on("error", (error: Error) => end(`the ${who}: ${reasonOf(error)}`));
    socket.on("close", () => {
      if (ended) return;
      if (--left === 0) return end(`the ${who} has gone`);
      // The other end is told after all that is on its way to it; it does not get for ever for that.
      clearTimeout(timer);
      timer = setTimeout(() => end(`the ${who} has gone`), CONNECT_MS_MAX);
    });
  };
  near.pause();
  follow(near, "switch");
  try {
    const far = dial(onwards, () => {
      clearTimeout(timer);
      near.resume();
    });
    sockets.push(far);
    follow(far, "controller");
    forward(near, far, (bytes) => events.heard("switch", bytes));
    forward(far, near, (bytes) => events.heard("controller", bytes));
  } catch (error) {
    queueMicrotask(() => end(reasonOf(error)));
  }
  return () => end("the tap is closed");
}

export interface RelayOptions {
  readonly listen: Where;
  readonly onwards: Where;
  readonly connectionsMax: number;
  /** Of each connection. */
  readonly events: (peer: string) => RelayEvents;
  readonly turnedAway: (reason: string) => void;
}

/** Listens for switches. */
export function serveRelay(
  { listen, onwards, connectionsMax, events, turnedAway }: RelayOptions,
): RelayServer {
  const open = new Set<() => void>();
  const accept = (socket: Socket) => {
    if (open.size >= connectionsMax) {
      turnedAway(`more than ${connectionsMax} connections`);
      return void socket.destroy();
    }
    const its = events(`${socket.remoteAddress}:${socket.remotePort}`);
    const end = join(socket, onwards, {
      heard: its.heard,
      closed: (reason) => (open.delete(end), its.closed(reason)),
    });
    open.add(end);
  };
  const { tls, address: { host, port } } = listen;
  const proof = { requestCert: true, rejectUnauthorized: true };
  const server: Server = tls === null
    ? createServer({ allowHalfOpen: true }, accept)
    : createTlsServer({ allowHalfOpen: true, ...secrets(tls), ...proof }, accept);
  server.on("tlsClientError", (error: Error) => turnedAway(reasonOf(error)));
  const listening = new Promise<void>((resolve, reject) => {
    server.once("listening", resolve);
    server.on("error", reject);
  });
  server.listen(port, host);
  return {
    listening,
    close: () => {
      for (const end of [...open]) end();
      server.close();
    },
  };
}
