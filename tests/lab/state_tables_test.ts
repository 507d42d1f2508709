/**
 * Drivers of tables that a box lists, with the real programs: sets and maps of nftables, stick tables of HAProxy, and the
 * log of PRADS.
 */
import assert from "node:assert/strict";
import type { StateDriver } from "../../drivers/driver.ts";
import { HAPROXY } from "../../drivers/haproxy.ts";
import { NFTABLES } from "../../drivers/nftables.ts";
import { PRADS } from "../../drivers/prads.ts";
import type { StateRecord } from "../../drivers/record.ts";
import { Lab } from "../../scripts/lab/engine.ts";
import { run, sleep } from "../../scripts/lab/process.ts";
import { sweep } from "../../scripts/lab/registry.ts";
import { hotReplica } from "../../scripts/lab/topology.ts";
import { Follower, openDriver, readAll } from "../support/state_lab.ts";

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await sleep(30)) {
    if (await holds()) return;
  }
  assert.fail(`in vain waited until ${what}`);
}

async function boxes(): Promise<Lab> {
  await sweep();
  return await Lab.up(hotReplica({ clients: 2, servers: 1 }));
}

const keysOf = (records: readonly StateRecord[]) => records.map(({ key }) => key).sort();

const TABLE = `table inet guard {
  set blocked { type ipv4_addr; flags timeout; timeout 1h; }
  set pairs { type ipv4_addr . inet_service; flags timeout; }
  set nets { type ipv4_addr; flags interval; }
  set caught { type ipv4_addr; flags dynamic,timeout; timeout 1m; }
  map server { type ipv4_addr : ipv4_addr . inet_service; flags timeout; }
  chain output { type filter hook output priority 0; udp dport 9 add @caught { ip daddr }; }
}
`;
const ELEMENTS = `
add element inet guard blocked { 10.0.0.1 timeout 30s, 10.0.0.2 }
add element inet guard pairs { 10.0.0.1 . 80 timeout 20s comment "seen" }
add element inet guard nets { 10.0.0.0/8, 192.168.1.1-192.168.1.7 }
add element inet guard server { 10.0.0.1 timeout 50s : 10.2.0.1 . 80 }
`;
const KEYS = [
  "inet guard blocked 10.0.0.1",
  "inet guard blocked 10.0.0.2",
  'inet guard nets {"prefix":{"addr":"10.0.0.0","len":8}}',
  'inet guard nets {"range":["192.168.1.1","192.168.1.7"]}',
  'inet guard pairs {"concat":["10.0.0.1",80]}',
  "inet guard server 10.0.0.1",
];

async function nftBoxes(lab: Lab): Promise<[StateDriver, StateDriver]> {
  const open = async (box: string, text: string) => {
    await lab.exec(box, ["nft", "-f", "-"], { stdin: text });
    return await openDriver(NFTABLES, { namespace: lab.ns(box), table: "guard", poll_ms: 50 });
  };
  return [await open("primary", TABLE + ELEMENTS), await open("redundant", TABLE)];
}

Deno.test("nftables: elements arrive with their data and the time they have left; wrong ones are refused by name", async () => {
  await using lab = await boxes();
  const [from, to] = await nftBoxes(lab);
  const records = await readAll(from);
  assert.deepEqual(keysOf(records), KEYS);
  assert.deepEqual(await to.put(records), { taken: 6, known: 0, refused: [] });
  assert.deepEqual(await to.put(records), { taken: 0, known: 6, refused: [] });
  const listed = await lab.exec("redundant", ["nft", "list", "table", "inet", "guard"]);
  assert.match(listed, /10\.0\.0\.1 timeout 30s expires 2\ds/);
  assert.match(listed, /10\.0\.0\.1 \. 80 timeout 20s expires 1\ds\d*m?s? comment "seen"/);
  assert.match(listed, /10\.0\.0\.1 timeout 50s expires 4\ds\d*m?s? : 10\.2\.0\.1 \. 80/);
  assert.deepEqual(keysOf(await readAll(to)), KEYS);
  const like = (set: string, key: string, version: number): StateRecord => ({
    ...records[0]!,
    key: `inet guard ${set} ${key}`,
    value: new TextEncoder().encode(JSON.stringify({ set, key })),
    version,
  });
  const mixed = [like("blocked", "10.0.0.3", 9), like("none", "10.0.0.4", 9), like("blocked", "10.0.0.5", 9)];
  const { taken, refused } = await to.put(mixed);
  assert.equal(taken, 2);
  assert.deepEqual(refused.map(({ key }) => key), ["inet guard none 10.0.0.4"]);
  assert.match(refused[0]!.reason, /^nft says: No such file or directory/);
  assert.equal(await to.del("supporting", { protocol: 6 }), 0, "it concerns more than that");
  assert.equal(await to.del("supporting", {}), 8);
  assert.deepEqual(await readAll(to), []);
  await assert.rejects(
    openDriver(NFTABLES, { namespace: lab.ns("primary"), table: "other" }),
    /Cannot read the table inet other: nft says: No such file or directory/,
  );
});

