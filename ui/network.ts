/**
 * Listens for people and machines of the network: TLS 1.2 and later, or plain on a loopback address.
 *
 * By node:http and not by Deno.serve, because the latter waits for the head of a request for ever. Everything a
 * stranger can hold is bounded: connections in all and by address, the time for head, body and for reading an answer.
 */
import http from "node:http";
import https from "node:https";
import type { Buffer } from "node:buffer";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { reasonOf } from "../drivers/reason.ts";
import { network } from "./access/limiter.ts";
import type { Identity } from "./access/certificate.ts";

export const BOUNDS = {
  connections: 256,
  connectionsByAddress: 128,
  headMs: 10_000,
  requestMs: 30_000,
  idleMs: 15_000,
  /** For a client to take what it was sent. */
  stuckMs: 20_000,
} as const;

/**
 * Connections that wait to be accepted. Not more than are worked off while their clients wait: the kernel of those beyond it
 * tries again, which costs nobody anything.
 */
const BACKLOG_MAX = 1024;

export interface Listening {
  readonly host: string;
  readonly port: number;
  /** Null: plain. */
  readonly identity: Identity | null;
  readonly answer: (request: Request, address: string) => Response | Promise<Response>;
  /** Takes over a connection that wants another protocol; false: it does not. */
  readonly upgrade?: (request: http.IncomingMessage, socket: Duplex, head: Buffer) => boolean;
  readonly bounds?: Partial<Record<keyof typeof BOUNDS, number>>;
}

export interface Listener {
  readonly port: number;
  close(): Promise<void>;
}

/** @throws Error with one sentence: the address cannot be listened on */
export async function listen(wanted: Listening): Promise<Listener> {
  const { host, port, identity } = wanted, bounds = { ...BOUNDS, ...wanted.bounds };
  const limits = {
    headersTimeout: bounds.headMs,
    requestTimeout: bounds.requestMs,
    keepAliveTimeout: bounds.idleMs,
    connectionsCheckingInterval: Math.min(1000, bounds.headMs / 2),
    maxHeaderSize: 16 * 1024,
  };
  const onRequest = (request: http.IncomingMessage, response: http.ServerResponse) =>
    void exchange(request, response, { ...wanted, stuckMs: bounds.stuckMs });
  const server = identity === null
    ? http.createServer(limits, onRequest)
    : https.createServer({ ...limits, ...identity, minVersion: "TLSv1.2" }, onRequest);
  if (wanted.upgrade) server.on("upgrade", upgrading(wanted.upgrade));
  server.maxConnections = bounds.connections;
  const sockets = new Set<Socket>(), counts = new Map<string, number>();
  server.on("connection", (socket: Socket) => {
    const from = network(socket.remoteAddress ?? ""), count = (counts.get(from) ?? 0) + 1;
    if (count > bounds.connectionsByAddress) return socket.destroy();
    counts.set(from, count);
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      sockets.delete(socket);
      const left = (counts.get(from) ?? 1) - 1;
      if (left > 0) counts.set(from, left);
      else counts.delete(from);
    });
  });
  await new Promise<void>((done, failed) => {
    server.once(
      "error",
      (error) =>
        failed(new Error(`Cannot listen on ${host} port ${port}: ${reasonOf(error)}`, { cause: error })),
    );
    // Who has many clients has them come back all at once.
    server.listen({ port, host, backlog: Math.min(bounds.connections, BACKLOG_MAX) }, () => done());
  });
  server.on("error", () => {}); // of a connection; the listener goes on
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = new Promise<void>((done) => server.close(() => done()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function upgrading(take: NonNullable<Listening["upgrade"]>) {
  return (request: http.IncomingMessage, socket: Duplex, head: Buffer) => {
    if (!take(request, socket, head)) socket.destroy();
  };
}

type Exchange = Listening & { readonly stuckMs: number };

async function exchange(
  incoming: http.IncomingMessage,
  outgoing: http.ServerResponse,
  { answer, stuckMs, identity }: Exchange,
): Promise<void> {
  const gone = new AbortController();
  incoming.on("error", () => gone.abort());
  outgoing.on("error", () => gone.abort());
  outgoing.on("close", () => gone.abort());
  try {
    const request = requestOf(incoming, gone.signal);
    const response = request === null
      ? new Response("Bad request", { status: 400 })
      : await answer(request, incoming.socket.remoteAddress ?? "");
    secure(response.headers, identity !== null);
    outgoing.writeHead(response.status, headersOf(response.headers));
    await pass(response, outgoing, { signal: gone.signal, stuckMs, head: incoming.method === "HEAD" });
  } catch {
    // The client went away, or its body broke: there is nobody to tell.
    outgoing.destroy();
  }
}

function requestOf(incoming: http.IncomingMessage, signal: AbortSignal): Request | null {
  const { method = "GET", url = "", headers } = incoming;
  // A body nobody has asked for would be read by nobody.
  const body = method === "GET" || method === "HEAD" ? {} : { body: bodyOf(incoming), duplex: "half" };
  try {
    if (!url.startsWith("/")) return null;
    const list = Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]);
    return new Request(`http://node${url}`, { method, headers: list, signal, ...body } as RequestInit);
  } catch {
    return null; // a method, a path or a header that is none
  }
}

