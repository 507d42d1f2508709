/**
 * Reads captures and writes copies of them, a few megabytes at a time, and opens the filter's library for them.
 *
 * An edge: files and FFI. What is decided and counted is mirror_pass.ts; where records end is mirror_chunks.ts.
 */
import { type CapturedFrame, pcapHeader, pcapRecord } from "../filter/capture.ts";
import { FilterCore } from "../filter/core.ts";
import { nativePath } from "../filter/dpdk.ts";
import type { AgesMs, FilterOptions } from "../filter/model.ts";
import { compileFilter } from "../filter/pcap_filter.ts";
import type { FilterRule } from "../filter/rule.ts";
import { CaptureSplitter } from "./mirror_chunks.ts";
import { reasonOf } from "../drivers/reason.ts";

/** Large enough that a call per piece costs nothing, small enough to stay in a processor's cache. */
const PIECE_BYTES = 2 * 1024 * 1024;
/** Offline there is no attacker who could choose colliding addresses; a fixed secret makes runs repeatable. */
const SECRET = [0x0123_4567_89ab_cdefn, 0xfedc_ba98_7654_3210n] as const;
/** 262,144 flows at a time, 48 MiB; flows beyond are evicted as in the plane. */
export const FLOW_SLOTS = 2 ** 18;

export interface Piece {
  /** Views; valid until the next piece. */
  readonly frames: readonly CapturedFrame[];
  readonly doneBytes: number;
  /** 0: not known, the file is a pipe. */
  readonly totalBytes: number;
}

export interface Reading {
  /** Why the file was not whole, as the end of a sentence; null if it was. Valid at the end. */
  cut: string | null;
}

async function open(path: string, options: Deno.OpenOptions, verb: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path, options);
  } catch (error) {
    throw new Error(`Cannot ${verb} ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

/**
 * The frames of a capture, piece by piece, with bounded memory.
 * @throws Error with one sentence that names the file
 */
export async function* readPieces(path: string, reading: Reading): AsyncGenerator<Piece> {
  using file = await open(path, { read: true }, "read");
  const { size: totalBytes, isDirectory } = await file.stat();
  if (isDirectory) throw new Error(`Cannot read ${path}: it is a directory`);
  const splitter = new CaptureSplitter();
  const buffer = new Uint8Array(PIECE_BYTES);
  let doneBytes = 0;
  for (;;) {
    const count = await file.read(buffer);
    if (count === null) break;
    doneBytes += count;
    const frames = split(splitter, buffer.slice(0, count), path);
    if (splitter.recognised) yield { frames, doneBytes, totalBytes };
  }
  reading.cut = splitter.finish();
  if (!splitter.recognised) throw new Error(`Cannot read ${path}: ${reading.cut}`);
}

function split(splitter: CaptureSplitter, piece: Uint8Array, path: string): CapturedFrame[] {
  try {
    return splitter.push(piece);
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof SyntaxError)) throw error;
    throw new Error(error.message.replace("Cannot read capture:", `Cannot read ${path}:`), { cause: error });
  }
}

/** All frames of a capture that fits into memory, with the reason if it is cut. */
export async function readWhole(path: string): Promise<{ frames: CapturedFrame[]; cut: string | null }> {
  const reading: Reading = { cut: null };
  const frames: CapturedFrame[] = [];
  for await (const piece of readPieces(path, reading)) for (const frame of piece.frames) frames.push(frame);
  return { frames, cut: reading.cut };
}

/** A pcap file that is being written. The link of its first frame is that of the file. */
export class CaptureWriter implements AsyncDisposable {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  #link: number | undefined;
  #packets = 0;
  #closed = false;

  private constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
  }

  /** @throws Error with one sentence */
  static async create(path: string): Promise<CaptureWriter> {
    const file = await open(path, { write: true, create: true, truncate: true }, "write");
    return new CaptureWriter(path, file);
  }

  /** @throws Error if a frame is of another link than the first, or the disk is full */
  async write(frames: readonly CapturedFrame[]): Promise<void> {
    const parts: Uint8Array[] = [];
    for (const frame of frames) {
      if (this.#link === undefined) parts.push(pcapHeader(this.#link = frame.link));
      if (frame.link !== this.#link) {
        throw new Error(
          `Cannot write ${this.#path}: frame ${
            this.#packets + 1
          } has link type ${frame.link} and the first ` +
            `has ${this.#link}; a pcap file holds one`,
        );
      }
      parts.push(pcapRecord(frame));
      this.#packets++;
    }
    await this.#writeAll(parts);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    // A mirror that got nothing is an empty capture, not an empty file.
    if (this.#link === undefined) await this.#writeAll([pcapHeader()]);
    this.#closed = true;
    this.#file.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) this.#file.close();
    this.#closed = true;
    await Promise.resolve();
  }

  async #writeAll(parts: readonly Uint8Array[]): Promise<void> {
    const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    try {
      for (let done = 0; done < bytes.length;) done += await this.#file.write(bytes.subarray(done));
    } catch (error) {
      throw new Error(`Cannot write ${this.#path}: ${reasonOf(error)}`, { cause: error });
    }
  }
}

/** Whether two paths name one file that exists. */
export async function sameFile(one: string, two: string): Promise<boolean> {
  const [a, b] = await Promise.all([one, two].map((path) => Deno.realPath(path).catch(() => null)));
  return a !== null && a === b;
}

/** What decides. */
export interface Policy {
  /** The first that matches a flow is its rule. */
  readonly rules: readonly FilterRule[];
  /** How long flows live. */
  readonly ages: AgesMs;
  /** Tunnels and budget. @default neither */
  readonly options?: FilterOptions;
}

/**
 * The filter core with this policy. @throws Error with one sentence: no library, no libpcap, a bad expression
 */
export function openFilter({ rules, ages, options }: Policy, slots = FLOW_SLOTS): FilterCore {
  const compiled = rules.map((rule) => ({ rule, program: compileFilter(rule.match) }));
  const path = nativePath().replace(/[^/]*$/, "libremediate-filter.so");
  let core: FilterCore;
  try {
    core = new FilterCore(path, slots, SECRET);
  } catch (error) {
    if (
      error instanceof Deno.errors.NotCapable || (error instanceof Error && /^Cannot/.test(error.message))
    ) throw error;
    throw new Error(`Cannot load the filter library ${path}: run ./scripts/setup, which builds it`, {
      cause: error,
    });
  }
  core.setRules(compiled, ages);
  if (options) core.setOptions(options);
  return core;
}

export async function writeText(path: string, text: string): Promise<void> {
  await writeBytes(path, new TextEncoder().encode(text));
}

/** @throws Error with one sentence */
export async function writeBytes(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await Deno.writeFile(path, bytes);
  } catch (error) {
    throw new Error(`Cannot write ${path}: ${reasonOf(error)}`, { cause: error });
  }
}
