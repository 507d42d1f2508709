/**
 * Duty: requests to connection tracking and their answers, in batches.
 *
 * The kernel carries out a batch while it is sent, each message for itself, and says only what it refused. So when
 * send() is back, all answers wait, and what is not among them was done.
 */
import {
  type Attributes,
  FLAG,
  MESSAGE,
  type Message,
  MessageWriter,
  NetlinkError,
  readMessages,
} from "./messages.ts";
import { type DumpFilter, TYPE, writeDump } from "./conntrack.ts";
import { ERRNO, errnoText, type NetlinkSocket } from "./socket.ts";

/** Messages of a batch: so few that their answers fit into the socket's buffer, and that others soon have their turn. */
export const BATCH_MESSAGES_MAX = 128;
const DUMP_WAIT_MS = 200, DUMP_WAITS_MAX = 25;

/** A request that was refused whole, with the number of errno.h. */
export class RequestError extends Error {
  override readonly name = "RequestError";
  constructor(what: string, readonly errno: number) {
    super(`Cannot ${what}: ${errnoText(errno)}`);
  }
}

export interface Answers {
  /** Errno of the requests that were refused, by their place in the batch. */
  readonly refused: ReadonlyMap<number, number>;
}

export class Exchange {
  readonly #writer = new MessageWriter();
  #sequence = 1;

  constructor(readonly socket: NetlinkSocket) {}

  #answers(first: number, count: number, take: (place: number, body: Attributes) => void): Answers {
    const refused = new Map<number, number>();
    for (let got = this.socket.receive(); got !== null; got = this.socket.receive()) {
      if (got === "lost") throw new RequestError("read the answers of the kernel", ERRNO.ENOBUFS);
      for (const { type, sequence, body } of readMessages(got)) {
        const place = sequence - first;
        if (place < 0 || place >= count) continue;
        if (type !== MESSAGE.error) take(place, body);
        else if (body.code() !== 0) refused.set(place, -body.code());
      }
    }
    return { refused };
  }

  /** Sends `count` requests, each written by `write`; `take` gets what was answered to one that asked. @throws Error */
  send(
    count: number,
    write: (writer: MessageWriter, sequence: number, place: number) => void,
    take: (place: number, body: Attributes) => void = () => {},
  ): Answers {
    if (count === 0) return { refused: new Map() };
    const first = this.#sequence;
    this.#sequence = first + count > 0x7fffffff ? 1 : first + count;
    for (let place = 0; place < count; place++) write(this.#writer, first + place, place);
    this.socket.send(this.#writer.take());
    return this.#answers(first, count, take);
  }
}

async function nextDatagram(socket: NetlinkSocket): Promise<Uint8Array> {
  for (let waits = 0; waits < DUMP_WAITS_MAX; waits++) {
    const got = socket.receive();
    if (got === "lost") throw new RequestError("read all flows", ERRNO.ENOBUFS);
    if (got !== null) return got;
    await socket.wait(DUMP_WAIT_MS);
  }
  throw new Error(`Cannot read all flows: the kernel said nothing for ${DUMP_WAIT_MS * DUMP_WAITS_MAX} ms`);
}

/**
 * All flows that the kernel's filter takes, in pieces of at most 64 KiB; the kernel goes on when the next is asked for. Each
 * piece is to be read before that. @throws RequestError, NetlinkError
 */
export async function* dump(
  socket: NetlinkSocket,
  filter: DumpFilter | null,
  signal: AbortSignal,
): AsyncGenerator<readonly Message[]> {
  const writer = new MessageWriter();
  writeDump(writer, 1, filter);
  socket.send(writer.take());
  while (!signal.aborted) {
    const messages = [...readMessages(await nextDatagram(socket))];
    const end = messages.find(({ type }) => type === MESSAGE.done || type === MESSAGE.error);
    if (end && end.body.code() !== 0) throw new RequestError("read all flows", -end.body.code());
    yield messages.filter(({ type }) => type === TYPE.new);
    if (end) return;
  }
}

/** How many flows there are. @throws RequestError where the kernel or our rights do not allow to ask */
export function askCount(socket: NetlinkSocket): number {
  let count = -1;
  const exchange = new Exchange(socket);
  const { refused } = exchange.send(
    1,
    (writer, sequence) => writer.message({ type: TYPE.stats, flags: FLAG.request, sequence, family: 0 }),
    (_, body) => body.behindFamily().each((type, value) => type === 1 && (count = value.u32())),
  );
  const errno = refused.get(0);
  if (errno !== undefined) throw new RequestError("ask for the number of flows", errno);
  if (count < 0) {
    throw new NetlinkError("Cannot read netlink: the kernel did not say how many flows there are");
  }
  return count;
}
