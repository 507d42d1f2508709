/** The layer's journals on disk: what is there after a crash, after a full disk, and after a long time. */
import assert from "node:assert/strict";
import { intentFile, ledgerFile } from "../../../../appliance/layer/intents_file.ts";
import type { Entry, MoveOrder } from "../../../../appliance/layer/move.ts";

const ORDER: MoveOrder = {
  id: "m",
  source: "a",
  destination: "b",
  fields: { protocol: 6 },
  guarantee: "loss-free",
  roles: ["supporting"],
};

async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "remediate-intents-" });
  try {
    await work(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const about = (id: string, mark: Entry["mark"]): Entry => ({
  id,
  round: 0,
  mark,
  atMs: 1,
  ...(mark === "op" && { order: { ...ORDER, id } }),
  ...(mark === "end" && { end: "back" as const }),
});

Deno.test("intentFile() takes up an open move after a line was cut", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/state/moves.jsonl`, first = intentFile(path);
    assert.deepEqual(first.load().open, []);
    await first.append(about("x", "op"));
    await first.append(about("x", "route"));
    const text = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, text.slice(0, -5));
    const second = intentFile(path);
    assert.equal(second.load().open[0]!.state.phase, "cancel", "the route was not announced");
    await second.append(about("x", "end"));
    assert.deepEqual(intentFile(path).load().ended.map(({ order }) => order.id), ["x"]);
  });
});

Deno.test("intentFile() refuses a step that it cannot announce, with the path and the reason", async () => {
  await inDirectory(async (directory) => {
    const store = intentFile(`${directory}/moves.jsonl`);
    store.load();
    await Deno.remove(`${directory}/moves.jsonl`);
    await Deno.mkdir(`${directory}/moves.jsonl`);
    await assert.rejects(store.append(about("x", "op")), /the journal .*moves\.jsonl takes nothing: /);
    assert.throws(() => store.load(), /Cannot use the journal .*moves\.jsonl: /);
  });
});

Deno.test("intentFile() stays small however many moves there were", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/moves.jsonl`, store = intentFile(path);
    store.load();
    const lines = Array.from({ length: 6000 }, (_, i) => [about(`m${i}`, "op"), about(`m${i}`, "end")])
      .flat();
    await Deno.writeTextFile(path, "");
    for (const entry of lines.slice(0, 20)) await store.append(entry);
    const { wholeLine } = await import("../../../../appliance/layer/line.ts");
    await Deno.writeTextFile(path, lines.map(wholeLine).join(""), { append: true });
    await store.append(about("last", "op"));
    const { size } = await Deno.stat(path), { open, ended } = intentFile(path).load();
    assert.ok(size < 50_000, `${size} bytes`);
    assert.deepEqual([open.map(({ state }) => state.order.id), ended.length], [["last"], 100]);
  });
});

Deno.test("ledgerFile() remembers what was merged until the source was emptied", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/merged.jsonl`, store = ledgerFile(path);
    assert.equal(store.load().pairs.size, 0);
    const pair = { source: "b", destination: "a" };
    const item = { role: "reporting", key: "packets", version: 3, as: 2 ** 36, done: false } as const;
    await store.append({ mark: "merged", ...pair, items: [item] });
    await store.append({ mark: "emptying", ...pair, items: [] });
    const [known] = [...ledgerFile(path).load().pairs.values()];
    assert.deepEqual([known!.emptying, [...known!.items.values()]], [true, [item]]);
    await store.append({ mark: "emptied", ...pair, items: [] });
    assert.equal(ledgerFile(path).load().pairs.size, 0);
  });
});
