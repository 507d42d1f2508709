/**
 * Duty: brings a bundle to this node: what is here already is copied, the rest is fetched by ranges, then all of it verified.
 *
 * An edge. It keeps no journal: after a cut, chunks of the partial file are hashed again, and those that are right are not
 * fetched again. A power failure in the middle of a write costs that chunk. The finished file gets its name by a rename, after
 * its digest was found to be that of the offer.
 */
import { reasonOf } from "../../../drivers/reason.ts";
import { digestFile, indexFile, sha256 } from "./digest.ts";
import { type BundleIndex, type Chunk, decodeIndex, INDEX_BYTES_MAX } from "./index_file.ts";
import { type Get, getAny } from "./get.ts";
import { Rate, type Run, runsOf } from "./plan.ts";

export interface Wanted {
  readonly digest: string;
  readonly bytes: number;
  /** URLs of the same content; the next one is tried where one fails. Its index is beside it, as `.index`. */
  readonly sources: readonly string[];
}

export interface FetchOptions {
  /** Where bundles are kept, by digest. */
  readonly directory: string;
  /** Files and devices whose content is like that of the bundle: the one before, the running slot. */
  readonly like: readonly string[];
  readonly bytesPerSecondMax: number | null;
  readonly signal: AbortSignal;
  readonly progress: (told: Progress) => void;
  /** @default `getAny` */
  readonly get?: Get;
  /** Of one request, without a byte. @default 30 000 */
  readonly silenceMs?: number;
}

export interface Progress {
  /** Of the bundle, here and verified. */
  readonly bytes: number;
  readonly total: number;
  /** Came over the network, the index included. */
  readonly fetched: number;
}

export interface Fetched extends Progress {
  readonly path: string;
  /** Was in the files that are like it. */
  readonly copied: number;
  /** Was in the partial file of an earlier try. */
  readonly kept: number;
}

const SILENCE_MS = 30_000;

/** A source has something else than was offered, or nothing: asking it again does not help. */
class WrongSourceError extends Error {}

export class FetchError extends Error {
  override readonly name = "FetchError";
  /** isCut: a source could not be reached or broke off; what has come is kept, and another try goes on from it. */
  constructor(message: string, readonly isCut: boolean) {
    super(message);
  }
}

/** @throws FetchError with one sentence; what has come stays for the next try. Error: it was stopped */
export async function fetchBundle(wanted: Wanted, options: FetchOptions): Promise<Fetched> {
  if (!/^[0-9a-f]{64}$/.test(wanted.digest)) {
    throw new Error(`Cannot fetch the bundle ${wanted.digest}: it is no SHA-256`);
  }
  await Deno.mkdir(options.directory, { recursive: true });
  const path = `${options.directory}/${wanted.digest}.bundle`;
  const total = wanted.bytes, whole = { path, total, bytes: total, copied: 0, fetched: 0, kept: total };
  if (await sizeOf(path) === total && await digestFile(path) === wanted.digest) return whole;
  const faults: string[] = [];
  let isCut = false;
  for (const source of wanted.sources) {
    try {
      return await new Fetching(wanted, source, options).run(path);
    } catch (error) {
      if (options.signal.aborted) throw new Error(`Cannot fetch ${source}: it was stopped`, { cause: error });
      faults.push(`${source}: ${reasonOf(error)}`);
      isCut ||= !(error instanceof WrongSourceError);
    }
  }
  const why = faults.join("; ") || "no source";
  throw new FetchError(`Cannot fetch the bundle ${wanted.digest.slice(0, 12)}: ${why}`, isCut);
}

async function sizeOf(path: string): Promise<number | null> {
  return await Deno.stat(path).then(({ size }) => size, () => null);
}

/** One try from one source. */
class Fetching {
  #fetched = 0;
  #here = 0;
  #told = 0;
  readonly #rate: Rate | null;

  constructor(readonly wanted: Wanted, readonly source: string, readonly options: FetchOptions) {
    const { bytesPerSecondMax } = options;
    this.#rate = bytesPerSecondMax === null ? null : new Rate(bytesPerSecondMax, performance.now());
  }

  async run(path: string): Promise<Fetched> {
    const index = await this.#index(), partial = `${this.options.directory}/${this.wanted.digest}.partial`;
    const file = await Deno.open(partial, { read: true, write: true, create: true, mode: 0o600 });
    let kept = 0, copied = 0;
    try {
      const here = new Set<Chunk>();
      kept = await this.#keep(file, index, here);
      copied = await this.#copy(file, index, here);
      this.#here = kept + copied;
      this.#tell(true);
      for (const run of runsOf(index, (chunk) => here.has(chunk))) await this.#run(file, run);
      await this.#repeat(file, index);
      await file.truncate(index.bytes);
      await file.sync();
    } finally {
      file.close();
    }
    const digest = await digestFile(partial);
    if (digest !== this.wanted.digest) {
      await Deno.remove(partial);
      throw new WrongSourceError(`its content is ${digest.slice(0, 12)}, not what was offered`);
    }
    await Deno.rename(partial, path);
    this.#here = index.bytes;
    this.#tell(true);
    return { path, copied, kept, fetched: this.#fetched, bytes: index.bytes, total: index.bytes };
  }

  async #index(): Promise<BundleIndex> {
    const data = await this.#get(`${this.source}.index`, null, INDEX_BYTES_MAX);
    const index = decodeIndex(data, this.wanted);
    if (typeof index === "string") throw new WrongSourceError(`its index cannot be used: ${index}`);
    return index;
  }

