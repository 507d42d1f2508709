/**
 * Roll-outs end to end on loopback: a controller with TLS, a pair and a single with slots on disk, bundles fetched over HTTPS.
 *
 * What goes wrong: a version that does not work, bundles that nobody signed, a controller that dies at each of its steps.
 */
import assert from "node:assert/strict";
import { parseOrder } from "../../appliance/fleet/rollout/order.ts";
import type { Course, RolloutOrder } from "../../appliance/fleet/rollout/contract.ts";
import type { RolloutStore } from "../../appliance/fleet/rollout/keeping.ts";
import { rolloutView } from "../../appliance/fleet/rollout/report.ts";
import { addBundle, BUNDLES_PATH, type KeptBundle } from "../../appliance/fleet/transfer/bundles.ts";
import { Random } from "../../filter/random.ts";
import { LabAgent, LabController, labIdentity } from "../support/fleet_lab.ts";
import { type Publisher, publisher } from "../support/slot_updater.ts";

const LIMIT_MS = 60_000;

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = Date.now() + LIMIT_MS;
  while (!await holds()) {
    if (Date.now() > endMs) throw new Error(`not within ${LIMIT_MS} ms: ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

function noise(seed: number): Uint8Array {
  const random = new Random(seed);
  return Uint8Array.from({ length: 200_000 }, () => random.below(256));
}

class Lab {
  readonly identity = labIdentity();
  readonly publisher: Publisher = publisher();
  readonly agents: LabAgent[] = [];
  readonly said: string[] = [];
  controller!: LabController;
  store: ((store: RolloutStore) => RolloutStore) | undefined;

  constructor(readonly directory: string) {}

  async up(port = 0): Promise<void> {
    this.controller = await LabController.start({
      directory: `${this.directory}/controller`,
      identity: this.identity,
      port,
      say: (text) => this.said.push(text),
      ...(this.store && { store: this.store }),
    });
  }

  async node(name: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
    const { control, port, fingerprint } = this.controller, nowMs = Date.now();
    const { token } = await control.registry.tokens.add({
      note: name,
      labels,
      nowMs,
      expiresMs: nowMs + 60_000,
    });
    const { publisher } = this, directory = `${this.directory}/${name}`;
    this.agents.push(await LabAgent.start({ name, directory, port, fingerprint, token, publisher, labels }));
  }

  bundle(content: Uint8Array<ArrayBuffer>): Promise<KeptBundle> {
    return addBundle(this.controller.bundles, new Blob([content]).stream());
  }

  course(order: RolloutOrder, name: string): Course | undefined {
    const { keeper } = this.controller;
    const node = [...keeper.fleet.nodes()].find((one) => one.name === name);
    return node && keeper.rollouts.course(order.id, node.id);
  }

  phase(order: RolloutOrder): string | undefined {
    return this.controller.keeper.rollouts.get(order.id)?.phase;
  }

  async version(name: string): Promise<string | null> {
    const agent = this.agents.find(({ options }) => options.name === name)!;
    return (await agent.updater.view()).slots.find(({ booted }) => booted)!.version;
  }
}

async function inLab(work: (lab: Lab) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir(), lab = new Lab(directory);
  try {
    await lab.up();
    await lab.node("left", { pair: "p" });
    await lab.node("right", { pair: "p" });
    await lab.node("single");
    await until("all nodes are green", () => {
      const nodes = [...lab.controller.keeper.fleet.nodes()];
      return nodes.length === 3 && nodes.every(({ connected, health }) => connected && health === "green");
    });
    await work(lab);
  } catch (error) {
    throw new Error(`${(error as Error).stack}\n${lab.said.slice(-30).join("\n")}`, { cause: error });
  } finally {
    for (const agent of lab.agents) await agent.end();
    await lab.controller.end();
    await Deno.remove(directory, { recursive: true });
  }
}

function orderOf(id: string, version: string, { digest, bytes }: KeptBundle): RolloutOrder {
  const order = parseOrder({
    id,
    bundle: { digest, version, bytes },
    stages: [{ name: "canary", nodes: ["single"] }, { name: "all", percent: 100 }],
    ...{ deadlineS: 60, observeS: 0, soakS: 0 },
  });
  assert.ok(!Array.isArray(order), String(order));
  return order as RolloutOrder;
}

Deno.test("a roll-out updates the canary first, then one member of a pair after the other", async () => {
  await inLab(async (lab) => {
    const kept = await lab.bundle(lab.publisher.bundle("1.1.0", true, noise(1)));
    const order = orderOf("r1", "1.1.0", kept), { keeper } = lab.controller;
    await keeper.make(order);
    await keeper.change("r1", "start", "test");
    let together = 0, early = 0;
    await until("it is done", async () => {
      const [left, right, single] = ["left", "right", "single"].map((name) => lab.course(order, name));
      const isBusy = (course?: Course) => course !== undefined && !["good", "failed"].includes(course.step);
      if (isBusy(left) && isBusy(right)) together++;
      if ((left || right) && single?.step !== "good") early++;
      return await Promise.resolve(lab.phase(order) === "done");
    });
    assert.deepEqual([together, early], [0, 0]);
    for (const { options, updater } of lab.agents) {
      assert.equal(await lab.version(options.name), "1.1.0");
      assert.deepEqual([updater.installs, updater.restarts], [1, 1], options.name);
    }
  });
});

Deno.test("a roll-out halts at a canary that falls back, and offers it the version never again", async () => {
  await inLab(async (lab) => {
    const { keeper } = lab.controller;
    const bad = await lab.bundle(lab.publisher.bundle("1.2.0", false, noise(2)));
    const order = orderOf("bad", "1.2.0", bad);
    await keeper.make(order);
    await keeper.change("bad", "start", "test");
    await until("it halts", () => lab.phase(order) === "halted");
    assert.match(lab.course(order, "single")!.reason, /fell back: the plane of the new version/);
    assert.equal(lab.course(order, "left"), undefined);
    assert.equal(await lab.version("single"), "1.0.0");

    const again = orderOf("again", "1.2.0", bad);
    await keeper.change("bad", "abort", "test");
    await keeper.make(again);
    await keeper.change("again", "start", "test");
    const node = [...keeper.fleet.nodes()].find(({ name }) => name === "single")!;
    await new Promise((done) => setTimeout(done, 300));
    const why = keeper.rollouts.why("again", keeper.fleet, node, Date.now());
    assert.match(JSON.stringify(why), /fell back here .* a person must allow it again/);
    assert.equal(lab.agents[2]!.updater.installs, 1);
  });
});

Deno.test("a roll-out of a bundle that nobody signed is refused by the first node", async () => {
  await inLab(async (lab) => {
    const { keeper } = lab.controller;
    const unsigned = publisher().bundle("1.3.0", true, noise(3)),
      order = orderOf("u", "1.3.0", await lab.bundle(unsigned));
    await keeper.make(order);
    await keeper.change("u", "start", "test");
    await until("it halts", () => lab.phase(order) === "halted");
    assert.match(lab.course(order, "single")!.reason, /refused: .*not signed by the publisher/);
    assert.equal(lab.agents.every(({ updater }) => updater.restarts === 0), true);
  });
});

Deno.test("an older version is offered to nobody, and refused by a node that is ordered to take it", async () => {
  await inLab(async (lab) => {
    const { keeper, control } = lab.controller;
    const old = await lab.bundle(lab.publisher.bundle("0.9.0", true, noise(5))),
      order = orderOf("o", "0.9.0", old);
    await keeper.make(order);
    await keeper.change("o", "start", "test");
    const single = [...keeper.fleet.nodes()].find(({ name }) => name === "single")!;
    await until("nothing is offered", () => {
      const { stages } = rolloutView(keeper.rollouts, keeper.fleet, keeper.rollouts.get("o")!, Date.now());
      return stages.every(({ size, left }) => size > 0 && left === size);
    });
    const why = keeper.rollouts.why("o", keeper.fleet, single, Date.now());
    assert.match(JSON.stringify(why), /it runs 1\.0\.0, which is later/);

    const nowMs = Date.now(), file = `${BUNDLES_PATH}${old.digest}.bundle`;
    const number = await control.order(single.id, {
      kind: "update.offer",
      arguments: { version: "0.9.0", digest: old.digest, bytes: old.bytes, sources: [file], force: false },
      ...{ by: "test", nowMs, expiresMs: nowMs + 60_000 },
    });
    const result = async () => (await control.registry.commands.get(single.id, number))?.result ?? null;
    await until("the node has answered", async () => await result() !== null);
    assert.equal((await result())!.outcome, "refused");
    assert.match((await result())!.text, /version 0\.9\.0 is older than 1\.0\.0, which runs/);
    await until("it is in the log", async () => {
      const events = await control.registry.events.read({ limit: 100, node: single.id });
      return events.some(({ text }) => /refused, .*older than 1\.0\.0/.test(text));
    });
    assert.equal(lab.agents.every(({ updater }) => updater.installs === 0), true);
  });
});

Deno.test("a bundle that was altered at the controller is refused by the node that fetched it", async () => {
  await inLab(async (lab) => {
    const kept = await lab.bundle(lab.publisher.bundle("1.5.0", true, noise(6))),
      order = orderOf("x", "1.5.0", kept);
    const content = await Deno.readFile(kept.path);
    content[100_000]! ^= 1;
    await Deno.writeFile(kept.path, content);
    const { keeper } = lab.controller;
    await keeper.make(order);
    await keeper.change("x", "start", "test");
    await until("it halts", () => lab.phase(order) === "halted");
    assert.match(lab.course(order, "single")!.reason, /refused: .*what it has at byte \d+ was altered/);
    assert.equal(lab.agents.every(({ updater }) => updater.installs + updater.restarts === 0), true);
  });
});

/** Dies with every commit that has an offer: before it, or after it and before the commands leave. The dead keep nothing. */
function dying(store: RolloutStore, when: "before" | "after", die: () => void): RolloutStore {
  let isDead = false;
  const alive = () => {
    if (isDead) throw new Error("it was killed");
  };
  return {
    ...store,
    // deno-lint-ignore require-await -- what it throws is a rejection
    load: async () => (alive(), store.load()),
    commit: async (turn) => {
      alive();
      const hasOffers = turn.offers.length > 0;
      if (hasOffers && when === "before") {
        isDead = true;
        die();
        throw new Error("killed before the commit");
      }
      await store.commit(turn);
      if (!hasOffers) return;
      isDead = true;
      die();
      throw new Error("killed after the commit");
    },
  };
}

for (const when of ["before", "after"] as const) {
  Deno.test(`a controller killed ${when} each commit with an offer goes on and starts nothing twice`, async () => {
    await inLab(async (lab) => {
      const kept = await lab.bundle(lab.publisher.bundle("1.4.0", true, noise(4)));
      const order = orderOf(`k${when}`, "1.4.0", kept), { port } = lab.controller;
      await lab.controller.keeper.make(order);
      await lab.controller.keeper.change(order.id, "start", "test");
      let dead = false, deaths = 0;
      // Every second life lasts long enough for one more offer.
      lab.store = (store) => deaths % 2 === 0 ? dying(store, when, () => (dead = true, deaths++)) : store;
      for (let life = 0; life < 12 && lab.phase(order) !== "done"; life++) {
        await lab.controller.end();
        dead = false;
        if (life % 2 === 1) deaths++;
        await lab.up(port);
        const offers = lab.agents.reduce((sum, { updater }) => sum + updater.installs + updater.restarts, 0);
        await until("it dies, or gets on", () => {
          const now = lab.agents.reduce((sum, { updater }) => sum + updater.installs + updater.restarts, 0);
          return dead || lab.phase(order) === "done" || (life % 2 === 1 && now > offers);
        });
      }
      await until("it is done", () => lab.phase(order) === "done");
      assert.ok(deaths >= 3, `${deaths} deaths`);
      for (const { options, updater } of lab.agents) {
        assert.equal(await lab.version(options.name), "1.4.0");
        assert.deepEqual([updater.installs, updater.restarts], [1, 1], options.name);
      }
    });
  });
}
