/**
 * Scaling out and in with unmodified programs: both servers' flows go through one firewall, those of one server move to another
 * firewall, and come back. What the boxes have counted and seen together is what a single box would have, and did: counters of
 * nftables and PRADS beside the clients and servers, which see all traffic.
 */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import type { ApplicationView } from "../../appliance/layer/contract.ts";
import { PRADS } from "../../drivers/prads.ts";
import { ALL } from "../../drivers/fields.ts";
import { Lab } from "../../scripts/lab/engine.ts";
import { type Programs, programs } from "../../scripts/lab/native.ts";
import { conntrackSource, LabNode } from "../../scripts/lab/node.ts";
import { run, sleep } from "../../scripts/lab/process.ts";
import { sweep } from "../../scripts/lab/registry.ts";
import { type LongReport, parseProbe } from "../../scripts/lab/reports.ts";
import { waitForPath } from "../../scripts/lab/scenario.ts";
import { ECHO_PORT, LONG_PORT, startServers } from "../../scripts/lab/servers.ts";
import { hotReplica } from "../../scripts/lab/topology.ts";
import { listens } from "../support/packet_sockets.ts";
import { TOP } from "../support/programs.ts";
import { openDriver } from "../support/state_lab.ts";

const pradsMissing = await run(["prads", "-h"]).then(() => "", () => "prads");
const SERVERS = { s1: "10.2.0.11", s2: "10.2.0.12" }, BOXES = ["primary", "redundant"] as const;
const FLOWS = 15, TALK_MS = 9_000;

/** Packets of each server and protocol that come in by an interface: a counter each. */
function counters(interfaces: readonly string[], way: "saddr" | "daddr"): string {
  const cells = Object.entries(SERVERS).flatMap(([server, address]) =>
    ["tcp", "udp"].map((protocol) => ({ name: `${way}_${server}_${protocol}`, address, protocol }))
  );
  const rules = cells.map(({ name, address, protocol }) =>
    `ip ${way} ${address} ip protocol ${protocol} counter name ${name}`
  );
  const devices = interfaces.map((one) => `"${one}"`).join(", ");
  return [
    `table netdev ${way} {`,
    ...cells.map(({ name }) => `counter ${name} {}`),
    `chain frames { type filter hook ingress devices = { ${devices} } priority -500; policy accept;`,
    ...rules,
    "}",
    "}",
  ].join("\n");
}

async function count(lab: Lab, ns: string): Promise<Record<string, number>> {
  const { nftables } = JSON.parse(await lab.exec(ns, ["nft", "-j", "list", "counters"])) as {
    nftables: { counter?: { name: string; packets: number } }[];
  };
  return Object.fromEntries(
    nftables.flatMap(({ counter }) =>
      counter === undefined ? [] : [[counter.name, counter.packets] as const]
    ),
  );
}

function sum(...all: readonly Record<string, number>[]): Record<string, number> {
  const names = [...new Set(all.flatMap((one) => Object.keys(one)))].sort();
  return Object.fromEntries(
    names.map((name) => [name, all.reduce((total, one) => total + (one[name] ?? 0), 0)]),
  );
}

/** Openings and services, which a box sees whoever had the connection before. */
async function watch(lab: Lab, ns: string, interface_: string): Promise<string> {
  const path = `${lab.directory}/prads-${ns}.log`;
  const argv = ["prads", "-i", interface_, "-d", "-q", "-XSK", "-l", path, "-c", "/etc/prads/prads.conf"];
  lab.start(ns, argv).unref();
  // Its log is there before it listens.
  await listens(lab, ns);
  return path;
}

/** PRADS guesses a host's uptime, and tells the port of the first opening: both are of the moment that it first saw the host. */
function lasting(key: string): string {
  const [asset, vlan, protocol, port, service, ...info] = key.split(" ");
  const print = info.join(" ").replace(/:uptime:\d+hrs/, "");
  return [asset, vlan, protocol, service === "SYN" ? "*" : port, service, print].join(" ");
}

async function assets(path: string): Promise<Set<string>> {
  const prads = await openDriver(PRADS, { path, poll_ms: 50 });
  try {
    const keys = new Set<string>();
    for await (const { key } of prads.get("reporting", ALL, new AbortController().signal)) {
      keys.add(lasting(key));
    }
    return keys;
  } finally {
    await prads.close();
  }
}

interface Scene {
  readonly lab: Lab;
  readonly built: Programs;
  readonly node: LabNode;
}

