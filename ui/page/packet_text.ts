/**
 * One packet that somebody pasted, as a capture: hexadecimal digits as tcpdump, Wireshark or a log prints them. Pure.
 */
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

const MAGIC = 0xa1b2c3d4, ETHERNET = 1, HEAD_BYTES = 24, RECORD_BYTES = 16;

/** A pcap file with this one frame, at time 0 (draft-ietf-opsawg-pcap, 4 and 5). */
export function captureOf(frame: Uint8Array): Uint8Array<ArrayBuffer> {
  const file = new Uint8Array(HEAD_BYTES + RECORD_BYTES + frame.length), view = new DataView(file.buffer);
  view.setUint32(0, MAGIC, true), view.setUint16(4, 2, true), view.setUint16(6, 4, true);
  view.setUint32(16, FRAME_BYTES_MAX, true), view.setUint32(20, ETHERNET, true);
  view.setUint32(HEAD_BYTES + 8, frame.length, true), view.setUint32(HEAD_BYTES + 12, frame.length, true);
  file.set(frame, HEAD_BYTES + RECORD_BYTES);
  return file;
}
