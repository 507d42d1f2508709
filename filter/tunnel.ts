/**
 * Packets inside packets, the twin of native/tunnel.c: written from the comment of rm_parse_inner() in native/filter.h.
 *
 * Each opener gets the stretch that an outer header names and gives the stretch inside it with its EtherType, or
 * undefined where there is none.
 */
import {
  Bytes,
  ETHERTYPE,
  type FlowPart,
  type LinkPart,
  type Packet,
  parseIp,
  parseLink,
  parsePacket,
  PROTO,
} from "./packet.ts";

const INNER_MAX = 4;
const LABELS_MAX = 8;
const GTP_EXTENSIONS_MAX = 8;
const TYPE = { ethernet: 0x6558, mpls: 0x8847, mplsMulticast: 0x8848, pppoe: 0x8864 } as const;
const PORT = { vxlan: 4789, gtpu: 2152 } as const;
const PPP_TYPE = new Map([[0x0021, ETHERTYPE.ipv4], [0x0057, ETHERTYPE.ipv6]]);

interface Inside {
  readonly type: number;
  readonly rest: Bytes;
}

/** Parse a frame and what it carries: the innermost packet that has a flow, or is a fragment, if tunnels lead to one. */
export function parseInner(frame: Uint8Array): Packet {
  let found = parsePacket(frame);
  let around = found;
  let rest = new Bytes(0, frame.length, frame);
  for (let inner = 1; inner <= INNER_MAX; inner++) {
    const inside = around.flow ? openTransport(frame, around.flow) : openLink(around, rest);
    if (!inside) break;
    const { tags } = found;
    const start = {
      tags: 0,
      vlan: around.vlan,
      ipOffset: 0,
      frameBytes: frame.length,
      inner,
    } satisfies LinkPart;
    around = inside.type === TYPE.ethernet
      ? parseLink(inside.rest, start)
      : parseIp(inside.rest, inside.type, start);
    rest = inside.rest;
    if (around.flow || around.fragment) found = { ...around, tags };
    else if (inside.type !== TYPE.ethernet) break; // nothing tells what it is
  }
  return found;
}

const ipType = (
  first: number,
) => (first >> 4 === 4 ? ETHERTYPE.ipv4 : first >> 4 === 6 ? ETHERTYPE.ipv6 : undefined);

function openTransport(frame: Uint8Array, flow: FlowPart): Inside | undefined {
  const end = flow.payloadOffset + flow.payloadBytes;
  const payload = new Bytes(flow.payloadOffset, end, frame);
  switch (flow.proto) {
    case 4:
      return { type: ETHERTYPE.ipv4, rest: payload };
    case 41:
      return { type: ETHERTYPE.ipv6, rest: payload };
    case PROTO.gre:
      return openGre(payload);
    case PROTO.udp:
      break;
    default:
      return undefined;
  }
  const destination = new Bytes(flow.transportOffset, end, frame).u16(2);
  if (destination === PORT.vxlan) {
    const isVxlan = payload.length >= 8 && (payload.u8(0) & 8) !== 0;
    return isVxlan ? { type: TYPE.ethernet, rest: payload.part(8) } : undefined;
  }
  return destination === PORT.gtpu ? openGtp(payload) : undefined;
}

function openLink({ verdict, ipOffset }: Packet, around: Bytes): Inside | undefined {
  if (verdict !== "not_ip") return undefined;
  const type = around.u16(ipOffset - 2 - around.at);
  const rest = around.part(ipOffset - around.at);
  if (type === TYPE.pppoe) return openPppoe(rest);
  return type === TYPE.mpls || type === TYPE.mplsMulticast ? openMpls(rest) : undefined;
}

function openMpls(labels: Bytes): Inside | undefined {
  for (let n = 0; n < LABELS_MAX; n++) {
    if (labels.length < 4 * n + 5) return undefined;
    const isLast = (labels.u8(4 * n + 2) & 1) !== 0;
    if (!isLast) continue;
    const rest = labels.part(4 * n + 4);
    const type = ipType(rest.u8(0));
    if (type !== undefined) return { type, rest };
    return rest.u8(0) >> 4 === 0 && rest.length >= 4
      ? { type: TYPE.ethernet, rest: rest.part(4) }
      : undefined;
  }
  return undefined;
}

function openPppoe(rest: Bytes): Inside | undefined {
  if (rest.length < 8 || rest.u16(0) !== 0x1100) return undefined;
  const length = rest.u16(4);
  const type = PPP_TYPE.get(rest.u16(6));
  if (length < 2 || length > rest.length - 6 || type === undefined) return undefined;
  return { type, rest: rest.part(8, length - 2) };
}

function openGre(rest: Bytes): Inside | undefined {
  if (rest.length < 4) return undefined;
  const flags = rest.u16(0);
  const isPlain = (flags & 0x4007) === 0;
  const header = 4 + [0x8000, 0x2000, 0x1000].filter((flag) => (flags & flag) !== 0).length * 4;
  if (!isPlain || header > rest.length) return undefined;
  const type = rest.u16(2);
  const inside = rest.part(header);
  return type === TYPE.mpls || type === TYPE.mplsMulticast ? openMpls(inside) : { type, rest: inside };
}

function openGtp(rest: Bytes): Inside | undefined {
  if (rest.length < 8 || rest.u8(0) >> 4 !== 3 || rest.u8(1) !== 255) return undefined;
  const length = rest.u16(2);
  if (length > rest.length - 8) return undefined;
  let inside = rest.part(8, length);
  if ((rest.u8(0) & 7) !== 0) {
    if (inside.length < 4) return undefined;
    let next = (rest.u8(0) & 4) !== 0 ? inside.u8(3) : 0;
    inside = inside.part(4);
    for (let n = 0; next !== 0; n++) {
      if (n === GTP_EXTENSIONS_MAX || inside.length === 0) return undefined;
      const bytes = inside.u8(0) * 4;
      if (bytes === 0 || bytes > inside.length) return undefined;
      next = inside.u8(bytes - 1);
      inside = inside.part(bytes);
    }
  }
  const type = inside.length > 0 ? ipType(inside.u8(0)) : undefined;
  return type === undefined ? undefined : { type, rest: inside };
}
