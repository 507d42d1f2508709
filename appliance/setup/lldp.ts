/**
 * What a neighbour says of itself in an LLDP frame (IEEE 802.1AB, 8.4): enough to know which cable is which. Pure.
 *
 *   2 bytes: type (7 bits), length (9 bits); then so many bytes. Ends with type 0.
 */
export interface Neighbour {
  /** What it calls itself; its chassis where it says no name. */
  readonly system: string;
  readonly port: string;
}

const HEADER_BYTES = 14, TAG_BYTES = 4, LLDP = 0x88cc, VLAN = 0x8100;
const CHASSIS = 1, PORT = 2, PORT_TEXT = 4, SYSTEM = 5;
const TEXT_MAX = 64;
/** Subtypes of a port and of a chassis that are a MAC address. */
const PORT_MAC = 3, CHASSIS_MAC = 4;

/** Null: it is no LLDP frame, or says nothing of use. */
export function readLldp(frame: Uint8Array): Neighbour | null {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.length < HEADER_BYTES + 2) return null;
  const tagged = view.getUint16(12) === VLAN ? TAG_BYTES : 0;
  if (frame.length < HEADER_BYTES + tagged + 2 || view.getUint16(12 + tagged) !== LLDP) return null;
  const parts = new Map<number, Uint8Array>();
  for (let at = HEADER_BYTES + tagged; at + 2 <= frame.length;) {
    const head = view.getUint16(at), type = head >> 9, bytes = head & 0x1ff;
    at += 2;
    if (type === 0 || at + bytes > frame.length) break;
    if (!parts.has(type)) parts.set(type, frame.subarray(at, at + bytes));
    at += bytes;
  }
  const text = (type: number) => printable(parts.get(type));
  const system = text(SYSTEM) || idText(parts.get(CHASSIS), CHASSIS_MAC);
  const port = idText(parts.get(PORT), PORT_MAC) || text(PORT_TEXT);
  return system === "" && port === "" ? null : { system, port };
}

/** An id with its subtype before it. */
function idText(id: Uint8Array | undefined, mac: number): string {
  if (id === undefined || id.length < 2) return "";
  const rest = id.subarray(1);
  if (id[0] !== mac || rest.length !== 6) return printable(rest);
  return [...rest].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** Anybody on the cable may write it. */
function printable(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return "";
  // deno-lint-ignore no-control-regex
  return new TextDecoder().decode(bytes).replace(/[\x00-\x1f\x7f-\x9f]/g, "").trim().slice(0, TEXT_MAX);
}
