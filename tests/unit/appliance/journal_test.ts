/** The journal: bounded in memory and on disk, whole again after a cut, and never in the way of the node. */
import assert from "node:assert/strict";
import { Journal } from "../../../appliance/journal.ts";
import type { EventView } from "../../../appliance/view.ts";

const EVENT: EventView = {
  sequence: 0,
  boot: "00000000000000aa",
  wallMs: 1_700_000_000_000,
  monoUs: 5,
  kind: "link",
  cause: "link",
  subject: "primary-in",
  before: "up",
  after: "down",
  silentUs: null,
  lostPackets: null,
  text: "link of primary-in is down",
};
const FILE_BYTES_MAX = 1 << 20;

interface Scene extends Disposable {
  readonly path: string;
  readonly told: EventView[];
  readonly complaints: string[];
  open(): Journal;
}

function scene(): Scene {
  const directory = Deno.makeTempDirSync();
  const path = `${directory}/events.jsonl`;
  const told: EventView[] = [], complaints: string[] = [];
  const tell = (event: EventView) => void told.push(event);
  const complain = (text: string) => void complaints.push(text);
  return {
    path,
    told,
    complaints,
    open: () => new Journal({ path, tell, complain }),
    [Symbol.dispose]: () => Deno.removeSync(directory, { recursive: true }),
  };
}

const sequences = (journal: Journal) => journal.since(0, 10_000).map(({ sequence }) => sequence);

Deno.test("Journal numbers events by itself and goes on over a restart", () => {
  using s = scene();
  const first = s.open();
  first.add({ ...EVENT, sequence: 77 });
  first.add(EVENT);
  assert.deepEqual(sequences(first), [1, 2]);
  const second = s.open();
  second.add({ ...EVENT, text: "third" });
  assert.deepEqual(sequences(second), [1, 2, 3]);
  assert.deepEqual(
    s.told.map(({ sequence }) => sequence),
    [1, 2, 3],
    "each is told once, none again at a restart",
  );
  assert.equal(second.since(2, 10)[0]!.text, "third");
  assert.deepEqual(s.complaints, []);
});

Deno.test("Journal.since() gives the oldest above a sequence, at most so many", () => {
  using s = scene();
  const journal = s.open();
  for (let i = 0; i < 5; i++) journal.add(EVENT);
  assert.deepEqual(journal.since(1, 2).map(({ sequence }) => sequence), [2, 3]);
  assert.deepEqual(journal.since(5, 2), []);
});

Deno.test("Journal.lastSwitch() is the latest switch, whatever came after", () => {
  using s = scene();
  const journal = s.open();
  assert.equal(journal.lastSwitch(), null);
  journal.add({ ...EVENT, kind: "switch", text: "first" });
  journal.add({ ...EVENT, kind: "switch", text: "second" });
  journal.add(EVENT);
  assert.equal(journal.lastSwitch()!.text, "second");
});

Deno.test("Journal keeps two thousand events in memory and two files of a megabyte, of which it loads the latest", () => {
  using s = scene();
  const journal = s.open();
  const text = "x".repeat(1000);
  for (let i = 0; i < 2500; i++) journal.add({ ...EVENT, text });
  assert.equal(journal.since(0, 10_000).length, 2000);
  assert.equal(journal.since(0, 1)[0]!.sequence, 501);
  for (const path of [s.path, `${s.path}.1`]) {
    const { size } = Deno.statSync(path);
    assert.ok(size > 0 && size <= FILE_BYTES_MAX, `${path} has ${size} bytes`);
  }
  assert.deepEqual([...Deno.readDirSync(s.path.replace(/[^/]+$/, ""))].length, 2);
  const again = s.open();
  assert.equal(again.since(0, 10_000).at(-1)!.sequence, 2500);
  const loaded = sequences(again);
  assert.deepEqual(loaded, loaded.map((_, i) => loaded[0]! + i), "no gap between the two files");
  assert.ok(loaded.length > FILE_BYTES_MAX / 1400, "the older file counts too");
});

Deno.test("Journal goes on after a file that was moved away in the last moment", () => {
  using s = scene();
  const journal = s.open();
  journal.add(EVENT);
  journal.add(EVENT);
  Deno.renameSync(s.path, `${s.path}.1`);
  const again = s.open();
  again.add(EVENT);
  assert.deepEqual(sequences(again), [1, 2, 3]);
});

