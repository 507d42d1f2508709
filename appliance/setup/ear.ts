/**
 * Hears what neighbours say of themselves (LLDP) on interfaces that nobody uses yet, through a packet socket.
 *
 * An edge. It only listens; what comes in is read when somebody asks, and the kernel drops what nobody has read.
 */
import { type Neighbour, readLldp } from "./lldp.ts";

const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  recvfrom: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "buffer"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const AF_PACKET = 17, SOCK_RAW = 3, SOCK_NONBLOCK = 0o4000, SOCK_CLOEXEC = 0o2000000;
/** 0x88cc in network order. */
const LLDP = 0xcc88;
const SOL_PACKET = 263, ADD_MEMBERSHIP = 1, MULTICAST = 0;
/** Nearest bridge, which no bridge passes on (802.1AB, 7.1). */
const GROUP = [0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e];
const FRAME_BYTES = 2048, ADDRESS_BYTES = 20;
/** At one look: what a stranger can make us read. */
const FRAMES_MAX = 256;

export class LldpEar {
  readonly #libc: Deno.DynamicLibrary<typeof SYMBOLS>;
  readonly #socket: number;
  readonly #joined = new Set<number>();
  readonly #heard = new Map<number, Neighbour>();

  /** @throws Error with one sentence: there is no right to listen */
  constructor() {
    this.#libc = Deno.dlopen("libc.so.6", SYMBOLS);
    this.#socket = this.#libc.symbols.socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, LLDP);
    if (this.#socket >= 0) return;
    this.#libc.close();
    throw new Error("Cannot listen for neighbours (LLDP): a packet socket needs CAP_NET_RAW");
  }

  /** What was heard so far, by the number of the interface; those given are listened on from now on. */
  look(interfaces: readonly number[]): ReadonlyMap<number, Neighbour> {
    for (const index of interfaces) this.#join(index);
    const frame = new Uint8Array(FRAME_BYTES), from = new Uint8Array(ADDRESS_BYTES);
    for (let i = 0; i < FRAMES_MAX; i++) {
      const bytes = new Uint8Array(Uint32Array.of(ADDRESS_BYTES).buffer);
      const got = Number(
        this.#libc.symbols.recvfrom(this.#socket, frame, BigInt(FRAME_BYTES), 0, from, bytes),
      );
      if (got < 0) break;
      const index = new DataView(from.buffer).getInt32(4, true);
      const neighbour = readLldp(frame.subarray(0, got));
      if (neighbour !== null && this.#joined.has(index)) this.#heard.set(index, neighbour);
    }
    return this.#heard;
  }

  #join(index: number): void {
    if (this.#joined.has(index)) return;
    this.#joined.add(index);
    // struct packet_mreq of <linux/if_packet.h>. Whoever refuses it may hear the group all the same.
    const request = new Uint8Array(16), view = new DataView(request.buffer);
    view.setInt32(0, index, true), view.setUint16(4, MULTICAST, true), view.setUint16(6, 6, true);
    request.set(GROUP, 8);
    this.#libc.symbols.setsockopt(this.#socket, SOL_PACKET, ADD_MEMBERSHIP, request, request.length);
  }

  close(): void {
    this.#libc.symbols.close(this.#socket);
    this.#libc.close();
  }
}
