/** Network addresses as people write them, to sixteen bytes as the board has them, and back. Pure. */

const V4_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** "10.0.0.1" as ::ffff:10.0.0.1, "fe80::1"; null: it is neither. */
export function addressBytes(text: string): Uint8Array | null {
  const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number);
  if (v4 !== undefined) return v4.every((part) => part < 256) ? Uint8Array.from([...V4_PREFIX, ...v4]) : null;
  if (!/^[0-9a-fA-F:.]+$/.test(text) || !URL.canParse(`http://[${text}]`)) return null;
  // The parser writes groups without dots, the longest run of zeros as "::".
  const [head = "", tail] = new URL(`http://[${text}]`).hostname.slice(1, -1).split("::");
  const groups = (part: string | undefined) => (part ?? "").split(":").filter((one) => one !== "");
  const [first, last] = [groups(head), groups(tail)];
  const zeros = Array<string>(8 - first.length - last.length).fill("0");
  const words = [...first, ...zeros, ...last].map((word) => parseInt(word, 16));
  const bytes = Uint8Array.from(words.flatMap((word) => [word >> 8, word & 255]));
  return isV4(bytes) ? null : bytes;
}

export function isV4(bytes: Uint8Array): boolean {
  return V4_PREFIX.every((byte, i) => bytes[i] === byte);
}

/** "10.0.0.1", "2001:db8::1". */
export function addressText(bytes: Uint8Array): string {
  if (isV4(bytes)) return bytes.subarray(12).join(".");
  const words = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8 | bytes[2 * i + 1]!).toString(16));
  return shorten(words.join(":"));
}

/** "10.0.0.1:80", "[2001:db8::1]:80"; sixteen bytes, IPv4 as ::ffff:a.b.c.d. */
export function address(bytes: Uint8Array, port: number): string {
  return isV4(bytes) ? `${addressText(bytes)}:${port}` : `[${addressText(bytes)}]:${port}`;
}

/** The longest run of zeros, the first of equal ones, becomes "::" (RFC 5952, 4.2). */
function shorten(text: string): string {
  const runs = [...text.matchAll(/\b0(:0)+\b/g)];
  const longest = runs.toSorted((a, b) => b[0].length - a[0].length)[0];
  if (longest === undefined) return text;
  const before = text.slice(0, longest.index), after = text.slice(longest.index + longest[0].length);
  return `${before.replace(/:$/, "")}::${after.replace(/^:/, "")}`;
}

/** "02:00:00:00:00:01"; null: it is none, or belongs to a group. */
export function macBytes(text: string): Uint8Array | null {
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text)) return null;
  const bytes = Uint8Array.from(text.split(":"), (part) => parseInt(part, 16));
  return (bytes[0]! & 1) === 1 || bytes.every((byte) => byte === 0) ? null : bytes;
}

/** Why a text is no address of one host, as the end of a sentence; null: it is one. */
export function addressFault(text: string): string | null {
  const bytes = addressBytes(text);
  if (bytes === null) return "is no address";
  if (isV4(bytes)) {
    const first = bytes[12]!;
    return first === 0 || first >= 224 ? "is no address of one host" : null;
  }
  return bytes[0] === 0xff || bytes.every((byte) => byte === 0) ? "is no address of one host" : null;
}

/** Four or sixteen bytes, as a packet has them; null: the text is no address. */
export function hostBytes(text: string): number[] | null {
  const bytes = addressBytes(text);
  return bytes === null ? null : [...(isV4(bytes) ? bytes.subarray(12) : bytes)];
}

/** The same backwards. */
export function hostText(bytes: readonly number[]): string {
  return bytes.length === 4 ? bytes.join(".") : addressText(Uint8Array.from(bytes));
}
