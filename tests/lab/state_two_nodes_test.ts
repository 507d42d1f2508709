/**
 * Two nodes on one Redis: a source at the first, its replica at the second, which comes late, loses the way, and dies.
 */
import assert from "node:assert/strict";
import { recordToJson } from "../../drivers/record_json.ts";
import { inNamespace, run, tryRun } from "../../scripts/lab/process.ts";
import { hasServer, RedisServer } from "../../scripts/lab/redis_server.ts";
import { NODE_NS } from "../../scripts/lab/topology.ts";
import { binary, TestNode } from "../support/node.ts";
import { flowRecord } from "../support/records.ts";
import { memoryDriver, until } from "../support/state_world.ts";
import { Wire } from "../support/wire.ts";

const LINK = "state0";
const [NEAR, FAR] = ["192.0.2.1", "192.0.2.2"];

/** A cable between the management sides of two nodes. */
async function join(a: string, b: string): Promise<void> {
  await run(["ip", "-n", a, "link", "add", LINK, "type", "veth", "peer", "name", LINK, "netns", b]);
  for (const [ns, address] of [[a, NEAR], [b, FAR]] as const) {
    await run(["ip", "-n", ns, "addr", "add", `${address}/24`, "dev", LINK]);
    await run(["ip", "-n", ns, "link", "set", LINK, "up"]);
  }
}

async function repository(wire: Wire, address: string, port: number): Promise<string> {
  const secret = `${wire.lab.directory}/secret`;
  await Deno.writeTextFile(secret, "5a".repeat(32), { mode: 0o600 });
  return `[repository]\nkind = "redis"\nkey_file = "${secret}"\nurl = "redis://${address}:${port}"\n`;
}

function ask(node: TestNode, words: string, numbers: readonly number[] = []) {
  const file = `${node.directory}/input.jsonl`;
  const lines = numbers.map((number) => JSON.stringify(recordToJson(flowRecord(number))));
  Deno.writeTextFileSync(file, `${lines.join("\n")}\n`);
  const script = `exec "$0" ${words} --config "$1" <"$2"`;
  return tryRun(["sh", "-c", script, binary(), node.configPath, file], { timeoutMs: 30_000 });
}

async function put(node: TestNode, ...numbers: readonly number[]): Promise<void> {
  const { stdout, stderr } = await ask(node, "state put a", numbers);
  assert.match(stdout, new RegExp(`^${numbers.length} taken`), stderr);
}

const has = (node: TestNode, count: number) =>
  until(`${count} records at the second node`, async () => {
    const { stdout } = await ask(node, "state get b");
    return stdout.split("\n").length - 1 === count;
  });

Deno.test({
  name: `what a source of one node tells is in a replica of another, whoever comes late, is cut off or dies${
    hasServer() ? "" : " (needs redis-server)"
  }`,
  ignore: !hasServer(),
  fn: async () => {
    await using near = await Wire.up();
    await using far = await Wire.up();
    const [nearNs, farNs] = [near.lab.ns(NODE_NS), far.lab.ns(NODE_NS)];
    await join(nearNs, farNs);
    await using server = await RedisServer.start({
      settings: ["--bind", "127.0.0.1", NEAR, "--protected-mode", "no"],
      within: (argv) => inNamespace(nearNs, argv),
    });
    const { port } = server;
    const first = await TestNode.start(near, {
      name: "north",
      more: [memoryDriver("a", "primary", "source"), await repository(near, "127.0.0.1", port)],
    });
    await until("the source", async () => /running/.test((await ask(first, "drivers")).stdout));
    await put(first, 1, 2, 3);
    // It comes when there is something already: a snapshot, then what follows.
    const second = await TestNode.start(far, {
      name: "south",
      more: [
        memoryDriver("b", "redundant", "replica", 'from = "north/a"'),
        await repository(far, NEAR, port),
      ],
    });
    await has(second, 3);
    await put(first, 4);
    await has(second, 4);

    await run(["ip", "-n", farNs, "link", "set", LINK, "down"]);
    await put(first, 5, 6);
    await run(["ip", "-n", farNs, "link", "set", LINK, "up"]);
    await has(second, 6);

    await second.endControl("SIGKILL");
    await put(first, 7);
    await second.startControl();
    await has(second, 7);
    assert.equal((await second.status()).plane.restarts, 0);
  },
});
