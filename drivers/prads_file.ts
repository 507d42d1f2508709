/**
 * Duty: the lines that a program appends to a file, also after the file was emptied or replaced.
 */
const CHUNK_BYTES = 1 << 16;
/** A line that is longer is no line of a log. */
const LINE_CHARACTERS_MAX = 1 << 16;

/** Lines since the last reading. @throws Error where the file cannot be read */
export type ReadLines = () => Promise<readonly string[]>;

/** Half a line at the end waits for its rest. */
export class FileLines {
  readonly #path: string;
  #at = 0;
  #inode: number | null = null;
  #rest = "";
  #text = new TextDecoder();

  constructor(path: string) {
    this.#path = path;
  }

  #begin(inode: number | null): void {
    this.#at = 0;
    this.#inode = inode;
    this.#rest = "";
    this.#text = new TextDecoder();
  }

  async read(): Promise<string[]> {
    const lines: string[] = [];
    using file = await Deno.open(this.#path);
    const { size, ino } = await file.stat();
    if (ino !== this.#inode || size < this.#at) this.#begin(ino);
    await file.seek(this.#at, Deno.SeekMode.Start);
    const chunk = new Uint8Array(CHUNK_BYTES);
    for (let count = await file.read(chunk); count !== null; count = await file.read(chunk)) {
      this.#at += count;
      const parts = (this.#rest + this.#text.decode(chunk.subarray(0, count), { stream: true })).split("\n");
      this.#rest = parts.pop() ?? "";
      for (const part of parts) lines.push(part);
      if (this.#rest.length > LINE_CHARACTERS_MAX) this.#rest = "";
    }
    return lines;
  }
}
