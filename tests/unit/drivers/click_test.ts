/** Click routers by their ControlSocket: a table of handlers, routes as lines, counters that add up, and what goes wrong. */
import assert from "node:assert/strict";
import { CLICK } from "../../../drivers/click.ts";
import { parseClickTable } from "../../../drivers/click_table.ts";
import type { StateDriver } from "../../../drivers/driver.ts";
import { ALL } from "../../../drivers/fields.ts";
import type { StateRole } from "../../../drivers/record.ts";
import { FakeClick, type Handlers } from "../../support/fake_click.ts";
import { context } from "../../support/openflow_lab.ts";

const TABLE = `
  # routes and what was counted of them
  routes role=supporting read=rt.table write=rt.set remove=rt.remove each=line
  seen   role=reporting  read=count.count write=count.set merge=sum
`;
const never = new AbortController().signal;

function router(routes: string[], seen: number) {
  const state = { routes, seen };
  const handlers: Handlers = {
    "rt.table": { read: () => state.routes.map((one) => `${one}\n`).join("") },
    "rt.set": {
      write: (text) => {
        if (!/^[\d./]+ [\d.-]+ \d+$/.test(text)) return `bad route '${text}'`;
        state.routes = [...state.routes.filter((one) => one.split(" ")[0] !== text.split(" ")[0]), text];
        return null;
      },
    },
    "rt.remove": {
      write: (text) => {
        const left = state.routes.filter((one) => one.split(" ")[0] !== text);
        const fault = left.length === state.routes.length ? "no such route" : null;
        state.routes = left;
        return fault;
      },
    },
    "count.count": { read: () => String(state.seen) },
    "count.set": { write: (text) => (state.seen = Number(text), null) },
  };
  return { state, fake: new FakeClick(handlers) };
}

const open = (fake: FakeClick, handlers = TABLE) =>
  CLICK.open({ address: `tcp:127.0.0.1:${fake.port}`, handlers }, context("click"));
const all = (driver: StateDriver, role: StateRole) => Array.fromAsync(driver.get(role, ALL, never));

Deno.test("what one router has, another takes, once", async () => {
  const a = router(["10.0.0.0/8 - 1", "10.1.0.0/16 10.0.0.1 2"], 40), b = router(["10.1.0.0/16 - 9"], 2);
  const [from, to] = [await open(a.fake), await open(b.fake)];
  try {
    const routes = await all(from, "supporting"), counts = await all(from, "reporting");
    assert.deepEqual(routes.map(({ key }) => key), ["routes 10.0.0.0/8", "routes 10.1.0.0/16"]);
    assert.deepEqual(await to.put([...routes, ...counts]), { taken: 3, known: 0, refused: [] });
    assert.deepEqual(b.state, { routes: ["10.0.0.0/8 - 1", "10.1.0.0/16 10.0.0.1 2"], seen: 42 });
    assert.deepEqual(
      await to.put([...routes, ...counts]),
      { taken: 0, known: 3, refused: [] },
      "a sum counts once",
    );
    assert.equal(b.state.seen, 42);
    const [first] = routes;
    const end = { ...first!, ended: true, value: new Uint8Array(0), version: first!.version + 1 };
    assert.equal((await to.put([end])).taken, 1);
    assert.deepEqual(b.state.routes, ["10.1.0.0/16 10.0.0.1 2"]);
    assert.equal(await to.del("supporting", ALL), 1);
    await assert.rejects(to.del("supporting", { protocol: 6 }), /has no fields/);
    assert.deepEqual(
      (await all(from, "supporting")).map(({ version }) => version),
      routes.map(({ version }) => version),
    );
  } finally {
    await Promise.all([from.close(), to.close(), a.fake.close(), b.fake.close()]);
  }
});

Deno.test("what the router refuses comes back with its record, and the connection lives on", async () => {
  const { fake, state } = router(["10.0.0.0/8 - 1"], 0);
  const driver = await open(fake, `${TABLE}\nlost read=nowhere.table write=rt.set`);
  try {
    const [good] = await all(driver, "supporting").catch((error) => {
      assert.match(error.message, /Click says 510: No element named 'nowhere'/);
      return [];
    });
    assert.equal(good, undefined);
    const value = (text: string) => new TextEncoder().encode(text);
    const base = {
      role: "supporting",
      partition: "shared",
      fields: {},
      codec: "click/1",
      ttlMs: null,
    } as const;
    const record = (key: string, text: string) => ({
      ...base,
      key,
      value: value(text),
      version: 9e12,
      merge: null,
      ended: false,
    });
    const result = await driver.put([
      record("routes bad", "bad"),
      record("else x", "x"),
      record("routes 10.2.0.0/16", "10.2.0.0/16 - 3"),
    ]);
    assert.equal(result.taken, 1);
    assert.deepEqual(result.refused.map(({ reason }) => reason), [
      "Click says 520: Write handler 'rt.set' error; bad route 'bad'",
      "no row of the table is for it as supporting state",
    ]);
    assert.equal(state.routes.length, 2);
  } finally {
    await Promise.all([driver.close(), fake.close()]);
  }
});

Deno.test("somebody who is no Click router, or nobody, is said to be", async () => {
  const fake = new FakeClick({}, "220 smtp.example.org");
  await assert.rejects(open(fake), /it says "220 smtp.example.org", not Click::ControlSocket/);
  await fake.close();
  await assert.rejects(open(fake), /refused/i);
});

Deno.test("parseClickTable() names the line and what is wrong with it", () => {
  for (
    const [text, fault] of [
      ["", /0 rows/],
      ["Routes read=a.b", /line 1 "Routes read=a.b": "Routes" is no name/],
      ["a read=b", /read "b" is no ELEMENT.HANDLER/],
      ["a write=b.c", /read is missing/],
      ["a read=b.c\na read=b.d", /two rows "a"/],
      ["a read=b.c merge=sum", /only reporting state is merged/],
      ["a read=b.c colour=red", /"colour=red" is none of/],
      ["a read=b.c key=0", /key is no number/],
    ] as const
  ) assert.throws(() => parseClickTable(text), fault);
});
