/**
 * A kernel's connection tracking in memory, behind the sockets that the driver uses. It knows flows by their original
 * tuple and zone, refuses what the kernel refuses, and can be told to lack things.
 */
import { readFlow, TYPE, writeTuple } from "../../drivers/netlink/conntrack.ts";
import { addressText, type Flow, inverse, isIcmp, keyOf, type Tuple } from "../../drivers/netlink/flow.ts";
import {
  type Attributes,
  FLAG,
  MESSAGE,
  type Message,
  MessageWriter,
  readMessages,
} from "../../drivers/netlink/messages.ts";
import { ERRNO, type NetlinkOptions, type NetlinkSocket } from "../../drivers/netlink/socket.ts";

/** A flow as the kernel writes it. */
export function writeKernelFlow(writer: MessageWriter, type: number, sequence: number, flow: Flow): void {
  writer.message({ type, flags: 0, sequence, family: flow.original.source.length === 4 ? 2 : 10 }, () => {
    writeTuple(writer, 1, flow.original);
    writeTuple(writer, 2, flow.reply);
    writer.u32(3, flow.status).u32(7, flow.timeoutS).u32(8, flow.mark);
    const { tcp } = flow;
    if (tcp) {
      writer.nest(4, () =>
        void writer.nest(1, () => {
          writer.u8(1, tcp.state).u8(2, tcp.scales[0]).u8(3, tcp.scales[1]);
          for (const way of [0, 1] as const) writer.u16(4 + way, tcp.flags[way] << 8);
        }));
    }
    if (flow.zone !== 0) writer.u16(18, flow.zone);
    if (flow.labels.length > 0) writer.put(22, flow.labels);
    if (flow.helper !== "") writer.nest(5, () => void writer.text(1, flow.helper));
  });
}

/** The reply that a request's NAT leads to. */
function natted(request: Attributes, reply: Tuple): Tuple {
  let { source, destination, first, second } = reply;
  request.behindFamily().each((type, nat) => {
    if (type !== 6 && type !== 13) return;
    let address = new Uint8Array(), port: number | null = null;
    nat.each((inner, value) => {
      if (inner === 1 || inner === 4) address = value.bytes();
      else if (inner === 3) value.each((_, number) => port = number.u16());
    });
    if (isIcmp(reply.protocol)) {
      first = port ?? first;
      if (type === 6) destination = address;
      else source = address;
    } else if (type === 6) [destination, second] = [address, port ?? second];
    else [source, first] = [address, port ?? first];
  });
  return { ...reply, source, destination, first, second };
}

const endText = ({ protocol, source, destination, first, second }: Tuple, zone: number) =>
  [protocol, addressText(source), first, addressText(destination), second, zone].join(" ");

export class FakeConntrack {
  readonly flows = new Map<string, Flow>();
  /** What it refuses, whatever it is. */
  lacks: { labels?: boolean; filters?: boolean; right?: boolean } = {};
  readonly #listeners = new Set<FakeSocket>();
  #ports = 100;

