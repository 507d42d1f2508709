/**
 * Seeded traffic: conversations as they occur on a wire, and as they should not.
 *
 * A fixed number of conversations is alive at any time; each step lets one of them send its next frame, sometimes
 * broken on the way. Ended conversations give their place to new ones, often with the same addresses and
 * ports, because that is where flow tables go wrong. The same seed gives the same frames for ever.
 */
import { type End, ethernet, icmp, ip, type IpOptions, type LinkOptions, sctp, tcp, udp } from "./frame.ts";
import { ETHERTYPE, parsePacket, PROTO, TCP } from "./packet.ts";
import { Random } from "./random.ts";
import { type Speech, SPEECHES, spoken, type Tunnel, TUNNELS, wrap } from "./wrap.ts";

export interface GeneratedFrame {
  readonly timeNs: bigint;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** It came out of the box. */
  readonly observed: boolean;
}

export interface TrafficOptions {
  /** Conversations alive at a time. @default 400 */
  readonly conversations?: number;
  /** Share of frames that are broken on purpose. @default 0.03 */
  readonly malformed?: number;
}

/** Sends the next frame of a conversation; undefined when it is over. */
type Talk = Generator<Uint8Array<ArrayBuffer>, void, void>;

/** Payload: what it says does not matter here. */
const FILLER = Uint8Array.from({ length: 1460 }, (_, i) => i & 255);
const MAC_CLIENT = [2, 0, 0, 0, 1, 10];
const MAC_SERVER = [2, 0, 0, 0, 2, 20];

/** Frames without end; take as many as are wanted. */
export function* generateTraffic(
  seed: number,
  options: TrafficOptions = {},
): Generator<GeneratedFrame, never> {
  const { conversations = 400, malformed = 0.03 } = options;
  const random = new Random(seed);
  const talks = Array.from({ length: conversations }, () => newTalk(random));
  let timeNs = 1_700_000_000_000_000_000n;
  for (;;) {
    const place = random.below(talks.length);
    const next = talks[place]!.next();
    if (next.done) {
      talks[place] = newTalk(random);
      continue;
    }
    timeNs += stepNs(random);
    const bytes = random.chance(malformed) ? breakFrame(next.value, random) : next.value;
    yield { timeNs, bytes, observed: random.chance(0.2) };
  }
}

/** Mostly microseconds; now and then the pauses in which flows age, and a clock that steps back. */
function stepNs(random: Random): bigint {
  const dice = random.below(10_000);
  if (dice === 0) return BigInt(random.below(400)) * 1_000_000_000n;
  if (dice < 10) return BigInt(random.below(3_000)) * 1_000_000n;
  if (dice < 15) return -BigInt(random.below(5_000_000));
  return BigInt(random.below(1_000_000));
}

/** Few addresses and ports, so that keys are used again and in both directions. */
function newEnds(random: Random): [End, End] {
  const isV6 = random.chance(0.3);
  const address = (net: number): number[] => {
    const host = random.below(24);
    if (!isV6) return [10, net, 0, host];
    return random.chance(0.05)
      ? [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, net, 0, host]
      : [0x20, 1, 0x0d, 0xb8, 0, net, 0, 0, 0, 0, 0, 0, 0, 0, 0, host];
  };
  const client = { mac: MAC_CLIENT, ip: address(1), port: 1024 + random.below(40) };
  const server = {
    mac: MAC_SERVER,
    ip: address(random.chance(0.1) ? 1 : 2),
    port: random.pick([80, 443, 53, 1030]),
  };
  return random.chance(0.5) ? [client, server] : [server, client];
}

function newTalk(random: Random): Talk {
  const dice = random.below(100);
  if (dice < 55) return talkTcp(random);
  if (dice < 72) return talkDatagrams(random, PROTO.udp);
  if (dice < 80) return talkIcmp(random);
  if (dice < 84) return talkDatagrams(random, PROTO.sctp);
  if (dice < 90) return talkOther(random);
  if (dice < 95) return talkFragments(random);
  return talkLink(random);
}

