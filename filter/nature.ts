/**
 * What the payload of a flow shows of its nature, the twin of native/nature.c.
 */
import type { Nature } from "./names.ts";
import { PROTO } from "./packet.ts";

/** While nothing but plain text was seen, so many packets with payload of each direction are looked at. */
export const NATURE_PACKETS = 8;
const TLS_PACKETS = 16;
const SSH_PACKETS = 8;

function isRecord(payload: Uint8Array, kind: number): boolean {
  const [type, major, minor] = payload;
  return payload.length >= 3 && type === kind && ((major === 3 && minor! <= 4) || major === 0xfe);
}

const u32 = (bytes: Uint8Array, at: number) =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(at);

function isQuic(payload: Uint8Array): boolean {
  if (payload.length < 7 || payload[0]! < 0xc0) return false;
  const version = u32(payload, 1);
  return version === 1 || version === 0x6b3343cf || version >>> 8 === 0xff0000;
}

function firstLook(proto: number, payload: Uint8Array): Nature {
  if (proto === PROTO.esp) return "opaque";
  if (proto === PROTO.udp && isQuic(payload)) return "quic";
  if (proto !== PROTO.tcp && proto !== PROTO.udp) return "plain";
  if (isRecord(payload, 0x16)) return "tls";
  if (isRecord(payload, 0x17)) return "opaque";
  return payload.length >= 4 && String.fromCharCode(...payload.subarray(0, 4)) === "SSH-" ? "ssh" : "plain";
}

/** The nature after a packet with this payload, the sender having sent `payloadPackets` with payload before. */
export function nextNature(
  nature: Nature,
  packet: { readonly proto: number; readonly payload: Uint8Array; readonly payloadPackets: number },
): Nature {
  const { proto, payload, payloadPackets } = packet;
  switch (nature) {
    case "tls":
      return isRecord(payload, 0x17) || payloadPackets >= TLS_PACKETS ? "opaque" : "tls";
    case "ssh": {
      const isNewKeys = payload.length >= 6 && payload[5] === 21 && u32(payload, 0) <= 64;
      return isNewKeys || payloadPackets >= SSH_PACKETS ? "opaque" : "ssh";
    }
    case "quic":
      return payload[0]! >= 0x80 ? "quic" : "opaque";
    case "opaque":
      return "opaque";
    default:
      return firstLook(proto, payload);
  }
}
