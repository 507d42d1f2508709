/**
 * Duty: the capture that testpmd and the plane both read. Pure.
 *
 * A thousand TCP flows by Zipf's law, one frame in fifty opens a connection and one closes it. It is short enough
 * to be played over and over from memory.
 */
import { pcapHeader, pcapRecord } from "../../filter/capture.ts";
import { type End, ethernet, ip, tcp } from "../../filter/frame.ts";
import { PROTO, TCP } from "../../filter/packet.ts";
import { Random } from "../../filter/random.ts";

const FLOWS = 1000;
const PAYLOAD = new Uint8Array(10); // frames of 64 bytes

function ends(flow: number): readonly [End, End] {
  return [
    { mac: [2, 0, 0, 0, 1, 1], ip: [10, 0, flow >> 8, flow & 255], port: 1024 + flow },
    { mac: [2, 0, 0, 0, 2, 1], ip: [192, 168, 0, flow & 3], port: 443 },
  ];
}

/** A pcap file of `frames` frames; the same for the same seed. */
export function benchCapture(frames: number, seed = 1): Uint8Array<ArrayBuffer> {
  const random = new Random(seed);
  const parts = [pcapHeader()];
  for (let i = 0; i < frames; i++) {
    const flow = Math.min(FLOWS - 1, Math.floor(FLOWS ** (random.u32() / 2 ** 32)) - 1);
    const flags = i % 50 === 10 ? TCP.syn : i % 50 === 35 ? TCP.fin | TCP.ack : TCP.ack;
    const way = ends(flow);
    const segment = tcp(way, { seq: i * PAYLOAD.length, ack: i, flags }, PAYLOAD);
    const { type, body } = ip(way, PROTO.tcp, segment);
    const bytes = ethernet(way, type, body);
    parts.push(pcapRecord({ timeNs: BigInt(i) * 1000n, bytes, wireLength: bytes.length }));
  }
  const file = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) file.set(part, at), at += part.length;
  return file;
}
