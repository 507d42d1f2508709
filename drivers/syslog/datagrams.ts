/**
 * Duty: a socket for datagrams that many may wait in: with a large buffer of the kernel's, and read by the batch.
 *
 * Deno's own socket has the kernel's default buffer, a few hundred lines, and takes one datagram a turn: a box that logs
 * twenty thousand lines a second loses some whenever this process does something else for ten milliseconds. So libc is
 * called directly: poll() in a thread of its own until there is something, then recvmmsg(). Where that is not allowed,
 * Deno's socket serves. Structures are those of Linux on machines of 64 bits.
 */
import { setImmediate } from "node:timers";
import { parseIpAddress } from "../../filter/ip_address.ts";
import { addressText } from "../flow_value.ts";

export interface Datagrams {
  readonly host: string;
  readonly port: number;
  /** What the kernel holds for it, bytes; null: its default. */
  readonly bufferBytes: number | null;
  close(): Promise<void>;
}

export interface DatagramEvents {
  /** The bytes are good until it returns. */
  received(bytes: Uint8Array, from: string): void;
  /** One that had more bytes than the bound. */
  tooLong(from: string): void;
  /** Nothing is heard any more; the end of a sentence. */
  failed(reason: string): void;
}

export interface DatagramOptions {
  readonly host: string;
  readonly port: number;
  readonly bytesMax: number;
}

