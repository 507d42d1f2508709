/** IP addresses as people write them, into bytes. Pure. */

const V4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;
const GROUPS = 8;

/** Four bytes or sixteen; null: this is no address. */
export function parseIpAddress(text: string): readonly number[] | null {
  const v4 = V4.exec(text)?.slice(1).map(Number);
  if (v4 !== undefined) return v4.every((byte) => byte <= 255) ? v4 : null;
  const halves = text.split("::");
  if (halves.length > 2 || !/^[0-9a-f:]+$/i.test(text)) return null;
  const [head = [], tail = []] = halves.map((half) => half === "" ? [] : half.split(":"));
  const missing = GROUPS - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const groups = [...head, ...Array<string>(halves.length === 1 ? 0 : missing).fill("0"), ...tail];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null;
  return groups.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255]);
}

/** As on the board: sixteen bytes, IPv4 as ::ffff:a.b.c.d. */
export function mappedAddress(bytes: readonly number[]): Uint8Array {
  const head = bytes.length === 4 ? [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff] : [];
  return Uint8Array.of(...head, ...bytes);
}

/** Six bytes; null: this is no MAC. */
export function parseMac(text: string): readonly number[] | null {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return null;
  return text.split(":").map((byte) => parseInt(byte, 16));
}
