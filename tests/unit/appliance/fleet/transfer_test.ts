/** Bundles on their way to a node: chunks by content, ranges, cuts, and content that is not what was offered. */
import assert from "node:assert/strict";
import {
  CHUNK_BYTES_MAX,
  CHUNK_BYTES_MIN,
  Chunker,
  cutAt,
} from "../../../../appliance/fleet/transfer/chunks.ts";
import { indexFile, sha256 } from "../../../../appliance/fleet/transfer/digest.ts";
import { fetchBundle, type FetchOptions, type Progress } from "../../../../appliance/fleet/transfer/fetch.ts";
import { decodeIndex, encodeIndex } from "../../../../appliance/fleet/transfer/index_file.ts";
import { parseMirrors } from "../../../../appliance/fleet/transfer/mirrors.ts";
import { Rate, RUN_BYTES_MAX, runsOf } from "../../../../appliance/fleet/transfer/plan.ts";
import { Random } from "../../../../filter/random.ts";
import { serveBundle } from "../../../support/bundle_mirror.ts";

function noise(seed: number, bytes: number): Uint8Array<ArrayBuffer> {
  const random = new Random(seed), words = new Uint32Array(Math.ceil(bytes / 4));
  for (let i = 0; i < words.length; i++) words[i] = random.u32();
  return new Uint8Array(words.buffer).slice(0, bytes);
}

function insert(content: Uint8Array, at: number, more: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(content.length + more.length);
  out.set(content.subarray(0, at));
  out.set(more, at);
  out.set(content.subarray(at), at + more.length);
  return out;
}

function cutAll(content: Uint8Array): string[] {
  const digests: string[] = [];
  for (let from = 0; from < content.length;) {
    const to = cutAt(content, from, content.length);
    digests.push(sha256(content.subarray(from, to)));
    from = to;
  }
  return digests;
}

interface Desk {
  readonly directory: string;
  readonly path: string;
  readonly digest: string;
  readonly content: Uint8Array;
}

