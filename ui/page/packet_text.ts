/**
 * One packet that somebody pasted, as a capture: hexadecimal digits as tcpdump, Wireshark or a log prints them. Pure.
 */
import { pcapHeader, pcapRecord } from "../../filter/capture.ts";

const FRAME_BYTES_MAX = 65_535;
/** Ethernet with nothing in it. */
const FRAME_BYTES_MIN = 14;

/** The bytes, or why there are none, as a sentence. Offsets as of `tcpdump -xx` are left out. */
export function readPacket(text: string): Uint8Array<ArrayBuffer> | string {
  const lines = text.split("\n").map((line) => line.replace(/^\s*(0x)?[0-9a-f]{4,8}:\s/i, ""));
  const digits = lines.join("").replace(/[\s:]/g, "");
  const strange = /[^0-9a-f]/i.exec(digits)?.[0];
  if (strange !== undefined) return `"${strange}" in the packet is no hexadecimal digit`;
  if (digits.length % 2 === 1) return `The packet has ${digits.length} digits: half a byte is missing`;
  const bytes = digits.length / 2;
  if (bytes < FRAME_BYTES_MIN || bytes > FRAME_BYTES_MAX) {
    return `The packet has ${bytes} bytes; an Ethernet frame has ${FRAME_BYTES_MIN} to ${FRAME_BYTES_MAX}`;
  }
  return Uint8Array.fromHex(digits);
}

/** A pcap file with this one frame, at time 0. */
export function captureOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const head = pcapHeader(), record = pcapRecord({ bytes, wireLength: bytes.length, timeNs: 0n });
  const file = new Uint8Array(head.length + record.length);
  file.set(head);
  file.set(record, head.length);
  return file;
}
