/**
 * What the plane would have seen of a captured frame: always Ethernet, always whole.
 *
 * Captures also come from places without Ethernet, and cut to their first bytes. Decisions need neither MAC addresses
 * nor content, so a header is put in front and zeros behind. Pure. Sources: tcpdump.org/linktypes.html.
 */
import { type CapturedFrame, LINK_ETHERNET } from "../filter/capture.ts";
import { ETHERTYPE } from "../filter/packet.ts";

const HEADER_BYTES = 14;
/** A length on the wire beyond the largest IP packet is a broken record, not a cut frame. */
const WIRE_BYTES_MAX = 65_535 + 64;

/** Bytes of a link header, and where in it the EtherType stands; undefined: the IP version tells. */
const LINKS: ReadonlyMap<number, { readonly skip: number; readonly type?: number }> = new Map([
  [0, { skip: 4 }], // BSD loopback
  [12, { skip: 0 }], // raw IP, as some systems number it
  [14, { skip: 0 }],
  [101, { skip: 0 }],
  [108, { skip: 4 }], // OpenBSD loopback
  [113, { skip: 16, type: 14 }], // Linux "any"
  [228, { skip: 0 }],
  [229, { skip: 0 }],
  [276, { skip: 20, type: 0 }], // Linux "any", second version
]);

/** The frame as Ethernet, filled up to its length on the wire; undefined for a link that carries no IP we know. */
export function asEthernet(frame: CapturedFrame): Uint8Array | undefined {
  const { bytes, link } = frame;
  const missing = frame.wireLength > bytes.length && frame.wireLength <= WIRE_BYTES_MAX
    ? frame.wireLength - bytes.length
    : 0;
  if (link === LINK_ETHERNET) return missing === 0 ? bytes : filled(bytes, missing);
  const shape = LINKS.get(link);
  if (!shape || bytes.length <= shape.skip) return undefined;
  const type = shape.type === undefined
    ? (bytes[shape.skip]! >> 4 === 6 ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4)
    : bytes[shape.type]! * 256 + bytes[shape.type + 1]!;
  const body = bytes.subarray(shape.skip);
  const ethernet = new Uint8Array(HEADER_BYTES + body.length + missing);
  ethernet.set([type >> 8, type & 255], HEADER_BYTES - 2);
  ethernet.set(body, HEADER_BYTES);
  return ethernet;
}

function filled(bytes: Uint8Array, missing: number): Uint8Array {
  const whole = new Uint8Array(bytes.length + missing);
  whole.set(bytes);
  return whole;
}

/** Bytes that count for shares: those on the wire, unless the record says less than it holds. */
export function wireBytes(frame: CapturedFrame): number {
  return frame.wireLength <= WIRE_BYTES_MAX
    ? Math.max(frame.wireLength, frame.bytes.length)
    : frame.bytes.length;
}
