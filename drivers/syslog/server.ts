/**
 * Duty: the sockets of the syslog driver: datagrams, TCP, and TLS that asks every sender for a certificate.
 *
 * Each connection holds at most one message that is not whole; their number is bounded; one that sends nothing for a day
 * is closed. Senders that may not send are counted and not heard. TLS certificates name a box rather than a host, so who
 * signed them is what counts. Datagrams that found the kernel's own buffer full are counted by the kernel.
 */
import type { Socket } from "node:net";
import { createServer } from "node:tls";
import { openDatagrams } from "./datagrams.ts";
import { Framing, FRAMING_FAULTS } from "./framing.ts";
import { maySend, type SyslogSettings } from "./settings.ts";

export interface Listening {
  readonly host: string;
  readonly port: number;
  /** Senders that were held back may go on. */
  resume(): void;
  counters(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

export interface Sink {
  /** `heldBack`: its sender is asked to wait where the sink is busy. */
  message(text: string, heldBack: boolean): void;
  /** Whether senders that can wait should. */
  busy(): boolean;
  /** The socket is of no more use; the end of a sentence. */
  deaf(reason: string): void;
}

const IDLE_MS = 24 * 3_600_000;
const READ_BYTES = 65_536;

export async function listenSyslog(settings: SyslogSettings, sink: Sink): Promise<Listening> {
  const { transport, tls } = settings;
  if (transport === "udp") return listenDatagrams(settings, sink);
  const streams = new Streams(settings, sink);
  return transport === "tls" && tls !== null
    ? await listenTls({ ...settings, tls }, streams)
    : listenPlain(settings, streams);
}

function listenDatagrams(settings: SyslogSettings, sink: Sink): Listening {
  const { host, port, senders, messageBytesMax } = settings;
  const counts = { datagrams: 0, refused_sender: 0, too_long: 0 };
  const decoder = new TextDecoder();
  const heard = (from: string) => {
    counts.datagrams++;
    const may = maySend(senders, from);
    if (!may) counts.refused_sender++;
    return may;
  };
  const socket = openDatagrams({ host, port, bytesMax: messageBytesMax }, {
    received: (bytes, from) => {
      if (heard(from)) sink.message(decoder.decode(bytes).replace(/[\r\n\0]+$/, ""), false);
    },
    tooLong: (from) => {
      if (heard(from)) counts.too_long++;
    },
    failed: (reason) => sink.deaf(reason),
  });
  return {
    host: socket.host,
    port: socket.port,
    resume: () => {},
    counters: () => ({ ...counts, lost_in_kernel: lostInKernel(socket) }),
    close: () => socket.close(),
  };
}

/** Datagrams for this port that the kernel had no room for, as it tells in /proc/net/udp; 0 where it does not. */
function lostInKernel({ host, port }: { readonly host: string; readonly port: number }): number {
  const table = host.includes(":") ? "/proc/net/udp6" : "/proc/net/udp";
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  try {
    const line = Deno.readTextFileSync(table).split("\n").find((text) =>
      text.trim().split(/\s+/)[1]?.endsWith(`:${hex}`)
    );
    return Number(line?.trim().split(/\s+/).at(-1) ?? 0);
  } catch {
    // No such table on this system, or no right to read it: nothing is known of losses.
    return 0;
  }
}

/** A connection, whatever made it. */
interface Peer {
  readonly address: string;
  /** No more is read until `resume()`. */
  pause(): void;
  resume(): void;
  destroy(): void;
}

class Streams {
  readonly peers = new Map<Peer, Framing>();
  readonly counts: Record<string, number> = {
    connections: 0,
    refused_sender: 0,
    refused_connections: 0,
    refused_tls: 0,
    ...Object.fromEntries(FRAMING_FAULTS.map((name) => [name, 0])),
  };
  readonly #decoder = new TextDecoder();

  constructor(readonly settings: SyslogSettings, readonly sink: Sink) {}

  count(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }

  /** Whether it is heard; else it is closed. */
  accept(peer: Peer): boolean {
    const { senders, connectionsMax, messageBytesMax } = this.settings;
    const refused = !maySend(senders, peer.address)
      ? "refused_sender"
      : this.peers.size >= connectionsMax
      ? "refused_connections"
      : null;
    this.count(refused ?? "connections");
    if (refused === null) this.peers.set(peer, new Framing(messageBytesMax));
    else peer.destroy();
    return refused === null;
  }

  data(peer: Peer, bytes: Uint8Array): void {
    const framing = this.peers.get(peer);
    if (framing === undefined) return;
    const { messages, faults } = framing.push(bytes);
    for (const message of messages) this.sink.message(this.#decoder.decode(message), true);
    for (const fault of faults) this.count(fault);
    if (framing.lost) peer.destroy();
    else if (this.sink.busy()) peer.pause();
  }

  closed(peer: Peer): void {
    for (const fault of this.peers.get(peer)?.end().faults ?? []) this.count(fault);
    this.peers.delete(peer);
  }

  resume(): void {
    for (const peer of this.peers.keys()) peer.resume();
  }

  destroy(): void {
    for (const peer of this.peers.keys()) peer.destroy();
  }
}

/** A sender of Deno's own connections, which gather what waits into large pieces. */
async function serve(connection: Deno.TcpConn, streams: Streams): Promise<void> {
  let [going, open] = [Promise.withResolvers<void>(), true];
  going.resolve();
  let heardMs = performance.now();
  const timer = setInterval(() => performance.now() - heardMs > IDLE_MS && peer.destroy(), IDLE_MS / 24);
  Deno.unrefTimer(timer);
  const peer: Peer = {
    address: connection.remoteAddr.hostname,
    pause: () => void (going = Promise.withResolvers()),
    resume: () => going.resolve(),
    destroy: () => {
      if (open) connection.close();
      open = false;
      going.resolve();
    },
  };
  const buffer = new Uint8Array(READ_BYTES);
  try {
    if (!streams.accept(peer)) return;
    while (open) {
      const count = await connection.read(buffer);
      if (count === null) break;
      heardMs = performance.now();
      // A message that is cut is held; what holds it must not be read over.
      streams.data(peer, buffer.slice(0, count));
      await going.promise;
    }
  } catch {
    // A connection that breaks is one that ends; what was cut off is counted.
  } finally {
    clearInterval(timer);
    peer.destroy();
    streams.closed(peer);
  }
}

function listenPlain(settings: SyslogSettings, streams: Streams): Listening {
  const server = Deno.listen({ hostname: settings.host, port: settings.port });
  const serving = new Set<Promise<void>>();
  let closed = false;
  const accepting = (async () => {
    for await (const connection of server) {
      const one = serve(connection, streams).finally(() => serving.delete(one));
      serving.add(one);
    }
  })().catch((error: Error) => {
    if (!closed) streams.sink.deaf(error.message);
  });
  return {
    host: server.addr.hostname,
    port: server.addr.port,
    resume: () => streams.resume(),
    counters: () => ({ ...streams.counts, connected: streams.peers.size }),
    close: async () => {
      closed = true;
      server.close();
      streams.destroy();
      await Promise.all([accepting, ...serving]);
    },
  };
}

function secrets({ certificate, key, ca }: NonNullable<SyslogSettings["tls"]>) {
  const read = (path: string, what: string) => {
    try {
      return Deno.readTextFileSync(path);
    } catch (cause) {
      throw new Error(`Cannot read the ${what} ${path}: ${(cause as Error).message}`, { cause });
    }
  };
  return {
    cert: read(certificate, "certificate"),
    key: read(key, "key"),
    ca: [read(ca, "certificate authority")],
  };
}

/** Deno's own TLS asks nobody for a certificate. */
async function listenTls(
  settings: SyslogSettings & { readonly tls: NonNullable<SyslogSettings["tls"]> },
  streams: Streams,
): Promise<Listening> {
  const accept = (socket: Socket) => {
    const peer: Peer = {
      address: socket.remoteAddress ?? "",
      pause: () => void socket.pause(),
      resume: () => void (socket.isPaused() && socket.resume()),
      destroy: () => void socket.destroy(),
    };
    socket.on("error", () => {}); // a close follows
    if (!streams.accept(peer)) return;
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    socket.on("data", (bytes: Uint8Array) => streams.data(peer, new Uint8Array(bytes)));
    socket.once("close", () => streams.closed(peer));
  };
  const server = createServer(
    { ...secrets(settings.tls), requestCert: true, rejectUnauthorized: true },
    accept,
  );
  server.on("tlsClientError", () => streams.count("refused_tls"));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(settings.port, settings.host, () => resolve());
  });
  server.on("error", (error: Error) => streams.sink.deaf(error.message));
  const bound = server.address() as { address: string; port: number };
  return {
    host: bound.address,
    port: bound.port,
    resume: () => streams.resume(),
    counters: () => ({ ...streams.counts, connected: streams.peers.size }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        streams.destroy();
      }),
  };
}
