/**
 * A redundant box whose table holds half of the connections: quiet ones came first and have filled it. The busy ones, which came
 * later, are those that live when the primary dies.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { fail, waitForPath } from "../../scripts/lab/scenario.ts";
import { run, sleep } from "../../scripts/lab/process.ts";
import { judgeLong, parseLong } from "../../scripts/lab/reports.ts";
import { LONG_PORT } from "../../scripts/lab/servers.ts";
import { MatchLab } from "../support/match_lab.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const EACH = 20;
/** The kernel has one bound on tables for all namespaces; a rule has its own. Room for a few datagrams beside the connections. */
const ROOM = 24;
const MS = 14_000;

async function aliveAfter(more: readonly string[]) {
  await using it = await MatchLab.up({ kind: "firewall" }, {
    top: TOP,
    preset: "none",
    rules: ["[[filter.rules]]", 'name = "test"', "handshake = true", "teardown = true", "seed = true"],
    more,
  });
  const { lab, built } = it;
  await waitForPath(lab, built, "c1", "s1");
  await lab.exec("redundant", [
    "nft",
    `insert rule inet box forward ct state new ct count over ${ROOM} drop`,
  ]);
  const began = performance.now();
  const open = (rate: number) => {
    const words = ["10.2.0.11", LONG_PORT, EACH, rate, MS - Math.round(performance.now() - began)];
    return run(lab.argv("c1", [built.longflows, "fetch", ...words.map(String)]), { timeoutMs: MS + 15_000 });
  };
  const quiet = open(2_048);
  await sleep(1_500);
  const there = async () => {
    const text = await lab.exec("primary", ["conntrack", "-L", "-p", "tcp", "--dport", String(LONG_PORT)]);
    return text.match(/ ESTABLISHED /g)?.length ?? 0;
  };
  for (let look = 0; look < 40 && await there() < EACH; look++) await sleep(50);
  const busy = open(40_960);
  await sleep(6_000);
  const report = await it.match(() => true);
  const { counters } = await it.api.status();
  await fail(lab, built, "primary", "link-both");
  const [quietAlive, busyAlive] = [await quiet, await busy].map((text) => judgeLong(parseLong(text)).ok);
  const counted = (name: string) => counters.find((counter) => counter.name === name)!.packets;
  return { quietAlive, busyAlive, counted, table: report.standbys[0]!.now.table };
}

Deno.test("of more connections than the redundant box can hold those live that move most", async () => {
  const { quietAlive, busyAlive, counted, table } = await aliveAfter([
    "[seed.capacity]",
    `redundant = ${ROOM - 4}`,
  ]);
  const told = JSON.stringify({ quietAlive, busyAlive, table });
  assert.ok(busyAlive! >= EACH - 1, told);
  assert.equal(table?.room, ROOM - 4);
  assert.ok(table.held >= EACH && table.held <= ROOM, told);
  for (const name of ["value_refused", "value_seeded", "value_removed"]) assert.ok(counted(name) > 0, name);
});

Deno.test("without a bound those live that came first", async () => {
  const { quietAlive, busyAlive, counted, table } = await aliveAfter([]);
  assert.equal(table, undefined);
  assert.ok(quietAlive! > busyAlive!, JSON.stringify({ quietAlive, busyAlive }));
  assert.equal(counted("value_refused") + counted("value_seeded") + counted("value_removed"), 0);
});
