/**
 * The frames of probes: whole, with right lengths and checksums, but for the token and what the plane learns.
 *
 * Pure. The plane puts its token where `tokenAt` says and mends the checksum at `sumAt`; MACs that are not given are
 * zeros, which it fills in.
 */
import { type End, ethernet, icmp, ip, tcp, udp } from "../filter/frame.ts";
import { LIMIT } from "../filter/names.ts";
import { parsePacket, PROTO, TCP } from "../filter/packet.ts";
import type { Probe } from "./config_probes.ts";
import { mappedAddress, parseIpAddress, parseMac } from "../filter/ip_address.ts";

/** What is put in on one side, as the board wants it. */
export interface ProbeFrame {
  readonly bytes: Uint8Array;
  readonly tokenAt: number;
  readonly sumAt: number;
  /** Bit 0: the destination MAC is given, bit 1: the source. */
  readonly macGiven: number;
  /** Of a raw frame, the part by which it is known again. */
  readonly markAt: number;
  readonly markBytes: number;
}

const NO_MAC = [0, 0, 0, 0, 0, 0];
const ETHERNET_BYTES = 14;
const TAG_BYTES = 4;
const MARK_BYTES_MIN = 8;
/** MSS 1460, as of any host. */
const SYN_OPTIONS = [2, 4, 5, 0xb4];
const UDP_SUM = 6, ICMP_SUM = 2, TCP_SUM = 16, HEADER = 8;

/** The two ends as sixteen bytes each, client side first; null: the kind has none. */
export function probeEnds(probe: Probe): readonly [Uint8Array, Uint8Array] | null {
  const from = parseIpAddress(probe.from ?? ""), to = parseIpAddress(probe.to ?? "");
  return from === null || to === null ? null : [mappedAddress(from), mappedAddress(to)];
}

/** Of every kind but raw; `side`: 0 where it is put in on the client side, 1 on the server side. */
export function probeFrame(probe: Probe, side: 0 | 1): ProbeFrame {
  const given = side === 0 ? probe.macUp : probe.macDown;
  const mac = given === null ? null : parseMac(given);
  const client: End = { mac: NO_MAC, ip: parseIpAddress(probe.from ?? "") ?? [], port: probe.fromPort };
  const server: End = { mac: NO_MAC, ip: parseIpAddress(probe.to ?? "") ?? [], port: probe.toPort };
  const [source, target] = side === 0 ? [client, server] : [server, client];
  const ends = [source, { ...target, mac: mac ?? NO_MAC }] as const;
  const isV6 = source.ip.length === 16;
  const { proto, segment, sum } = segmentOf(probe, ends, isV6);
  const { type, body } = ip(ends, proto, segment);
  setTtl(body, isV6, probe.ttl);
  const bytes = ethernet(ends, type, body, { tags: probe.vlan === 0 ? [] : [probe.vlan] });
  const at = ETHERNET_BYTES + (probe.vlan === 0 ? 0 : TAG_BYTES) + (isV6 ? 40 : 20);
  const tokenAt = probe.kind === "tcp" ? at : at + HEADER;
  return { bytes, tokenAt, sumAt: at + sum, macGiven: mac === null ? 0 : 1, markAt: 0, markBytes: 0 };
}

function segmentOf(probe: Probe, ends: readonly [End, End], isV6: boolean) {
  const payload = new Uint8Array(probe.payloadBytes);
  switch (probe.kind) {
    case "tcp":
      return { proto: PROTO.tcp, segment: tcp(ends, { flags: TCP.syn, options: SYN_OPTIONS }), sum: TCP_SUM };
    case "udp":
      return { proto: PROTO.udp, segment: udp(ends, payload), sum: UDP_SUM };
    default: {
      const [type, proto] = isV6 ? [128, PROTO.icmpv6] : [8, PROTO.icmp];
      return { proto, segment: icmp(ends, [type, 0, probe.fromPort << 16 | 1], payload), sum: ICMP_SUM };
    }
  }
}

/** The builder's is 64; the header checksum is mended (RFC 1624). */
function setTtl(packet: Uint8Array, isV6: boolean, ttl: number): void {
  if (isV6) packet[7] = ttl;
  if (isV6) return;
  const view = new DataView(packet.buffer, packet.byteOffset);
  const before = view.getUint16(8);
  packet[8] = ttl;
  let sum = (~view.getUint16(10) & 0xffff) + (~before & 0xffff) + view.getUint16(8);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  view.setUint16(10, ~sum & 0xffff);
}

/** A frame of a file. @throws RangeError when it cannot be a probe */
export function rawFrame(probe: Probe, frame: Uint8Array): ProbeFrame {
  const fail = (reason: string) => {
    throw new RangeError(
      `Cannot use frame ${probe.frame} of ${probe.file} for probe ${probe.name}: ${reason}`,
    );
  };
  if (frame.length > LIMIT.probe_bytes) {
    fail(`it has ${frame.length} bytes, at most ${LIMIT.probe_bytes} fit`);
  }
  const { flow } = parsePacket(frame);
  const markAt = flow?.payloadOffset ?? ETHERNET_BYTES;
  const markBytes = flow?.payloadBytes ?? frame.length - ETHERNET_BYTES;
  if (markBytes < MARK_BYTES_MIN) {
    fail(`it has ${markBytes} bytes to be known by, at least ${MARK_BYTES_MIN} are needed`);
  }
  return { bytes: frame, tokenAt: 0, sumAt: 0, macGiven: 3, markAt, markBytes };
}