async function onDesk(content: Uint8Array, work: (desk: Desk) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir(), path = `${directory}/source`;
  try {
    await Deno.writeFile(path, content);
    await work({ directory: `${directory}/node`, path, digest: sha256(content), content });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function options(desk: Desk, more: Partial<FetchOptions> = {}): FetchOptions {
  const { signal } = new AbortController();
  return {
    directory: desk.directory,
    like: [],
    bytesPerSecondMax: null,
    signal,
    progress: () => {},
    ...more,
  };
}

Deno.test("cutAt() moves only the cuts beside an insertion", () => {
  const before = noise(1, 2_000_000), known = new Set(cutAll(before));
  const after = cutAll(insert(before, 700_001, new TextEncoder().encode("a few bytes more")));
  const fresh = after.filter((digest) => !known.has(digest));
  assert.ok(after.length > 100, `${after.length} chunks`);
  assert.ok(fresh.length >= 1 && fresh.length <= 3, `${fresh.length} of ${after.length} chunks are new`);
});

Deno.test("Chunker cuts a stream as it cuts the whole, whatever the sizes in which it comes", () => {
  const content = noise(2, 500_000), random = new Random(3), chunker = new Chunker(), digests: string[] = [];
  const lengths: number[] = [];
  const take = (chunks: Uint8Array[]) =>
    chunks.forEach((chunk) => (digests.push(sha256(chunk)), lengths.push(chunk.length)));
  for (let from = 0; from < content.length;) {
    const to = from + 1 + random.below(100_000);
    take(chunker.push(content.subarray(from, to)));
    from = to;
  }
  take(chunker.end());
  assert.deepEqual(digests, cutAll(content));
  assert.ok(lengths.slice(0, -1).every((length) => length >= CHUNK_BYTES_MIN && length <= CHUNK_BYTES_MAX));
});

Deno.test("decodeIndex() reads what encodeIndex() wrote, and refuses what is not of the bundle", async () => {
  await onDesk(noise(4, 300_000), async ({ path, digest }) => {
    const index = await indexFile(path), data = encodeIndex(index), wanted = { digest, bytes: 300_000 };
    assert.deepEqual(decodeIndex(data, wanted), index);
    assert.match(String(decodeIndex(data, { ...wanted, bytes: 1 })), /another bundle/);
    assert.match(String(decodeIndex(data.subarray(1), wanted)), /no index/);
    assert.match(String(decodeIndex(data.subarray(0, -1), wanted)), /are not \d+ chunks/);
    const altered = data.slice();
    altered[52 + 35]! ^= 1;
    assert.match(String(decodeIndex(altered, wanted)), /its chunks are/);
  });
});

Deno.test("runsOf() joins what is missing and asks for nothing twice", async () => {
  await onDesk(noise(5, 3_000_000), async ({ path }) => {
    const index = await indexFile(path), [first] = index.chunks;
    const runs = runsOf(index, (chunk) => chunk === first);
    assert.equal(runs.reduce((sum, { length }) => sum + length, 0), 3_000_000 - first!.length);
    assert.ok(runs.every(({ length }) => length <= RUN_BYTES_MAX));
    const twice = { ...index, chunks: [first!, { ...first!, offset: first!.length }] };
    assert.equal(runsOf(twice, () => false).length, 1);
  });
});

Deno.test("parseMirrors() takes URLs with commas between them, and says which is none", () => {
  assert.deepEqual(parseMirrors(""), []);
  assert.deepEqual(parseMirrors(" https://a.example/b/ ,http://b.example:81"), [
    "https://a.example/b",
    "http://b.example:81",
  ]);
  for (
    const bad of ["ftp://a", "https://u:p@a", "https://a?x=1", "a.example", `https://a/${"x".repeat(400)}`]
  ) {
    assert.match(String(parseMirrors(`https://ok,${bad}`)), /must be http/);
  }
  const many = Array.from({ length: 8 }, (_, n) => `https://m${n}`).join();
  assert.match(String(parseMirrors(many)), /8 mirrors, at most 7/);
});

Deno.test("Rate lets as many bytes pass as were agreed", () => {
  const rate = new Rate(1000, 0);
  let nowMs = 0;
  for (let i = 0; i < 100; i++) nowMs += rate.take(100, nowMs);
  // 10,000 bytes less the quarter of a second that is in the bucket at first, and the last wait.
  assert.ok(Math.abs(nowMs - 9750) < 1, `${nowMs} ms`);
});

Deno.test("fetchBundle() resumes after a cut at each of ten points without starting again", async () => {
  await onDesk(noise(6, 3_000_000), async (desk) => {
    await using mirror = await serveBundle(desk.path);
    const wanted = { digest: desk.digest, bytes: desk.content.length, sources: [mirror.url] };
    const indexBytes = encodeIndex(await indexFile(desk.path)).length;
    for (let point = 1; point <= 10; point++) {
      mirror.cutAt = point * 300_000;
      await assert.rejects(fetchBundle(wanted, options(desk)), /Cannot fetch/);
    }
    mirror.cutAt = Infinity;
    const fetched = await fetchBundle(wanted, options(desk));
    assert.deepEqual(await Deno.readFile(fetched.path), desk.content);
    // Every try asks for the index again, and loses at most a chunk and what was in the pipes.
    const lost = mirror.sent - desk.content.length - 11 * indexBytes;
    assert.ok(lost <= 10 * (CHUNK_BYTES_MAX + 64 * 1024), `${lost} bytes came twice`);
    assert.ok(fetched.kept > 2_000_000, `${fetched.kept} bytes were kept`);
  });
});

Deno.test("fetchBundle() takes from the one before what it has", async () => {
  const before = noise(7, 2_000_000), after = insert(before, 1_000_000, noise(8, 20_000));
  await onDesk(after, async (desk) => {
    await using mirror = await serveBundle(desk.path);
    const old = `${desk.path}.old`, told: Progress[] = [];
    await Deno.writeFile(old, before);
    const wanted = { digest: desk.digest, bytes: after.length, sources: [mirror.url] };
    const progress = (one: Progress) => void told.push(one);
    const { path, fetched, copied } = await fetchBundle(wanted, options(desk, { like: [old], progress }));
    assert.deepEqual(await Deno.readFile(path), after);
    assert.ok(fetched < 150_000, `${fetched} bytes came over the network`);
    assert.ok(copied > 1_900_000, `${copied} bytes were copied`);
    assert.deepEqual(told.at(-1)?.bytes, after.length);
    const again = await fetchBundle(wanted, options(desk));
    assert.equal(again.fetched, 0);
  });
});

Deno.test("fetchBundle() refuses altered content and goes on from the next mirror", async () => {
  await onDesk(noise(9, 500_000), async (desk) => {
    await using bad = await serveBundle(desk.path);
    await using good = await serveBundle(desk.path);
    bad.alter = true;
    const wanted = { digest: desk.digest, bytes: 500_000, sources: [bad.url] };
    await assert.rejects(fetchBundle(wanted, options(desk)), /was altered/);
    const { path } = await fetchBundle({ ...wanted, sources: [bad.url, good.url] }, options(desk));
    assert.deepEqual(await Deno.readFile(path), desk.content);
  });
});

Deno.test("fetchBundle() refuses a bundle whose index agrees with it but not with the offer", async () => {
  const evil = noise(10, 200_000);
  await onDesk(evil, async (desk) => {
    const offered = sha256(noise(11, 200_000)),
      index = encodeIndex({ ...await indexFile(desk.path), digest: offered });
    const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
      if (request.url.endsWith(".index")) return new Response(index);
      const [from, to] = request.headers.get("range")!.slice(6).split("-").map(Number);
      return new Response(evil.slice(from, to! + 1), { status: 206 });
    });
    const sources = [`http://127.0.0.1:${server.addr.port}/x`];
    await assert.rejects(
      fetchBundle({ digest: offered, bytes: 200_000, sources }, options(desk)),
      /not what was offered/,
    );
    assert.deepEqual([...Deno.readDirSync(desk.directory)], []);
    await server.shutdown();
  });
});

Deno.test("fetchBundle() stops when it is told to, and keeps to its rate", async () => {
  await onDesk(noise(12, 400_000), async (desk) => {
    await using mirror = await serveBundle(desk.path);
    const stop = new AbortController(),
      wanted = { digest: desk.digest, bytes: 400_000, sources: [mirror.url] };
    const slow = fetchBundle(
      wanted,
      options(desk, {
        bytesPerSecondMax: 200_000,
        signal: stop.signal,
        progress: ({ bytes }) => bytes > 60_000 && stop.abort(),
      }),
    );
    await assert.rejects(slow, /it was stopped/);
    const { kept } = await fetchBundle(wanted, options(desk));
    assert.ok(kept >= 30_000, `${kept} bytes were kept`);
  });
});
