/** IP addresses between text and bytes. Pure. */

const BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const V4 = new RegExp(`^${BYTE}(\\.${BYTE}){3}$`);

/** Four or sixteen bytes; null: the text is no address. Zones ("fe80::1%eth0") are not taken. */
export function addressBytes(text: string): number[] | null {
  if (V4.test(text)) return text.split(".").map(Number);
  if (!/^[0-9a-fA-F:.]{2,45}$/.test(text) || !URL.canParse(`http://[${text}]/`)) return null;
  const [head, tail] = text.split("::", 2);
  const before = words(head!), after = tail === undefined ? [] : words(tail);
  const zeros = tail === undefined ? [] : Array<number>(16 - before.length - after.length).fill(0);
  return [...before, ...zeros, ...after];
}

/** Bytes of a part of an IPv6 address, which may end in an IPv4 address (RFC 4291, 2.2). */
function words(part: string): number[] {
  if (part === "") return [];
  return part.split(":").flatMap((word) => {
    if (word.includes(".")) return word.split(".").map(Number);
    const value = parseInt(word, 16);
    return [value >> 8, value & 255];
  });
}

/** Four or sixteen bytes as text; the longest run of zeros of IPv6 is "::" (RFC 5952, 4.2). */
export function addressText(bytes: readonly number[]): string {
  if (bytes.length === 4) return bytes.join(".");
  const text = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8 | bytes[2 * i + 1]!).toString(16))
    .join(":");
  // The first of equal ones, which the sort leaves in place.
  const longest = [...text.matchAll(/\b0(:0)+\b/g)].toSorted((a, b) => b[0].length - a[0].length)[0];
  if (longest === undefined) return text;
  const before = text.slice(0, longest.index), after = text.slice(longest.index + longest[0].length);
  return `${before.replace(/:$/, "")}::${after.replace(/^:/, "")}`;
}

/** Why a text is no address, as the end of a sentence; null: it is one. */
export function addressFault(text: string): string | null {
  return addressBytes(text) === null ? "is no IP address" : null;
}
