/** Drivers of tables that a box lists: their codecs, and the contract with boxes in memory. */
import assert from "node:assert/strict";
import type { CommandOptions, CommandResult } from "../../../drivers/command.ts";
import {
  decodeStick,
  keyFault,
  openHaproxy,
  readTable as readStick,
  setCommand,
} from "../../../drivers/haproxy.ts";
import {
  decodeElement,
  openNftables,
  readElement,
  readTable,
  writeElement,
} from "../../../drivers/nftables.ts";
import { meet } from "../../../drivers/polled.ts";
import { recordFault, type StateRecord } from "../../../drivers/record.ts";
import { Random } from "../../../filter/random.ts";

const CONTEXT = { nowMs: () => 1_000 };
const bytes = (value: unknown) =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const never = new AbortController().signal;

Deno.test("meet() says whether a flow can be in both", () => {
  assert.equal(meet({}, { source: "10.0.0.1" }), true);
  assert.equal(meet({ source: "10.0.0.0/8", protocol: 6 }, { source: "10.0.0.1" }), true);
  assert.equal(meet({ source: "10.0.0.1" }, { source: "10.0.0.0/8" }), true);
  assert.equal(meet({ source: "11.0.0.0/8" }, { source: "10.0.0.1" }), false);
  assert.equal(meet({ protocol: 6 }, { protocol: 17 }), false);
  assert.equal(meet({ sourcePort: [1, 5] }, { sourcePort: [5, 9] }), true);
  assert.equal(meet({ sourcePort: [1, 4] }, { sourcePort: [5, 9] }), false);
});

Deno.test("elements of nftables come back as nft wrote them", () => {
  const cases: readonly [json: unknown, wanted: unknown][] = [
    ["10.0.0.1", { set: "s", key: "10.0.0.1" }],
    [{ elem: { val: "10.0.0.1", timeout: 30, expires: 29 } }, {
      set: "s",
      key: "10.0.0.1",
      timeoutS: 30,
      expiresS: 29,
    }],
    [{ prefix: { addr: "10.0.0.0", len: 8 } }, { set: "s", key: { prefix: { addr: "10.0.0.0", len: 8 } } }],
    [["10.0.0.1", 80], { set: "s", key: "10.0.0.1", data: 80 }],
    [["10.0.0.1", { drop: null }], { set: "s", key: "10.0.0.1", data: { drop: null } }],
    [[{ elem: { val: { concat: ["a", 1] }, timeout: 5, expires: 4, comment: "c" } }, "b"], {
      set: "s",
      key: { concat: ["a", 1] },
      data: "b",
      timeoutS: 5,
      expiresS: 4,
      comment: "c",
    }],
  ];
  for (const [json, wanted] of cases) {
    const element = readElement("s", json as never);
    assert.deepEqual(element, wanted);
    assert.deepEqual(writeElement(element, true), json);
    assert.deepEqual(decodeElement(bytes(element)), element);
  }
  const counted = readElement("s", { elem: { val: "1.2.3.4", counter: { packets: 1, bytes: 2 } } });
  assert.deepEqual(counted, { set: "s", key: "1.2.3.4" });
  // Of the set's own time to live there is only what is left: it becomes the element's.
  const left = readElement("s", { elem: { val: "1.2.3.4", expires: 9 } });
  assert.deepEqual(writeElement(left, true), { elem: { val: "1.2.3.4", timeout: 9, expires: 9 } });
  // In its last second an element shows 0, which nft would not take back.
  const last = readElement("s", { elem: { val: "1.2.3.4", timeout: 5, expires: 0 } });
  assert.equal(last.expiresS, 0);
  assert.deepEqual(writeElement(last, true), { elem: { val: "1.2.3.4", timeout: 5, expires: 1 } });
});

Deno.test("readTable() of nftables leaves out what has no name, what is constant, and what is not wanted", () => {
  const set = (name: string, more: object = {}) => ({ set: { name, elem: ["1.1.1.1"], ...more } });
  const list = [{ metainfo: {} }, set("a"), set("__set0"), set("c", { flags: ["constant"] }), {
    map: { name: "m", elem: [[1, 2]] },
  }];
  const text = JSON.stringify({ nftables: [...list, { set: { name: "empty" } }, { rule: {} }] });
  assert.deepEqual(readTable(text, new Set()).map(({ set }) => set), ["a", "m"]);
  assert.deepEqual(readTable(text, new Set(["m"])).map(({ set }) => set), ["m"]);
  assert.throws(() => readTable("Error", new Set()), SyntaxError);
});