function linkOptions(random: Random): LinkOptions {
  if (random.chance(0.7)) return { pad: random.chance(0.9) };
  const tags = Array.from({ length: 1 + random.below(4) }, () => random.pick([0, 5, 100, 0x2064, 4095]));
  return {
    tags,
    tagTypes: [random.pick([ETHERTYPE.vlan, ETHERTYPE.qinq, ETHERTYPE.qinqOld]), ETHERTYPE.vlan],
  };
}

function ipOptions(random: Random, isV6: boolean): IpOptions {
  if (random.chance(0.85)) return {};
  if (!isV6) return { options: new Array(4 * (1 + random.below(10))).fill(1) };
  const extensions = Array.from({ length: 1 + random.below(3) }, () => {
    const proto = random.pick([PROTO.hop, PROTO.destination, PROTO.routing, PROTO.ah, PROTO.fragment]);
    // Zero everywhere but the length: for a fragment header that is a whole packet.
    const words = proto === PROTO.fragment ? 0 : random.below(3);
    const bytes = proto === PROTO.ah ? 4 * (words + 2) : 8 * (words + 1);
    const header = new Array<number>(bytes).fill(0);
    header[1] = words;
    return [proto, header] as const;
  });
  return { extensions };
}

/** What carries the segments of one conversation, so that both directions share VLAN and options. */
interface Carrier {
  readonly link: LinkOptions;
  readonly network: IpOptions;
  readonly tunnel?: Tunnel;
}

function newCarrier(random: Random, ends: readonly [End, End]): Carrier {
  const bare = { link: linkOptions(random), network: ipOptions(random, ends[0].ip.length === 16) };
  return random.chance(0.08) ? { ...bare, tunnel: random.pick(TUNNELS) } : bare;
}

function carry(
  { link, network, tunnel }: Carrier,
  ends: readonly [End, End],
  proto: number,
  segment: Uint8Array,
) {
  const content = ip(ends, proto, segment, network);
  if (tunnel) return wrap(tunnel, ends, content);
  return ethernet(ends, content.type, content.body, link);
}

function somePayload(random: Random): Uint8Array<ArrayBuffer> {
  const bytes = random.chance(0.4) ? 0 : random.chance(0.03) ? 1460 : random.below(120);
  return FILLER.subarray(0, bytes);
}

/** Options of a SYN: known, unknown and now and then broken ones, filled up to a multiple of four. */
function synOptions(random: Random): number[] {
  const options: number[] = [];
  if (random.chance(0.8)) options.push(2, 4, 5, 0xb4);
  if (random.chance(0.6)) options.push(4, 2);
  if (random.chance(0.3)) options.push(8, 10, 0, 0, 0, 1, 0, 0, 0, 0);
  if (random.chance(0.2)) {
    options.push(random.below(256), random.pick([0, 1, 2, 3, 40, 255]), random.below(256));
  }
  if (random.chance(0.7)) options.push(1, 3, 3, random.below(18));
  if (random.chance(0.2)) options.push(1, 1, 1);
  const fill = random.pick([0, 1]);
  while (options.length % 4 !== 0) options.push(fill);
  return options.slice(0, 40);
}

