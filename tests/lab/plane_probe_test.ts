/**
 * Probes through real boxes: what is seen on the other side, what a host answers, what must not come out, and that nothing
 * of it is traffic to anybody. Strict nftables boxes; the failures are the boxes' own.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import type { EventView, NodeStatus, ProbeListing, ProbeView } from "../../appliance/view.ts";
import type { Box } from "../../scripts/lab/boxes.ts";
import { Lab } from "../../scripts/lab/engine.ts";
import { failureAction, recoveryAction } from "../../scripts/lab/failures.ts";
import { programs } from "../../scripts/lab/native.ts";
import { LabNode } from "../../scripts/lab/node.ts";
import { sleep } from "../../scripts/lab/process.ts";
import { startServers } from "../../scripts/lab/servers.ts";
import { hotReplica } from "../../scripts/lab/topology.ts";
import { TestNode } from "../support/node.ts";
import { Wire } from "../support/wire.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const LOOKS = 300;
const LOOK_MS = 100;

type Settings = Readonly<Record<string, string | number>>;

/** A probe of the client 10.1.0.250, which the node plays, to a server that exists; slow enough for a busy machine. */
function probe(name: string, settings: Settings = {}): string[] {
  const all = {
    name,
    from: "10.1.0.250",
    to: "10.2.0.11",
    direction: "up",
    interval_ms: 10,
    timeout_ms: 40,
    ...settings,
  };
  return ["[[probe]]", ...Object.entries(all).map(([key, value]) => `${key} = ${JSON.stringify(value)}`)];
}

async function scene(kind: Box["kind"], more: readonly string[], cores = 1) {
  const lab = await Lab.up(hotReplica({ kind, clients: 1, servers: 1, serverMbit: null }));
  try {
    const built = await programs(TOP);
    const node = await LabNode.start(lab, { top: TOP, preset: "nat", silenceMs: 0, more, cores });
    await startServers(lab, built);
    // The box's own packets tell the node where it is.
    await lab.exec("c1", ["ping", "-c", "1", "-W", "5", "10.2.0.11"]);
    const end = async () => {
      await node.stop();
      await lab.down();
    };
    return { lab, node, [Symbol.asyncDispose]: end };
  } catch (error) {
    await lab.down();
    throw error;
  }
}
type Scene = Awaited<ReturnType<typeof scene>>;

/** Whatever tells of its probes. */
interface Asked {
  readonly node: { probes(): Promise<ProbeListing> };
}

/** The probes, once `is` holds of them. */
async function until({ node }: Asked, what: string, is: (probes: readonly ProbeView[]) => boolean) {
  for (let look = 0;; look++) {
    const { probes } = await node.probes();
    if (is(probes)) return probes;
    if (look === LOOKS) throw new Error(`Cannot see ${what}: ${JSON.stringify(probes)}`);
    await sleep(LOOK_MS);
  }
}

const allGreen = (probes: readonly ProbeView[]) =>
  probes.length > 0 && probes.every(({ light }) => light === "green");
const moves = (events: readonly EventView[]) =>
  events.filter(({ kind }) => kind === "switch").map(({ before, after, cause }) =>
    `${before} > ${after} (${cause})`
  );
/** Once there is one: a probe is red a moment before the box is. */
async function switched({ node }: Scene): Promise<string[]> {
  for (let look = 0; look < LOOKS && moves(await node.events()).length === 0; look++) await sleep(LOOK_MS);
  return moves(await node.events());
}

const box = (name: string): Box => ({
  name,
  kind: "nat",
  inside: "in",
  outside: "out",
  ports: "preserve",
  input: "drop",
});