const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  recvmmsg: { parameters: ["i32", "buffer", "u32", "i32", "pointer"], result: "i32" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
  close: { parameters: ["i32"], result: "i32" },
  __errno_location: { parameters: [], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;
type Libc = Deno.DynamicLibrary<typeof SYMBOLS>;

const AF = { inet: 2, inet6: 10 } as const;
const SOCK_DGRAM_CLOEXEC_NONBLOCK = 2 | 0o2000000 | 0o4000;
const SOL_SOCKET = 1, SO_RCVBUF = 8, SO_RCVBUFFORCE = 33;
const POLLIN = 1, POLL_MS = 100;
const MSG_TRUNC = 0x20;
const BATCH = 64;
/** A millisecond or two. */
const BATCHES_A_TURN = 16;
const NAME_BYTES = 28, HEADER_BYTES = 64;
/** Half a second of twenty thousand lines. */
const BUFFER_BYTES = 8 * 1024 * 1024;
const ERRNO: Readonly<Record<number, string>> = {
  13: "permission denied",
  97: "this machine has no such family of addresses",
  98: "the address is in use",
  99: "the address is not of this machine",
};

/** @throws Error with the end of a sentence where the address cannot be had */
export function openDatagrams(options: DatagramOptions, events: DatagramEvents): Datagrams {
  if (Deno.build.os !== "linux" || !["x86_64", "aarch64"].includes(Deno.build.arch)) {
    return plain(options, events);
  }
  let libc: Libc;
  try {
    libc = Deno.dlopen("libc.so.6", SYMBOLS);
  } catch {
    // Without the right to call libraries, or on another libc, it works with less room.
    return plain(options, events);
  }
  try {
    return new Batched(libc, options, events);
  } catch (error) {
    libc.close();
    throw error;
  }
}

function socketAddress({ host, port }: DatagramOptions): Uint8Array<ArrayBuffer> {
  const bytes = parseIpAddress(host) ?? [];
  const name = new Uint8Array(bytes.length === 4 ? 16 : NAME_BYTES);
  new DataView(name.buffer).setUint16(0, bytes.length === 4 ? AF.inet : AF.inet6, true);
  name.set([port >> 8, port & 255], 2);
  name.set(bytes, bytes.length === 4 ? 4 : 8);
  return name;
}

function addressOf(name: Uint8Array): { host: string; port: number } {
  const host = name[0] === AF.inet ? name.subarray(4, 8) : name.subarray(8, 24);
  return { host: addressText(host), port: name[2]! << 8 | name[3]! };
}

/** Room for a batch: where each datagram and its sender go, and the headers that say so. */
class Batch {
  readonly headers = new Uint8Array(BATCH * HEADER_BYTES);
  readonly names = new Uint8Array(BATCH * NAME_BYTES);
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #vectors = new BigUint64Array(BATCH * 2);
  readonly #view = new DataView(this.headers.buffer);

  constructor(readonly bytesMax: number) {
    this.bytes = new Uint8Array(BATCH * bytesMax);
    const at = (buffer: Uint8Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>) =>
      BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer)));
    const [names, bytes, vectors] = [at(this.names), at(this.bytes), at(this.#vectors)];
    for (let n = 0; n < BATCH; n++) {
      this.#vectors[2 * n] = bytes + BigInt(n * bytesMax);
      this.#vectors[2 * n + 1] = BigInt(bytesMax);
      this.#view.setBigUint64(n * HEADER_BYTES, names + BigInt(n * NAME_BYTES), true);
      this.#view.setBigUint64(n * HEADER_BYTES + 16, vectors + BigInt(16 * n), true);
      this.#view.setBigUint64(n * HEADER_BYTES + 24, 1n, true);
    }
  }

  /** The kernel writes how long a name was over how long it may be. */
  prepare(): void {
    for (let n = 0; n < BATCH; n++) this.#view.setUint32(n * HEADER_BYTES + 8, NAME_BYTES, true);
  }

  tell(count: number, events: DatagramEvents): void {
    for (let n = 0; n < count; n++) {
      const { host } = addressOf(this.names.subarray(n * NAME_BYTES, (n + 1) * NAME_BYTES));
      const length = this.#view.getUint32(n * HEADER_BYTES + 56, true);
      const cut = (this.#view.getInt32(n * HEADER_BYTES + 48, true) & MSG_TRUNC) !== 0;
      if (cut) events.tooLong(host);
      else events.received(this.bytes.subarray(n * this.bytesMax, n * this.bytesMax + length), host);
    }
  }
}

class Batched implements Datagrams {
  readonly host: string;
  readonly port: number;
  readonly bufferBytes: number;
  readonly #socket: number;
  readonly #reading: Promise<void>;
  #closed = false;

  constructor(readonly libc: Libc, options: DatagramOptions, readonly events: DatagramEvents) {
    const { symbols } = libc;
    const name = socketAddress(options);
    this.#socket = symbols.socket(name[0]!, SOCK_DGRAM_CLOEXEC_NONBLOCK, 0);
    if (this.#socket < 0) throw new Error(this.#reason());
    if (symbols.bind(this.#socket, name, name.length) !== 0) {
      const reason = this.#reason();
      symbols.close(this.#socket);
      throw new Error(reason);
    }
    this.bufferBytes = this.#widen();
    const bound = new Uint8Array(NAME_BYTES);
    symbols.getsockname(this.#socket, bound, new Uint32Array([NAME_BYTES]));
    ({ host: this.host, port: this.port } = addressOf(bound));
    this.#reading = this.#read(new Batch(options.bytesMax));
  }

  #reason(): string {
    const at = this.libc.symbols.__errno_location();
    const number = at === null ? 0 : new Deno.UnsafePointerView(at).getInt32();
    return ERRNO[number] ?? `error ${number} of the system`;
  }

  /** Above the system's limit it needs the right to administrate the network; else as much as there is. */
  #widen(): number {
    const { setsockopt, getsockopt } = this.libc.symbols;
    const wanted = new Uint32Array([BUFFER_BYTES]);
    if (setsockopt(this.#socket, SOL_SOCKET, SO_RCVBUFFORCE, wanted, 4) !== 0) {
      setsockopt(this.#socket, SOL_SOCKET, SO_RCVBUF, wanted, 4);
    }
    const got = new Uint32Array(1);
    getsockopt(this.#socket, SOL_SOCKET, SO_RCVBUF, got, new Uint32Array([4]));
    // The kernel counts its own overhead, as much again.
    return got[0]! / 2;
  }

  async #read(batch: Batch): Promise<void> {
    const { poll, recvmmsg } = this.libc.symbols;
    const waiting = new Uint8Array(8);
    new DataView(waiting.buffer).setInt32(0, this.#socket, true);
    waiting[4] = POLLIN;
    while (!this.#closed) {
      if (await poll(waiting, 1n, POLL_MS) < 0) continue;
      for (let count = BATCH, batches = 1; count === BATCH && !this.#closed; batches++) {
        batch.prepare();
        count = recvmmsg(this.#socket, batch.headers, BATCH, 0, null);
        if (count > 0) batch.tell(count, this.events);
        // A flood leaves the process its other work; what is read waits in a longer queue than the kernel's.
        if (batches % BATCHES_A_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    }
    this.libc.symbols.close(this.#socket);
    this.libc.close();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#reading;
  }
}

function plain({ host, port, bytesMax }: DatagramOptions, events: DatagramEvents): Datagrams {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: host, port });
  const bound = socket.addr as Deno.NetAddr;
  const buffer = new Uint8Array(bytesMax + 1);
  let closed = false;
  const reading = (async () => {
    while (!closed) {
      const [bytes, from] = await socket.receive(buffer);
      const { hostname } = from as Deno.NetAddr;
      if (bytes.length > bytesMax) events.tooLong(hostname);
      else events.received(bytes, hostname);
    }
  })().catch((error: Error) => {
    if (!closed) events.failed(error.message);
  });
  return {
    host: bound.hostname,
    port: bound.port,
    bufferBytes: null,
    close: async () => {
      closed = true;
      socket.close();
      await reading;
    },
  };
}