function bodyOf(incoming: http.IncomingMessage): ReadableStream<Uint8Array> {
  const chunks = incoming[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done) controller.close();
      else controller.enqueue(new Uint8Array(value));
    },
    cancel: () => void incoming.resume(), // what is not wanted goes by
  }, { highWaterMark: 0 });
}

function headersOf(headers: Headers): http.OutgoingHttpHeaders {
  const list: Record<string, string | string[]> = {};
  for (const [name, value] of headers) list[name] = value;
  const cookies = headers.getSetCookie();
  return cookies.length > 0 ? { ...list, "set-cookie": cookies } : list;
}

interface Passing {
  readonly signal: AbortSignal;
  readonly stuckMs: number;
  readonly head: boolean;
}

/** The body as fast as the client takes it; one that takes nothing is cut off. */
async function pass(response: Response, outgoing: http.ServerResponse, how: Passing): Promise<void> {
  const reader = response.body?.getReader();
  const cancel = () => void reader?.cancel().catch(() => {});
  if (how.head) cancel();
  if (reader === undefined || how.head) return void outgoing.end();
  how.signal.addEventListener("abort", cancel);
  if (how.signal.aborted) cancel();
  try {
    outgoing.flushHeaders();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || how.signal.aborted) break;
      if (!outgoing.write(value)) await drained(outgoing, how);
    }
    outgoing.end();
  } finally {
    how.signal.removeEventListener("abort", cancel);
    reader.releaseLock();
  }
}

function drained(outgoing: http.ServerResponse, { signal, stuckMs }: Passing): Promise<void> {
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      outgoing.off("drain", end);
      signal.removeEventListener("abort", end);
      done();
    };
    const timer = setTimeout(() => {
      outgoing.destroy();
      end();
    }, stuckMs);
    outgoing.on("drain", end);
    signal.addEventListener("abort", end);
  });
}

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
  "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/** What every answer says to browsers. */
function secure(headers: Headers, tls: boolean): void {
  headers.set("content-security-policy", POLICY);
  headers.set("x-content-type-options", "nosniff");
  headers.set("x-frame-options", "DENY");
  headers.set("referrer-policy", "no-referrer");
  headers.set("cross-origin-opener-policy", "same-origin");
  headers.set("cross-origin-resource-policy", "same-origin");
  headers.set("permissions-policy", "camera=(), geolocation=(), microphone=()");
  if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
  // Heeded only where the certificate is trusted (RFC 6797, 8.1). A day, for who goes back to one that is not.
  if (tls) headers.set("strict-transport-security", "max-age=86400");
}
