/**
 * A redundant box whose table holds half of the connections: quiet ones came first and have filled it. The busy ones, which came
 * later, are those that live when the primary dies.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { fail, waitForPath } from "../../scripts/lab/scenario.ts";
import { end, sleep } from "../../scripts/lab/process.ts";
import { judgeLong, parseLong } from "../../scripts/lab/reports.ts";
import { LONG_PORT } from "../../scripts/lab/servers.ts";
import { MatchLab } from "../support/match_lab.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const EACH = 20;
/** The kernel has one bound on tables for all namespaces; a rule has its own. Room for a few datagrams beside the connections. */
const ROOM = 24;
/** Longer than any of it takes. */
const MS_MAX = 90_000;
/** Longer than a connection may be still and count as one that lives. */
const LIFE_MS = 3_000;

/** Connections of so many bytes a second each; `end()` says how many are alive. */
function open({ lab, built }: MatchLab, rate: number) {
  const words = ["10.2.0.11", LONG_PORT, EACH, rate, MS_MAX].map(String);
  const [program, ...args] = lab.argv("c1", [built.longflows, "fetch", ...words]);
  const child = new Deno.Command(program!, { args, stdin: "null", stdout: "piped", stderr: "inherit" })
    .spawn();
  const output = child.output();
  return {
    end: async () => {
      end(child, "SIGTERM");
      return judgeLong(parseLong(new TextDecoder().decode((await output).stdout))).ok;
    },
  };
}

async function established({ lab }: MatchLab, count: number): Promise<void> {
  const there = async () => {
    const text = await lab.exec("primary", ["conntrack", "-L", "-p", "tcp", "--dport", String(LONG_PORT)]);
    return text.match(/ ESTABLISHED /g)?.length ?? 0;
  };
  for (const deadline = Date.now() + MS_MAX / 3; await there() < count;) {
    assert.ok(Date.now() < deadline, `${await there()} of ${count} connections stand`);
    await sleep(50);
  }
}

const counted = async ({ api }: MatchLab, name: string) =>
  (await api.status()).counters.find((counter) => counter.name === name)!.packets;

/** `full` and `settled` return when the redundant box has what came first, and what it is to have at the end. */
async function aliveAfter(
  more: readonly string[],
  { full, settled }: Record<"full" | "settled", (it: MatchLab) => Promise<unknown>>,
) {
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
  const quiet = open(it, 2_048);
  await established(it, EACH);
  await full(it);
  const busy = open(it, 40_960);
  await established(it, 2 * EACH);
  await settled(it);
  const names = ["value_refused", "value_seeded", "value_removed"];
  const counts = await Promise.all(names.map((name) => counted(it, name)));
  const { table } = (await it.match(() => true)).standbys[0]!.now;
  await fail(lab, built, "primary", "link-both");
  await sleep(LIFE_MS);
  return { quietAlive: await quiet.end(), busyAlive: await busy.end(), counts, table };
}

Deno.test("of more connections than the redundant box can hold those live that move most", async () => {
  const { quietAlive, busyAlive, counts, table } = await aliveAfter(
    ["[seed.capacity]", `redundant = ${ROOM - 4}`],
    {
      full: (it) => it.standby(({ now }) => (now.table?.held ?? 0) >= EACH),
      settled: (it) =>
        it.until(
          async () => {
            const { missing } = (await it.standby(() => true)).now.table!;
            return { missing, seeded: await counted(it, "value_seeded") };
          },
          ({ missing, seeded }) => seeded >= EACH && missing === 0,
        ),
    },
  );
  const told = JSON.stringify({ quietAlive, busyAlive, counts, table });
  assert.ok(busyAlive >= EACH - 1, told);
  assert.equal(table?.room, ROOM - 4);
  assert.ok(table.held >= EACH && table.held <= ROOM, told);
  for (const count of counts) assert.ok(count > 0, told);
});

Deno.test("without a bound those live that came first", async () => {
  const nothing = () => sleep(2_000);
  const { quietAlive, busyAlive, counts, table } = await aliveAfter([], { full: nothing, settled: nothing });
  assert.equal(table, undefined);
  assert.ok(quietAlive > busyAlive, JSON.stringify({ quietAlive, busyAlive }));
  assert.deepEqual(counts, [0, 0, 0]);
});
