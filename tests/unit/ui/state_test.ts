/** `drivers` and `state` through the API to real drivers in memory: what is printed, refused, and with which exit code. */
import assert from "node:assert/strict";
import { kindsReport } from "../../../appliance/state_drivers.ts";
import { recordFromJson, recordToJson } from "../../../drivers/record_json.ts";
import { makeApi } from "../../../ui/api.ts";
import { type Invocation, parseArguments } from "../../../ui/arguments.ts";
import type { Terminal } from "../../../ui/cli.ts";
import type { RemoteNode } from "../../../ui/client.ts";
import { remoteState } from "../../../ui/client_state.ts";
import { painter } from "../../../ui/paint.ts";
import { driversText, states } from "../../../ui/state.ts";
import { flowRecord } from "../../support/records.ts";
import { driversFrom, memoryDriver, stateWorld, until } from "../../support/state_world.ts";
import { fakeNode } from "./fake_node.ts";

/** Commands against a node whose drivers are real; everything between is as it is with a socket. */
async function world(input = "") {
  const state = await stateWorld();
  await state.drivers.configure(
    driversFrom(memoryDriver("a", "primary", "source") + memoryDriver("b", "redundant", "replica")),
  );
  await until("open drivers", () => state.drivers.driver("a") !== null && state.drivers.driver("b") !== null);
  const api = makeApi({ ...fakeNode(), state: state.drivers });
  const remote = remoteState({
    ask: async (method, path, body) => {
      const text = typeof body === "string" ? body : JSON.stringify(body);
      const response = await api.request(path, { method, ...(body !== undefined && { body: text }) });
      const answer = await response.json();
      if (!response.ok) throw new Error(answer.detail);
      return answer;
    },
    pieces: async (path) => {
      const response = await api.request(path);
      if (!response.ok) throw new Error((await response.json()).detail);
      return response.body!;
    },
  });
  let out = "", err = "";
  const terminal = { out: (text: string) => out += text, err: (text: string) => err += text, colours: false };
  const run = async (words: readonly string[]) => {
    [out, err] = ["", ""];
    const invocation = parseArguments(words) as Invocation;
    const node = { state: remote } as RemoteNode;
    const code = await states(node, invocation, terminal as unknown as Terminal, {
      input: () => Promise.resolve(input),
    });
    return { code, out, err };
  };
  return { run, remote, state };
}

const lines = (...numbers: number[]) =>
  numbers.map((number) => JSON.stringify(recordToJson(flowRecord(number)))).join("\n");

Deno.test("state put, get and del: records go in as they come out, by driver and fields", async () => {
  const { run, state } = await world(lines(1, 2, 3));
  assert.deepEqual(await run(["state", "put", "a"]), {
    code: 0,
    out: "3 taken, 0 known already, 0 refused\n",
    err: "",
  });
  const all = await run(["state", "get", "a", "--json"]);
  assert.deepEqual(all.out.trim().split("\n").map((line) => recordFromJson(JSON.parse(line))), [
    flowRecord(1),
    flowRecord(2),
    flowRecord(3),
  ]);
  const one = await run(["state", "get", "a", "tcp 10.1.0.2"]);
  assert.equal(one.out, "supporting test/1  tcp 10.1.0.2 40002 > 10.2.0.11 80  version 1, 15 bytes\n");
  assert.equal((await run(["state", "del", "a", "tcp 10.1.0.2"])).out, "1 deleted\n");
  assert.equal((await run(["state", "get", "a", "--role", "reporting"])).out, "");
  await until(
    "two in the replica",
    async () => (await run(["state", "get", "b"])).out.split("\n").length === 3,
  );
  await state.close();
});

Deno.test("drivers: what runs, how far replicas are, and what is in the repository", async () => {
  const { run, state } = await world(lines(1, 2));
  await run(["state", "put", "a"]);
  await until("the replica", async () => (await run(["state", "get", "b"])).out.split("\n").length === 3);
  await state.drivers.beat();
  const { code, out } = await run(["drivers"]);
  assert.equal(code, 0);
  assert.match(out, /^ {2}memory +get put del watch +Keeps records in memory/m);
  assert.match(out, /^ {2}a \(memory, source of primary\): running since .*\n {4}2 changes told\n/m);
  assert.match(
    out,
    /^ {2}b \(memory, replica of redundant\): running since .*\n {4}from node\/a: change 2\n/m,
  );
  assert.match(out, /^Repository: embedded, well: it is in this node\n {2}appended 2/m);
  const report = JSON.parse((await run(["drivers", "--json"])).out);
  assert.deepEqual(report.drivers[1].places, [{ source: "node/a", sequence: 2, lagRecords: 0 }]);
  await state.close();
});

Deno.test("drivers: a driver that fails, a full spool and no driver at all are told as such", () => {
  const none = driversText(kindsReport(), painter(false));
  assert.match(none, /No driver is configured: \[driver\.NAME\]\n$/);
  const [driver, repository] = [{
    name: "a",
    kind: "memory",
    box: "primary",
    role: "source",
    state: "waiting",
    reason: "no such socket",
    sinceMs: 0,
    failures: 3,
    sequence: 0,
    places: [],
    counters: {},
    driverCounters: {},
  }, { kind: "redis", ok: false, reason: "gone", spooled: 7, spoolLastsMs: 90_000, counters: {} }] as const;
  const text = driversText({ ...kindsReport(), drivers: [driver], repository }, painter(false));
  assert.match(text, /a \(memory, source of primary\): waiting since .*, failed 3 times: no such socket\n/);
  assert.match(text, /redis, out of reach: gone\n {2}7 changes wait in the spool, which lasts another 90 s/);
});

Deno.test("state: what is wrong is refused before a driver hears of it, and says where", async () => {
  const bad = `${lines(1)}\n\n{"role":"supporting","partition":"flow","key":"k"}`;
  const { run, remote, state } = await world(bad);
  await assert.rejects(() => run(["state", "put", "a"]), /Line 3 is no record: it has no "fields"/);
  await assert.rejects(() => remote.put("a", "{"), /Line 1 is not JSON/);
  assert.equal((await run(["state", "get", "a"])).out, "", "nothing was put");
  await assert.rejects(() => run(["state", "get", "x"]), /there is no driver "x"; there are a, b/);
  await assert.rejects(() => run(["state", "del", "a", "tcp 1.2.3"]), /"1\.2\.3" is no address or prefix/);
  await assert.rejects(() => remote.put("a", " ".repeat((16 << 20) + 1)), /larger than 16777216 bytes/);
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ role: "none" }, /"role" is "none", not one of configuration, supporting, reporting/],
    [{ value: "***" }, /"value" is no Base64/],
    [{ colour: 1 }, /no member "colour"/],
    [{ version: 0 }, /version is 0/],
    [{ fields: "a b c d e" }, /"fields": .*too many words/],
  ];
  for (const [change, wanted] of cases) {
    assert.match(String(recordFromJson({ ...recordToJson(flowRecord(1)), ...change })), wanted);
  }
  await state.close();
});
