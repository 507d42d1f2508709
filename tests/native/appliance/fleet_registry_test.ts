/** The registry of the fleet, in SQLite and in Redis: the same claims of both, and two controllers that share one. */
import assert from "node:assert/strict";
import type { Registry } from "../../../appliance/fleet/contract.ts";
import { openRegistry } from "../../../appliance/fleet/registry.ts";
import { openRedisRegistry } from "../../../appliance/fleet/registry_redis.ts";
import { FleetStore } from "../../../appliance/fleet/store.ts";
import { openRedis } from "../../../appliance/repository/redis_client.ts";
import { parseRedis } from "../../../appliance/repository/redis_address.ts";
import { RedisServer } from "../../../scripts/lab/redis_server.ts";
import { Fleet, Peer, report, settle, until } from "../../support/fleet.ts";

const NOW = 1_000_000;

async function shared(server: RedisServer, name: string): Promise<Registry> {
  const address = parseRedis(server.url)!;
  const none = { user: null, password: null, ca: null, certificate: null, key: null, commandMs: 10_000 };
  const client = openRedis({ address, ...none }, () => {});
  await until(() => client.ready);
  return await openRedisRegistry(client, name);
}

async function enrolled(registry: Registry, key: string, name = "n"): Promise<string> {
  const { token } = await registry.tokens.add({
    note: "",
    labels: { a: "b" },
    nowMs: NOW,
    expiresMs: NOW + 10,
  });
  const node = await registry.enrol({ key, name, token, nowMs: NOW });
  assert.ok(typeof node === "object", String(node));
  return node.id;
}

async function nodesAndTokens(registry: Registry): Promise<void> {
  const { id, token } = await registry.tokens.add({ note: "x", labels: {}, nowMs: NOW, expiresMs: NOW + 10 });
  const late = await registry.enrol({ key: "k0", name: "n0", token, nowMs: NOW + 11 });
  assert.match(String(late), /is over/);
  const node = await registry.enrol({ key: "k0", name: "n0", token, nowMs: NOW });
  assert.ok(typeof node === "object");
  assert.match(String(await registry.enrol({ key: "k9", name: "n9", token, nowMs: NOW })), /was used/);
  assert.equal((await registry.tokens.list()).find((one) => one.id === id)?.usedBy, node.id);
  assert.equal(await registry.tokens.revoke(id), false, "it was used");
  assert.equal((await registry.byKey("k0"))?.id, node.id);
  await registry.setKey(node.id, "k1");
  assert.equal(await registry.byKey("k0"), null);
  assert.equal((await registry.byKey("k1"))?.id, node.id);

  const ids = [node.id];
  for (let i = 2; i < 8; i++) ids.push(await enrolled(registry, `k${i}`, `name-${i}`));
  const all = await registry.nodes({});
  assert.deepEqual(all.map((one) => one.id), ids.toSorted());
  const page = await registry.nodes({ limit: 3 });
  const next = await registry.nodes({ limit: 10, after: page.at(-1)!.id });
  assert.deepEqual([...page, ...next].map((one) => one.id), ids.toSorted());
  assert.deepEqual((await registry.nodes({ search: "NAME-5" })).map(({ name }) => name), ["name-5"]);
  assert.equal(await registry.setLabels(node.id, { site: "x" }), true);
  assert.equal(await registry.setLabels("nobody", {}), false);
  assert.deepEqual((await registry.node(node.id))?.labels, { site: "x" });
  assert.equal(await registry.revoke(node.id, NOW), true);
  assert.equal(await registry.revoke(node.id, NOW + 5), true);
  assert.equal((await registry.node(node.id))?.revokedMs, NOW, "the first holds");
  await assert.rejects(
    registry.commands.add(node.id, { kind: "drill", arguments: {}, by: "t", nowMs: NOW, expiresMs: NOW }),
    /was revoked/,
  );
}

async function connections(registry: Registry, controller: string): Promise<void> {
  const id = await enrolled(registry, "c0");
  const first = await registry.connected(id, controller, NOW),
    second = await registry.connected(id, controller, NOW);
  assert.equal(second > first, true);
  assert.equal(await registry.keepReport(id, first, { sequence: 9, report: report(), nowMs: NOW }), false);
  assert.equal(await registry.keepReport(id, second, { sequence: 1, report: report(), nowMs: NOW }), true);
  await registry.disconnected(id, first, NOW);
  assert.equal((await registry.node(id))?.controller, controller, "who was replaced ends nothing");
  assert.deepEqual((await registry.node(id))?.report, report());
  assert.equal((await registry.size()).connected, 1);
  await registry.disconnected(id, second, NOW);
  assert.equal((await registry.size()).connected, 0);
  assert.deepEqual(await registry.nodes({ connected: true }), []);
}