Deno.test("values of nftables, HAProxy and PRADS survive chance: read, or refused with the end of a sentence", () => {
  const random = new Random(6);
  const nft = bytes({ set: "s", key: { concat: ["10.0.0.1", 80] }, timeoutS: 5, comment: "c" });
  const stick = bytes({ table: "t", type: "ip", key: "10.0.0.1", data: { gpc0: 5 } });
  for (let round = 0; round < 5_000; round++) {
    for (const [good, decode] of [[nft, decodeElement], [stick, decodeStick]] as const) {
      const value = good.slice(0, random.chance(0.2) ? random.below(good.length) : good.length);
      for (let i = random.below(3); i > 0 && value.length > 0; i--) {
        value[random.below(value.length)] = random.below(256);
      }
      try {
        decode(value);
      } catch (error) {
        assert.ok(error instanceof RangeError, String(error));
      }
    }
  }
  assert.throws(() => decodeElement(bytes("[]")), /it has no set and key/);
  assert.throws(() => decodeElement(bytes({ set: "s; flush", key: 1 })), /it has no set and key/);
  assert.throws(() => decodeElement(bytes({ set: "s", key: 1, expiresS: -1 })), /its expiresS is -1/);
  assert.throws(
    () => decodeStick(bytes({ table: "t", type: "ip", key: "k", data: { gpc0: "5; x" } })),
    /its data gpc0 is "5; x"/,
  );
  assert.throws(
    () => decodeStick(bytes({ table: "t\nx", type: "ip", key: "k", data: {} })),
    /no table, type and key/,
  );
});

/** nft with one set, in memory: a transaction is carried out whole or not at all. */
function fakeNft(elements: Map<string, unknown>) {
  const calls: string[] = [];
  const run = (argv: readonly string[], { stdin }: CommandOptions): Promise<CommandResult> => {
    calls.push(argv.join(" "));
    const fail = (why: string) =>
      Promise.resolve({ code: 1, stdout: "", stderr: `internal:0:0-0: Error: ${why}\n` });
    if (argv.includes("list")) {
      const text = JSON.stringify({ nftables: [{ set: { name: "s", elem: [...elements.values()] } }] });
      return Promise.resolve({ code: 0, stdout: text, stderr: "" });
    }
    const next = new Map(elements);
    for (const command of JSON.parse(stdin).nftables) {
      const { name, elem: [element] } = (command.add ?? command.delete).element;
      const key = String(readElement("s", element).key);
      if (name !== "s" || key === "bad") return fail("Could not process rule: Invalid argument");
      if (command.delete && !next.delete(key)) {
        return fail("Could not process rule: No such file or directory");
      }
      if (command.add && next.has(key)) return fail("Could not process rule: File exists");
      if (command.add) next.set(key, element);
    }
    elements.clear();
    for (const [key, element] of next) elements.set(key, element);
    return Promise.resolve({ code: 0, stdout: "", stderr: "" });
  };
  return { run, calls };
}

const like = (record: StateRecord, key: string, more: Partial<StateRecord> = {}): StateRecord => ({
  ...record,
  key: `inet t s ${key}`,
  value: bytes({ set: "s", key }),
  ...more,
});