  /** What an earlier try has brought. */
  async #keep(file: Deno.FsFile, index: BundleIndex, here: Set<Chunk>): Promise<number> {
    const { size } = await file.stat();
    let bytes = 0;
    for (const chunk of index.chunks) {
      if (chunk.offset + chunk.length > size) break;
      const content = await readAt(file, chunk.offset, chunk.length);
      if (content === null || sha256(content) !== chunk.digest) continue;
      here.add(chunk);
      bytes += chunk.length;
    }
    return bytes;
  }

  /** A file that cannot be read is none that could help. */
  async #copy(file: Deno.FsFile, index: BundleIndex, here: Set<Chunk>): Promise<number> {
    let bytes = 0;
    for (const path of this.options.like) {
      if (here.size === index.chunks.length) break;
      const known = await indexFile(path).catch(() => null);
      if (known === null) continue;
      const places = new Map(known.chunks.map((chunk) => [chunk.digest, chunk]));
      using source = await Deno.open(path);
      for (const chunk of index.chunks) {
        const place = here.has(chunk) ? undefined : places.get(chunk.digest);
        const content = place && await readAt(source, place.offset, place.length);
        if (!content || sha256(content) !== chunk.digest) continue;
        await writeAt(file, chunk.offset, content);
        here.add(chunk);
        bytes += chunk.length;
      }
    }
    return bytes;
  }

  async #run(file: Deno.FsFile, run: Run): Promise<void> {
    const { offset, length } = run;
    let at = 0, filled = 0, buffer = new Uint8Array(0);
    for await (const bytes of this.#stream(this.source, { offset, length })) {
      const all = new Uint8Array(buffer.length + bytes.length);
      all.set(buffer);
      all.set(bytes, buffer.length);
      buffer = all;
      // A chunk is written as soon as it is whole: a cut costs less than one.
      for (let chunk = run.chunks[at]; chunk && buffer.length >= chunk.length; chunk = run.chunks[at]) {
        const content = buffer.subarray(0, chunk.length);
        if (sha256(content) !== chunk.digest) {
          throw new WrongSourceError(`what it has at byte ${chunk.offset} was altered`);
        }
        await writeAt(file, chunk.offset, content);
        buffer = buffer.slice(chunk.length);
        filled += chunk.length;
        this.#here += chunk.length;
        at++;
        this.#tell(false);
      }
    }
    if (filled !== length) {
      throw new Error(`the connection ended after ${this.#here} of ${this.wanted.bytes} bytes`);
    }
  }

  /** Chunks that occur more than once. */
  async #repeat(file: Deno.FsFile, index: BundleIndex): Promise<void> {
    const first = new Map<string, Chunk>();
    for (const chunk of index.chunks) {
      const known = first.get(chunk.digest);
      if (known === undefined) {
        first.set(chunk.digest, chunk);
        continue;
      }
      const content = await readAt(file, known.offset, known.length);
      if (content !== null) await writeAt(file, chunk.offset, content);
    }
  }

  async #get(url: string, range: null, bytesMax: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const part of this.#stream(url, range)) {
      parts.push(part);
      bytes += part.length;
      if (bytes > bytesMax) throw new Error(`${url} is longer than ${bytesMax} bytes`);
    }
    const all = new Uint8Array(bytes);
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  async *#stream(url: string, range: { offset: number; length: number } | null): AsyncGenerator<Uint8Array> {
    const { signal, get = getAny, silenceMs = SILENCE_MS } = this.options, silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), silenceMs);

    try {
      const { status, body } = await get(url, range, AbortSignal.any([signal, silence.signal]));
      const wanted = range === null ? 200 : 206;
      for await (const bytes of body) {
        if (status !== wanted) throw answeredOtherwise(status, wanted);
        clearTimeout(timer);
        this.#fetched += bytes.length;
        await this.#slow(bytes.length);
        yield bytes;
        timer = setTimeout(() => silence.abort(), silenceMs);
      }
    } catch (error) {
      if (silence.signal.aborted) throw new Error(`nothing came for ${silenceMs / 1000} s`, { cause: error });
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #slow(bytes: number): Promise<void> {
    const waitMs = this.#rate?.take(bytes, performance.now()) ?? 0;
    if (waitMs > 1) await new Promise((done) => setTimeout(done, waitMs));
    this.options.signal.throwIfAborted();
  }

  #tell(always: boolean): void {
    const percent = Math.floor(100 * this.#here / this.wanted.bytes);
    if (!always && percent === this.#told) return;
    this.#told = percent;
    this.options.progress({ bytes: this.#here, total: this.wanted.bytes, fetched: this.#fetched });
  }
}

/** One that is overloaded or ill may be well later. */
function answeredOtherwise(status: number, wanted: number): Error {
  const text = `it answers ${status} where ${wanted} was asked for`;
  return status >= 500 || status === 429 ? new Error(text) : new WrongSourceError(text);
}

async function readAt(file: Deno.FsFile, offset: number, length: number): Promise<Uint8Array | null> {
  const content = new Uint8Array(length);
  await file.seek(offset, Deno.SeekMode.Start);
  for (let at = 0; at < length;) {
    const read = await file.read(content.subarray(at));
    if (read === null) return null;
    at += read;
  }
  return content;
}

async function writeAt(file: Deno.FsFile, offset: number, content: Uint8Array): Promise<void> {
  await file.seek(offset, Deno.SeekMode.Start);
  for (let at = 0; at < content.length;) at += await file.write(content.subarray(at));
}
