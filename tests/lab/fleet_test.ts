/**
 * The fleet as it is run: a controller and agents in namespaces, all of them killed at times, and a node whose plane forwards
 * a load while its controller hangs, its agent dies and a configuration would cut it off.
 */
import assert from "node:assert/strict";
import { Lab } from "../../scripts/lab/engine.ts";
import { sleep } from "../../scripts/lab/process.ts";
import { sweep } from "../../scripts/lab/registry.ts";
import { fleetLines, Program, TestController, until } from "../support/fleet_program.ts";
import { freePort } from "../support/fleet_site.ts";
import { nodeToml, TestNode } from "../support/node.ts";
import { machineDrops, Wire } from "../support/wire.ts";

/** What moves traffic on a busy machine is not the matter here. */
const FAILOVER = ["automatic = false", "hold_up_ms = 200"];

const AGENTS = [1, 2, 3];
const TOPOLOGY = {
  name: "fleet",
  ipv6: false,
  namespaces: [{ name: "ctl" }, ...AGENTS.map((i) => ({ name: `n${i}` }))],
  links: AGENTS.map((i) => ({
    ends: [{ ns: "ctl", name: `c${i}`, addresses: [`10.77.${i}.1/24`] }, {
      ns: `n${i}`,
      name: "eth0",
      addresses: [`10.77.${i}.2/24`],
    }] as const,
  })),
  boxes: [],
  servers: [],
};

Deno.test("three agents, a controller and an agent that are killed: no node is lost, no command done twice", async () => {
  await sweep();
  const lab = await Lab.up(TOPOLOGY);
  await using stack = new AsyncDisposableStack();
  stack.defer(() => lab.down());
  const controller = stack.use(new TestController(lab.directory, "0.0.0.0:8444", lab.ns("ctl")));
  const fingerprint = await controller.start();
  const agents: Program[] = [];
  for (const i of AGENTS) {
    const directory = `${lab.directory}/n${i}`, token = `${directory}/token`;
    await Deno.mkdir(directory);
    await Deno.writeTextFile(token, await controller.token(), { mode: 0o600 });
    const more = fleetLines(`10.77.${i}.1:8444`, fingerprint, token);
    await Deno.writeTextFile(`${directory}/remediate.toml`, nodeToml(directory, { more }));
    const words = ["fleet", "agent", "--config", `${directory}/remediate.toml`];
    const agent = stack.use(new Program(words, `${directory}/agent.log`, lab.ns(`n${i}`)));
    agent.start();
    agents.push(agent);
  }
  const connected = (count: number) =>
    until(`${count} nodes that are connected`, async () => {
      const nodes = await controller.nodes();
      return nodes.filter(({ controller }) => controller !== null).length === count ? nodes : null;
    });
  const nodes = await connected(3);
  for (const i of AGENTS) {
    const gone = () => Deno.stat(`${lab.directory}/n${i}/token`).then(() => null, () => true);
    await until("that a token that was used is removed", gone);
  }

  const given: [string, number][] = [];
  for (let turn = 0; turn < 2; turn++) {
    for (const { id } of nodes) {
      for (let i = 0; i < 3; i++) given.push([id, await controller.order(id, "support")]);
    }
    await controller.program.kill();
    if (turn === 0) await agents[2]!.kill();
    await controller.start();
    if (turn === 0) agents[2]!.start();
  }
  for (const [node, number] of given) {
    const { result } = await controller.ended(node, number);
    // One that was cut off in its middle says so, and is not begun again.
    const cut = result!.outcome === "failed" && /connection to the controller broke/.test(result!.text);
    assert.ok(cut || /^(done|interrupted)$/.test(result!.outcome), result!.text);
  }
  assert.deepEqual((await connected(3)).map(({ id }) => id), nodes.map(({ id }) => id));
  for (const i of AGENTS) {
    const book = await Deno.readTextFile(`${lab.directory}/n${i}/state/fleet/commands.jsonl`);
    const begun = book.split("\n").filter((line) => line.startsWith('{"is":"begun"'));
    assert.equal(new Set(begun).size, begun.length, "none was begun twice");
  }
  const events = await controller.cli("events", "--limit", "1000");
  assert.equal(events.stdout.split("\n").filter((line) => /fleet enrolled/.test(line)).length, 3);
  assert.match((await controller.cli("nodes")).stdout, /connected {2}unknown/);
});