/** A TCP conversation: opening (perhaps repeated), data with repetitions, and one of several ends. */
function* talkTcp(random: Random): Talk {
  const ends = newEnds(random);
  const carrier = newCarrier(random, ends);
  const next: [number, number] = [random.u32(), random.u32()];
  const send = (from: 0 | 1, flags: number, options: number[] = [], payload = new Uint8Array(0)) => {
    const way: [End, End] = from === 0 ? ends : [ends[1], ends[0]];
    const ack = (flags & TCP.ack) !== 0 || random.chance(0.1) ? next[1 - from]! : 0;
    const seq = random.chance(0.03) ? next[from] - random.below(3000) : next[from]; // a repetition
    const fields = { seq: seq >>> 0, ack, flags, window: random.below(65536), options };
    return carry(carrier, way, PROTO.tcp, tcp(way, fields, payload));
  };
  if (!random.chance(0.15)) { // else the node came late and sees the middle only
    yield* openTcp(random, next, send);
  }
  const speech: Speech = random.chance(0.4) ? random.pick(SPEECHES) : "plain";
  for (let left = random.below(random.chance(0.1) ? 400 : 14), said = 0; left > 0; left--) {
    const from = random.chance(0.6) ? 1 : 0;
    const payload = spoken(speech, somePayload(random), said++ > 4 && random.chance(0.5));
    yield send(from, TCP.ack | (payload.length > 0 ? TCP.psh : 0), [], payload);
    next[from] = (next[from] + payload.length) >>> 0;
  }
  if (random.chance(0.2)) return; // falls silent
  if (random.chance(0.3)) {
    return yield send(random.chance(0.5) ? 0 : 1, TCP.rst | (random.chance(0.5) ? TCP.ack : 0));
  }
  const first = random.chance(0.5) ? 0 : 1;
  const second = first === 0 ? 1 : 0;
  yield send(first, TCP.fin | TCP.ack);
  next[first]++;
  if (random.chance(0.5)) yield send(second, TCP.ack);
  yield send(second, TCP.fin | TCP.ack);
  next[second]++;
  yield send(first, TCP.ack);
}

type Send = (
  from: 0 | 1,
  flags: number,
  options?: number[],
  payload?: Uint8Array<ArrayBuffer>,
) => Uint8Array<ArrayBuffer>;

function* openTcp(random: Random, next: [number, number], send: Send): Talk {
  const options = synOptions(random);
  const early = random.chance(0.05) ? somePayload(random) : new Uint8Array(0); // TCP Fast Open
  const syn = send(0, TCP.syn, options, early);
  yield syn;
  while (random.chance(0.15)) yield syn;
  if (random.chance(0.05)) { // gives up and tries again with another number
    next[0] = random.u32();
    yield send(0, TCP.syn, options);
  }
  if (random.chance(0.05)) return yield send(1, TCP.rst | TCP.ack);
  next[0] = (next[0] + 1) >>> 0;
  yield send(1, TCP.syn | TCP.ack, synOptions(random));
  next[1] = (next[1] + 1) >>> 0;
  if (random.chance(0.05)) yield syn;
  yield send(0, TCP.ack);
}

function* talkDatagrams(random: Random, proto: number): Talk {
  const ends = newEnds(random);
  const carrier = newCarrier(random, ends);
  const speech: Speech = random.chance(0.4) ? random.pick(["quic", "quic", "dtls"] as const) : "plain";
  for (let left = 1 + random.below(12), said = 0; left > 0; left--) {
    const way: [End, End] = random.chance(0.5) ? ends : [ends[1], ends[0]];
    const payload = spoken(speech, somePayload(random), said++ > 2 && random.chance(0.5));
    yield carry(carrier, way, proto, proto === PROTO.udp ? udp(way, payload) : sctp(way, payload));
  }
}

function* talkIcmp(random: Random): Talk {
  const ends = newEnds(random);
  const carrier = newCarrier(random, ends);
  const isV6 = ends[0].ip.length === 16;
  const [request, reply, trouble] = isV6 ? [128, 129, 1] : [8, 0, 3];
  const identifier = random.below(50) << 16;
  for (let left = 1 + random.below(8); left > 0; left--) {
    const isReply = random.chance(0.5);
    const way: [End, End] = isReply ? [ends[1], ends[0]] : ends;
    const type = random.chance(0.1) ? trouble : isReply ? reply : request;
    yield carry(
      carrier,
      way,
      isV6 ? PROTO.icmpv6 : PROTO.icmp,
      icmp(way, [type, 0, identifier], somePayload(random)),
    );
  }
}

/** Protocols that are flows by address only, among them the ICMP of the other IP version. */
function* talkOther(random: Random): Talk {
  const ends = newEnds(random);
  const carrier = newCarrier(random, ends);
  const foreign = ends[0].ip.length === 16 ? PROTO.icmp : PROTO.icmpv6;
  const proto = random.pick([PROTO.gre, PROTO.esp, 89, 59, foreign]);
  for (let left = 1 + random.below(6); left > 0; left--) {
    yield carry(carrier, random.chance(0.5) ? ends : [ends[1], ends[0]], proto, somePayload(random));
  }
}

