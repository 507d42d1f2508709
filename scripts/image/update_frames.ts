/** Duty: one frame of a client, and what the update API tells, for the tests of updates. Pure. */
import type { UpdateView } from "../../appliance/update/contract.ts";

export type Slots = UpdateView;

function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i]! << 8 | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** 10.1.0.11:4000 to 10.2.0.21:7001, without a UDP checksum, as IPv4 allows. */
export function udpFrame(payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(42 + payload.length), view = new DataView(frame.buffer);
  frame.set([0x02, 0, 0, 0, 0, 0xb1, 0x02, 0, 0, 0, 0, 0xc1, 0x08, 0x00, 0x45, 0]);
  view.setUint16(16, 28 + payload.length);
  frame.set([0, 1, 0x40, 0, 64, 17, 0, 0, 10, 1, 0, 11, 10, 2, 0, 21], 18);
  view.setUint16(24, checksum(frame.subarray(14, 34)));
  view.setUint16(34, 4000);
  view.setUint16(36, 7001);
  view.setUint16(38, 8 + payload.length);
  frame.set(payload, 42);
  return frame;
}
