/**
 * Duty: viewers: each plays a video over one HTTP connection of its own, and says at the end how it was.
 *
 *   viewers.ts ADDRESS STREAMS SEGMENTS       one line of JSON on standard output
 *
 * A program, because it runs inside a namespace. A connection that breaks, or that is silent for too long, is a failed
 * one; the segment is asked for again over a new one, as players do. What a browser's pool would hide is counted here.
 */
import { Player, type PlayerReport, VARIANTS } from "./player.ts";

export interface Viewing extends PlayerReport {
  /** Connections that broke or fell silent. */
  readonly failed: number;
  /** Whether all segments came. */
  readonly isWhole: boolean;
}

const SILENT_MS = 4_000;
const AGAIN_MS = 100;
const FAILED_MAX = 100;
const HEAD_BYTES_MAX = 4_096;

/** `promise`, or an error after so long without it. */
async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Cannot wait longer than ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** One connection that fetches one object after the other. */
class Connection {
  readonly #buffer = new Uint8Array(65_536);
  private constructor(readonly host: string, readonly connection: Deno.TcpConn) {}

  static async open(host: string): Promise<Connection> {
    const opening = Deno.connect({ hostname: host, port: 80 });
    try {
      return new Connection(host, await within(opening, SILENT_MS));
    } catch (error) {
      opening.then((late) => late.close(), () => {}); // nobody waits for it any more
      throw error;
    }
  }

  close(): void {
    try {
      this.connection.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  async #read(): Promise<Uint8Array> {
    const count = await within(this.connection.read(this.#buffer), SILENT_MS);
    if (count === null) throw new Error("Cannot read on: the other end has closed");
    return this.#buffer.subarray(0, count);
  }

  /** Bytes of the object. Throws Error when the connection breaks, is silent for too long, or answers anything but 200. */
  async fetch(path: string): Promise<number> {
    const request = `GET ${path} HTTP/1.1\r\nHost: ${this.host}\r\n\r\n`;
    await within(this.connection.write(new TextEncoder().encode(request)), SILENT_MS);
    let head = "", length = -1, have = 0;
    while (length < 0) {
      const piece = await this.#read();
      head += new TextDecoder("latin1").decode(piece);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0 && head.length < HEAD_BYTES_MAX) continue;
      length = Number(/^content-length: (\d+)/im.exec(head.slice(0, end))?.[1] ?? NaN);
      if (!head.startsWith("HTTP/1.1 200") || Number.isNaN(length)) {
        throw new Error(`Cannot fetch ${path}: ${head.slice(0, 40)}`);
      }
      have = head.length - end - 4;
    }
    while (have < length) have += (await this.#read()).length;
    return have;
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Plays one video to its end. */
async function view(host: string, segments: number): Promise<Viewing> {
  const player = new Player({ segments }, performance.now());
  let connection: Connection | null = null;
  let failed = 0;
  for (let next = player.next; next !== null && failed < FAILED_MAX; next = player.next) {
    player.advance(performance.now());
    await sleep(player.waitMs);
    const asked = performance.now();
    try {
      connection ??= await Connection.open(host);
      const bytes = await connection.fetch(`/video/${next.level}/${next.number % VARIANTS}`);
      const now = performance.now();
      player.arrived(now, bytes, now - asked);
    } catch {
      failed++;
      connection?.close();
      connection = null;
      await sleep(AGAIN_MS);
    }
  }
  connection?.close();
  return { ...player.report(performance.now()), failed, isWhole: player.next === null };
}

if (import.meta.main) {
  const [host, streams, segments] = Deno.args;
  if (host === undefined || !(Number(streams) > 0) || !(Number(segments) > 0)) {
    console.error("Usage: viewers.ts ADDRESS STREAMS SEGMENTS");
    Deno.exit(2);
  }
  const all = Array.from({ length: Number(streams) }, () => view(host, Number(segments)));
  console.log(JSON.stringify({ viewings: await Promise.all(all) }));
}
