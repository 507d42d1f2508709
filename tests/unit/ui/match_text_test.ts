/** `remediate match` as text, and where it comes from. */
import assert from "node:assert/strict";
import { makeApi } from "../../../ui/api.ts";
import { failbackText, renderMatch } from "../../../ui/match_text.ts";
import { fakeNode, MATCH_REPORT, NOW_MS } from "./fake_node.ts";

Deno.test("renderMatch() tells now, by protocol, the worst of late, causes, and what was proven", () => {
  assert.equal(
    renderMatch(MATCH_REPORT, NOW_MS, false),
    [
      "redundant",
      "  now                99.3 %, 298 of 300",
      "                     2 with another binding, 0 of them translated",
      "                     0 dropped, 5 not compared",
      "  TCP                99.3 %, 290 of 292",
      "  UDP                100.0 %, 8 of 8",
      "  worst of the hour  96.7 %, 290 of 300, 1 min ago",
      "  worst of the day   0 %, 0 of 300, 2 h ago",
      "  likely             pressure on ports",
      "",
      "last failover  1 h ago, to redundant (silence): predicted 298 of 300 flows, 296 carried on, 2 lost, 2 idle",
      "last drill     none yet",
      "",
    ].join("\n"),
  );
});

Deno.test("renderMatch() has a line for each minute with --history, and says when there is nothing", () => {
  const [standby] = MATCH_REPORT.standbys;
  const history = [standby!.worstDay!, { ...standby!.worstHour!, worst: null }];
  const text = renderMatch({ ...MATCH_REPORT, standbys: [{ ...standby!, history }] }, NOW_MS, true);
  const [head, first, second] = text.split("\n");
  assert.match(head!, /^MINUTE +BOX +WORST +AT ITS END +OTHER BINDING +DROPPED +COPIES LOST$/);
  assert.match(first!, /redundant +0 %, 0 of 300 +100\.0 %, 300 of 300 +0 +0 +7$/);
  assert.match(second!, /redundant +- +100\.0 %/);
  assert.equal(renderMatch(MATCH_REPORT, NOW_MS, true), "redundant: no history yet\n");
  assert.equal(renderMatch({ ...MATCH_REPORT, standbys: [] }, NOW_MS, false), "No box stands by.\n");
});

Deno.test("failbackText() tells the time, or what is waited for and until when", () => {
  const wait = {
    sinceMs: NOW_MS,
    goesAtMs: NOW_MS + 240_000,
    known: 230,
    live: 163,
    unknown: 12,
    wanted: 95,
  };
  assert.equal(failbackText({ atMs: NOW_MS + 43_000, wait: null }, NOW_MS), "in 43 s");
  assert.equal(
    failbackText({ atMs: NOW_MS, wait }, NOW_MS),
    "waits: match 70.9 % of 230 (12 not compared), wants 95 %; goes on in 4 min",
  );
  assert.equal(
    failbackText({ atMs: NOW_MS, wait: { ...wait, goesAtMs: null, unknown: 0 } }, NOW_MS),
    "waits: match 70.9 % of 230, wants 95 %",
  );
});

Deno.test("GET /api/v1/match gives the report, with a history where that is asked for", async () => {
  const node = fakeNode();
  const answer = await makeApi(node).request("/api/v1/match?history=true");
  assert.deepEqual(await answer.json(), MATCH_REPORT);
  assert.equal((await makeApi(node).request("/api/v1/match")).status, 200);
  for (const wrong of ["history=1", "x=1"]) {
    assert.equal((await makeApi(node).request(`/api/v1/match?${wrong}`)).status, 400, wrong);
  }
  assert.equal((await makeApi(node).request("/api/v1/match", { method: "POST" })).status, 405);
});