for (const [kind, cores] of [["firewall", 1], ["nat", 1], ["nat", 2]] as const) {
  Deno.test(`every kind of probe comes through a ${kind} and through its spare, by ${cores} core(s)`, async () => {
    const more = [
      ...probe("ping"),
      ...probe("datagram", { kind: "udp" }),
      ...probe("syn", { kind: "tcp", to_port: 80 }),
      ...probe("web", {
        kind: "tcp",
        to_port: 80,
        from_port: 50000,
        expect: "answered",
        interval_ms: 50,
        timeout_ms: 500,
      }),
      ...probe("echo", { expect: "answered", from_port: 7, interval_ms: 50, timeout_ms: 500 }),
      ...probe("datagram-echo", {
        kind: "udp",
        to_port: 7001,
        expect: "answered",
        interval_ms: 50,
        timeout_ms: 500,
      }),
    ];
    await using s = await scene(kind, more, cores);
    // On the server: whatever came to it of the probes that are not meant for it.
    const stray = [
      "nft",
      "add table inet t; add chain inet t i { type filter hook input priority 0; }; " +
      "add rule inet t i udp dport 7 counter; add rule inet t i tcp sport 62000 counter",
    ];
    await s.lab.exec("s1", stray);
    const probes = await until(
      s,
      "all probes green, time and again",
      (now) => allGreen(now) && now.every(({ seen }) => seen > 5),
    );
    assert.deepEqual([...new Set(probes.map((one) => one.box))].sort(), ["primary", "redundant"]);
    assert.equal(probes.length, 12);
    for (const { name, delayUs } of probes) assert.ok(delayUs!.min > 0, name);
    const rules = await s.lab.exec("s1", ["nft", "list", "chain", "inet", "t", "i"]);
    assert.deepEqual([...rules.matchAll(/counter packets (\d+)/g)].map(([, n]) => n), ["0", "0"]);
    const { counters, boxes } = await s.node.status();
    assert.ok(counters.find(({ name }) => name === "probe_taken")!.packets > 100);
    const said = boxes.map(({ detectors }) => detectors.find(({ detector }) => detector === "probe")?.light);
    assert.deepEqual(said, ["green", "green"]);
    assert.deepEqual(moves(await s.node.events()), []);
  });
}

for (const failure of ["forwarding", "silent-out"] as const) {
  Deno.test(`a box that dies without traffic (${failure}) is found by its probes, and the spare serves`, async () => {
    await using s = await scene("firewall", probe("through", { kind: "udp" }));
    await until(s, "green probes", allGreen);
    await s.lab.exec("primary", failureAction(failure, box("primary")).argv);
    await until(s, "a red primary", (probes) => probes[0]!.light === "red");
    assert.deepEqual(await switched(s), ["primary > redundant (probe)"]);
    const { boxes } = await s.node.status();
    assert.match(boxes[0]!.reason, /probe through up does not come through/);
    assert.equal(boxes[1]!.light, "green");
  });
}

Deno.test("a box that was put back by force at once is not left again for what its probes were", async () => {
  await using s = await scene("firewall", probe("through", { kind: "udp" }));
  await until(s, "green probes", allGreen);
  const api = s.node.connect();
  try {
    for (const failure of ["forwarding", "silent", "link-both"] as const) {
      await s.lab.exec("primary", failureAction(failure, box("primary")).argv);
      for (let look = 0; look < LOOKS && (await s.node.status()).path !== "redundant"; look++) {
        await sleep(LOOK_MS);
      }
      await s.lab.exec("primary", recoveryAction(failure, box("primary")).argv);
      await api.order("failback", { force: true });
      await sleep(2_000);
      assert.equal((await s.node.status()).path, "primary", failure);
    }
  } finally {
    api.close();
  }
  assert.equal(moves(await s.node.events()).filter((move) => move.startsWith("primary")).length, 3);
});

