/**
 * Connections to switches: TCP and TLS, dialled and listened for.
 *
 * TLS proves both ends to each other by a certificate authority of the site: a switch without a certificate of it gets
 * nowhere. Certificates of switches name no host, so the name is not checked; which switch it is tells its datapath.
 * Files are read anew for each connection that is dialled, so that a renewed certificate needs no restart.
 */
import { connect as connectPlain, createServer, type Server, type Socket } from "node:net";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { reasonOf } from "../reason.ts";
import { addressText, type TlsFiles, type Where } from "./where.ts";

export interface Link {
  /** "10.0.0.7:41822" */
  readonly peer: string;
  send(bytes: Uint8Array): void;
  close(): void;
}

/** Nothing is called after `closed`. */
export interface LinkEvents {
  opened(link: Link): void;
  data(link: Link, bytes: Uint8Array): void;
  closed(link: Link, reason: string): void;
}

export interface Listener {
  close(): void;
}

/** What the switches' side of the node needs of a network; tests have one of their own. */
export interface Network {
  connect(where: Where, events: LinkEvents): Link;
  listen(where: Where, events: ListenEvents): Listener;
}

export interface ListenEvents extends LinkEvents {
  /** Somebody came and could not prove who he is. */
  turnedAway(reason: string): void;
  /** Nobody is heard any more, or never was. */
  deaf(reason: string): void;
}

const CONNECT_MS_MAX = 5000;
/** A switch that does not take this much has stopped reading. */
const UNSENT_BYTES_MAX = 4 * 1024 * 1024;

export const NETWORK: Network = { connect, listen };

class SocketLink implements Link {
  readonly peer: string;
  #ended = false;

  constructor(readonly socket: Socket, peer: string, readonly events: LinkEvents) {
    this.peer = peer;
    socket.setNoDelay(true);
    socket.on("data", (bytes: Uint8Array) => {
      if (!this.#ended) events.data(this, new Uint8Array(bytes));
    });
    socket.on("error", (error: Error) => this.fail(reasonOf(error)));
    socket.on("end", () => this.fail("the switch closed the connection"));
    socket.on("close", () => this.fail("the connection is closed"));
  }

  open(): void {
    if (!this.#ended) this.events.opened(this);
  }

  send(bytes: Uint8Array): void {
    if (this.#ended) return;
    this.socket.write(bytes);
    if (this.socket.writableLength > UNSENT_BYTES_MAX) {
      this.fail(`the switch does not take what is sent: ${this.socket.writableLength} bytes wait`);
    }
  }

  /** Ends it; the reason is told once, and not after `close`. */
  fail(reason: string): void {
    if (this.#ended) return;
    this.close();
    this.events.closed(this, reason);
  }

  close(): void {
    this.#ended = true;
    this.socket.destroy();
  }
}

function readFile(path: string, what: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (cause) {
    throw new Error(`Cannot read the ${what} ${path}: ${reasonOf(cause)}`, { cause });
  }
}

/** Read anew each time. @throws Error that names the file */
export function secrets({ ca, certificate, key }: TlsFiles) {
  return {
    ca: [readFile(ca, "certificate authority")],
    cert: readFile(certificate, "certificate"),
    key: readFile(key, "key"),
  };
}

function connect(where: Where, events: LinkEvents): Link {
  const { host, port } = where.address;
  let socket: Socket;
  try {
    const checkServerIdentity = () => undefined;
    socket = where.tls === null
      ? connectPlain({ host, port })
      : connectTls({ host, port, ...secrets(where.tls), checkServerIdentity });
  } catch (error) {
    return failedLink(addressText(where.address), reasonOf(error), events);
  }
  const link = new SocketLink(socket, addressText(where.address), events);
  const timer = setTimeout(() => link.fail(`no answer within ${CONNECT_MS_MAX} ms`), CONNECT_MS_MAX);
  socket.once(where.tls === null ? "connect" : "secureConnect", () => {
    clearTimeout(timer);
    link.open();
  });
  socket.once("close", () => clearTimeout(timer));
  return link;
}

/** A link that never was: told of as all others, after the caller has it. */
function failedLink(peer: string, reason: string, events: LinkEvents): Link {
  const link: Link = { peer, send: () => {}, close: () => {} };
  queueMicrotask(() => events.closed(link, reason));
  return link;
}

function listen(where: Where, events: ListenEvents): Listener {
  const { host, port } = where.address;
  const accept = (socket: Socket) => {
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    new SocketLink(socket, peer, events).open();
  };
  let server: Server;
  try {
    server = where.tls === null
      ? createServer(accept)
      : createTlsServer({ ...secrets(where.tls), requestCert: true, rejectUnauthorized: true }, accept);
  } catch (error) {
    const reason = reasonOf(error);
    queueMicrotask(() => events.deaf(reason));
    return { close: () => {} };
  }
  server.on("tlsClientError", (error: Error) => events.turnedAway(reasonOf(error)));
  server.on("error", (error: Error) => events.deaf(reasonOf(error)));
  server.listen(port, host);
  return { close: () => void server.close() };
}
