/**
 * Duty: what every repository has to do, as tests that run against each of them.
 *
 * A model of a few lines, a list, is what all are held against.
 */
import assert from "node:assert/strict";
import type { Batch, Bounds, Entry, Repository } from "../../appliance/repository/contract.ts";
import { Random } from "../../filter/random.ts";
import { within } from "./child.ts";

const MS_MAX = 10_000;
export const BOUNDS: Bounds = {
  recordsMax: 1_000,
  logMax: 1_000,
  bytesMax: 1 << 24,
  replicaSilenceMs: 30_000,
};

export interface Opening extends Bounds {
  readonly nowMs: () => number;
}

export interface Subject {
  /** An empty one. */
  open(opening: Opening): Promise<Repository>;
  readonly ignore?: boolean;
}

export function entry(sequence: number, change: Partial<Entry> = {}): Entry {
  const chunk = new TextEncoder().encode(`sealed ${sequence}`);
  return { sequence, slot: `slot ${sequence}`, expiresMs: null, chunk, ...change };
}

export const entries = (
  first: number,
  last: number,
  change: (sequence: number) => Partial<Entry> = () => ({}),
) => Array.from({ length: last - first + 1 }, (_, index) => entry(first + index, change(first + index)));

const plain = (given: readonly Entry[]) =>
  given.map(({ sequence, slot, expiresMs, chunk }) => [
    sequence,
    slot,
    expiresMs,
    new TextDecoder().decode(chunk),
  ]);

/** Entries of a subscription until so many are there, or a gap. */
export async function follow(
  repository: Repository,
  { source = "s", after = 0, count }: { source?: string; after?: number; count: number },
): Promise<Entry[] | string> {
  const stop = new AbortController(), got: Entry[] = [];
  const reading = (async () => {
    for await (const batch of repository.subscribe(source, after, stop.signal)) {
      if (batch.kind === "gap") return batch.reason;
      got.push(...batch.entries);
      if (got.length >= count) break;
    }
    return got;
  })();
  try {
    return await within(reading, MS_MAX, () => `Cannot get ${count} entries (there are ${got.length})`);
  } finally {
    stop.abort();
  }
}

type Claim = (open: (change?: Partial<Opening>) => Promise<Repository>) => Promise<void>;

