/**
 * State drivers in a running node: from a source into a replica, over a restart of control, a reload and bad secrets.
 *
 * The drivers are those in memory: what real boxes do is tried where their drivers are.
 */
import assert from "node:assert/strict";
import type { DriversReport } from "../../appliance/view.ts";
import { recordToJson } from "../../drivers/record_json.ts";
import { inNamespace, tryRun } from "../../scripts/lab/process.ts";
import { NODE_NS } from "../../scripts/lab/topology.ts";
import { binary, TestNode } from "../support/node.ts";
import { flowRecord } from "../support/records.ts";
import { hasServer, RedisServer } from "../../scripts/lab/redis_server.ts";
import { memoryDriver, until } from "../support/state_world.ts";
import { Wire } from "../support/wire.ts";

const PAIR = memoryDriver("a", "primary", "source") + memoryDriver("b", "redundant", "replica");
const lines = (...numbers: number[]) =>
  numbers.map((number) => JSON.stringify(recordToJson(flowRecord(number)))).join("\n") + "\n";

/** As a person would, with standard input from a file. */
function ask(node: TestNode, words: string, input?: string) {
  const file = `${node.directory}/input.jsonl`;
  Deno.writeTextFileSync(file, input ?? "");
  const script = `exec "$0" ${words} --config "$1" <"$2"`;
  return tryRun(["sh", "-c", script, binary(), node.configPath, file], { timeoutMs: 30_000 });
}

async function report(node: TestNode): Promise<DriversReport> {
  return JSON.parse((await ask(node, "drivers --json")).stdout);
}

const running = (node: TestNode, count: number) =>
  until(
    `${count} drivers that run`,
    async () => (await report(node)).drivers.filter(({ state }) => state === "running").length === count,
  );

const countOf = async (node: TestNode, driver: string) =>
  (await ask(node, `state get ${driver}`)).stdout.split("\n").length - 1;

Deno.test("a node carries what a source is told into a replica, and control that starts anew has it still", async () => {
  await using wire = await Wire.up();
  const node = await TestNode.start(wire, { more: [PAIR] });
  await running(node, 2);
  const put = await ask(node, "state put a", lines(1, 2, 3));
  assert.equal(put.stdout, "3 taken, 0 known already, 0 refused\n", put.stderr);
  await until("three records in the replica", async () => await countOf(node, "b") === 3);
  assert.match((await ask(node, "drivers")).stdout, /b \(memory, replica of redundant\): running/);
  const key = Deno.statSync(`${node.directory}/state/state.key`);
  assert.equal(key.mode! & 0o777, 0o600);

  // The source's memory is gone with its process, and so says the source what ended; a replica's is as well.
  assert.equal(await node.endControl("SIGTERM"), 0);
  await node.startControl();
  await running(node, 2);
  await ask(node, "state put a", lines(3, 4));
  await until("what the source has now", async () => await countOf(node, "b") === 2);
  assert.equal((await node.status()).plane.restarts, 0);
});

Deno.test("a reload adds and takes away drivers; a secret that others may read keeps them out, and not the node", async () => {
  await using wire = await Wire.up();
  const node = await TestNode.start(wire);
  assert.match((await ask(node, "drivers")).stdout, /No driver is configured/);
  const before = await Deno.readTextFile(node.configPath);
  await node.edit((toml) => `${toml}${PAIR}`);
  assert.ok((await node.reload()).ok);
  await running(node, 2);
  await ask(node, "state put a", lines(1));
  await until("one record in the replica", async () => await countOf(node, "b") === 1);
  await Deno.writeTextFile(node.configPath, before);
  assert.ok((await node.reload()).ok);
  await until("no driver", async () => (await report(node)).drivers.length === 0);

  const secret = `${node.directory}/secret`;
  await Deno.writeTextFile(secret, "00".repeat(32), { mode: 0o644 });
  await Deno.writeTextFile(node.configPath, `${before}${PAIR}[repository]\nkey_file = "${secret}"\n`);
  assert.ok((await node.reload()).ok);
  const [told] = await node.untilEvents(1, ({ kind }) => kind === "state");
  assert.match(
    told!.text,
    /no state driver runs: Cannot use the state key .* others may read it \(mode 644\)/,
  );
  assert.equal((await node.status()).plane.state, "running");
});

Deno.test({
  name: `a node with its records in Redis: what comes in an outage waits and is put after it${
    hasServer() ? "" : " (needs redis-server)"
  }`,
  ignore: !hasServer(),
  fn: async () => {
    await using wire = await Wire.up();
    await using server = await RedisServer.start({
      within: (argv) => inNamespace(wire.lab.ns(NODE_NS), argv),
    });
    const secret = `${wire.lab.directory}/secret`;
    await Deno.writeTextFile(secret, "5a".repeat(32), { mode: 0o600 });
    const redis = `[repository]\nkind = "redis"\nkey_file = "${secret}"\nurl = "${server.url}"\n`;
    const far = memoryDriver("b", "redundant", "replica", 'from = "test/a"');
    const node = await TestNode.start(wire, { more: [memoryDriver("a", "primary", "source"), far, redis] });
    await running(node, 2);
    await ask(node, "state put a", lines(1, 2));
    await until("two records in the replica", async () => await countOf(node, "b") === 2);
    await server.kill();
    assert.match((await ask(node, "state put a", lines(3, 4))).stdout, /^2 taken/);
    await node.untilEvents(1, ({ kind, cause }) => kind === "state" && cause === "lost");
    assert.equal((await ask(node, "drivers")).code, 4);
    await server.up();
    await until("four records in the replica", async () => await countOf(node, "b") === 4);
    await node.untilEvents(1, ({ kind, cause }) => kind === "state" && cause === "connected");
  },
});
