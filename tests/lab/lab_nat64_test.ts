/**
 * Real boxes between IPv6 and IPv4: what enters them is one protocol and what leaves them the other. Connections, UDP sessions and
 * a ping of IPv6 clients go to IPv4 servers, the primary loses its links, and all go on.
 *
 * Such a box has two trackers with a program in between, so what enters on its other side overtakes what is under way inside.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import type { FlowView, MatchView } from "../../appliance/view.ts";

import { run } from "../../scripts/lab/process.ts";
import { judgeLong, parseLong, parseSessions } from "../../scripts/lab/reports.ts";
import { addressOf, fail } from "../../scripts/lab/scenario.ts";
import { SESSION_PORT } from "../../scripts/lab/servers.ts";
import { MatchLab } from "../support/match_lab.ts";

const TOP = dirname(dirname(import.meta.dirname!));
/** Connections and sessions each, and one ping. */
const EACH = 10, ALL = 2 * EACH + 1;
const MS = 9_000, PING_MS = 200, PINGS = MS / PING_MS - 5;
/** What has to be left when the primary has failed: what lives says so in its last second. */
const LEFT_MS_MIN = 3_000;
const TRIES = 3;
const RULES = ["[[filter.rules]]", 'name = "test"', "handshake = true", "first_packets = 5", "seed = true"];

/** Starts what goes on through the failure; what each says at its end. */
function start(s: MatchLab) {
  const to = addressOf(s.lab, "s1"), timeoutMs = MS + 15_000;
  const sessions = [s.built.datagrams, "talk", to, SESSION_PORT, EACH, 200, MS].map(String);
  const ping = ["ping", "-n", "-i", String(PING_MS / 1000), "-c", String(PINGS), "-W", "1", to];
  const all = Promise.all([
    s.open(EACH, MS, to),
    run(s.lab.argv("c1", sessions), { timeoutMs }),
    run(s.lab.argv("c1", ping), { timeoutMs }),
  ]);
  all.catch(() => {}); // Awaited below.
  return all;
}

const compared = ({ equal, different, dropped }: MatchView) => equal + different + dropped;
const answered = (ping: string) => [...ping.matchAll(/icmp_seq=(\d+)/g)].map(([, number]) => Number(number));

/** What the node said before the primary failed, and what lived; null: it failed too late to tell anything. */
async function trial(kind: "nat64" | "nat64-pool", cores: number) {
  const options = { top: TOP, preset: "none", rules: RULES, silenceMs: 1_000, cores } as const;
  await using s = await MatchLab.up({ kind }, options);
  s.lab.start("s1", [s.built.datagrams, "serve", String(SESSION_PORT)]).unref();
  const endMs = performance.now() + MS, all = start(s);
  const { boxes } = await s.status(({ boxes }) => compared(boxes[1]!.match!) === ALL);
  const flows = await s.api.flows({ limit: 100 });
  await fail(s.lab, s.built, "primary", "link-both");
  await s.status(({ path }) => path === "redundant");
  const leftMs = endMs - performance.now();
  const [tcp, udp, ping] = await all;
  if (leftMs < LEFT_MS_MIN) return null;
  const { counters } = await s.api.status();
  const counted = (name: string) => counters.find((counter) => counter.name === name)?.packets ?? 0;
  return {
    match: boxes[1]!.match!,
    flows: flows.filter(({ inner, outer }) => !`${inner}${outer}`.includes("ff02::")),
    alive: [judgeLong(parseLong(tcp)).ok, parseSessions(udp).alive],
    answered: answered(ping),
    counted,
  };
}

async function failOver(kind: "nat64" | "nat64-pool", cores: number) {
  for (let i = 0; i < TRIES; i++) {
    const found = await trial(kind, cores);
    if (found !== null) return found;
  }
  throw new Error(`Cannot let the primary fail in the middle of ${MS} ms: the machine is too busy`);
}

/** As servers see each connection, and how it stands with the redundant box; "(\d+)" is the port or number that stays. */
function assertBindings(flows: readonly FlowView[], client: string, standby: FlowView["standbys"][number]) {
  assert.equal(flows.length, 2 * ALL);
  for (const { side, outer, binding, unsure, standbys } of flows) {
    assert.equal(unsure, "", `${outer}: ${unsure}`);
    if (side !== "upstream") continue;
    const [, port] = /^\[fd00:1::11\]:(\d+)$/.exec(outer)!;
    assert.match(binding, new RegExp(`^${client}:${port} - 10\\.2\\.0\\.11:(7000|7002|${port})$`));
    const expected = { ...standby, binding: standby.binding && binding.replace("10.64.", standby.binding) };
    assert.deepEqual(standbys, [expected], outer);
  }
}

Deno.test("what crosses from IPv6 to IPv4 lives through a failover of two NAT64s that do the same", async () => {
  const { match, flows, alive, answered, counted } = await failOver("nat64", 1);
  assert.deepEqual([match.equal, match.different, match.dropped], [ALL, 0, 0]);
  assertBindings(flows, "10\\.2\\.0\\.1", { box: "redundant", verdict: "equal", binding: "" });
  assert.deepEqual(alive, [EACH, EACH]);
  assert.deepEqual([new Set(answered).size, answered.length, answered.at(-1)], [PINGS, PINGS, PINGS]);
  assert.ok(counted("seeded") >= ALL && counted("fixed_up") === 0);
});

Deno.test("what crosses from IPv6 to IPv4 is translated where the other NAT64 has other addresses", async () => {
  const { match, flows, alive, answered, counted } = await failOver("nat64-pool", 2);
  assert.deepEqual([match.equal, match.different, match.followed, match.dropped], [0, ALL, ALL, 0]);
  assertBindings(flows, "10\\.64\\.\\d+\\.\\d+", {
    box: "redundant",
    verdict: "different",
    binding: "10.65.",
  });
  assert.deepEqual(alive, [EACH, EACH]);
  assert.deepEqual([new Set(answered).size, answered.length, answered.at(-1)], [PINGS, PINGS, PINGS]);
  assert.ok(counted("seeded") >= ALL && counted("fixed_up") > 0);
});