Deno.test("one direction that fails is found, and named", async () => {
  // The answer's way is open as long as the probes up keep its connection known to the box.
  const both = { kind: "udp", direction: "both" };
  await using s = await scene("firewall", probe("through", both));
  await until(s, "green probes", allGreen);
  await s.lab.exec("primary", ["nft", "insert", "rule", "inet", "box", "forward", "iifname", "out", "drop"]);
  await until(s, "a red primary", (probes) => probes[1]!.light === "red");
  assert.deepEqual(await switched(s), ["primary > redundant (probe)"]);
  const { boxes } = await s.node.status();
  assert.match(boxes[0]!.reason, /probe through down does not come through/);
});

Deno.test("a probe that is to be blocked is green behind a policy, and tells when the policy is gone", async () => {
  const more = probe("closed", {
    kind: "tcp",
    direction: "down",
    from_port: 81,
    to_port: 81,
    expect: "blocked",
  });
  await using s = await scene("firewall", [...more, 'on_failure = "red"']);
  await until(s, "blocked probes", allGreen);
  await s.lab.exec("primary", ["nft", "insert", "rule", "inet", "box", "forward", "accept"]);
  await until(s, "a red primary", (probes) => probes[0]!.light === "red");
  assert.deepEqual(await switched(s), ["primary > redundant (probe)"]);
  const { boxes } = await s.node.status();
  assert.match(boxes[0]!.reason, /probe closed down comes through and should be blocked/);
});

Deno.test("each of three boxes is probed, and one that forwards nothing is not the one that takes over", async () => {
  await using wire = await Wire.up(3);
  const [primary, third] = [await wire.box("primary"), await wire.box("redundant-2")];
  await wire.box("redundant");
  const more = probe("through", {
    kind: "udp",
    timeout_ms: 100,
    mac_up: "02:00:00:00:02:0b",
    mac_down: "02:00:00:00:01:0b",
  });
  const failover = ["silence_ms = 0", "hold_up_ms = 300"];
  const node = await TestNode.start(wire, { failover, further: [['name = "fw-c"', "order = 50"]], more });
  const light = (status: NodeStatus, box: number) =>
    status.boxes[box]!.detectors.find(({ detector }) => detector === "probe")?.light;
  const all = await node.until(
    "green probes",
    (status) => [0, 1, 2].every((box) => light(status, box) === "green"),
  );
  assert.equal(all.path, "primary");
  await third.mode("drop");
  await node.until("a red third box", (status) => light(status, 2) === "red");
  await primary.mode("drop");
  const after = await node.until("another box serving", ({ path }) => path !== "primary");
  assert.equal(after.path, "redundant");
  assert.deepEqual(moves(await node.events()), ["primary > redundant (probe)"]);
});

Deno.test("probes through a transparent box are no traffic: no flow, no frame at either end", async () => {
  await using wire = await Wire.up();
  await wire.box("primary");
  await wire.box("redundant");
  const mac = { mac_up: "02:00:00:00:02:0b", mac_down: "02:00:00:00:01:0b" };
  const slow = { interval_ms: 10, timeout_ms: 100, direction: "both", ...mac };
  const v6 = { from: "2001:db8::250", to: "2001:db8::11" };
  const more = [
    ...probe("four", { ...slow, vlan: 7 }),
    ...probe("six", { ...slow, ...v6, kind: "udp" }),
    ...probe("six-syn", { ...slow, ...v6, kind: "tcp" }),
  ];
  const node = await TestNode.start(wire, { failover: ["silence_ms = 0"], more });
  const load = await wire.load(1000);
  const status = await node.until(
    "green probes",
    ({ boxes }) =>
      boxes.every(({ detectors }) =>
        detectors.some(({ detector, light }) => detector === "probe" && light === "green")
      ),
  );
  const often = (probes: readonly ProbeView[]) => probes.every(({ seen }) => seen > 10);
  const probes = await until({ node }, "every probe seen time and again", often);
  assert.equal(probes.length, 12);
  await load.more(500);
  const report = await load.stop();
  assert.deepEqual([report.foreign, report.duplicated], [0, 0]);
  assert.ok(status.flows.upstream <= 8 && status.flows.downstream <= 8, "only those of the load");
});
