/**
 * Control, and with it every driver, is killed at any moment of a move between two real NATs of random ports; or Redis is. After
 * the next start each connection has its state in one box and all live on. Small here; `deno task test:crashes` does fifty.
 */
import assert from "node:assert/strict";
import type { MoveView } from "../../appliance/layer/contract.ts";
import { Random } from "../../filter/random.ts";
import { Lab } from "../../scripts/lab/engine.ts";
import { type Programs, programs } from "../../scripts/lab/native.ts";
import { conntrackSource, LabNode, type NodeOptions } from "../../scripts/lab/node.ts";
import { inNamespace, run, sleep } from "../../scripts/lab/process.ts";
import { hasServer, RedisServer } from "../../scripts/lab/redis_server.ts";
import { sweep } from "../../scripts/lab/registry.ts";
import { type LongReport, parseProbe } from "../../scripts/lab/reports.ts";
import { waitForPath } from "../../scripts/lab/scenario.ts";
import { ECHO_PORT, LONG_PORT, startServers } from "../../scripts/lab/servers.ts";
import { hotReplica, NODE_NS } from "../../scripts/lab/topology.ts";
import { TOP } from "../support/programs.ts";

const CRASHES = Number(Deno.env.get("REMEDIATE_CRASHES") ?? 3);
const FLOWS = 30;
/** A move is over by then on a machine that is not busy, and on a busy one not yet: crashes fall before, into and after it. */
const MOVE_MS_MAX = 600;
const END_MS_MAX = 30_000;
const TRIAL_MS = 12_000;

interface World {
  readonly lab: Lab;
  readonly built: Programs;
  readonly options: NodeOptions;
  readonly redis: RedisServer | null;
}

const talk = async ({ lab, built }: World, ms: number) => {
  const ask = (argv: readonly string[]) => run(lab.argv("c1", [...argv]), { timeoutMs: ms + 20_000 });
  const [long, probe] = await Promise.all([
    ask([built.longflows, "fetch", "10.2.0.11", String(LONG_PORT), String(FLOWS), "4096", String(ms)]),
    ask([built.probe, "send", "10.2.0.11", String(ECHO_PORT), "2000", String(ms)]),
  ]);
  return { flows: (JSON.parse(long) as LongReport).flows, probe: parseProbe(probe) };
};

/** Connections of the load that a box takes for open; those of trials before have ended. */
const openIn = async ({ lab }: World, box: string) => {
  const words = ["-L", "-p", "tcp", "--orig-port-dst", String(LONG_PORT), "--state", "ESTABLISHED"];
  return (await lab.exec(box, ["conntrack", ...words])).split("\n").filter((line) => line !== "").length;
};

/** Of all moves, when none is under way any more. */
async function ended(node: LabNode): Promise<readonly MoveView[]> {
  for (const deadline = Date.now() + END_MS_MAX;; await sleep(50)) {
    const { stdout, code } = await node.command(["state", "moves", "--json"]);
    const moves = code === 0 ? (JSON.parse(stdout) as { moves: readonly MoveView[] }).moves : null;
    if (moves !== null && moves.every(({ end }) => end !== null)) return moves;
    assert.ok(Date.now() < deadline, `still under way: ${stdout}`);
  }
}

/** Each connection is in one box, the same for all, with nothing left in the other. Returns its driver. */
async function whole(world: World, moves: readonly MoveView[]): Promise<"a" | "b"> {
  const [primary, redundant] = [await openIn(world, "primary"), await openIn(world, "redundant")];
  const told = `${primary} and ${redundant} of ${FLOWS}, after ${JSON.stringify(moves.at(-1))}`;
  assert.deepEqual([Math.max(primary, redundant), Math.min(primary, redundant)], [FLOWS, 0], told);
  return primary > redundant ? "a" : "b";
}

/** A move, and in the middle of it the end of control or of Redis; then a start. Returns the node that runs now. */
async function crash(world: World, node: LabNode, { at, afterMs }: { at: "a" | "b"; afterMs: number }) {
  const moving = node.command(["state", "move", at, at === "a" ? "b" : "a", "* 10.1.0.11"]);
  moving.catch(() => {}); // its node may die
  await sleep(afterMs);
  if (world.redis === null) {
    await node.stop("SIGKILL");
    await moving.catch(() => {});
    return await LabNode.start(world.lab, world.options);
  }
  await world.redis.kill();
  await sleep(500);
  await world.redis.up();
  await moving;
  return node;
}

async function trials(world: World, seed: number): Promise<void> {
  const chance = new Random(seed);
  let node = await LabNode.start(world.lab, world.options);
  try {
    await startServers(world.lab, world.built);
    await waitForPath(world.lab, world.built, "c1", "s1");
    for (let trial = 0; trial < CRASHES; trial++) {
      const talking = talk(world, TRIAL_MS);
      talking.catch(() => {}); // told below
      await sleep(1_500);
      const at = await whole(world, await ended(node));
      const afterMs = chance.below(MOVE_MS_MAX);
      node = await crash(world, node, { at, afterMs });
      const moves = await ended(node);
      await whole(world, moves);
      const { flows, probe } = await talking;
      const told = `seed ${seed}, trial ${trial}, ${afterMs} ms: ${JSON.stringify(moves.at(-1))}`;
      assert.equal(flows.filter(([state, , , , alive]) => state === "open" && alive).length, FLOWS, told);
      assert.deepEqual([probe.losses.length, probe.duplicates], [0, 0], told);
    }
  } finally {
    await node.stop();
  }
}

async function up(redis: RedisServer | null, lab: Lab): Promise<World> {
  const secret = `${lab.directory}/secret`;
  await Deno.writeTextFile(secret, "5a".repeat(32), { mode: 0o600 });
  const repository = redis === null
    ? []
    : ["[repository]", 'kind = "redis"', `key_file = "${secret}"`, `url = "${redis.url}"`];
  const more = [
    ...conntrackSource(lab, "a", "primary"),
    ...conntrackSource(lab, "b", "redundant"),
    ...repository,
  ];
  return { lab, redis, built: await programs(TOP), options: { top: TOP, preset: "none", more } };
}

const topology = () => hotReplica({ clients: 1, servers: 1, ports: "fully-random" });

Deno.test("control is killed while flows move between two NATs: each is in one box after it, and lives", async () => {
  await sweep();
  await using lab = await Lab.up(topology());
  await trials(await up(null, lab), 1);
});

const missing = hasServer() ? "" : "redis-server";
Deno.test({
  name: `Redis is killed while flows move between two NATs: each is in one box after it, and lives${
    missing && ` (needs ${missing})`
  }`,
  ignore: missing !== "",
  fn: async () => {
    await sweep();
    await using lab = await Lab.up(topology());
    await using redis = await RedisServer.start({ within: (argv) => inNamespace(lab.ns(NODE_NS), argv) });
    await trials(await up(redis, lab), 2);
  },
});
