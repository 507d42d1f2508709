/**
 * Just enough DER (X.690) to write a certificate (RFC 5280). Pure: bytes in, bytes out.
 *
 * Every value is tag, length, content. A certificate is made of few kinds of them; the key and the signature come ready
 * in DER from node:crypto.
 */
export function der(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const length = content.reduce((sum, { length }) => sum + length, 0);
  return joined([Uint8Array.of(tag, ...lengthBytes(length)), ...content]);
}

export const sequence = (...content: readonly Uint8Array[]) => der(0x30, ...content);
export const setOf = (...content: readonly Uint8Array[]) => der(0x31, ...content);
/** [number] EXPLICIT */
export const explicit = (number: number, content: Uint8Array) => der(0xa0 | number, content);
export const utf8 = (text: string) => der(0x0c, new TextEncoder().encode(text));
export const octets = (content: Uint8Array) => der(0x04, content);
export const bits = (content: Uint8Array) => der(0x03, Uint8Array.of(0), content);
export const truth = () => der(0x01, Uint8Array.of(0xff));

/** A number that is not negative, from its bytes, most significant first. */
export function unsigned(bytes: Uint8Array): Uint8Array {
  let first = 0;
  while (first < bytes.length - 1 && bytes[first] === 0) first++;
  const rest = bytes.subarray(first);
  return der(0x02, ...((rest[0] ?? 0) >= 0x80 ? [Uint8Array.of(0)] : []), rest);
}

/** "1.2.840.10045.4.3.2" */
export function objectId(text: string): Uint8Array {
  const [a = 0, b = 0, ...rest] = text.split(".").map(Number);
  return der(0x06, Uint8Array.of(a * 40 + b, ...rest.flatMap(base128)));
}

/** GeneralizedTime from 2050 on, as RFC 5280 4.1.2.5 wants it; UTCTime before. */
export function time(ms: number): Uint8Array {
  const text = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, "");
  const old = Number(text.slice(0, 4)) < 2050;
  return der(old ? 0x17 : 0x18, new TextEncoder().encode(old ? text.slice(2) : text));
}

function lengthBytes(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 | bytes.length, ...bytes];
}

function base128(value: number): number[] {
  const bytes = [value % 128];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) {
    bytes.unshift(0x80 | rest % 128);
  }
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