function* talkFragments(random: Random): Talk {
  const ends = newEnds(random);
  const payload = somePayload(random);
  if (ends[0].ip.length === 4) {
    const id = random.below(40);
    const piece = (fragment: number, segment: Uint8Array) =>
      carry({ link: {}, network: { id, fragment } }, ends, PROTO.udp, segment);
    if (random.chance(0.2)) yield piece(1 + random.below(0x1fff), payload); // overtakes the first
    yield piece(0x2000, random.chance(0.9) ? udp(ends, payload) : payload.subarray(0, 6));
    for (let left = random.below(4); left > 0; left--) {
      yield piece(0x2000 + 1 + random.below(0x1fff), payload);
    }
    yield piece(1 + random.below(0x1fff), payload);
    yield carry({ link: {}, network: { fragment: 0x4000 } }, ends, PROTO.udp, udp(ends, payload)); // do not fragment
    return;
  }
  const id = random.below(40);
  for (const place of [1, 8, 9, 0]) {
    const header = [0, 0, 0, place, 0, 0, 0, id];
    yield carry(
      { link: {}, network: { extensions: [[PROTO.fragment, header]] } },
      ends,
      PROTO.udp,
      udp(ends, payload),
    );
  }
}

/** Frames that are not flows: ARP, neighbour discovery, LLDP, LLC, MPLS, too many tags or extension headers. */
function* talkLink(random: Random): Talk {
  const ends = newEnds(random);
  const body = new Uint8Array(46).fill(random.below(256));
  yield ethernet(ends, ETHERTYPE.arp, body, linkOptions(random));
  const bridge: End = { mac: [1, 0x80, 0xc2, 0, 0, random.below(20)], ip: [], port: 0 };
  yield ethernet([ends[0], bridge], random.pick([0x88cc, 0x8809, 39]), body);
  yield ethernet(ends, random.pick([38, 1500, 0x8847, 0x8864, 0x9000]), body, linkOptions(random));
  yield ethernet(ends, ETHERTYPE.ipv4, body, { tags: [1, 2, 3, 4, 5] });
  if (ends[0].ip.length !== 16) return;
  yield carry({ link: {}, network: {} }, ends, PROTO.icmpv6, icmp(ends, [133 + random.below(5), 0, 0], body));
  const deep = Array.from(
    { length: 7 + random.below(4) },
    () => [PROTO.destination, new Array(8).fill(0)] as const,
  );
  yield carry({ link: {}, network: { extensions: deep } }, ends, PROTO.udp, udp(ends));
}

/** Cut, lengthen, let IP end early, or flip bits; headers are hit more often than payload. */
export function breakFrame(frame: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  const dice = random.below(5);
  if (dice === 0) return frame.slice(0, random.below(frame.length + 1));
  if (dice === 1) {
    const longer = new Uint8Array(frame.length + random.below(64));
    longer.set(frame);
    return longer;
  }
  const broken = frame.slice();
  if (dice === 2) {
    shortenIp(broken, random.below(24));
    return broken;
  }
  for (let flips = 1 + random.below(dice === 3 ? 1 : 8); flips > 0; flips--) {
    const at = random.below(random.chance(0.8) ? Math.min(80, broken.length) : broken.length);
    broken[at]! ^= 1 << random.below(8);
  }
  return broken;
}

/** Make the IP header name an end that leaves the transport so many bytes, or as many as there are. */
function shortenIp(frame: Uint8Array<ArrayBuffer>, transportBytes: number): void {
  const { flow, ipOffset } = parsePacket(frame);
  if (!flow) return;
  const there = flow.payloadOffset + flow.payloadBytes - flow.transportOffset;
  const end = flow.transportOffset + Math.min(transportBytes, there);
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (flow.ipv6) view.setUint16(ipOffset + 4, end - ipOffset - 40);
  else view.setUint16(ipOffset + 2, end - ipOffset);
}
