/**
 * The ring of captured frames on disk: pcapng files of one size, of which the oldest give way.
 *
 * Each file stands for itself, and each write is of whole blocks, so that whatever is found after a power failure can be
 * read up to its end. The bound is kept before something is written, never after. Files hold what users sent: only their
 * owner can read them.
 */
import { type CapturedFrame, readCapture } from "../filter/capture.ts";

const BYTES_PER_MIB = 1024 * 1024;
/** Small rings still have several files, or the first rotation would lose all of it. */
const FILES_MIN = 8;
const FILE_BYTES_MAX = 8 * BYTES_PER_MIB;
const NAME = /^([a-z]+)-(\d{8})T(\d{6})\.(\d{3})(?:-(\d+))?\.pcapng$/;
/** What the files of a ring begin with: copies of the mirror, decisions of the flight recorder. */
export type RingName = "mirror" | "flight";

export interface CaptureFile {
  readonly name: string;
  readonly bytes: number;
  readonly startMs: number;
  readonly endMs: number;
}

/** "mirror-20260131T120000.250.pcapng": in UTC, so that names sort by time. `again` tells two of one millisecond apart. */
export function captureFileName(startMs: number, again = 0, ring: RingName = "mirror"): string {
  const text = new Date(startMs).toISOString().replace(/[-:Z]/g, "");
  return `${ring}-${text}${again === 0 ? "" : `-${again}`}.pcapng`;
}

/** When the first frame of a file was, by its name; null: it is none of ours. */
export function captureFileStart(name: string, ring: RingName = "mirror"): number | null {
  const found = NAME.exec(name);
  if (found === null || found[1] !== ring) return null;
  const [, , day = "", time = "", ms = ""] = found;
  const date = day.replace(/(....)(..)(..)/, "$1-$2-$3"), clock = time.replace(/(..)(..)(..)/, "$1:$2:$3");
  const startMs = Date.parse(`${date}T${clock}.${ms}Z`);
  return Number.isNaN(startMs) ? null : startMs;
}

/** What is in the ring, oldest first. A directory that is not there holds nothing. */
export function listCaptureFiles(directory: string, ring: RingName = "mirror"): CaptureFile[] {
  const files: CaptureFile[] = [];
  try {
    for (const { name, isFile } of Deno.readDirSync(directory)) {
      const startMs = isFile ? captureFileStart(name, ring) : null;
      if (startMs === null) continue;
      const { size, mtime } = Deno.statSync(`${directory}/${name}`);
      files.push({ name, bytes: size, startMs, endMs: Math.max(startMs, mtime?.getTime() ?? startMs) });
    }
  } catch (error) {
    // Another one may have been rotated away while we looked.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return files.sort((a, b) => a.startMs - b.startMs || (a.name < b.name ? -1 : 1));
}

/** The frames and marks of one file, as far as it is whole. Gone meanwhile: none. */
export async function readCaptureFile(path: string): Promise<Generator<CapturedFrame>> {
  try {
    return wholeFrames(await Deno.readFile(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return wholeFrames(null);
    throw error;
  }
}

function* wholeFrames(bytes: Uint8Array | null): Generator<CapturedFrame> {
  if (bytes === null) return;
  try {
    yield* readCapture(bytes);
  } catch (error) {
    // It is being written, or was when the machine lost its power.
    if (!(error instanceof RangeError)) throw error;
  }
}

export interface CaptureRingOptions {
  readonly directory: string;
  readonly bytesMax: number;
  /** What each file begins with. */
  readonly head: () => Uint8Array;
  /** @default "mirror" */
  readonly name?: RingName;
  /** What is older goes, whatever room there is. @default none */
  readonly ageMsMax?: number;
  /** What each write of a file is made into, anew for each file. @default as it is */
  readonly seal?: () => (bytes: Uint8Array) => Uint8Array;
}

export class CaptureRing {
  readonly #options: CaptureRingOptions;
  readonly #fileBytesMax: number;
  #file: Deno.FsFile | null = null;
  #fileBytes = 0;
  #fileStartMs = 0;
  #seal: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes;

  constructor(options: CaptureRingOptions) {
    this.#options = options;
    this.#fileBytesMax = Math.min(Math.floor(options.bytesMax / FILES_MIN), FILE_BYTES_MAX);
  }

  /**
   * Append whole blocks, the first of `startMs`; begins another file when this one is full.
   * @throws Error of the file system
   */
  async write(bytes: Uint8Array, startMs: number): Promise<void> {
    // Of a quiet node a file would grow as old as the whole ring may.
    const old = startMs - this.#fileStartMs > (this.#options.ageMsMax ?? Infinity) / FILES_MIN;
    if (this.#file !== null && (old || this.#fileBytes + bytes.length > this.#fileBytesMax)) this.close();
    try {
      this.#file ??= await this.#begin(startMs);
      await this.#append(this.#file, bytes);
    } catch (error) {
      // Part of a block may stand at its end: what follows must not come behind it.
      this.close();
      throw error;
    }
  }

  close(): void {
    this.#file?.close();
    this.#file = null;
  }

  async #append(file: Deno.FsFile, plain: Uint8Array): Promise<void> {
    const bytes = this.#seal(plain);
    for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    this.#fileBytes += bytes.length;
  }

  async #begin(startMs: number): Promise<Deno.FsFile> {
    const { directory, bytesMax, name: ring = "mirror", ageMsMax = Infinity, seal } = this.#options;
    await Deno.mkdir(directory, { recursive: true, mode: 0o700 });
    const files = listCaptureFiles(directory, ring);
    let held = files.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { name, bytes, endMs } of files) {
      if (held + this.#fileBytesMax <= bytesMax && endMs >= startMs - ageMsMax) break;
      await Deno.remove(`${directory}/${name}`);
      held -= bytes;
    }
    const taken = files.filter((file) => file.startMs === startMs).length;
    const path = `${directory}/${captureFileName(startMs, taken, ring)}`;
    const file = await Deno.open(path, { createNew: true, write: true, mode: 0o600 });
    this.#fileBytes = 0;
    this.#fileStartMs = startMs;
    this.#seal = seal?.() ?? ((bytes) => bytes);
    await this.#append(file, this.#options.head());
    return file;
  }
}