async function queue(registry: Registry): Promise<void> {
  const id = await enrolled(registry, "q0"), { commands } = registry;
  const fresh = { kind: "drill", arguments: {}, by: "t", nowMs: NOW, expiresMs: NOW + 9 } as const;
  assert.equal(await commands.add(id, fresh), 1);
  assert.equal(await commands.add(id, { ...fresh, once: "x" }), 2);
  assert.equal(await commands.add(id, { ...fresh, once: "x" }), 2);
  await commands.sent(id, [1]);
  assert.deepEqual((await commands.open(id)).map(({ number, state }) => [number, state]), [[1, "sent"], [
    2,
    "queued",
  ]]);
  const result = { outcome: "done", text: "", data: {}, bytes: null, atMs: NOW } as const;
  assert.equal(await commands.end(id, 1, result), true);
  assert.equal(await commands.end(id, 1, { ...result, outcome: "failed" }), false);
  assert.equal((await commands.get(id, 1))?.result?.outcome, "done");
  assert.equal(await commands.get(id, 77), null);
  for (let i = 0; i < 99; i++) await commands.add(id, fresh);
  await assert.rejects(commands.add(id, fresh), /100 wait for/);
  await assert.rejects(commands.add("nobody", fresh), /no node/);
  for (const { number } of await commands.open(id)) await commands.end(id, number, result);
  for (let i = 0; i < 5; i++) await commands.end(id, await commands.add(id, fresh), result);
  assert.equal((await commands.list(id, 1000)).length, 100, "ended ones are bounded");
  assert.deepEqual((await commands.list(id, 2)).map(({ number }) => number), [106, 105]);
}

async function log(registry: Registry): Promise<void> {
  const id = await enrolled(registry, "e0"), { events } = registry;
  const event = (sequence: number) => ({
    ...{ sequence, wallMs: NOW, kind: "switch", cause: "link", subject: "", text: `e${sequence}` },
  });
  assert.equal(await events.appendOf(id, [event(1), event(3)]), 3);
  assert.equal(await events.appendOf(id, [event(2), event(3), event(4)]), 4);
  assert.equal(await events.last(id), 4);
  await events.append({ atMs: NOW, node: null, source: "fleet", kind: "k", subject: "s", text: "own" });
  const all = await events.read({ limit: 100 });
  assert.deepEqual(all.map(({ text }) => text), ["e1", "e3", "e4", "own"]);
  assert.deepEqual((await events.read({ limit: 2 })).map(({ text }) => text), ["e4", "own"]);
  assert.deepEqual((await events.read({ limit: 2, after: all[0]!.sequence })).map(({ text }) => text), [
    "e3",
    "e4",
  ]);
  assert.deepEqual((await events.read({ limit: 9, node: id })).map(({ subject }) => subject), [
    "link",
    "link",
    "link",
  ]);
}

const CLAIMS = { nodesAndTokens, connections, queue, log };

Deno.test("a registry in SQLite keeps nodes, tokens, connections, commands and events", async () => {
  for (const claim of Object.values(CLAIMS)) {
    const registry = openRegistry(new FleetStore(":memory:"));
    await claim(registry, "c1");
    await registry.close();
  }
});

Deno.test("a registry in SQLite is there again after a controller that was killed", async () => {
  const directory = await Deno.makeTempDir(), path = `${directory}/fleet.db`;
  try {
    const first = openRegistry(new FleetStore(path));
    const id = await enrolled(first, "k");
    await first.connected(id, "c1", NOW);
    const copy = `${directory}/copy.db`; // as the disk is now: nothing was closed
    await Deno.copyFile(path, copy);
    await Deno.copyFile(`${path}-wal`, `${copy}-wal`);
    const second = openRegistry(new FleetStore(copy));
    assert.equal(second.fleet, first.fleet);
    assert.equal(
      (await second.node(id))?.controller,
      null,
      "nobody is connected to a controller that just started",
    );
    await first.close();
    await second.close();
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a registry in Redis keeps the same", async () => {
  for (const claim of Object.values(CLAIMS)) {
    await using server = await RedisServer.start();
    const registry = await shared(server, "c1");
    await claim(registry, "c1");
    await registry.close();
  }
});

Deno.test("any of two controllers serves a node, and a hand-over loses nothing", async () => {
  await using server = await RedisServer.start();
  await using one = new Fleet(await shared(server, "c1"), "c1");
  await using two = new Fleet(await shared(server, "c2"), "c2");
  assert.equal(one.registry.fleet, two.registry.fleet);
  const peer = await Peer.enrolled(one);
  await peer.act(peer.machine.report(report()));
  await settle(300);
  assert.equal((await two.registry.node(peer.id))?.controller, "c1");

  const number = await two.order(peer.id); // at the one that it is not connected to
  await until(() => peer.commands.length === 1);
  assert.equal(peer.commands[0]?.number, number);

  const there = await Peer.create(two, { fleet: two.registry.fleet }, peer.key);
  await there.connect();
  await until(() => peer.refusal !== "");
  assert.equal(peer.refusal, "replaced", "the controller that had it lets go of it");
  await settle(300);
  assert.equal((await one.registry.node(peer.id))?.controller, "c2");
  assert.deepEqual(there.commands.map((command) => command.number), [number], "it has no result yet");
  const result = {
    type: "result",
    command: number,
    outcome: "done",
    text: "",
    data: {},
    bytes: null,
  } as const;
  await there.act(there.machine.result(result));
  await settle(300);
  assert.equal((await one.registry.commands.get(peer.id, number))?.result?.outcome, "done");
  const news = two.news.filter(({ kind }) => kind === "result");
  assert.equal(news.length, 1);
  await there.close("end");
  await settle(200);
});