/** What the controller has of the node's events is what the node has, and what comes after half of a journal was lost. */
async function losesNoEvent(
  node: TestNode,
  known: () => Promise<readonly { source: string; text: string }[]>,
): Promise<void> {
  // The agent tells them every two seconds, and it was away most of the time.
  const told = await until("every event of the node, once", async () => {
    const own = (await known()).filter(({ source }) => source === "node");
    const journal = await node.events();
    return own.length >= journal.length ? { own, journal } : null;
  });
  assert.ok(told.journal.length > 0);
  assert.deepEqual(told.own.map(({ text }) => text), told.journal.map(({ text }) => text));

  // The power takes the end of the journal: what the controller is told next has numbers that it knows.
  await node.endControl("SIGKILL");
  const path = `${node.directory}/state/events.jsonl`;
  const [first] = (await Deno.readTextFile(path)).split("\n");
  await Deno.writeTextFile(path, `${first}\n`);
  await node.startControl();
  await until("what happened since", async () => {
    const since = (await known()).slice(told.own.length);
    return since.some(({ text }) => text.startsWith("took over a running plane")) || null;
  });
}

Deno.test("a load passes while the controller hangs, the agent dies, and a configuration cuts the node off", async () => {
  await using wire = await Wire.up();
  await using stack = new AsyncDisposableStack();
  await wire.box("primary");
  await wire.box("redundant");
  const port = freePort(), directory = await Deno.makeTempDir({ dir: wire.lab.directory });
  const controller = stack.use(new TestController(directory, `127.0.0.1:${port}`));
  const fingerprint = await controller.start(), token = `${directory}/token`;
  await Deno.writeTextFile(token, await controller.token(), { mode: 0o600 });
  const more = fleetLines(`127.0.0.1:${port}`, fingerprint, token);
  const node = await TestNode.start(wire, { preset: "nat", failover: FAILOVER, more });
  const load = await wire.load(500), drops = machineDrops();
  const agent = stack.use(
    new Program(["fleet", "agent", "--config", node.configPath], `${directory}/agent.log`),
  );
  agent.start();
  const green = () =>
    until("a node that is green", async () => {
      const [known] = await controller.nodes();
      return known?.report?.health.light === "green" && known.controller !== null ? known : null;
    });
  const { id, report } = await green();
  assert.equal(report?.health.path, "primary");
  await load.more(200);

  controller.program.signal("SIGSTOP");
  await sleep(1500);
  await agent.kill();
  agent.start();
  await load.more(500);
  controller.program.signal("SIGCONT");
  await green();

  const before = await Deno.readTextFile(node.configPath);
  const cut = await controller.order(id, "config.push", {
    text: before.replace(`127.0.0.1:${port}`, "127.0.0.1:1"),
    confirmS: 10,
  });
  const { result } = await controller.ended(id, cut);
  assert.equal(result?.outcome, "failed", result?.text);
  assert.match(result?.text ?? "", /the one before is in force again: the controller could not be reached/);
  assert.equal(await Deno.readTextFile(node.configPath), before);

  const text = before.replace("hold_up_ms = 200", "hold_up_ms = 300");
  const good = await controller.ended(id, await controller.order(id, "config.push", { text, confirmS: 30 }));
  assert.equal(good.result?.outcome, "done", good.result?.text);
  assert.equal(await Deno.readTextFile(node.configPath), text);

  const { lost } = await load.stop();
  assert.ok(lost <= machineDrops() - drops, `${lost} frames were lost`);
  await losesNoEvent(node, async () => {
    const { events } = await controller.get(`/events?node=${id}&limit=1000`);
    return events as { source: string; text: string }[];
  });
});
