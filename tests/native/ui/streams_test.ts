/** Duty: readers of streams: what they get, where they go on, and what becomes of one that does not read. */
import assert from "node:assert/strict";
import { READERS_MAX, StreamHub } from "../../../ui/streams.ts";
import { openSite } from "../../support/listener.ts";
import { eventView, nodeStatus } from "../../unit/ui/fake_node.ts";

function source() {
  const events = [eventView(1), eventView(2)];
  return {
    list: events,
    view: nodeStatus(),
    asked: 0,
    events: ({ after, limit }: { after: number; limit: number }) =>
      events.filter(({ sequence }) => sequence > after).slice(0, limit),
    status() {
      this.asked++;
      return this.view;
    },
  };
}

interface Said {
  readonly [field: string]: string;
}

/** What has come so far, by fields. */
async function said(reader: ReadableStreamDefaultReader<Uint8Array>, pieces: number): Promise<Said[]> {
  let text = "";
  for (let piece = 0; piece < pieces; piece++) {
    const { value } = await reader.read();
    text += new TextDecoder().decode(value);
  }
  return text.split("\n\n").filter((block) => block !== "").map((block) =>
    Object.fromEntries(
      block.split("\n").map((line) => [line.split(": ")[0]!, line.slice(line.indexOf(": ") + 2)]),
    )
  );
}

Deno.test("StreamHub gives events above a sequence, then those that come, each once", async () => {
  const from = source(), hub = new StreamHub(from);
  const reader = hub.events(1)!.getReader(), late = hub.events(null)!.getReader();
  hub.turn();
  hub.turn();
  from.list.push(eventView(3));
  hub.turn();
  assert.deepEqual((await said(reader, 3)).map(({ id }) => id), [undefined, "2", "3"]);
  assert.deepEqual((await said(late, 2)).map(({ id }) => id), [undefined, "3"]);
  hub.close();
  assert.equal((await said(late, 1))[0]!.data, '{"why":"closing"}');
  assert.equal((await reader.read(), (await reader.read()).done), true);
  assert.equal(hub.readers, 0);
});

Deno.test("StreamHub tells of events that are kept no more, and begins anew in another journal", async () => {
  const from = source(), hub = new StreamHub(from);
  from.list.splice(0, 2, eventView(8));
  const behind = hub.events(2)!.getReader(), beyond = hub.events(99)!.getReader();
  hub.turn();
  const [, gap, event] = await said(behind, 2);
  assert.deepEqual([gap!.event, gap!.data, event!.id], ["gap", '{"from":3,"to":7}', "8"]);
  assert.equal((await said(beyond, 2)).at(-1)!.id, "8");
  hub.close();
});

Deno.test("a stream that is only asked for its head holds no place", async () => {
  await using site = await openSite({ users: [] });
  const headers = { authorization: `Bearer ${site.token("viewer")}` };
  for (const path of ["/api/v1/live", "/api/v1/events/stream"]) {
    const response = await fetch(site.base + path, { method: "HEAD", headers });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "text/event-stream");
  }
  assert.equal(site.streams.readers, 0);
});

Deno.test("StreamHub gives the status whole, then what changed, and asks the node once for all readers", async () => {
  const from = source(), hub = new StreamHub(from);
  const [one, two] = [hub.live(10)!.getReader(), hub.live(10)!.getReader()];
  hub.turn();
  from.view = { ...from.view, freshMs: 9, path: "redundant" };
  hub.turn();
  assert.equal(from.asked, 2);
  const [, whole, change] = await said(one, 3);
  assert.deepEqual([whole!.event, change!.event], ["status", "change"]);
  assert.equal(JSON.parse(whole!.data!).path, "primary");
  assert.deepEqual(JSON.parse(change!.data!), { freshMs: 9, path: "redundant" });
  await one.cancel();
  await two.cancel();
  assert.equal(hub.readers, 0);
});

Deno.test("StreamHub tells by a beat that it lives, and ends a reader after a quarter of an hour", async () => {
  const hub = new StreamHub(source()), reader = hub.events(2)!.getReader();
  for (let tick = 0; tick < 9000; tick++) hub.turn();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    text += new TextDecoder().decode(value);
  }
  assert.equal(text.split(": beat\n\n").length - 1, 60);
  assert.match(text, /event: end\ndata: {"why":"time"}\n\n$/);
});

Deno.test("StreamHub ends a reader that does not read, tells it, and holds no more than its bound", async () => {
  const from = source(), hub = new StreamHub(from);
  const stuck = hub.live(10)!.getReader();
  for (let tick = 0; tick < 3000 && hub.readers > 0; tick++) {
    from.view = nodeStatus({ reason: `reason ${tick}`.padEnd(5000), freshMs: tick });
    hub.turn();
  }
  assert.equal(hub.slow, 1);
  let bytes = 0, last = "";
  for (;;) {
    const { value, done } = await stuck.read();
    if (done) break;
    bytes += value.length;
    last = new TextDecoder().decode(value);
  }
  assert.match(last, /"why":"slow"/);
  assert.ok(bytes < 300_000, String(bytes));
});

Deno.test("a hundred readers over the network cost little memory, and the next but few are refused", async () => {
  await using site = await openSite({ users: [] });
  const headers = { authorization: `Bearer ${site.token("viewer")}` };
  const before = Deno.memoryUsage().rss;
  const stop = new AbortController();
  const open = await Promise.all(Array.from({ length: 100 }, async () => {
    const response = await fetch(`${site.base}/api/v1/live?per_second=10`, { headers, signal: stop.signal });
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    return response.body!.getReader();
  }));
  assert.equal(site.streams.readers, 100);
  for (const reader of open) assert.ok((await reader.read()).value!.length > 0);
  await new Promise((done) => setTimeout(done, 1500)); // nobody reads
  const mib = (Deno.memoryUsage().rss - before) / 2 ** 20;
  assert.ok(mib < 150, `${mib.toFixed(0)} MiB, both ends together`);
  assert.ok(READERS_MAX >= 100);
  stop.abort();
  for (let turn = 0; site.streams.readers > 0 && turn < 1_500; turn++) {
    await new Promise((done) => setTimeout(done, 20));
  }
  assert.equal(site.streams.readers, 0);
});

Deno.test("a reader over the network goes on where it was cut off, by Last-Event-ID", async () => {
  await using site = await openSite({ users: [] });
  site.node.events = ({ after }) => [1, 2, 3].filter((one) => one > after).map((one) => eventView(one));
  const headers = { authorization: `Bearer ${site.token("viewer")}`, "last-event-id": "2" };
  const response = await fetch(`${site.base}/api/v1/events/stream?after=0`, { headers });
  const reader = response.body!.getReader();
  let text = "";
  while (!text.includes("id: ")) text += new TextDecoder().decode((await reader.read()).value);
  assert.match(text, /id: 3\n/);
  assert.doesNotMatch(text, /id: 2\n/);
  await reader.cancel();
  const bad = await fetch(`${site.base}/api/v1/events/stream`, {
    headers: { ...headers, "last-event-id": "x" },
  });
  assert.equal(bad.status, 400);
  await bad.body?.cancel();
});
