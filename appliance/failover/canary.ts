/**
 * Canaries: connections of the node's own through a box that does not serve, both ends of which the node plays.
 *
 * A box that would work lets them through: opening, data both ways, end. Where it rewrites addresses or sequence
 * numbers, each end answers what it saw, so the binding that the box chose is learnt on the way. Pure: frames and the
 * time go in, frames to send come out.
 */
import { hostText } from "../address.ts";
import { type End, ethernet, icmp, ip, tcp, type TcpFields, udp } from "../../filter/frame.ts";
import { type FlowPart, type Packet, parsePacket, PROTO, TCP } from "../../filter/packet.ts";

/** Client side or server side of the box. */
export type Side = "in" | "out";
export interface Sent {
  readonly side: Side;
  readonly frame: Uint8Array;
}

export interface CanaryPlan {
  readonly kind: "tcp" | "udp" | "icmp";
  /** Nothing of it may come out of the box. */
  readonly refused: boolean;
  readonly client: End;
  /** Whom the client asks, and the MAC to which it sends: the box's own, or the server's behind a bridge. */
  readonly server: End;
  readonly vlan: number;
  /** Sixteen bytes that nothing else carries. */
  readonly token: Uint8Array<ArrayBuffer>;
  readonly clientSequence: number;
  readonly serverSequence: number;
  /** Silence between two exchanges of data, of TCP and UDP. @default 0, one exchange */
  readonly idleMs?: number;
}

export interface CanaryVerdict {
  readonly ok: boolean;
  /** One sentence. */
  readonly text: string;
  /** The two ends as the server's side sees them; null: nothing came out there. */
  readonly binding: readonly [client: string, server: string] | null;
  /** From the first frame to the verdict. */
  readonly tookMs: number;
  /** The box had let it through, and after so long a silence did not any more. Absent: no such thing. */
  readonly forgotMs?: number;
}

/** What is waited for, where it is to come out. */
const WAITS = {
  "open": { side: "out", text: "the opening did not come out on the server side" },
  "answer": { side: "in", text: "the answer did not come back to the client side" },
  "data": { side: "out", text: "data of the client did not come out" },
  "reply": { side: "in", text: "data of the server did not come back" },
  "again": { side: "out", text: "after a silence nothing of the client came out" },
  "still": { side: "in", text: "after a silence nothing of the server came back" },
  "close": { side: "out", text: "the client's end of the connection did not come out" },
  "closed": { side: "in", text: "the server's end of the connection did not come back" },
} as const satisfies Record<string, { side: Side; text: string }>;
type Wait = keyof typeof WAITS;
const ORDER: Readonly<Record<CanaryPlan["kind"], readonly Wait[]>> = {
  tcp: ["open", "answer", "data", "reply", "close", "closed"],
  udp: ["open", "answer"],
  icmp: ["open", "answer"],
};

/** With a silence. Of datagrams it is the server that speaks behind it: what the client says would open anything anew. */
const SILENT: Readonly<Record<"tcp" | "udp", readonly Wait[]>> = {
  tcp: ["open", "answer", "data", "reply", "again", "still", "close", "closed"],
  udp: ["open", "answer", "still"],
};
/** What is waited for first behind it. */
const WOKEN = { tcp: "again", udp: "still" } as const;

/** Longer than a box takes to ask for a neighbour. */
const AGAIN_MS = 200;
export const CANARY_MS_MAX = 2000;
/** A silence is longer by this: a box that forgets after just so long has done it by then, whatever its timers are rounded to. */
const LONGER_MS = 100;
/** After a silence, for everybody knows everybody by then. */
export const FORGOT_MS = 600;
/** What must not come out is waited for so long. */
export const REFUSED_MS = 400;
const ECHO_REQUEST = [8, 128], ECHO_REPLY = [0, 129];
/** Timestamp option: a mark that survives boxes which change sequence numbers. */
const TIMESTAMP = 8;

interface Heard {
  readonly packet: Packet;
  readonly flow: FlowPart;
  readonly from: End;
  readonly to: End;
  readonly payload: Uint8Array;
  readonly frame: Uint8Array;
}