  readonly open = (options: NetlinkOptions): NetlinkSocket => {
    const socket = new FakeSocket(this, this.#ports++);
    if ((options.groups ?? []).length > 0) this.#listeners.add(socket);
    return socket;
  };

  /** As if events had come faster than they were read. */
  overrun(): void {
    for (const socket of this.#listeners) socket.queue.push("lost");
  }

  /** A flow made by traffic, or by whoever has that port. */
  add(flow: Flow, port = 0): void {
    this.flows.set(keyOf(flow), flow);
    this.#tell(TYPE.new, flow, port);
  }

  remove(key: string, port = 0): boolean {
    const flow = this.flows.get(key);
    if (!flow) return false;
    this.flows.delete(key);
    this.#tell(TYPE.delete, flow, port);
    return true;
  }

  #tell(type: number, flow: Flow, port: number): void {
    const writer = new MessageWriter();
    writeKernelFlow(writer, type, 0, flow);
    const bytes = writer.take().slice();
    new DataView(bytes.buffer).setUint32(12, port, true);
    for (const socket of this.#listeners) socket.queue.push(bytes);
  }

  /** Carries out one request: the flows it answers with, or an errno. */
  answer(message: Message, port: number): readonly Flow[] | number {
    if (this.lacks.right) return ERRNO.EPERM;
    if (message.flags & FLAG.dump && message.type === TYPE.get) {
      const filters = message.body.length > 4;
      return filters && this.lacks.filters ? ERRNO.EINVAL : [...this.flows.values()];
    }
    const asked = this.#asked(message.body);
    const key = keyOf(asked);
    if (message.type === TYPE.get) return this.flows.has(key) ? [this.flows.get(key)!] : ERRNO.ENOENT;
    if (message.type === TYPE.delete) return this.remove(key, port) ? [] : ERRNO.ENOENT;
    if (this.lacks.labels && asked.labels.length > 0) return ERRNO.ENOSPC;
    const there = this.flows.get(key);
    if ((message.flags & FLAG.create) === 0) {
      if (!there) return ERRNO.ENOENT;
      this.add({ ...asked, reply: there.reply }, port);
      return [];
    }
    const reply = endText(asked.reply, asked.zone);
    const taken = [...this.flows.values()].some((flow) => endText(flow.reply, flow.zone) === reply);
    if (there || taken) return ERRNO.EEXIST;
    this.add(asked, port);
    return [];
  }

  #asked(body: Attributes): Flow {
    let reply = false;
    body.behindFamily().each((type) => reply ||= type === 2);
    if (reply) {
      const flow = readFlow(body)!;
      return { ...flow, reply: natted(body, flow.reply) };
    }
    // Only named: the other direction is not said.
    const writer = new MessageWriter();
    let flow: Flow | null = null;
    writer.message({ type: 0, flags: 0, sequence: 0, family: 0 }, () => {
      body.behindFamily().each((type, value) => void writer.put(type, value.bytes()));
      body.behindFamily().each((type, value) => void (type === 1 && writer.put(2, value.bytes())));
    });
    for (const { body } of readMessages(writer.take())) flow = readFlow(body);
    return { ...flow!, reply: inverse(flow!.original) };
  }
}

class FakeSocket implements NetlinkSocket {
  readonly queue: (Uint8Array | "lost")[] = [];

  constructor(readonly kernel: FakeConntrack, readonly port: number) {}

  send(bytes: Uint8Array<ArrayBuffer>): void {
    for (const message of readMessages(bytes)) {
      const { type, flags, sequence } = message;
      const writer = new MessageWriter();
      const head = { flags: 0, sequence, family: 0 };
      const count = this.kernel.flows.size;
      const answer = type === TYPE.stats && !this.kernel.lacks.right
        ? count
        : this.kernel.answer(message, this.port);
      if (type === TYPE.stats && !this.kernel.lacks.right) {
        writer.message({ ...head, type }, () => void writer.u32(1, count));
      } else if (typeof answer === "number") this.#error(writer, sequence, answer);
      else {
        for (const flow of answer) writeKernelFlow(writer, TYPE.new, sequence, flow);
        if (flags & FLAG.dump && type === TYPE.get) writer.message({ ...head, type: MESSAGE.done });
      }
      const said = writer.take().slice();
      if (said.length > 0) this.queue.push(said);
    }
  }

  /** The code stands where other messages have their family. */
  #error(writer: MessageWriter, sequence: number, errno: number): void {
    writer.message({ type: MESSAGE.error, flags: 0, sequence, family: 0 });
    const bytes = writer.take().slice();
    new DataView(bytes.buffer).setInt32(16, -errno, true);
    this.queue.push(bytes);
  }

  receive(): Uint8Array | "lost" | null {
    return this.queue.shift() ?? null;
  }

  wait(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, 1));
  }

  close(): void {
    this.queue.length = 0;
  }
}
