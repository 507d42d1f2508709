/**
 * Duty: sockets of netlink, through the system's libc.
 *
 * A socket belongs for ever to the network namespace in which its thread was when it was made. So a driver steps into
 * the box's namespace, makes the socket and steps back, all in one turn of this thread: nothing else runs meanwhile, and
 * no helper process is needed. The kernel answers requests before send() returns, so only events are waited for.
 */
import { NetlinkError } from "./messages.ts";

const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
  open: { parameters: ["buffer", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  setns: { parameters: ["i32", "i32"], result: "i32" },
  __errno_location: { parameters: [], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

const AF_NETLINK = 16, NETLINK_NETFILTER = 12;
const SOCK_RAW = 3, SOCK_NONBLOCK = 0o4000, SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1, SO_SNDBUFFORCE = 32, SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270, NETLINK_ADD_MEMBERSHIP = 1, NETLINK_CAP_ACK = 10;
const O_CLOEXEC = 0o2000000, CLONE_NEWNET = 0x40000000, POLLIN = 1;
const MSG_TRUNC = 0x20;
/** The kernel fills at most 32 KiB at once. */
const RECEIVE_BYTES = 1 << 16;

export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EINVAL: 22,
  ENOSPC: 28,
  EOPNOTSUPP: 95,
  ENOBUFS: 105,
} as const;

const WORDS: Readonly<Record<number, string>> = {
  1: "not permitted: it needs CAP_NET_ADMIN, and CAP_SYS_ADMIN for another namespace",
  2: "there is no such",
  12: "the kernel has no memory",
  13: "permission denied",
  16: "it may not be changed",
  17: "it is there already",
  22: "the kernel calls it invalid",
  28: "there is no room",
  34: "a number is out of range",
  93: "the kernel has no such protocol",
  95: "the kernel does not support it",
  105: "the kernel's buffer was full",
};

export const errnoText = (errno: number) => WORDS[errno] ?? `errno ${errno}`;

type Library = Deno.DynamicLibrary<typeof SYMBOLS>;
let library: Library | undefined;
let users = 0;

function libc(): Library["symbols"] {
  if (!library) throw new Error("Cannot use a netlink socket: it is closed");
  return library.symbols;
}

/** There from the first socket to the last. */
function useLibc(): void {
  library ??= Deno.dlopen("libc.so.6", SYMBOLS);
  users++;
}

function leaveLibc(): void {
  if (--users > 0) return;
  library?.close();
  library = undefined;
}

/** Of the call before it: these are plain calls on one thread, nothing comes between. */
function errno(): number {
  const place = libc().__errno_location();
  return place === null ? 0 : new Deno.UnsafePointerView(place).getInt32();
}

function fail(what: string): never {
  throw new Error(`Cannot ${what}: ${errnoText(errno())}`);
}

function openFile(path: string): number {
  const fd = libc().open(new TextEncoder().encode(`${path}\0`), O_CLOEXEC);
  if (fd < 0) fail(`open the network namespace ${path}`);
  return fd;
}

/** "box" is a name of `ip netns`, "/proc/123/ns/net" any other place; empty: our own. */
export const namespacePath = (name: string) =>
  name === "" || name.startsWith("/") ? name : `/run/netns/${name}`;

function inside<T>(namespace: string, work: () => T): T {
  if (namespace === "") return work();
  const { setns, close } = libc();
  const there = openFile(namespacePath(namespace));
  try {
    const home = openFile("/proc/thread-self/ns/net");
    try {
      if (setns(there, CLONE_NEWNET) !== 0) fail(`enter the network namespace ${namespace}`);
      try {
        return work();
      } finally {
        // Whatever ran on here would be in the wrong network.
        if (setns(home, CLONE_NEWNET) !== 0) fail("come back from a network namespace");
      }
    } finally {
      close(home);
    }
  } finally {
    close(there);
  }
}

export interface NetlinkOptions {
  /** Empty: our own. */
  readonly namespace: string;
  /** Multicast groups to listen to. @default none */
  readonly groups?: readonly number[];
  /** What may wait in the kernel. @default 1 MiB */
  readonly bufferBytes?: number;
}

/** What a driver sees of a socket; a test puts a kernel of its own behind it. */
export interface NetlinkSocket {
  /** By which the kernel knows whose doing an event was. */
  readonly port: number;
  /** @throws Error */
  send(bytes: Uint8Array<ArrayBuffer>): void;
  /** A datagram, valid until the next one; null: none waits; "lost": the kernel had to throw some away. @throws Error */
  receive(): Uint8Array | "lost" | null;
  /** Until a datagram waits, or the time is over. */
  wait(timeoutMs: number): Promise<void>;
  close(): void;
}

class Socket implements NetlinkSocket {
  #fd: number;
  readonly #buffer = new Uint8Array(RECEIVE_BYTES);
  readonly port: number;

  constructor(fd: number, port: number) {
    this.#fd = fd;
    this.port = port;
  }

  send(bytes: Uint8Array<ArrayBuffer>): void {
    if (Number(libc().send(this.#fd, bytes, BigInt(bytes.length), 0)) < 0) fail("send to netlink");
  }

  receive(): Uint8Array | "lost" | null {
    for (;;) {
      const got = Number(libc().recv(this.#fd, this.#buffer, BigInt(RECEIVE_BYTES), MSG_TRUNC));
      if (got > RECEIVE_BYTES) throw new NetlinkError(`Cannot read netlink: a datagram has ${got} bytes`);
      if (got >= 0) return this.#buffer.subarray(0, got);
      const why = errno();
      if (why === ERRNO.EAGAIN) return null;
      if (why === ERRNO.ENOBUFS) return "lost";
      if (why !== ERRNO.EINTR) throw new Error(`Cannot receive from netlink: ${errnoText(why)}`);
    }
  }

  async wait(timeoutMs: number): Promise<void> {
    // struct pollfd: descriptor, what is asked, what came.
    const question = new Int32Array([this.#fd, POLLIN]);
    await libc().poll(question, 1n, timeoutMs);
  }

  close(): void {
    if (this.#fd < 0) return;
    libc().close(this.#fd);
    this.#fd = -1;
    leaveLibc();
  }
}

const word = (value: number) => new Uint8Array(Int32Array.of(value).buffer);

function setUp(fd: number, { groups = [], bufferBytes = 1 << 20 }: NetlinkOptions): number {
  const { bind, getsockname, setsockopt } = libc();
  // Without the right to force it the kernel's own limit holds: it is then lost sooner, and said.
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, word(bufferBytes), 4);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, word(1 << 20), 4);
  // Answers to a refused request are short: not all of it comes back.
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, word(1), 4);
  const own = new Uint8Array(12);
  new DataView(own.buffer).setUint16(0, AF_NETLINK, true);
  if (bind(fd, own, own.length) !== 0) fail("bind a netlink socket");
  for (const group of groups) {
    if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, word(group), 4) !== 0) fail("listen to netlink");
  }
  if (getsockname(fd, own, word(own.length)) !== 0) fail("ask for the name of a netlink socket");
  return new DataView(own.buffer).getUint32(4, true);
}

function makeSocket(options: NetlinkOptions): NetlinkSocket {
  const fd = libc().socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (fd < 0) fail("make a netlink socket");
  try {
    return new Socket(fd, setUp(fd, options));
  } catch (error) {
    libc().close(fd);
    throw error;
  }
}

/** A socket of netfilter in a namespace. @throws Error with the reason */
export function openNetlink(options: NetlinkOptions): NetlinkSocket {
  useLibc();
  try {
    return inside(options.namespace, () => makeSocket(options));
  } catch (error) {
    leaveLibc();
    throw error;
  }
}

/** Lets others run between two batches. */
export const breathe = () => new Promise<void>((resolve) => setTimeout(resolve, 0));
