/**
 * The match of the redundant box on real connections through strict nftables NATs: ports kept, ports by chance, a box
 * that drops. What the node says of each flow is held against what the box itself has in its table.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import type { FlowView, MatchView } from "../../appliance/view.ts";
import { Lab } from "../../scripts/lab/engine.ts";
import { programs } from "../../scripts/lab/native.ts";
import { LabNode } from "../../scripts/lab/node.ts";
import { run, sleep } from "../../scripts/lab/process.ts";
import { judgeLong, parseLong } from "../../scripts/lab/reports.ts";
import { LONG_PORT, startServers } from "../../scripts/lab/servers.ts";
import { hotReplica } from "../../scripts/lab/topology.ts";
import { readyFault } from "../../ui/api.ts";
import type { RemoteNode } from "../../ui/client.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const FLOWS = 40;
const FLOW_MS = 6_000;
const UNTIL_MS_MAX = 30_000;
/** Control looks ten times a second. */
const CONTROL_LOOKS_MS = 500;
const SERVER = "10.2.0.11";

async function scene(ports: "preserve" | "fully-random", cores: number) {
  const lab = await Lab.up(hotReplica({ kind: "nat", ports, clients: 1, servers: 1, serverMbit: null }));
  try {
    const built = await programs(TOP);
    const node = await LabNode.start(lab, { top: TOP, preset: "nat", cores });
    const api = node.connect();
    await startServers(lab, built);
    const open = () => {
      const argv = [
        built.longflows,
        "fetch",
        SERVER,
        String(LONG_PORT),
        String(FLOWS),
        "20480",
        String(FLOW_MS),
      ];
      return run(lab.argv("c1", argv), { timeoutMs: FLOW_MS + 20_000 });
    };
    const end = async () => {
      api.close();
      await node.stop();
      await lab.down();
    };
    return { lab, api, open, [Symbol.asyncDispose]: end };
  } catch (error) {
    await lab.down();
    throw error;
  }
}

/** The match of the redundant box once so many flows were compared. */
async function compared(api: RemoteNode, flows: number): Promise<MatchView> {
  const deadline = Date.now() + UNTIL_MS_MAX;
  for (;;) {
    const match = (await api.status()).boxes.find(({ box }) => box === "redundant")!.match!;
    if (match.equal + match.different + match.dropped >= flows) return match;
    if (Date.now() > deadline) {
      throw new Error(`Cannot see ${flows} flows compared: ${JSON.stringify(match)}`);
    }
    await sleep(50);
  }
}

/** What was told of the match, once there is so much. */
async function alarms(api: RemoteNode, count: number): Promise<string[]> {
  const deadline = Date.now() + UNTIL_MS_MAX;
  for (;;) {
    const told = (await api.events({ after: 0, limit: 1000 })).filter(({ kind }) => kind === "match");
    if (told.length >= count || Date.now() > deadline) {
      return told.map(({ subject, after }) => `${subject} ${after}`);
    }
    await sleep(50);
  }
}

/** Of the last switch, once there is one. */
async function lastSwitch(api: RemoteNode): Promise<string> {
  const deadline = Date.now() + UNTIL_MS_MAX;
  for (;;) {
    const switches = (await api.events({ after: 0, limit: 1000 })).filter(({ kind }) => kind === "switch");
    if (switches.length > 0 || Date.now() > deadline) return switches.at(-1)?.text ?? "";
    await sleep(50);
  }
}

const downstream = (flows: readonly FlowView[]) => flows.filter(({ side }) => side === "downstream");

for (const cores of [1, 2]) {
  Deno.test(`a NAT that keeps ports makes the same of every connection, by ${cores} core(s)`, async () => {
    await using s = await scene("preserve", cores);
    const opened = s.open();
    opened.catch(() => {});
    const { equal, different, dropped, share } = await compared(s.api, FLOWS);
    assert.deepEqual([equal, different, dropped, share], [FLOWS, 0, 0, 1]);
    assert.equal((await s.api.flows({ limit: 100, unlike: true })).length, 0);
    const flows = downstream(await s.api.flows({ limit: 100, text: `:${LONG_PORT}` }));
    assert.equal(flows.length, FLOWS);
    for (const { standbys } of flows) {
      assert.deepEqual(standbys, [{ box: "redundant", verdict: "equal", binding: "" }]);
    }
    await sleep(CONTROL_LOOKS_MS);
    assert.ok((await s.api.order("switchover", { force: false })).ok);
    assert.match(await lastSwitch(s.api), /; it carries on 40 of 40 flows compared$/);
    await opened;
  });
}

