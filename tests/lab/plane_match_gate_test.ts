/**
 * The way back to the primary on real connections: it waits while the primary would drop them, orders that would lose flows
 * are refused, and what was predicted of a switch is what lives after it.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { compared } from "../../appliance/failover/match.ts";
import { fail } from "../../scripts/lab/scenario.ts";
import { recoveryAction } from "../../scripts/lab/failures.ts";
import { judgeLong, parseLong } from "../../scripts/lab/reports.ts";
import { MatchLab } from "../support/match_lab.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const FLOWS = 40;
const FAILOVER = ['failback = "automatic"', "failback_after_s = 1", "hold_up_ms = 500"];
const MORE = ["[restore]", "match_wait_s = 600", 'match_overdue = "stay"'];

Deno.test("traffic goes back when the primary carries on what lives, and not before", async () => {
  await using s = await MatchLab.up({}, { top: TOP, preset: "nat", failover: FAILOVER, more: MORE });
  const first = s.open(FLOWS, 14_000);
  await s.standby(({ now }) => now.equal >= FLOWS);
  const primary = s.lab.topology.boxes.find(({ name }) => name === "primary")!;
  await fail(s.lab, s.built, "primary", "link-both");
  const { failover } = await s.match((report) => report.failover !== null);
  assert.deepEqual([failover!.box, failover!.predicted, failover!.known], ["redundant", FLOWS, FLOWS]);
  assert.deepEqual(failover!.equal, { carried: FLOWS, lost: 0, idle: 0 });

  await s.lab.exec("primary", ["nft", "insert rule inet box forward tcp dport 7000 drop"]);
  await s.lab.exec("primary", [...recoveryAction("link-both", primary).argv]);
  await s.status(({ boxes }) => boxes[0]!.light !== "red");
  const second = s.open(FLOWS, 5_000);
  const waits = await s.status(({ failback }) => (failback?.wait?.known ?? 0) >= FLOWS);
  assert.deepEqual([waits.path, waits.failback!.wait!.live, waits.failback!.wait!.goesAtMs], [
    "redundant",
    0,
    null,
  ]);
  const refused = await s.api.order("failback", { force: false });
  assert.match(
    refused.text,
    /^the primary would lose 40 of 40 flows compared: 40 dropped \(--force moves anyway\)$/,
  );
  assert.equal(refused.ok, false);

  await s.lab.exec("primary", ["nft", "flush chain inet box forward"]);
  await s.lab.exec("primary", ["nft", "add rule inet box forward accept"]);
  await Promise.all([first, second]);
  const third = s.open(FLOWS, 12_000);
  const back = await s.status(({ path }) => path === "primary");
  assert.equal(back.failback, null);
  assert.equal(judgeLong(parseLong(await third)).ok, FLOWS);
  const told = (await s.events("match")).map(({ cause, text }) => `${cause}: ${text}`);
  assert.ok(told.some((text) => text.startsWith("waits: failback waits: ")), told.join("\n"));
  assert.ok(
    told.some((text) =>
      text === `proof: redundant: predicted ${FLOWS} of ${FLOWS} flows, ${FLOWS} carried on`
    ),
  );
});

Deno.test("a switch to a spare that chose other ports has to be wanted, and then it loses what was said", async () => {
  // A box that passes none of the old flows is silent, and would not serve for long.
  const node = { top: TOP, preset: "nat", silenceMs: 0, failover: ["fixup = false"] } as const;
  await using s = await MatchLab.up({ ports: "fully-random" }, node);
  const flows = s.open(FLOWS, 14_000);
  // Two openings that look alike by chance are left out.
  await s.standby(({ now }) => compared(now) >= FLOWS - 2);
  const refused = await s.api.order("switchover", { force: false });
  assert.match(
    refused.text,
    /^the redundant would lose \d+ of \d+ flows compared: .* \(--force moves anyway\)$/,
  );
  const moved = await s.api.order("switchover", { force: true });
  assert.match(moved.text, /; expected to lose \d+ of \d+ flows compared/);
  const { failover } = await s.match((report) => report.failover !== null);
  const { predicted, known, equal, different } = failover!;
  assert.ok(known >= FLOWS - 2 && predicted <= 2, JSON.stringify(failover));
  assert.deepEqual([equal, different.carried], [{ carried: predicted, lost: 0, idle: 0 }, 0]);
  assert.equal(judgeLong(parseLong(await flows)).ok, predicted);
});

Deno.test("what is translated for a spare is predicted to live, and does", async () => {
  await using s = await MatchLab.up({ ports: "fully-random" }, { top: TOP, preset: "nat" });
  const flows = s.open(FLOWS, 14_000);
  const { now } = await s.standby(({ now }) => compared(now) >= FLOWS - 2 && now.followed === now.different);
  const moved = await s.api.order("switchover", { force: false });
  assert.equal(moved.ok, true, moved.text);
  const { failover } = await s.match((report) => report.failover !== null);
  assert.ok(failover!.known >= compared(now), JSON.stringify(failover));
  const { known, predicted, different } = failover!;
  assert.deepEqual([predicted, different.lost, different.idle], [known, 0, 0], JSON.stringify(failover));
  assert.equal(judgeLong(parseLong(await flows)).ok, FLOWS);
});
