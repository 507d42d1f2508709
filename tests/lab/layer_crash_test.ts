/**
 * Control, and with it every driver, is killed in a chosen step of a move between two real NATs of random ports; or Redis is. After
 * the next start each connection has its state in one box and all live on. Small here; `deno task test:crashes` does fifty.
 */
import assert from "node:assert/strict";
import type { MoveView } from "../../appliance/layer/contract.ts";
import { type Step, STEPS } from "../../appliance/layer/move.ts";
import type { RemoteNode } from "../../ui/client.ts";
import { Lab } from "../../scripts/lab/engine.ts";
import { type Programs, programs } from "../../scripts/lab/native.ts";
import { conntrackSource, LabNode, type NodeOptions } from "../../scripts/lab/node.ts";
import { end, inNamespace, sleep } from "../../scripts/lab/process.ts";
import { hasServer, RedisServer } from "../../scripts/lab/redis_server.ts";
import { sweep } from "../../scripts/lab/registry.ts";
import { parseLong, parseProbe } from "../../scripts/lab/reports.ts";
import { waitForPath } from "../../scripts/lab/scenario.ts";
import { ECHO_PORT, LONG_PORT, startServers } from "../../scripts/lab/servers.ts";
import { hotReplica, NODE_NS } from "../../scripts/lab/topology.ts";
import { TOP } from "../support/programs.ts";

const CRASHES = Number(Deno.env.get("REMEDIATE_CRASHES") ?? 3);
/** Connections that talk, and entries of the same client that only have to be somewhere: with them each step takes a while. */
const FLOWS = 30, ENTRIES = 1_500, ENTRY_PORT = 80;
const TALK_MS_MAX = 120_000, END_MS_MAX = 30_000;
/** Longer than a connection may be still and count as one that lives. */
const LIFE_MS = 1_500;
/** A step that a move was never seen in so often is too short to be seen; which is a fault of this test. */
const MOVES_MAX = 60;

/**
 * In another order than they come, so that a few trials are not all alike. Of a step that is seen the next call has mostly
 * begun: what is killed at "send" is an insert. The insert itself ends before anybody can ask.
 */
const WANTED: readonly Step[] = ["route", "get", "delete", "reprocess", "op", "send", "event"];

interface World {
  readonly lab: Lab;
  readonly built: Programs;
  readonly options: NodeOptions;
  readonly redis: RedisServer | null;
}

/** Until `end()`: connections and datagrams, and what became of them. */
function talk({ lab, built }: World) {
  const start = (argv: readonly string[]) => {
    const [program, ...args] = lab.argv("c1", argv);
    return new Deno.Command(program!, { args, stdin: "null", stdout: "piped", stderr: "inherit" }).spawn();
  };
  const ms = String(TALK_MS_MAX);
  const children = [
    start([built.longflows, "fetch", "10.2.0.11", String(LONG_PORT), String(FLOWS), "4096", ms]),
    start([built.probe, "send", "10.2.0.11", String(ECHO_PORT), "2000", ms]),
  ];
  const outputs = Promise.all(children.map((child) => child.output()));
  return {
    end: async () => {
      for (const child of children) end(child, "SIGTERM");
      const [long, probe] = (await outputs).map(({ stdout }) => new TextDecoder().decode(stdout));
      return { flows: parseLong(long!).flows, probe: parseProbe(probe!) };
    },
  };
}

const listed = async ({ lab }: World, box: string, port: number) => {
  const words = ["-L", "-p", "tcp", "--orig-port-dst", String(port), "--state", "ESTABLISHED"];
  return (await lab.exec(box, ["conntrack", ...words])).split("\n").filter((line) => line !== "").length;
};

/** What a box still takes for open of connections that are over: it may not have believed their last segment. */
const forget = async ({ lab }: World) => {
  const words = ["-D", "-p", "tcp", "--orig-port-dst", String(LONG_PORT)];
  for (const box of ["primary", "redundant"]) await lab.tryExec(box, ["conntrack", ...words]);
};

const open = async (world: World) => {
  const [primary, redundant] = [
    await listed(world, "primary", LONG_PORT),
    await listed(world, "redundant", LONG_PORT),
  ];
  return primary + redundant;
};

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + END_MS_MAX; !await holds(); await sleep(20)) {
    assert.ok(Date.now() < deadline, `not within ${END_MS_MAX} ms: ${what}`);
  }
}

/** Of all moves, when none is under way any more. */
async function ended(api: RemoteNode): Promise<readonly MoveView[]> {
  let moves: readonly MoveView[] = [];
  await until("every move has an end", async () => {
    moves = await api.moves().catch(() => [{ end: null } as MoveView]);
    return moves.every(({ end }) => end !== null);
  });
  return moves;
}

