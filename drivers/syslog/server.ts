/**
 * Duty: the sockets of the syslog driver: datagrams, TCP, and TLS that asks every sender for a certificate.
 *
 * Each connection holds at most one message that is not whole; their number is bounded; one that sends nothing for a day
 * is closed. Senders that may not send are counted and not heard. TLS certificates name a box rather than a host, so who
 * signed them is what counts. Datagrams that found the kernel's own buffer full are counted by the kernel.
 */
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { openDatagrams } from "./datagrams.ts";
import { Framing, FRAMING_FAULTS, type FramingFault } from "./framing.ts";
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

export function listenSyslog(settings: SyslogSettings, sink: Sink): Promise<Listening> {
  return settings.transport === "udp"
    ? Promise.resolve(listenDatagrams(settings, sink))
    : listenStreams(settings, sink);
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

class Streams {
  readonly sockets = new Set<Socket>();
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

  accept(socket: Socket): void {
    const { senders, connectionsMax, messageBytesMax } = this.settings;
    socket.on("error", () => {}); // a close follows
    const refused = !maySend(senders, socket.remoteAddress ?? "")
      ? "refused_sender"
      : this.sockets.size >= connectionsMax
      ? "refused_connections"
      : null;
    if (refused !== null) {
      this.count(refused);
      socket.destroy();
      return;
    }
    this.count("connections");
    this.sockets.add(socket);
    const framing = new Framing(messageBytesMax);
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    socket.on("data", (bytes: Uint8Array) => {
      const { messages, faults } = framing.push(new Uint8Array(bytes));
      this.#pass(messages, faults);
      if (framing.lost) socket.destroy();
      else if (this.sink.busy()) socket.pause();
    });
    socket.once("close", () => {
      this.sockets.delete(socket);
      this.#pass([], framing.end().faults);
    });
  }

  #pass(messages: readonly Uint8Array[], faults: readonly FramingFault[]): void {
    for (const message of messages) this.sink.message(this.#decoder.decode(message), true);
    for (const fault of faults) this.count(fault);
  }
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

async function listenStreams(settings: SyslogSettings, sink: Sink): Promise<Listening> {
  const streams = new Streams(settings, sink);
  const accept = (socket: Socket) => streams.accept(socket);
  const server: Server = settings.tls === null || settings.transport !== "tls"
    ? createServer(accept)
    : createTlsServer({ ...secrets(settings.tls), requestCert: true, rejectUnauthorized: true }, accept);
  server.on("tlsClientError", () => streams.count("refused_tls"));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(settings.port, settings.host, () => resolve());
  });
  server.on("error", (error: Error) => sink.deaf(error.message));
  const bound = server.address() as { address: string; port: number };
  return {
    host: bound.address,
    port: bound.port,
    resume: () => {
      for (const socket of streams.sockets) if (socket.isPaused()) socket.resume();
    },
    counters: () => ({ ...streams.counts, connected: streams.sockets.size }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of streams.sockets) socket.destroy();
      }),
  };
}