export class Canary {
  readonly plan: CanaryPlan;
  #step = 0;
  #startMs = 0;
  #sentMs = 0;
  /** Until when it is silent; null: it is not. */
  #silentUntilMs: number | null = null;
  /** When it had been; null: it was not yet. */
  #wokeMs: number | null = null;
  #last: readonly Sent[] = [];
  #verdict: CanaryVerdict | null = null;
  /** Sender and receiver on the server's side, as the box made them. */
  #outside: { client: End; server: End } | null = null;
  /** The next number of each end, as that end's own side sees both. */
  readonly #numbers = { clientAtIn: 0, serverAtIn: 0, clientAtOut: 0, serverAtOut: 0 };

  constructor(plan: CanaryPlan) {
    this.plan = plan;
  }

  get verdict(): CanaryVerdict | null {
    return this.#verdict;
  }

  /** The first frames. */
  begin(nowMs: number): readonly Sent[] {
    this.#startMs = nowMs;
    const { plan } = this;
    this.#numbers.clientAtIn = plan.clientSequence + 1 >>> 0;
    return this.#send(nowMs, [this.#fromClient(this.#opening())]);
  }

  /** Time has passed: say again what was not answered, or give up. */
  tick(nowMs: number): readonly Sent[] {
    if (this.#verdict !== null) return [];
    if (this.#silentUntilMs !== null) return this.#wake(nowMs);
    const waitedMs = nowMs - (this.#wokeMs ?? this.#startMs);
    if (this.plan.refused && waitedMs >= REFUSED_MS) {
      this.#end(nowMs, true, "nothing of it came out, as it should be");
    } else if (waitedMs >= (this.#wokeMs === null ? CANARY_MS_MAX : FORGOT_MS)) {
      this.#end(nowMs, false, WAITS[this.#wait].text);
    } else if (nowMs - this.#sentMs >= AGAIN_MS) return this.#send(nowMs, this.#last);
    return [];
  }

  #wake(nowMs: number): readonly Sent[] {
    if (nowMs < this.#silentUntilMs!) return [];
    this.#silentUntilMs = null;
    this.#wokeMs = nowMs;
    return this.#send(nowMs, this.#speakUp());
  }

  #speakUp(): readonly Sent[] {
    if (this.plan.kind === "tcp") return this.#toServer({ flags: TCP.ack | TCP.psh }, this.#second);
    const ends = [this.#outside!.server, this.#outside!.client] as const;
    return [this.#at("out", ends, PROTO.udp, udp(ends, this.#second))];
  }

  /** A frame came out of the box on a side. */
  hear(side: Side, frame: Uint8Array, nowMs: number): readonly Sent[] {
    if (this.#verdict !== null || WAITS[this.#wait].side !== side) return [];
    const heard = read(frame);
    if (heard === null || !this.#isMine(heard)) return [];
    if (this.plan.refused) return this.#end(nowMs, false, "it came out, and the box should have stopped it");
    const answer = this.#answer(heard);
    this.#step++;
    if (this.#step === this.#order.length) this.#end(nowMs, true, "came through, both ways");
    this.#send(nowMs, answer);
    if (this.#silent !== null && this.#wait === WOKEN[this.#silent]) {
      this.#silentUntilMs = nowMs + this.#idleMs + LONGER_MS;
      this.#last = [];
    }
    return answer;
  }

  get #idleMs(): number {
    return this.plan.idleMs ?? 0;
  }

  /** Its kind, if it keeps a silence; null: it does not. */
  get #silent(): "tcp" | "udp" | null {
    const { kind } = this.plan;
    return this.#idleMs > 0 && kind !== "icmp" ? kind : null;
  }

  get #order(): readonly Wait[] {
    return this.#silent === null ? ORDER[this.plan.kind] : SILENT[this.#silent];
  }

  get #wait(): Wait {
    return this.#order[this.#step] ?? "closed";
  }

  /** What it says after its silence. */
  get #second(): Uint8Array<ArrayBuffer> {
    return this.plan.token.toReversed();
  }

  #end(nowMs: number, ok: boolean, text: string): readonly Sent[] {
    const outside = this.#outside;
    const binding = outside === null ? null : [endText(outside.client), endText(outside.server)] as const;
    const forgot = !ok && (this.#wait === "again" || this.#wait === "still")
      ? { forgotMs: this.#idleMs }
      : {};
    this.#verdict = { ok, text, binding, tookMs: nowMs - this.#startMs, ...forgot };
    return [];
  }

  #send(nowMs: number, frames: readonly Sent[]): readonly Sent[] {
    this.#sentMs = nowMs;
    this.#last = frames;
    return frames;
  }

  #opening(): Uint8Array {
    const { kind, client, server, token, clientSequence } = this.plan;
    const ends = [client, server] as const;
    if (kind === "udp") return udp(ends, token);
    if (kind === "icmp") {
      return icmp(ends, [ECHO_REQUEST[version(client)]!, 0, client.port * 65536 + 1], token);
    }
    const options = [2, 4, 5, 180, TIMESTAMP, 10, ...token.subarray(0, 4), 0, 0, 0, 0, 1, 1];
    return tcp(ends, { seq: clientSequence, flags: TCP.syn, options });
  }

  /** Does a frame belong here and to what is waited for? */
  #isMine({ flow, packet, payload, from, to, frame }: Heard): boolean {
    const { kind, token, client } = this.plan;
    if (packet.vlan !== this.plan.vlan) return false;
    const isEcho = (types: readonly number[]) => types.includes(frame[flow.transportOffset]!);
    if (kind === "icmp") {
      return isEcho(this.#wait === "open" ? ECHO_REQUEST : ECHO_REPLY) && same(payload, token);
    }
    if (kind === "udp") {
      return flow.proto === PROTO.udp && same(payload, this.#wait === "still" ? this.#second : token);
    }
    if (flow.tcp === undefined) return false;
    if (this.#wait === "open") return flow.tcp.flags === TCP.syn && this.#marked(flow, frame);
    const outside = this.#outside!;
    const ends = WAITS[this.#wait].side === "out"
      ? isEnd(from, outside.client) && isEnd(to, outside.server)
      : isEnd(to, client) && isEnd(from, this.plan.server);
    if (!ends) return false;
    if (this.#wait === "answer") return (flow.tcp.flags & (TCP.syn | TCP.ack)) === (TCP.syn | TCP.ack);
    if (this.#wait === "data" || this.#wait === "reply") return same(payload, token);
    if (this.#wait === "again" || this.#wait === "still") return same(payload, this.#second);
    return (flow.tcp.flags & TCP.fin) !== 0;
  }

  /** By its number, or by the timestamp where the box changes numbers. */
  #marked({ tcp: fields, transportOffset, payloadOffset }: FlowPart, frame: Uint8Array): boolean {
    if (fields!.seq === this.plan.clientSequence) return true;
    const options = frame.subarray(transportOffset + 20, payloadOffset);
    const at = options.findIndex((byte, i) => byte === TIMESTAMP && options[i + 1] === 10);
    return at >= 0 && same(options.subarray(at + 2, at + 6), this.plan.token.subarray(0, 4));
  }

  #answer(heard: Heard): readonly Sent[] {
    switch (this.#wait) {
      case "open":
        return this.#answerOpening(heard);
      case "answer":
        return this.plan.kind === "tcp" ? this.#answerAnswer(heard) : [];
      case "data":
        this.#numbers.clientAtOut = this.#numbers.clientAtOut + heard.payload.length >>> 0;
        return this.#toClient({ flags: TCP.ack | TCP.psh }, this.plan.token);
      case "reply":
        this.#numbers.serverAtIn = this.#numbers.serverAtIn + heard.payload.length >>> 0;
        this.#numbers.clientAtIn = this.#numbers.clientAtIn + this.plan.token.length >>> 0;
        return this.#toServer({ flags: this.#idleMs > 0 ? TCP.ack : TCP.fin | TCP.ack });
      case "again":
        this.#numbers.clientAtOut = this.#numbers.clientAtOut + heard.payload.length >>> 0;
        this.#numbers.serverAtOut = this.#numbers.serverAtOut + this.plan.token.length >>> 0;
        return this.#toClient({ flags: TCP.ack | TCP.psh }, this.#second);
      case "still":
        if (this.plan.kind === "udp") return [];
        this.#numbers.serverAtIn = this.#numbers.serverAtIn + heard.payload.length >>> 0;
        this.#numbers.clientAtIn = this.#numbers.clientAtIn + this.plan.token.length >>> 0;
        return this.#toServer({ flags: TCP.fin | TCP.ack });
      case "close":
        this.#numbers.serverAtOut = this.#numbers.serverAtOut + this.plan.token.length >>> 0;
        this.#numbers.clientAtOut = this.#numbers.clientAtOut + 1 >>> 0;
        return this.#toClient({ flags: TCP.fin | TCP.ack });
      default:
        this.#numbers.serverAtIn = this.#numbers.serverAtIn + 1 >>> 0;
        this.#numbers.clientAtIn = this.#numbers.clientAtIn + 1 >>> 0;
        return this.#toServer({ flags: TCP.ack });
    }
  }

  #answerOpening({ from, to, flow, frame }: Heard): readonly Sent[] {
    this.#outside = { client: from, server: to };
    const { kind, token, serverSequence } = this.plan;
    const ends = [to, from] as const;
    if (kind === "udp") return [this.#at("out", ends, PROTO.udp, udp(ends, token))];
    if (kind === "icmp") {
      const view = new DataView(frame.buffer, frame.byteOffset + flow.transportOffset);
      const segment = icmp(ends, [ECHO_REPLY[version(to)]!, 0, view.getUint32(4)], token);
      return [this.#at("out", ends, version(to) ? PROTO.icmpv6 : PROTO.icmp, segment)];
    }
    this.#numbers.clientAtOut = flow.tcp!.seq + 1 >>> 0;
    this.#numbers.serverAtOut = serverSequence + 1 >>> 0;
    const fields = { seq: serverSequence, ack: this.#numbers.clientAtOut, flags: TCP.syn | TCP.ack };
    return [this.#at("out", ends, PROTO.tcp, tcp(ends, { ...fields, options: [2, 4, 5, 180] }))];
  }

  #answerAnswer({ flow }: Heard): readonly Sent[] {
    this.#numbers.serverAtIn = flow.tcp!.seq + 1 >>> 0;
    return [
      ...this.#toServer({ flags: TCP.ack }),
      ...this.#toServer({ flags: TCP.ack | TCP.psh }, this.plan.token),
    ];
  }

  #toServer(fields: TcpFields, payload?: Uint8Array<ArrayBuffer>): readonly Sent[] {
    const { clientAtIn: seq, serverAtIn: ack } = this.#numbers;
    const ends = [this.plan.client, this.plan.server] as const;
    return [this.#fromClient(tcp(ends, { ...fields, seq, ack }, payload))];
  }

  #toClient(fields: TcpFields, payload?: Uint8Array<ArrayBuffer>): readonly Sent[] {
    const { serverAtOut: seq, clientAtOut: ack } = this.#numbers;
    const ends = [this.#outside!.server, this.#outside!.client] as const;
    const segment = tcp(ends, { ...fields, seq, ack }, payload);
    return [this.#at("out", ends, PROTO.tcp, segment)];
  }

  #fromClient(segment: Uint8Array): Sent {
    const { client, server, kind } = this.plan;
    const proto = kind === "icmp" ? (version(client) ? PROTO.icmpv6 : PROTO.icmp) : PROTO[kind];
    return this.#at("in", [client, server], proto, segment);
  }

  #at(side: Side, ends: readonly [End, End], proto: number, segment: Uint8Array): Sent {
    const { type, body } = ip(ends, proto, segment);
    const tags = this.plan.vlan === 0 ? {} : { tags: [this.plan.vlan] };
    return { side, frame: ethernet(ends, type, body, tags) };
  }
}

/** 0: IPv4, 1: IPv6. */
function version(end: End): 0 | 1 {
  return end.ip.length === 4 ? 0 : 1;
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function isEnd(a: End, b: End): boolean {
  return a.port === b.port && a.ip.length === b.ip.length && a.ip.every((byte, i) => byte === b.ip[i]);
}

export function endText({ ip, port }: End): string {
  return ip.length === 4 ? `${hostText(ip)}:${port}` : `[${hostText(ip)}]:${port}`;
}

function read(frame: Uint8Array): Heard | null {
  const packet = parsePacket(frame);
  const { flow } = packet;
  if (flow === undefined) return null;
  const end = (i: 0 | 1, mac: number): End => ({
    mac: [...frame.subarray(mac, mac + 6)],
    ip: [...flow.addr[i].subarray(flow.ipv6 ? 0 : 12)],
    port: flow.port[i],
  });
  const payload = frame.subarray(flow.payloadOffset, flow.payloadOffset + flow.payloadBytes);
  return { packet, flow, payload, frame, from: end(flow.dir, 6), to: end(flow.dir === 0 ? 1 : 0, 0) };
}