Deno.test("nftables: a put is taken, known the second time, refused by name; ended records and del take away", async () => {
  const elements = new Map<string, unknown>([["a", "a"], ["b", {
    elem: { val: "b", timeout: 9, expires: 8 },
  }]]);
  const source = await openNftables({ table: "t", namespace: "box" }, CONTEXT, fakeNft(elements).run);
  const records = await Array.fromAsync(source.get("supporting", {}, never));
  assert.deepEqual(records.map(({ key, ttlMs }) => [key, ttlMs]), [["inet t s a", null], [
    "inet t s b",
    8000,
  ]]);
  assert.deepEqual(records.flatMap((record) => recordFault(record) ?? []), []);
  const there = new Map<string, unknown>([["a", "a"]]);
  const nft = fakeNft(there);
  const to = await openNftables({ table: "t", namespace: "box" }, CONTEXT, nft.run);
  const bad = like(records[0]!, "bad");
  const mixed = [...records, bad, like(records[0]!, "c"), { ...records[0]!, key: "inet t s z" }];
  assert.deepEqual(await to.put(mixed), {
    taken: 3,
    known: 0,
    refused: [
      { key: "inet t s z", reason: "its value is of inet t s a" },
      { key: bad.key, reason: "nft says: Could not process rule: Invalid argument" },
    ],
  });
  assert.deepEqual([...there.keys()].sort(), ["a", "b", "c"]);
  assert.equal((await to.put(records)).known, 2);
  assert.ok(nft.calls.every((call) => call.startsWith("nsenter --net=/run/netns/box -- nft -j ")));
  const end = like(records[0]!, "c", { value: new Uint8Array(), ended: true, version: 9e15 });
  assert.deepEqual(await to.put([end]), { taken: 1, known: 0, refused: [] });
  assert.equal(await to.del("supporting", { protocol: 6 }), 0);
  assert.equal(await to.del("supporting", {}), 2);
  assert.equal((await to.put([end])).known, 1);
  assert.equal((await to.put(records)).taken, 2, "what was taken away by order may come back");
});

Deno.test("nftables: a watch tells changes, ends, and that an entry lives on, each once", async () => {
  const timed = (expires: number) => ({ elem: { val: "b", timeout: 30, expires } });
  const elements = new Map<string, unknown>([["a", "a"], ["b", timed(30)]]);
  let nowMs = 1_000;
  const settings = { table: "t", poll_ms: 50 };
  const one = await openNftables(settings, { nowMs: () => nowMs }, fakeNft(elements).run);
  const end = new AbortController();
  const told: string[] = [];
  const done = (async () => {
    for await (const event of one.watch(end.signal)) {
      if (event.kind === "record") {
        told.push(`${event.record.key.slice(9)}${event.record.ended ? " ended" : ""}`);
      }
    }
  })();
  const soon = async () => {
    await new Promise((resolve) => setTimeout(resolve, 150));
    return told.splice(0);
  };
  assert.deepEqual(await soon(), []);
  elements.delete("a");
  elements.set("c", "c");
  assert.deepEqual(await soon(), ["c", "a ended"]);
  nowMs += 25_000;
  elements.set("b", timed(5));
  assert.deepEqual(await soon(), [], "time goes by");
  elements.set("b", timed(30));
  assert.deepEqual(await soon(), ["b"], "it lives on");
  end.abort();
  await done;
});

Deno.test("nftables: a slow answer and whole seconds do not make an entry that ends live on", async () => {
  // A second's entry shows no whole second at all; the answer that has it near its end comes late.
  const elements = new Map<string, unknown>([["b", { elem: { val: "b", timeout: 1, expires: 0 } }]]);
  const box = fakeNft(elements);
  let nowMs = 1_000, listingMs = 0;
  const slow = (argv: readonly string[], options: CommandOptions) => {
    nowMs += listingMs;
    return box.run(argv, options);
  };
  const one = await openNftables({ table: "t", poll_ms: 20 }, { nowMs: () => nowMs }, slow);
  const end = new AbortController();
  const events = one.watch(end.signal);
  const next = events.next();
  await new Promise((resolve) => setTimeout(resolve, 50));
  nowMs += 990;
  listingMs = 30;
  await new Promise((resolve) => setTimeout(resolve, 30));
  elements.clear();
  const { value } = await next;
  assert.ok(value?.kind === "record" && value.record.ended, JSON.stringify(value));
  end.abort();
  await events.return(undefined);
});

Deno.test("nftables: what cannot be listed does not open, and says what nft says", async () => {
  const run = () =>
    Promise.resolve({ code: 1, stdout: "", stderr: "Error: No such file or directory\nlist table" });
  await assert.rejects(
    openNftables({ table: "t" }, CONTEXT, run),
    /Cannot read the table inet t: nft says: No such file/,
  );
});

