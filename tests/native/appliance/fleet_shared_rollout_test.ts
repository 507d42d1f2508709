/** Roll-outs that controllers share in Redis: who leads, what counts of one who was away, what others ask for. */
import assert from "node:assert/strict";
import { RedisStore } from "../../../appliance/fleet/redis_store.ts";
import type { RolloutOrder, Turn } from "../../../appliance/fleet/rollout/contract.ts";
import { Rollouts } from "../../../appliance/fleet/rollout/engine.ts";
import { LostLeadError } from "../../../appliance/fleet/rollout/keeping.ts";
import { parseOrder } from "../../../appliance/fleet/rollout/order.ts";
import { SharedRollouts } from "../../../appliance/fleet/rollout/shared.ts";
import { RENEW } from "../../../appliance/fleet/rollout/shared_scripts.ts";
import { parseRedis } from "../../../appliance/repository/redis_address.ts";
import { openRedis } from "../../../appliance/repository/redis_client.ts";
import { RedisServer } from "../../../scripts/lab/redis_server.ts";
import { settle, until } from "../../support/fleet.ts";

const LEASE_MS = 600;

function order(id: string): RolloutOrder {
  const bundle = { digest: "d".repeat(64), version: "1.1.0", bytes: 1 };
  const parsed = parseOrder({ id, bundle, stages: [{ name: "all", percent: 100 }] });
  assert.ok("id" in parsed, String(parsed));
  return parsed;
}

/** A machine that stands still renews nothing. */
class StillStore extends RedisStore {
  isStill = false;

  override run(script: string, ...words: readonly (string | number)[]): Promise<unknown> {
    if (this.isStill && script === RENEW) return Promise.reject(new Error("it stands still"));
    return super.run(script, ...words);
  }
}

const stores = new WeakMap<SharedRollouts, StillStore>();

/** Some controllers at one Redis, without registry and nodes. */
async function withSeats(count: number, work: (seats: SharedRollouts[]) => Promise<void>): Promise<void> {
  await using server = await RedisServer.start();
  const address = parseRedis(server.url)!;
  const none = { user: null, password: null, ca: null, certificate: null, key: null, commandMs: 10_000 };
  const clients = Array.from({ length: count }, () => openRedis({ address, ...none }, () => {}));
  await until(() => clients.every(({ ready }) => ready));
  const seats = clients.map((client, n) => {
    const store = new StillStore(client, "{t}"), seat = new SharedRollouts(store, `c${n}`, LEASE_MS);
    stores.set(seat, store);
    return seat;
  });
  try {
    await work(seats);
  } finally {
    for (const seat of seats) await seat.close();
    for (const client of clients) await client.close();
  }
}

/** For longer than its lease. */
async function away(seat: SharedRollouts): Promise<void> {
  const store = stores.get(seat)!;
  store.isStill = true;
  await settle(LEASE_MS + 200);
  store.isStill = false;
}

Deno.test("one of several controllers leads, and the next one takes over when its lease is over or given back", async () => {
  await withSeats(3, async ([one, two, three]) => {
    assert.equal(await one!.lead(), "taken");
    assert.deepEqual([await two!.lead(), await three!.lead()], ["other", "other"]);
    await settle(2 * LEASE_MS);
    assert.equal(await one!.lead(), "kept", "it is renewed without a turn");
    assert.equal(one!.held, true);
    await one!.close();
    assert.equal(one!.held, false);
    assert.equal(await two!.lead(), "taken", "it was given back");
    await away(two!);
    assert.equal(two!.held, false, "by its own clock it does not lead any more");
    assert.equal(await three!.lead(), "taken");
    assert.equal(await two!.lead(), "other");
  });
});

Deno.test("what a controller commits that was away for too long is not kept", async () => {
  await withSeats(2, async ([one, two]) => {
    await one!.lead();
    const old = new Rollouts(await one!.load());
    await one!.commit(old.make(order("a"), 1));
    await away(one!);
    assert.equal(await two!.lead(), "taken");
    const fresh = new Rollouts(await two!.load());
    assert.deepEqual(fresh.list().map(({ order }) => order.id), ["a"]);
    await two!.commit(fresh.abort("a", "test", 2));
    await assert.rejects(one!.commit(old.start("a", "test", 3)), LostLeadError);
    assert.deepEqual((await two!.load()).map(({ value }) => (value as { phase: string }).phase), ["aborted"]);
    // It leads again in time, and has to load what happened.
    await two!.close();
    assert.equal(await one!.lead(), "taken");
    await one!.commit(new Rollouts(await one!.load()).make(order("b"), 4));
    assert.equal((await one!.load()).length, 2);
  });
});

Deno.test("who follows has what the leader has committed, and reads all where it was away", async () => {
  await withSeats(2, async ([one, two]) => {
    await one!.lead();
    const engine = new Rollouts(), seen = new Rollouts(await two!.load());
    const same = () => assert.deepEqual(seen.list(), engine.list());
    const follow = async () => {
      const committed = await two!.follow();
      for (const each of committed ?? []) seen.apply(each);
      return committed?.length ?? null;
    };
    await one!.commit(engine.make(order("a"), 1));
    await one!.commit(engine.start("a", "test", 2));
    assert.deepEqual([await follow(), await follow()], [2, 0]);
    same();
    const bars = (count: number): Turn => ({
      rows: Array.from({ length: count }, (_, n) => ({
        kind: "bar",
        key: `n${n}/1`,
        value: { node: `n${n}`, version: "1", atMs: 0, reason: "fell back", pardonedBy: null },
      })),
      ...{ drops: [], offers: [], events: [] },
    });
    await one!.commit(bars(1500));
    assert.equal(await follow(), null, "too much to be told");
    assert.equal((await two!.load()).filter(({ kind }) => kind === "bar").length, 1500);
    for (let n = 0; n < 300; n++) await one!.commit(bars(1));
    assert.equal(await follow(), null, "the tail does not reach back so far");
    await two!.load();
    await one!.commit({ ...bars(0), drops: ["a"] });
    assert.equal(await follow(), 1);
    assert.equal((await two!.load()).some(({ kind }) => kind === "rollout"), false);
  });
});

Deno.test("a wish reaches the leader, is fulfilled in the same breath as it is answered, or is refused in its words", async () => {
  await withSeats(2, async ([one, two]) => {
    await one!.lead();
    const engine = new Rollouts();
    const asked = two!.ask({ verb: "make", order: order("a") });
    let wishes = await one!.asked();
    while (wishes.length === 0) wishes = await one!.asked();
    const [{ id, wish }] = wishes as [(typeof wishes)[0]];
    assert.ok(wish.verb === "make");
    await one!.commit(engine.make(wish.order, 1), id);
    await asked;
    assert.deepEqual(await one!.asked(), []);
    const again = engine.start("a", "test", 2);
    await assert.rejects(one!.commit(again, id), /who asked has gone/, "it is fulfilled once");

    const refused = two!.ask({ verb: "pause", id: "b", by: "test" });
    for (wishes = []; wishes.length === 0;) wishes = await one!.asked();
    await one!.refuse(wishes[0]!.id, "Cannot find the roll-out b");
    await assert.rejects(refused, /Cannot find the roll-out b/);
  });
});

Deno.test("a wish that nobody hears is taken back, and said so", async () => {
  await withSeats(2, async ([one, two]) => {
    await assert.rejects(two!.ask({ verb: "pause", id: "a", by: "test" }), /no controller that leads them/);
    await one!.lead();
    assert.deepEqual(await one!.asked(), []);
  });
});