/** Every connection is in one box, the same for all, with nothing left in the other. Returns its driver. */
async function whole(world: World, moves: readonly MoveView[]): Promise<"a" | "b"> {
  const counts = async (box: string) => [
    await listed(world, box, LONG_PORT),
    await listed(world, box, ENTRY_PORT),
  ];
  const found = [await counts("primary"), await counts("redundant")];
  const at = found[0]![0]! > 0 ? "a" : "b", all = [FLOWS, ENTRIES];
  const told = `${JSON.stringify(found)} of ${all}, after ${JSON.stringify(moves.at(-1))}`;
  assert.deepEqual(found, at === "a" ? [all, [0, 0]] : [[0, 0], all], told);
  return at;
}

/** The move that is not of `before`, once it is seen in this step. Null: it was past that already. */
async function seen(api: RemoteNode, step: Step, before: ReadonlySet<string>): Promise<string | null> {
  for (const deadline = Date.now() + END_MS_MAX;;) {
    const move = (await api.moves()).find(({ id }) => !before.has(id));
    if (move !== undefined && move.end === null && move.step === step) return move.id;
    if (move !== undefined && (move.end !== null || STEPS.indexOf(move.step) > STEPS.indexOf(step))) {
      return null;
    }
    assert.ok(Date.now() < deadline, `a move stands still: ${JSON.stringify(move)}`);
  }
}

/** Moves the flows there and back until a move is in this step; its order has no answer yet. */
async function caught(world: World, api: RemoteNode, step: Step) {
  for (let turn = 0; turn < MOVES_MAX; turn++) {
    const moves = await ended(api), at = await whole(world, moves);
    const order = { source: at, destination: at === "a" ? "b" : "a", fields: "* 10.1.0.11" };
    const moving = api.layer("state/move", order).catch((error) => ({ ok: false, text: String(error) }));
    const id = await seen(api, step, new Set(moves.map((one) => one.id)));
    if (id !== null) return { moving, id };
    await moving;
  }
  assert.fail(`no move of ${MOVES_MAX} was seen in its step ${step}`);
}

interface Crashed {
  /** That runs now. */
  readonly node: LabNode;
  /** Of the move. */
  readonly id: string;
  /** This machine was so busy that the move had ended when control was killed. */
  readonly late: boolean;
}

/** In this step of a move the end of control or of Redis, then a start. */
async function crash(world: World, node: LabNode, step: Step): Promise<Crashed> {
  using api = closing(node);
  const { moving, id } = await caught(world, api.node, step);
  if (world.redis === null) {
    await node.stop("SIGKILL");
    const late = (await moving).ok;
    return { node: await LabNode.start(world.lab, world.options), id, late };
  }
  await world.redis.kill();
  await sleep(200);
  await world.redis.up();
  await moving;
  return { node, id, late: false };
}

function closing(node: LabNode) {
  const api = node.connect();
  return { node: api, [Symbol.dispose]: () => api.close() };
}

/** Entries as the conntrack tool takes them, with another port outside. */
async function fill({ lab }: World): Promise<void> {
  const line = (i: number) =>
    `-I -p tcp -s 10.1.0.11 -d 10.2.0.11 --sport ${20_000 + i} --dport ${ENTRY_PORT} ` +
    `-n 10.2.0.1:${10_000 + i} --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 86400\n`;
  const path = `${lab.directory}/entries`;
  await Deno.writeTextFile(path, Array.from({ length: ENTRIES }, (_, i) => line(i)).join(""));
  await lab.exec("primary", ["conntrack", "--load-file", path]);
}

async function trials(world: World): Promise<void> {
  let node = await LabNode.start(world.lab, world.options);
  const ends = new Map<string, number>();
  try {
    await startServers(world.lab, world.built);
    await waitForPath(world.lab, world.built, "c1", "s1");
    await fill(world);
    for (let trial = 0; trial < CRASHES; trial++) {
      const step = WANTED[trial % WANTED.length]!;
      await forget(world);
      await until("connections of the trial before are forgotten", async () => await open(world) === 0);
      const talking = talk(world);
      await until("all connections stand", async () => await open(world) === FLOWS);
      const crashed = await crash(world, node, step);
      node = crashed.node;
      using api = closing(node);
      const moves = await ended(api.node);
      await whole(world, moves);
      await sleep(LIFE_MS);
      const { flows, probe } = await talking.end(), last = moves.find(({ id }) => id === crashed.id);
      const lost = JSON.stringify(probe.losses);
      const told = `trial ${trial}, at ${step}: lost ${lost} of ${probe.sent}, ${JSON.stringify(last)}`;
      assert.equal(flows.filter(([state, , , , alive]) => state === "open" && alive).length, FLOWS, told);
      assert.deepEqual([probe.losses.length, probe.duplicates], [0, 0], told);
      // Only of a move that nobody was told of is there no trace: its first line was not on disk.
      assert.ok(last !== undefined || step === "op", told);
      if (CRASHES > 3) console.log(told);
      const what = `${step} ${crashed.late ? "over before" : last?.end ?? "never begun"}`;
      ends.set(what, (ends.get(what) ?? 0) + 1);
    }
    console.log(`crashes by step and end: ${[...ends].map(([what, n]) => `${what} ${n}`).join(", ")}`);
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
  await trials(await up(null, lab));
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
    await trials(await up(redis, lab));
  },
});