const SHOWN = `# table: clients, type: ip, size:1024, used:2
0x5573541a4db8: key=10.0.0.1 use=0 exp=599999 server_id=2 gpc0=5 conn_cnt=7 conn_cur=3 http_req_rate(10000)=5
0x7f0300033358: key=10.0.0.2 use=1 exp=0 shard=0 server_id=0 server_key=-
what is this

`;

Deno.test("stick tables are read as HAProxy shows them, without what is of one box only", () => {
  const { entries, unread } = readStick(SHOWN);
  assert.equal(unread, 1);
  assert.deepEqual(entries, [
    {
      entry: {
        table: "clients",
        type: "ip",
        key: "10.0.0.1",
        data: { server_id: 2, gpc0: 5, conn_cnt: 7, http_req_rate: 5 },
      },
      leftMs: 599_999,
    },
    { entry: { table: "clients", type: "ip", key: "10.0.0.2", data: { server_id: 0 } }, leftMs: 0 },
  ]);
  assert.equal(
    setCommand(entries[0]!.entry),
    "set table clients key 10.0.0.1 data.server_id 2 data.gpc0 5 data.conn_cnt 7 data.http_req_rate 5",
  );
  const [string] =
    readStick(`# table: b, type: string, size:1024, used:1\n0x1: key=a\\ b\\=c use=0 exp=5 server_id=1\n`)
      .entries;
  assert.equal(string?.entry.key, "a\\ b\\=c");
});

Deno.test("keyFault() keeps back what HAProxy would take for something else", () => {
  const fault = (type: string, key: string) => keyFault({ table: "t", type, key, data: {} });
  for (
    const [type, key] of [["ip", "1.2.3.4"], ["ipv6", "fd00::1"], ["integer", "77"], [
      "string",
      "a\\ b\\=\\\\",
    ], ["binary", "0aFF"]]
  ) {
    assert.equal(fault(type!, key!), null);
  }
  assert.equal(fault("ip", "fd00::1"), '"fd00::1" is no key of type ip');
  assert.equal(fault("integer", "7x"), '"7x" is no key of type integer');
  for (const key of ["a b", "a;b", "a\nb", "a\\", "a\\x01", ""]) {
    assert.match(fault("string", key) ?? "", /no key of type string/);
  }
  assert.equal(fault("any", "a"), "tables of type any are unknown");
});

Deno.test("haproxy: entries of a box in memory move by the contract", async () => {
  const rows = new Map([["10.0.0.1", 5], ["10.0.0.2", 6]]);
  const said: string[] = [];
  const ask = (commands: readonly string[]) =>
    Promise.resolve(commands.map((command) => {
      said.push(command);
      const [, key, value] = /key (\S+)(?: data.gpc0 (\d+))?/.exec(command) ?? [];
      const head = `# table: t, type: ip, size:9, used:${rows.size}\n`;
      if (command === "show table") return head;
      if (command === "show table t") {
        return head + [...rows].map(([k, v]) => `0x1: key=${k} use=0 exp=1000 gpc0=${v}`).join("\n");
      }
      if (command.startsWith("set table t")) rows.set(key!, Number(value));
      else if (command.startsWith("clear table t")) rows.delete(key!);
      else return "No such table\n";
      return "\n";
    }));
  const one = await openHaproxy({ address: "/run/x" }, CONTEXT, ask);
  const records = await Array.fromAsync(one.get("supporting", { source: "10.0.0.1", protocol: 6 }, never));
  assert.deepEqual(records.map(({ key, fields, ttlMs }) => [key, fields, ttlMs]), [["t 10.0.0.1", {
    source: "10.0.0.1",
  }, 1000]]);
  rows.clear();
  assert.deepEqual(await one.put(records), { taken: 1, known: 0, refused: [] });
  assert.equal((await one.put(records)).known, 1);
  assert.deepEqual([...rows], [["10.0.0.1", 5]]);
  const evil = {
    ...records[0]!,
    key: "t 1; shutdown",
    version: 9e15,
    value: bytes({ table: "t", type: "ip", key: "1; shutdown", data: {} }),
  };
  assert.equal((await one.put([evil])).refused[0]?.reason, '"1; shutdown" is no key of type ip');
  assert.ok(said.every((command) => !command.includes(";")));
  assert.equal(await one.del("supporting", { source: "10.0.0.0/24" }), 1);
});
