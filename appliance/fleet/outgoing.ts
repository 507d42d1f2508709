/**
 * Duty: files that a command yields, on their way to the controller; a connection that breaks does not begin them anew.
 *
 *     spooled --pieces--> all sent --"resume"--> "held": all of it: done
 *        ^                                          | less, or the connection broke
 *        '------- from what the controller has -----'
 *
 * An edge, for its spool: what a node yields once, as a capture, is not there a second time. A controller of before protocol
 * version 3 cannot tell what it has: it gets the whole again.
 */
import { reasonOf } from "../../drivers/reason.ts";
import { makeDirectory } from "../directories.ts";
import { FILE_BYTES_MAX } from "./files.ts";
import { PIECE_BYTES_MAX } from "./messages.ts";
import type { AgentMessage } from "./protocol.ts";

export interface OutgoingMeans {
  /** For the spool. */
  readonly directory: string;
  /** @throws Error: the connection broke */
  readonly send: (message: AgentMessage) => Promise<void>;
  /** For a connection. @default 3 600 000 */
  readonly patienceMs?: number;
}

const PATIENCE_MS = 3600_000;
/** For an answer on a connection that stands. */
const ANSWER_MS = 60_000;
/** Tries one after the other in which the controller got nothing more. */
const IDLE_TRIES_MAX = 5;
/** From which on a controller tells how much of a file it has. */
const RESUME_VERSION = 3;

class CutError extends Error {}

export class Outgoing {
  readonly #means: OutgoingMeans;
  readonly #held = new Map<number, (bytes: number) => void>();
  #version: number | null = null;
  /** Of who waits for a connection, or for an answer. */
  #woken = Promise.withResolvers<void>();
  #closed = false;

  constructor(means: OutgoingMeans) {
    this.#means = means;
    try {
      Deno.removeSync(means.directory, { recursive: true }); // of a life before this one: nobody asks for it again
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** The connection is live, in this version of the protocol; null: it broke. */
  connected(version: number | null): void {
    if (version === this.#version) return;
    this.#version = version;
    this.#wake();
  }

  held(command: number, bytes: number): void {
    this.#held.get(command)?.(bytes);
  }

  /** Nothing is waited for any more. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  /** Returns its length. @throws Error: too long, the agent ends, or no controller took it for too long */
  async send(command: number, content: ReadableStream<Uint8Array>): Promise<number> {
    const path = `${this.#means.directory}/${command}`;
    try {
      const bytes = await this.#spool(path, content);
      for (let idle = 0, most = -1, isFirst = true; idle < IDLE_TRIES_MAX; isFirst = false) {
        const version = await this.#live();
        try {
          const knows = version >= RESUME_VERSION, at = knows && !isFirst ? await this.#ask(command) : 0;
          idle = at > most ? 0 : idle + 1;
          most = Math.max(most, at);
          await this.#pieces(path, command, at);
          if (!knows || await this.#ask(command) === bytes) return bytes;
        } catch (error) {
          if (!(error instanceof CutError)) throw error;
        }
      }
      throw new Error("the controller does not take the file");
    } finally {
      await Deno.remove(path).catch(() => {}); // it was never made
    }
  }

  async #spool(path: string, content: ReadableStream<Uint8Array>): Promise<number> {
    makeDirectory(this.#means.directory);
    using file = await Deno.open(path, { write: true, create: true, truncate: true, mode: 0o600 });
    let bytes = 0;
    for await (const chunk of content) {
      bytes += chunk.length;
      if (bytes > FILE_BYTES_MAX) throw new Error(`the file is longer than ${FILE_BYTES_MAX} bytes`);
      for (let left = chunk; left.length > 0;) left = left.subarray(await file.write(left));
    }
    return bytes;
  }

  async #pieces(path: string, command: number, from: number): Promise<void> {
    using file = await Deno.open(path);
    await file.seek(from, Deno.SeekMode.Start);
    const buffer = new Uint8Array(PIECE_BYTES_MAX);
    for (let offset = from;;) {
      const read = await file.read(buffer);
      if (read === null) return;
      const piece = { type: "piece", command, offset, content: buffer.subarray(0, read).toBase64() } as const;
      await this.#say(piece);
      offset += read;
    }
  }

  async #say(message: AgentMessage): Promise<void> {
    if (this.#closed) throw new Error("the agent ends");
    if (this.#version === null) throw new CutError();
    await this.#means.send(message).catch((cause) => {
      throw new CutError(reasonOf(cause), { cause });
    });
  }

  /** How much of it the controller has. */
  async #ask(command: number): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#held.set(command, resolve);
    const waits = wait(ANSWER_MS);
    try {
      const cut = this.#woken.promise.then(() => null);
      await this.#say({ type: "resume", command });
      const bytes = await Promise.race([promise, cut, waits.over.then(() => null)]);
      if (this.#closed) throw new Error("the agent ends");
      if (bytes === null) throw new CutError();
      return bytes;
    } finally {
      waits.end();
      this.#held.delete(command);
    }
  }

  async #live(): Promise<number> {
    const { patienceMs = PATIENCE_MS } = this.#means, waits = wait(patienceMs);
    let isOver = false;
    void waits.over.then(() => isOver = true);
    try {
      for (;;) {
        if (this.#closed) throw new Error("the agent ends");
        if (this.#version !== null) return this.#version;
        if (isOver) throw new Error("the connection to the controller broke, and none came for too long");
        await Promise.race([this.#woken.promise, waits.over]);
      }
    } finally {
      waits.end();
    }
  }

  #wake(): void {
    const { resolve } = this.#woken;
    this.#woken = Promise.withResolvers();
    resolve();
  }
}

function wait(ms: number): { readonly over: Promise<void>; readonly end: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>(), timer = setTimeout(resolve, ms);
  return { over: promise, end: () => clearTimeout(timer) };
}
