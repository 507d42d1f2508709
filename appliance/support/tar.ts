/** A tar archive (POSIX.1-2017, ustar) of small files, and its gzip. Pure. */
export interface Entry {
  /** At most 100 bytes. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

const BLOCK = 512;

export function tar(entries: readonly Entry[], nowMs: number): Uint8Array<ArrayBuffer> {
  const padded = (bytes: number) => Math.ceil(bytes / BLOCK) * BLOCK;
  const size = entries.reduce((sum, { bytes }) => sum + BLOCK + padded(bytes.length), 2 * BLOCK);
  const out = new Uint8Array(size);
  let at = 0;
  for (const entry of entries) {
    out.set(header(entry, nowMs), at);
    out.set(entry.bytes, at + BLOCK);
    at += BLOCK + padded(entry.bytes.length);
  }
  return out;
}

function header({ name, bytes }: Entry, nowMs: number): Uint8Array {
  const block = new Uint8Array(BLOCK), text = new TextEncoder();
  const put = (at: number, value: string) => block.set(text.encode(value), at);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0");
  if (text.encode(name).length > 100) throw new RangeError(`Cannot archive "${name}": its name is too long`);
  put(0, name);
  put(100, `${octal(0o600, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0`);
  put(124, `${octal(bytes.length, 11)}\0${octal(Math.floor(nowMs / 1000), 11)}\0`);
  put(148, " ".repeat(8)); // the sum counts its own place as blanks
  put(156, "0");
  put(257, "ustar\x0000");
  put(148, `${octal(block.reduce((sum, byte) => sum + byte, 0), 6)}\0 `);
  return block;
}

export async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
