/** Likely causes of a bad match, on real boxes that were made to differ: a rule, random ports, a mirror that is starved, timeouts. */
import assert from "node:assert/strict";
import type { SignedReport } from "../../appliance/drill_report.ts";
import { dirname } from "node:path";
import { compared } from "../../appliance/failover/match.ts";
import { judgeLong, parseLong } from "../../scripts/lab/reports.ts";
import { MatchLab } from "../support/match_lab.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const FLOWS = 20;
const FLOW_MS = 8_000;

Deno.test("a rule of the spare that drops one server's flows is named by that server", async () => {
  await using s = await MatchLab.up({ servers: 2 }, { top: TOP, preset: "nat" });
  await s.lab.exec("redundant", [
    "nft",
    "insert rule inet box forward ip daddr 10.2.0.12 tcp dport 7000 drop",
  ]);
  const flows = [s.open(FLOWS, FLOW_MS), s.open(FLOWS, FLOW_MS, "10.2.0.12")];
  const { now, causes } = await s.standby(({ now }) => now.dropped >= FLOWS && now.equal >= FLOWS);
  assert.deepEqual([now.classes.tcp.equal, now.classes.tcp.dropped], [FLOWS, FLOWS]);
  assert.deepEqual(causes.map(({ kind, flows }) => [kind, flows]), [["rule", FLOWS]]);
  assert.match(causes[0]!.text, /20 of 20 flows to 10\.2\.0\.12 are dropped, and 20 others/);
  await Promise.all(flows);
});

Deno.test("boxes that choose ports at random are known by ports without a pattern", async () => {
  await using s = await MatchLab.up({ ports: "fully-random" }, {
    top: TOP,
    preset: "nat",
    failover: ["fixup = false"],
  });
  const flows = s.open(2 * FLOWS, FLOW_MS);
  const { causes } = await s.standby(({ now }) => compared(now) >= 2 * FLOWS - 2);
  assert.deepEqual(causes.map(({ kind }) => kind), ["allocation"]);
  assert.match(causes[0]!.text, /^ports without a pattern: .* both choose at random$/);
  await flows;
});

Deno.test("a mirror that may copy next to nothing is known by the copies that were shed", async () => {
  const rules = ["budget_pps = 2", "[[filter.rules]]", 'name = "bare"', "handshake = true"];
  await using s = await MatchLab.up({}, { top: TOP, preset: "none", rules });
  // Some thirty copies pass before the budget bites, and twice as many where they open slowly.
  const flows = s.open(8 * FLOWS, FLOW_MS);
  const { now, causes } = await s.standby(({ now }) => now.dropped >= FLOWS);
  assert.equal(causes[0]?.kind, "lost-copies", JSON.stringify({ now, causes }));
  await flows;
});

Deno.test("a spare with shorter timeouts is known by a canary that was silent, and not before it is made so", async () => {
  const drill = [
    '[drill]\nclient = "10.1.0.250"',
    'server = "10.2.0.250"',
    'gateway = "10.1.0.1"',
    "idle_s = 3",
  ];
  await using s = await MatchLab.up({}, { top: TOP, preset: "nat", more: drill });
  const flows = s.open(FLOWS, FLOW_MS);
  await s.standby(({ now }) => now.equal >= FLOWS);
  const good = await s.node.command(["drill"]);
  assert.equal(good.code, 0, good.stdout);
  assert.deepEqual((await s.standby(() => true)).causes, []);

  await s.lab.exec("redundant", ["sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_timeout_established=1"]);
  const bad = await s.node.command(["drill"]);
  assert.equal(bad.code, 1, bad.stdout);
  assert.match(
    bad.stdout,
    /1 of 10 canaries failed; .*, silent for 3 s: after a silence nothing of the client/,
  );
  const { causes } = await s.standby(({ causes }) => causes.length > 0);
  assert.deepEqual(causes.map(({ kind }) => kind), ["timeout"]);
  assert.match(
    causes[0]!.text,
    /shorter than they should be, or its clock runs ahead: .* silent for 3 s was forgotten/,
  );
  await flows;
});

/** Seconds until a box forgets connections that are silent, and datagrams. */
const forgets = (seconds: number) => [
  "sysctl",
  "-qw",
  ...["tcp_timeout_established", "udp_timeout", "udp_timeout_stream"].map((name) =>
    `net.netfilter.nf_conntrack_${name}=${seconds}`
  ),
];

Deno.test("what both boxes forget is no fault of the spare, and nothing of the canaries leaves the node", async () => {
  const drill = [
    '[drill]\nclient = "10.1.0.250"',
    'server = "10.2.0.250"',
    'gateway = "10.1.0.1"',
    "udp_port = 53",
    "icmp = false",
    "flows = 2",
    "idle_s = 2",
    "twin = true",
  ];
  await using s = await MatchLab.up({}, { top: TOP, preset: "nat", more: drill });
  const leaks = "table netdev leaks { chain c { type filter hook ingress device eth0 priority 0; " +
    "ip daddr 10.2.0.250 counter; ip saddr 10.1.0.250 counter; }; }";
  await s.lab.exec("s1", ["nft", leaks]);
  const canaries = async () => {
    const { stdout } = await s.node.command(["drill", "--json"]);
    const { report } = JSON.parse(stdout) as SignedReport;
    return report.canaries.map(({ name, ok, text, forgotMs }) => ({
      kind: name.split(" ")[0]!,
      said: ok ? text : `${text} (failed${forgotMs === undefined ? "" : `, ${forgotMs} ms`})`,
    })).slice(2, 4);
  };
  const well = "came through, both ways";
  assert.deepEqual(await canaries(), [{ kind: "tcp", said: well }, { kind: "udp", said: well }]);

  for (const box of ["primary", "redundant"]) await s.lab.exec(box, forgets(1));
  const alike = "forgotten after its silence, as by the box that serves";
  assert.deepEqual(await canaries(), [{ kind: "tcp", said: alike }, { kind: "udp", said: alike }]);

  await s.lab.exec("primary", forgets(600));
  const differs = ", and through the box that serves it did (failed, 2000 ms)";
  assert.deepEqual(await canaries(), [
    { kind: "tcp", said: `after a silence nothing of the client came out${differs}` },
    { kind: "udp", said: `after a silence nothing of the server came back${differs}` },
  ]);
  const { counters } = await s.node.status();
  const count = (name: string) => counters.find((one) => one.name === name)?.packets ?? 0;
  assert.ok(count("canary_taken") > 20, String(count("canary_taken")));
  assert.equal(count("inject_refused"), 0);
  const listed = await s.lab.exec("s1", ["nft", "list", "table", "netdev", "leaks"], {});
  assert.deepEqual([...listed.matchAll(/packets (\d+)/g)].map(([, packets]) => packets), ["0", "0"]);
});

Deno.test("a drill beside the box that serves is refused in the name of somebody who is there", async () => {
  const drill = ['[drill]\nclient = "10.1.0.250"', 'server = "10.2.0.11"', "idle_s = 2", "twin = true"];
  await using s = await MatchLab.up({}, { top: TOP, preset: "nat", more: drill });
  const flows = s.open(2, FLOW_MS);
  await s.standby(({ now }) => now.equal >= 2);
  const { code, stderr } = await s.node.command(["drill"]);
  assert.match(stderr, /^Cannot drill: drill\.server is 10\.2\.0\.11, and somebody has that address: /);
  assert.equal(code, 1);
  const { ok } = judgeLong(parseLong(await flows));
  assert.equal(ok, 2);
});
