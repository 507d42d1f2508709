/**
 * ICMP through real boxes that know flows by other names than the one that failed: a ping goes on, and an error about a
 * translated datagram finds its socket. The client's kernel is the judge: it looks for the socket of what an error quotes, and
 * counts those of which it knows none, or whose checksum is wrong, as errors of their own.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { end, run } from "../../scripts/lab/process.ts";
import { addressOf, fail } from "../../scripts/lab/scenario.ts";
import { SESSION_PORT } from "../../scripts/lab/servers.ts";
import { type HotReplicaOptions } from "../../scripts/lab/topology.ts";
import { MatchLab } from "../support/match_lab.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const SESSIONS = 5, MS = 30_000;
const RULES = ["[[filter.rules]]", 'name = "test"', "first_packets = 5", "seed = true"];

interface Errors {
  /** "Destination unreachable" that came. */
  readonly unreachable: number;
  /** Of all that came, what nothing could be done with. */
  readonly bad: number;
}

/** What the client's kernel has counted. */
async function errorsOf({ lab }: MatchLab): Promise<Errors> {
  const ipv6 = lab.topology.ipv6;
  const text = await lab.exec("c1", ["cat", ipv6 ? "/proc/self/net/snmp6" : "/proc/self/net/snmp"]);
  if (ipv6) {
    const of = (name: string) => Number(new RegExp(`^Icmp6${name}\\s+(\\d+)$`, "m").exec(text)![1]);
    return { unreachable: of("InDestUnreachs"), bad: of("InErrors") };
  }
  const [names, values] = text.split("\n").filter((line) => line.startsWith("Icmp:")).map((line) =>
    line.split(" ")
  );
  const of = (name: string) => Number(values![names!.indexOf(name)]);
  return { unreachable: of("InDestUnreachs"), bad: of("InErrors") };
}

/** One that goes on until it is interrupted. */
function startPing({ lab }: MatchLab, to: string): Deno.ChildProcess {
  const [program, ...args] = lab.argv("c1", ["ping", "-n", "-i", "0.2", to]);
  return new Deno.Command(program!, { args, stdin: "null", stdout: "piped" }).spawn();
}

async function check(s: MatchLab, server: Deno.ChildProcess, ping: Deno.ChildProcess): Promise<void> {
  const { boxes } = await s.status(({ boxes }) => {
    const { udp, other } = boxes[1]!.match!.classes;
    return udp.followed === SESSIONS && other.followed === 1;
  });
  assert.equal(boxes[1]!.match!.different, SESSIONS + 1);
  await fail(s.lab, s.built, "primary", "link-both");
  await s.status(({ path }) => path === "redundant");
  const before = await errorsOf(s);
  end(server, "SIGTERM");
  const after = await s.until(
    () => errorsOf(s),
    ({ unreachable }) => unreachable >= before.unreachable + SESSIONS,
  );
  assert.equal(after.bad, before.bad, "each error quotes what the client sent");
  const { counters } = await s.api.status();
  assert.ok(counters.find(({ name }) => name === "fixed_up")!.packets > 0);
  end(ping, "SIGINT");
  const said = new TextDecoder().decode((await ping.output()).stdout);
  const [, sent, received] = /(\d+) packets transmitted, (\d+) received,/.exec(said)!;
  // One may be under way.
  assert.ok(Number(sent) - Number(received) <= 1 && !said.includes("DUP!"), said);
}

const cases: readonly (readonly [what: string, topology: HotReplicaOptions])[] = [
  ["a NAT that chose other ports", { kind: "nat", ports: "fully-random" }],
  ["a NAT64 that chose another address", { kind: "nat64-pool" }],
];

for (const [what, topology] of cases) {
  Deno.test(`pings and errors about datagrams find their way back through ${what}`, async () => {
    const failover = ["silence_ms = 1000", "guard_ms = 0"];
    await using s = await MatchLab.up(topology, { top: TOP, preset: "none", rules: RULES, failover });
    const to = addressOf(s.lab, "s1"),
      server = s.lab.start("s1", [s.built.datagrams, "serve", String(SESSION_PORT)]);
    server.unref();
    const words = ["talk", to, SESSION_PORT, SESSIONS, 200, MS].map(String);
    run(s.lab.argv("c1", [s.built.datagrams, ...words]), { timeoutMs: 2 * MS }).catch(() => {});
    const ping = startPing(s, to);
    try {
      await check(s, server, ping);
    } finally {
      end(ping, "SIGKILL");
      await ping.output().catch(() => {}); // It was read already where all went well.
    }
  });
}
