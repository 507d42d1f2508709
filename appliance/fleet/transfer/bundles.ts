/**
 * Duty: a directory of bundles by digest, each with its index: what a controller gives away, and what a node keeps.
 *
 * An edge. A bundle comes in under another name and gets its own when it is whole.
 */
import { makeDirectory } from "../../directories.ts";
import { indexFile } from "./digest.ts";
import { encodeIndex } from "./index_file.ts";

export const BUNDLES_PATH = "/api/v1/fleet/bundles/";
const NAME = /^([0-9a-f]{64})\.bundle$/;
const ASKED = /^([0-9a-f]{64})\.bundle(\.index)?$/;

export interface KeptBundle {
  readonly digest: string;
  readonly bytes: number;
  readonly path: string;
}

/** Paths, the youngest first. */
export async function listBundles(directory: string): Promise<readonly string[]> {
  const found: { path: string; atMs: number }[] = [];
  try {
    for await (const { name } of Deno.readDir(directory)) {
      if (!NAME.test(name)) continue;
      const path = `${directory}/${name}`, { mtime } = await Deno.stat(path);
      found.push({ path, atMs: mtime?.getTime() ?? 0 });
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return found.sort((a, b) => b.atMs - a.atMs).map(({ path }) => path);
}

/** All others go, those that are not whole too. */
export async function keepOnly(directory: string, path: string): Promise<void> {
  for await (const { name } of Deno.readDir(directory)) {
    if (`${directory}/${name}` !== path && /\.(bundle|partial)$/.test(name)) {
      await Deno.remove(`${directory}/${name}`);
    }
  }
}

/** Takes a bundle in, with its index. */
export async function addBundle(directory: string, content: ReadableStream<Uint8Array>): Promise<KeptBundle> {
  makeDirectory(directory);
  const fresh = `${directory}/${crypto.randomUUID()}.partial`;
  try {
    const file = await Deno.open(fresh, { write: true, createNew: true, mode: 0o600 });
    await content.pipeTo(file.writable);
    const index = await indexFile(fresh), path = `${directory}/${index.digest}.bundle`;
    await Deno.writeFile(`${path}.index`, encodeIndex(index), { mode: 0o600 });
    await Deno.rename(fresh, path);
    return { digest: index.digest, bytes: index.bytes, path };
  } catch (error) {
    await Deno.remove(fresh).catch(() => {});
    throw error;
  }
}

export async function findBundle(directory: string, digest: string): Promise<KeptBundle | null> {
  if (!/^[0-9a-f]{64}$/.test(digest)) return null;
  const path = `${directory}/${digest}.bundle`;
  return await Deno.stat(path).then(({ size }) => ({ digest, bytes: size, path }), () => null);
}

/**
 * Answers a GET for a bundle or its index, or a part of it. Who knows the digest may have it: nobody can guess one.
 * Null: the path is none of a bundle.
 */
export async function serveBundles(directory: string, request: Request): Promise<Response | null> {
  const { pathname } = new URL(request.url);
  if (!pathname.startsWith(BUNDLES_PATH)) return null;
  const name = pathname.slice(BUNDLES_PATH.length);
  if (!ASKED.test(name)) return new Response("There is no such bundle\n", { status: 404 });
  const file = await Deno.open(`${directory}/${name}`).catch(() => null);
  if (file === null) return new Response("There is no such bundle\n", { status: 404 });
  const { size } = await file.stat(), range = rangeOf(request.headers.get("range"), size);
  const headers = { "content-type": "application/octet-stream", "accept-ranges": "bytes" };
  if (range === "outside") {
    file.close();
    return new Response(null, { status: 416, headers: { ...headers, "content-range": `bytes */${size}` } });
  }
  if (range === null) {
    return new Response(file.readable, { headers: { ...headers, "content-length": `${size}` } });
  }
  await file.seek(range.from, Deno.SeekMode.Start);
  const length = range.to - range.from + 1;
  return new Response(file.readable.pipeThrough(firstBytes(length)), {
    status: 206,
    headers: {
      ...headers,
      "content-length": `${length}`,
      "content-range": `bytes ${range.from}-${range.to}/${size}`,
    },
  });
}

/** Of a single range (RFC 9110, 14.2); others are answered with the whole. */
function rangeOf(header: string | null, size: number): { from: number; to: number } | "outside" | null {
  const found = /^bytes=(\d{1,15})-(\d{0,15})$/.exec(header ?? "");
  if (found === null) return null;
  const from = Number(found[1]), to = found[2] === "" ? size - 1 : Math.min(Number(found[2]), size - 1);
  return from > to ? "outside" : { from, to };
}

function firstBytes(length: number): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  let left = length;
  return new TransformStream({
    transform(bytes, controller) {
      if (left > 0) controller.enqueue(bytes.subarray(0, left));
      left -= bytes.length;
      if (left <= 0) controller.terminate();
    },
  });
}