const CLAIMS: Readonly<Record<string, Claim>> = {
  async "entries come out in order as they went in, for every reader"(open) {
    const repository = await open();
    assert.equal(await repository.last("s"), 0);
    const first = entries(1, 3, (sequence) => ({ expiresMs: sequence === 2 ? 9e12 : null }));
    assert.deepEqual(await repository.append("s", first), { ok: true, last: 3 });
    const readers = [0, 0, 2].map((after) => follow(repository, { after, count: 10 - after }));
    assert.deepEqual(await repository.append("s", entries(4, 10)), { ok: true, last: 10 });
    const wanted = plain([...first, ...entries(4, 10)]);
    for (const [index, got] of (await Promise.all(readers)).entries()) {
      assert.ok(typeof got !== "string");
      assert.deepEqual(plain(got), wanted.slice(index === 2 ? 2 : 0));
    }
    assert.equal(await repository.last("s"), 10);
  },

  async "an entry that is there already is left out, and one too far ahead refused"(open) {
    const repository = await open();
    await repository.append("s", entries(1, 3));
    const other = new TextEncoder().encode("other");
    const again = await repository.append("s", [entry(2, { chunk: other }), entry(3), entry(4)]);
    assert.deepEqual(again, { ok: true, last: 4 });
    assert.deepEqual(await repository.append("s", [entry(6)]), { ok: false, fault: "gap", last: 4 });
    const got = await follow(repository, { count: 4 });
    assert.ok(typeof got !== "string");
    assert.deepEqual(plain(got), plain(entries(1, 4)));
  },

  async "sources know nothing of each other"(open) {
    const repository = await open();
    await repository.append("s", entries(1, 3));
    await repository.append("other", entries(1, 1));
    assert.deepEqual([await repository.last("s"), await repository.last("other")], [3, 1]);
    assert.equal((await repository.snapshot("other")).entries.length, 1);
    await repository.begin("s", 1);
    assert.deepEqual([await repository.last("s"), await repository.last("other")], [0, 1]);
  },

  async "the snapshot has the last entry of each slot, by sequence"(open) {
    const repository = await open();
    await repository.append("s", entries(1, 6, (sequence) => ({ slot: `slot ${sequence % 2}` })));
    const { last, entries: held } = await repository.snapshot("s");
    assert.equal(last, 6);
    assert.deepEqual(held.map(({ sequence, slot }) => [sequence, slot]), [[5, "slot 1"], [6, "slot 0"]]);
  },

  async "what is over is in no snapshot, and goes when trimmed"(open) {
    let nowMs = 1_000;
    const repository = await open({ nowMs: () => nowMs });
    await repository.append("s", entries(1, 4, (at) => ({ expiresMs: at <= 2 ? 2_000 : null })));
    assert.equal((await repository.snapshot("s")).entries.length, 4);
    nowMs = 2_000;
    assert.deepEqual((await repository.snapshot("s")).entries.map(({ sequence }) => sequence), [3, 4]);
    await repository.trim("s");
    assert.equal(repository.counters().expired, 2);
  },

  async "a late joiner has all, whatever is appended meanwhile"(open) {
    const repository = await open(), random = new Random(7), model = new Map<string, number>();
    let sequence = 0;
    const write = async (count: number) => {
      const made = Array.from({ length: count }, () => {
        const slot = `slot ${random.below(40)}`;
        model.set(slot, ++sequence);
        return entry(sequence, { slot });
      });
      await repository.append("s", made);
    };
    for (let turn = 0; turn < 10; turn++) await write(20);
    const writing = (async () => {
      for (let turn = 0; turn < 20; turn++) await write(10);
    })();
    const known = new Map<string, number>();
    const { last, entries: held } = await repository.snapshot("s");
    for (const one of held) known.set(one.slot, one.sequence);
    const got = await follow(repository, { after: last, count: 400 - last });
    assert.ok(typeof got !== "string", String(got));
    for (const [index, one] of got.entries()) {
      assert.equal(one.sequence, last + 1 + index);
      known.set(one.slot, one.sequence);
    }
    await writing;
    assert.deepEqual(known, model);
  },

  async "trimming keeps what the slowest live replica has not put, and no more"(open) {
    let nowMs = 100_000;
    const repository = await open({ nowMs: () => nowMs, replicaSilenceMs: 1_000 });
    await repository.append("s", entries(1, 10));
    assert.equal(await repository.trim("s"), 0);
    await repository.acknowledge("s", { replica: "slow", sequence: 4 });
    await repository.acknowledge("s", { replica: "fast", sequence: 9 });
    assert.deepEqual(
      [...await repository.replicas("s")].sort((a, b) => a.sequence - b.sequence),
      [{ replica: "slow", sequence: 4, heardMs: nowMs }, { replica: "fast", sequence: 9, heardMs: nowMs }],
    );
    assert.equal(await repository.trim("s"), 4);
    const rest = await follow(repository, { after: 4, count: 6 });
    assert.deepEqual(Array.isArray(rest) && rest.map(({ sequence }) => sequence), [5, 6, 7, 8, 9, 10]);
    nowMs += 2_000;
    await repository.acknowledge("s", { replica: "fast", sequence: 10 });
    assert.equal(await repository.trim("s"), 6);
    assert.equal((await repository.snapshot("s")).entries.length, 10, "a snapshot is not trimmed");
  },

  async "the log is bounded; who is too slow is told of a gap, and the snapshot makes it good"(open) {
    const repository = await open({ logMax: 10 });
    await repository.acknowledge("s", { replica: "slow", sequence: 0 });
    for (let at = 1; at < 5_000; at += 100) {
      await repository.append("s", entries(at, at + 99, (one) => ({ slot: `slot ${one % 7}` })));
    }
    assert.match(String(await follow(repository, { after: 1, count: 1 })), /is gone/);
    const { last, entries: held } = await repository.snapshot("s");
    assert.deepEqual([last, held.length], [5_000, 7]);
    const after = follow(repository, { after: last, count: 1 });
    await repository.append("s", [entry(5_001)]);
    assert.deepEqual(plain(await after as Entry[]), plain([entry(5_001)]));
  },

  async "the snapshot is bounded: the slots that changed longest ago go, counted"(open) {
    const repository = await open({ recordsMax: 5 });
    await repository.append("s", entries(1, 5));
    await repository.append("s", [entry(6, { slot: "slot 1" }), ...entries(7, 9)]);
    const { entries: held } = await repository.snapshot("s");
    assert.deepEqual(held.map(({ sequence }) => sequence), [5, 6, 7, 8, 9]);
    assert.equal(repository.counters().evicted, 3);
  },

  async "begin() forgets a source, which goes on elsewhere; who read it is told"(open) {
    const repository = await open();
    await repository.append("s", entries(1, 5));
    const reader = follow(repository, { after: 5, count: 1 });
    await repository.begin("s", 100);
    assert.match(String(await reader), /is gone/);
    assert.deepEqual(await repository.snapshot("s"), { last: 99, entries: [] });
    assert.deepEqual(await repository.append("s", [entry(100)]), { ok: true, last: 100 });
    assert.match(String(await follow(repository, { after: 5, count: 1 })), /is gone/);
  },

  async "a subscription ends when it is told to"(open) {
    const repository = await open(), stop = new AbortController();
    await repository.append("s", [entry(1)]);
    const batches: Batch[] = [];
    const reading = (async () => {
      for await (const batch of repository.subscribe("s", 0, stop.signal)) batches.push(batch);
    })();
    while (batches.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    stop.abort();
    await within(reading, MS_MAX, () => "Cannot end a subscription");
  },

  async "chunks of any bytes come back as they were"(open) {
    const repository = await open(), random = new Random(3);
    const made = [0, 1, 300, 70_000].map((length, index) =>
      entry(index + 1, { chunk: Uint8Array.from({ length }, () => random.below(256)), slot: `ä ${index}` })
    );
    await repository.append("s", made);
    const got = await follow(repository, { count: made.length });
    assert.ok(typeof got !== "string");
    const { entries: held } = await repository.snapshot("s");
    for (const [index, one] of made.entries()) {
      assert.deepEqual(new Uint8Array(got[index]!.chunk), one.chunk);
      assert.equal(held[index]!.slot, one.slot);
      assert.deepEqual(new Uint8Array(held[index]!.chunk), one.chunk);
    }
  },
};

/** Registers the tests; `name` stands in front of each. */
export function repositoryConformance(name: string, subject: Subject): void {
  for (const [claim, check] of Object.entries(CLAIMS)) {
    Deno.test({
      name: `${name}: ${claim}${subject.ignore ? " (needs its server)" : ""}`,
      ignore: subject.ignore ?? false,
      fn: async () => {
        const opened: Repository[] = [];
        try {
          await check(async (change = {}) => {
            const repository = await subject.open({ ...BOUNDS, nowMs: () => Date.now(), ...change });
            opened.push(repository);
            return repository;
          });
        } finally {
          for (const repository of opened) await repository.close();
        }
      },
    });
  }
}