async function up(): Promise<Scene> {
  await sweep();
  const lab = await Lab.up(hotReplica({ clients: 2, servers: 2, kind: "firewall" }));
  try {
    const built = await programs(TOP);
    const more = [...conntrackSource(lab, "a", "primary"), ...conntrackSource(lab, "b", "redundant")];
    const node = await LabNode.start(lab, { top: TOP, preset: "none", more });
    await startServers(lab, built);
    await Promise.all(Object.keys(SERVERS).map((server) => waitForPath(lab, built, "c1", server)));
    await waitForPath(lab, built, "c2", "s1");
    const nft = (ns: string, text: string) => lab.script(ns, `nft -f - <<'END'\n${text}\nEND`);
    await Promise.all([
      nft("cbr", counters(["c1", "c2"], "daddr")),
      nft("sbr", counters(["s1", "s2"], "saddr")),
      ...BOXES.map((box) => nft(box, `${counters(["in"], "daddr")}\n${counters(["out"], "saddr")}`)),
    ]);
    return { lab, built, node };
  } catch (error) {
    await lab.down();
    throw error;
  }
}

/** Long connections and datagrams of one client to one server. */
async function talk({ lab, built }: Scene, client: string, server: string) {
  const ask = (argv: readonly string[]) => run(lab.argv(client, [...argv]), { timeoutMs: TALK_MS + 20_000 });
  const [long, probe] = await Promise.all([
    ask([built.longflows, "fetch", server, String(LONG_PORT), String(FLOWS), "4096", String(TALK_MS)]),
    ask([built.probe, "send", server, String(ECHO_PORT), "5000", String(TALK_MS)]),
  ]);
  return { flows: (JSON.parse(long) as LongReport).flows, probe: parseProbe(probe) };
}

/** New connections all the while, one after the other. */
async function open({ lab }: Scene, client: string, many: number): Promise<void> {
  const one = Object.values(SERVERS).map((address) => `(echo > /dev/tcp/${address}/${LONG_PORT}) 2>/dev/null`)
    .join("; ");
  await lab.tryExec(client, ["bash", "-c", `for i in $(seq ${many}); do ${one}; sleep 0.05; done`]);
}

async function scaled(scene: Scene, argv: readonly string[]): Promise<ApplicationView> {
  const { stdout, stderr, code } = await scene.node.command([...argv, "--json"]);
  assert.equal(code, 0, `${argv.join(" ")}: ${stderr}${stdout}`);
  return JSON.parse(stdout) as ApplicationView;
}

/** Looks until both sides are the same: what was sent last is still on its way, into a log as well. */
async function alike<T extends readonly unknown[]>(look: () => Promise<T>): Promise<T> {
  for (const deadline = Date.now() + 20_000;; await sleep(200)) {
    const sides = await look();
    if (isDeepStrictEqual(sides[0], sides[1]) || Date.now() > deadline) return sides;
  }
}

Deno.test({
  name: `scale-out and scale-in: two boxes have counted and seen what one would have${
    pradsMissing && ` (needs ${pradsMissing})`
  }`,
  ignore: pradsMissing !== "",
  fn: async () => {
    const scene = await up(), { lab, node } = scene;
    await using _ = lab;
    const [whole, ...parts] = await Promise.all([
      watch(lab, "cbr", "uplink"),
      ...BOXES.map((box) => watch(lab, box, "in")),
    ]);
    const talking = Promise.all(
      ["c1", "c2"].flatMap((client) => Object.values(SERVERS).map((address) => talk(scene, client, address))),
    );
    await open(scene, "c1", 5);
    await scaled(scene, ["scale-out", "a", "b", "* * * > 10.2.0.12"]);
    await open(scene, "c2", 10);
    const before = await count(lab, "redundant");
    await scaled(scene, ["scale-in", "b", "a"]);
    await open(scene, "c1", 5);
    for (const { flows, probe } of await talking) {
      assert.equal(flows.filter(([state, , , , alive]) => state === "open" && alive).length, FLOWS);
      assert.deepEqual(probe.losses, []);
    }
    assert.ok(before["daddr_s2_tcp"]! > 50 && before["daddr_s1_tcp"] === 0, JSON.stringify(before));
    const counted = await alike(async () => {
      const [clients, servers, ...boxes] = await Promise.all(
        ["cbr", "sbr", ...BOXES].map((ns) => count(lab, ns)),
      );
      return [sum(...boxes), sum(clients!, servers!)] as const;
    });
    assert.deepEqual(counted[0], counted[1]);
    const told = await alike(async () => {
      const [single, ...seen] = await Promise.all([whole!, ...parts].map(assets));
      const sizes = [single!, ...seen].map((one) => one.size);
      return [[...new Set(seen.flatMap((one) => [...one]))].sort(), [...single!].sort(), sizes] as const;
    });
    assert.deepEqual(told[0], told[1]);
    assert.ok(told[2][0]! >= 4 && told[2].every((size) => size > 0), String(told[2]));
    const full = (await node.status()).counters.find(({ name }) => name === "tx_full")?.packets;
    assert.equal(full, 0);
  },
});