Deno.test("nftables: what rules add, what a person takes away and what has had its time is told; own doing is not", async () => {
  await using lab = await boxes();
  const [, box] = await nftBoxes(lab);
  const follower = new Follower(box);
  try {
    const own = (await readAll(await nftAgain(lab, "primary"))).slice(0, 2);
    assert.equal((await box.put(own)).taken, 2);
    await lab.exec("redundant", ["nft", "add element inet guard blocked { 10.0.0.9 timeout 3s }"]);
    // A packet that goes nowhere makes the rule add its destination.
    await lab.tryExec("redundant", ["bash", "-c", "echo > /dev/udp/10.1.0.11/9"]);
    // Not what is there: the one may have had its time before the other was told.
    const told = () =>
      follower.events.flatMap((one) => one.kind === "record" && !one.record.ended ? [one.record.key] : []);
    await until("both were told", () => told().length === 2);
    assert.deepEqual(told().sort(), ["inet guard blocked 10.0.0.9", "inet guard caught 10.1.0.11"]);
    await lab.exec("redundant", ["nft", "delete element inet guard caught { 10.1.0.11 }"]);
    await until("both ended", () => follower.there().size === 0);
    const ends = follower.events.filter((event) => event.kind === "record" && event.record.ended);
    assert.equal(ends.length, 2);
    assert.equal(follower.events.length, 4);
  } finally {
    await follower.end();
  }
});

const nftAgain = (lab: Lab, box: string) => openDriver(NFTABLES, { namespace: lab.ns(box), table: "guard" });

/** So many that both servers have some, whatever chance says. */
const SESSIONS = 32;

/** Two servers, told apart by what they say; which one a session belongs to is in a stick table. */
const haproxyConfig = (home: string, box: string) =>
  `global
  stats socket ${home}/${box}.sock mode 600 level admin
defaults
  mode http
  timeout connect 2s
  timeout client 2s
  timeout server 2s
frontend one
  bind 127.0.0.1:8001
  http-request return status 200 content-type text/plain string "one"
frontend two
  bind 127.0.0.1:8002
  http-request return status 200 content-type text/plain string "two"
frontend in
  bind 127.0.0.1:8080
  http-request track-sc0 src table clients
  default_backend servers
backend clients
  stick-table type ip size 1k expire 10m store gpc0,conn_cnt,http_req_cnt,http_req_rate(10s)
backend servers
  balance random
  stick-table type string len 32 size 1k expire 30m
  stick on req.hdr(x-session)
  server s1 127.0.0.1:8001
  server s2 127.0.0.1:8002
`;

async function startHaproxy(lab: Lab, box: string): Promise<StateDriver> {
  const path = `${lab.directory}/${box}.cfg`;
  await Deno.writeTextFile(path, haproxyConfig(lab.directory, box));
  await lab.exec(box, ["ip", "link", "set", "lo", "up"]);
  lab.start(box, ["haproxy", "-db", "-f", path]).unref();
  const address = `${lab.directory}/${box}.sock`;
  await until("HAProxy answers", () => Deno.stat(address).then(() => true, () => false));
  return await openDriver(HAPROXY, { address, poll_ms: 50 });
}

const ask = (lab: Lab, box: string, session: string) =>
  lab.exec(box, ["curl", "-sS", "-m", "5", "-H", `x-session: ${session}`, "http://127.0.0.1:8080/"]);