Deno.test("of a NAT with random ports the node knows which port its spare gave each connection, and translates", async () => {
  await using s = await scene("fully-random", 2);
  const opened = s.open();
  opened.catch(() => {});
  const match = await compared(s.api, FLOWS);
  assert.ok(match.different >= FLOWS - 1 && match.share === 1, JSON.stringify(match));
  assert.equal(match.followed, match.different);
  const flows = downstream(await s.api.flows({ limit: 100, unlike: true }));
  assert.equal(flows.length, match.different);
  const table = await s.lab.exec("redundant", ["conntrack", "-L", "-p", "tcp"], {});
  // "src=10.1.0.11 dst=10.2.0.11 sport=.. dport=.. src=10.2.0.11 dst=10.2.0.1 sport=7000 dport=<its choice>"
  const chosen = new Set([...table.matchAll(/ sport=7000 dport=(\d+)/g)].map(([, port]) => port));
  for (const { standbys } of flows) {
    const port = /^10\.2\.0\.1:(\d+) - 10\.2\.0\.11:7000$/.exec(standbys[0]!.binding)?.[1];
    assert.ok(chosen.has(port!), `${standbys[0]!.binding} is not in the box's table`);
  }
  assert.ok((await s.api.order("switchover", { force: false })).ok);
  assert.match(await lastSwitch(s.api), /it carries on 40 of 40 flows compared, \d+ of them translated$/);
  const { ok } = judgeLong(parseLong(await opened));
  assert.equal(ok, FLOWS, "all connections live through the switch");
});

Deno.test("what a spare drops is known within two seconds, and counts again when it does not", async () => {
  await using s = await scene("preserve", 1);
  await s.lab.exec("redundant", ["nft", "insert rule inet box forward tcp dport 7000 drop"]);
  const first = s.open();
  first.catch(() => {});
  const { equal, dropped, share } = await compared(s.api, FLOWS);
  assert.deepEqual([equal, dropped, share], [0, FLOWS, 0]);
  assert.deepEqual(await alarms(s.api, 1), ["redundant unlike"]);
  const bad = await s.api.status();
  assert.deepEqual([bad.light, bad.boxes[1]!.light, bad.boxes[1]!.match!.alarm], ["yellow", "yellow", true]);
  assert.match(readyFault(bad)!, /^redundant: .* would not carry on/);
  await first;
  await s.lab.exec("redundant", ["nft", "flush chain inet box forward"]);
  await s.lab.exec("redundant", ["nft", "add rule inet box forward accept"]);
  const second = s.open();
  second.catch(() => {});
  const deadline = Date.now() + UNTIL_MS_MAX;
  for (;;) {
    const match = await compared(s.api, FLOWS);
    if (match.equal === FLOWS && match.dropped === 0) break;
    assert.ok(Date.now() < deadline, JSON.stringify(match));
    await sleep(50);
  }
  assert.deepEqual(await alarms(s.api, 2), ["redundant unlike", "redundant alike"]);
  assert.equal(readyFault(await s.api.status()), null);
  await second;
});

for (const cores of [1, 2]) {
  Deno.test(`a spare that takes openings and lets no answer back carries on nothing, by ${cores} core(s)`, async () => {
    await using s = await scene("preserve", cores);
    await s.lab.exec("redundant", ["nft", "insert rule inet box forward tcp sport 7000 drop"]);
    const opened = s.open();
    opened.catch(() => {});
    const deadline = Date.now() + UNTIL_MS_MAX;
    for (
      let match = await compared(s.api, FLOWS);
      match.dropped < FLOWS;
      match = await compared(s.api, FLOWS)
    ) {
      assert.ok(Date.now() < deadline, JSON.stringify(match));
      await sleep(50);
    }
    assert.deepEqual(await alarms(s.api, 1), ["redundant unlike"]);
    await opened;
  });
}

/** Of each connection the first answer that comes to the spare's server side is lost on its way. */
const LOST_ANSWERS =
  "table netdev lost { set told { type ipv4_addr . inet_service; size 8192; flags dynamic; }; " +
  'chain c { type filter hook ingress device "out" priority 0; ' +
  "tcp flags & (syn | ack) != (syn | ack) accept; ip daddr . tcp dport @told accept; " +
  "add @told { ip daddr . tcp dport } drop; }; }";

for (const cores of [1, 2]) {
  Deno.test(`a spare whose copies of answers were lost is told of them by seeds, and carries on all, by ${cores} core(s)`, async () => {
    await using s = await scene("preserve", cores);
    await s.lab.exec("redundant", ["nft", LOST_ANSWERS]);
    const opened = s.open();
    opened.catch(() => {});
    const established = async () => {
      const ofServer = ["-p", "tcp", "--dport", String(LONG_PORT)];
      const text = await s.lab.exec("redundant", ["conntrack", "-L", ...ofServer, "--state", "ESTABLISHED"]);
      return [...text.matchAll(/ESTABLISHED/g)].length;
    };
    const deadline = Date.now() + UNTIL_MS_MAX;
    for (let held = 0; held < FLOWS; held = await established()) {
      assert.ok(Date.now() < deadline, `it holds ${held} of ${FLOWS}`);
      await sleep(50);
    }
    const { equal, dropped, alarm } = await compared(s.api, FLOWS);
    assert.deepEqual([equal, dropped, alarm], [FLOWS, 0, false]);
    assert.ok((await s.api.order("switchover", { force: false })).ok);
    assert.match(await lastSwitch(s.api), /it carries on 40 of 40 flows compared/);
    const { ok } = judgeLong(parseLong(await opened));
    assert.equal(ok, FLOWS, "all connections live through the switch");
  });
}