Deno.test("Journal loses the line that a power failure cut, and none after it", () => {
  using s = scene();
  const journal = s.open();
  for (let i = 0; i < 3; i++) journal.add(EVENT);
  const text = Deno.readTextFileSync(s.path);
  Deno.writeTextFileSync(s.path, text.slice(0, -40));
  const again = s.open();
  assert.deepEqual(sequences(again), [1, 2]);
  again.add({ ...EVENT, text: "after the cut" });
  const third = s.open();
  assert.deepEqual(third.since(2, 10).map(({ text }) => text), ["after the cut"]);
});

Deno.test("Journal skips lines that are no events", () => {
  using s = scene();
  const good = JSON.stringify({ ...EVENT, sequence: 4 });
  Deno.writeTextFileSync(s.path, `\n[1]\nnull\n{"kind":"link"}\nnonsense\n${good}\n"text"\n`);
  assert.deepEqual(sequences(s.open()), [4]);
  assert.deepEqual(s.complaints, []);
});

Deno.test("Journal tells once of a disk that does not take it, keeps events all the same, and recovers", () => {
  using s = scene();
  Deno.mkdirSync(s.path);
  const journal = s.open();
  const atStart = s.complaints.length;
  for (let i = 0; i < 5; i++) journal.add(EVENT);
  assert.ok(atStart <= 1 && s.complaints.length === 1, s.complaints.join("\n"));
  assert.match(s.complaints[0]!, new RegExp(`^Cannot (read|write) the journal ${s.path}: `));
  assert.deepEqual(sequences(journal), [1, 2, 3, 4, 5]);
  assert.equal(s.told.length, 5);
  Deno.removeSync(s.path);
  journal.add({ ...EVENT, text: "sixth" });
  assert.equal(s.open().since(0, 10).at(-1)!.text, "sixth");
  Deno.removeSync(s.path);
  Deno.mkdirSync(s.path);
  journal.add(EVENT);
  journal.add(EVENT);
  assert.equal(
    s.complaints.filter((text) => /Cannot write/.test(text)).length,
    2,
    "a new run of failures is told",
  );
});

Deno.test("Journal.has() knows an event of a plane again, and tells apart what happened in one moment", () => {
  using s = scene();
  const journal = s.open();
  journal.add({ ...EVENT, sequence: 9 });
  const again = s.open();
  assert.ok(again.has({ ...EVENT, sequence: 12, wallMs: 1 }));
  assert.ok(!again.has({ ...EVENT, subject: "primary-out" }));
  assert.ok(!again.has({ ...EVENT, after: "up" }));
  assert.ok(!again.has({ ...EVENT, monoUs: 6 }));
  assert.ok(!again.has({ ...EVENT, boot: "00000000000000ab" }));
});

Deno.test("Journal that lost what its readers know numbers the events of its process above, for good", () => {
  using s = scene();
  const before = s.open();
  for (let i = 0; i < 3; i++) before.add(EVENT);
  // The power went when more had been told than was on the disk.
  const after = s.open();
  after.add({ ...EVENT, text: "since then" });
  assert.deepEqual(after.since(7, 10), [], "nothing for who knows 7");
  assert.equal(after.goOnAfter(7), true);
  assert.deepEqual(after.since(7, 10).map(({ sequence, text }) => [sequence, text]), [[8, "since then"]]);
  assert.deepEqual(sequences(after), [1, 2, 3, 8]);
  after.add({ ...EVENT, text: "it goes on" });
  assert.deepEqual(sequences(after), [1, 2, 3, 8, 9]);
  assert.equal(after.goOnAfter(9), false, "it has that one");
  assert.equal(after.goOnAfter(4), false);
  assert.equal(s.open().since(0, 10).at(-1)!.sequence, 9);
});

Deno.test("Journal brings what it appended to the disk, and says once where it cannot", async () => {
  using s = scene();
  const journal = s.open();
  await journal.sync();
  journal.add(EVENT);
  await Promise.all([journal.sync(), journal.sync()]);
  assert.deepEqual(s.complaints, []);
  journal.add(EVENT);
  Deno.removeSync(s.path);
  await journal.sync();
  await journal.sync();
  assert.equal(s.complaints.length, 1);
  assert.match(s.complaints[0]!, /Cannot write the journal .*no such file/i);
});