Deno.test("haproxy: sessions stay with their server on the box that their state was put into", async () => {
  await using lab = await boxes();
  const [from, to] = [await startHaproxy(lab, "c1"), await startHaproxy(lab, "c2")];
  const sessions = Array.from({ length: SESSIONS }, (_, i) => i === 0 ? "a=b c" : `session-${i}`);
  const servers: string[] = [];
  for (const session of sessions) servers.push(await ask(lab, "c1", session));
  assert.deepEqual(new Set(servers), new Set(["one", "two"]));
  const follower = new Follower(to);
  try {
    const records = await readAll(from);
    const all = SESSIONS + 1; // and the client
    assert.equal(records.length, all);
    assert.deepEqual(await to.put(records), { taken: all, known: 0, refused: [] });
    assert.deepEqual((await to.put(records)).known, all);
    assert.equal((await readAll(to)).length, all);
    for (const [i, session] of sessions.entries()) {
      assert.equal(await ask(lab, "c2", session), servers[i]);
    }
    const client = records.find(({ key }) => key === "clients 127.0.0.1")!;
    assert.deepEqual(client.fields, { source: "127.0.0.1" });
    const counts = JSON.parse(new TextDecoder().decode(client.value)).data;
    assert.equal(counts.http_req_cnt, SESSIONS);
    await until("its counters were told", () => follower.there().has("clients 127.0.0.1"));
    assert.deepEqual([...follower.there()], ["clients 127.0.0.1"]);
    const wrong = (table: string, type: string, key: string): StateRecord => ({
      ...client,
      key: `${table} ${key}`,
      value: new TextEncoder().encode(JSON.stringify({ table, type, key, data: { gpc0: 1 } })),
    });
    const { refused } = await to.put([
      wrong("clients", "ip", "nobody"),
      wrong("none", "ip", "10.0.0.1"),
      wrong("servers", "string", "a; clear table clients"),
    ]);
    assert.deepEqual(refused.map(({ reason }) => reason).sort(), [
      '"a; clear table clients" is no key of type string',
      '"nobody" is no key of type ip',
      "HAProxy says: No such table",
    ]);
    assert.equal(await to.del("supporting", { source: "127.0.0.0/8" }), 1);
    assert.equal(await to.del("supporting", {}), SESSIONS);
  } finally {
    await follower.end();
  }
});

const isSyn = (key: string) => / SYN /.test(key);

/** Connects from this address until PRADS has told it: its log is there before it listens. */
async function seen(lab: Lab, follower: Follower, source: string): Promise<void> {
  const connect = `exec curl -s -m 1 --interface ${source} http://10.2.0.11:7000/`;
  await until(`${source} was told`, async () => {
    await lab.tryExec("c1", ["sh", "-c", connect]);
    return [...follower.there()].some((key) => key.startsWith(`${source} `) && isSyn(key));
  });
}

const pradsMissing = await run(["prads", "-h"]).then(() => "", () => "prads");

Deno.test({
  name: `prads: assets of real traffic are told once, as they are seen${
    pradsMissing && ` (needs ${pradsMissing})`
  }`,
  ignore: pradsMissing !== "",
  fn: async () => {
    await using lab = await boxes();
    const path = `${lab.directory}/assets.log`;
    await assert.rejects(
      openDriver(PRADS, { path }),
      /Cannot read the asset log .*assets\.log: No such file/,
    );
    lab.start("s1", ["prads", "-i", "eth0", "-d", "-q", "-l", path, "-c", "/etc/prads/prads.conf"]).unref();
    await until("PRADS runs", () => Deno.stat(path).then(() => true, () => false));
    const driver = await openDriver(PRADS, { path, poll_ms: 50 });
    const follower = new Follower(driver);
    try {
      await lab.script(
        "node",
        "ip link add br7 type bridge; for i in pup pdn; do ip link set $i master br7; done; ip link set br7 up",
      );
      await lab.script("c1", "ip addr add 10.2.0.98/24 dev eth0; ip addr add 10.2.0.99/24 dev eth0");
      await seen(lab, follower, "10.2.0.99");
      // What was sent before the second client has been read by the time that this one is told.
      await seen(lab, follower, "10.2.0.99");
      await seen(lab, follower, "10.2.0.98");
      const told = follower.events.filter((event) => event.kind === "record" && isSyn(event.record.key));
      assert.equal(told.length, 2, "each client once");
      const records: StateRecord[] = [];
      for await (const one of driver.get("reporting", {}, new AbortController().signal)) records.push(one);
      assert.ok(records.every(({ merge, role }) => merge === "union" && role === "reporting"));
      const syn = records.find(({ key }) => key.startsWith("10.2.0.99 0 6 ") && key.includes(" SYN "));
      assert.deepEqual(syn?.fields, { protocol: 6, source: "10.2.0.99" });
      assert.equal(driver.counters()["lines_unread"], 0);
    } finally {
      await follower.end();
    }
  },
});
