/** Probes as text, through the API and by the command. */
import assert from "node:assert/strict";
import { makeApi } from "../../../ui/api.ts";
import { painter } from "../../../ui/paint.ts";
import { renderProbes } from "../../../ui/probe_text.ts";
import { fakeNode, PROBE_LISTING } from "./fake_node.ts";

const paint = painter(false);

Deno.test("renderProbes() has a line for each probe, way and box, and what traffic shows", () => {
  const lines = renderProbes(PROBE_LISTING, paint).split("\n");
  assert.match(lines[0]!, /^PROBE +BOX +WAY +LIGHT +SENT +CAME +LOST/);
  assert.match(
    lines[1]!,
    /^web \(tcp, seen\) +primary +up +yellow +100 +95 +5 +1 +2 .*comes through in part/,
  );
  assert.match(lines[3]!, /^traffic up +loss 1\S* % \(usual 0/);
});

Deno.test("renderProbes() says that there are none, and what cannot be judged", () => {
  const [way] = PROBE_LISTING.traffic;
  assert.equal(renderProbes({ probes: [], traffic: [] }, paint), "No probes.\n");
  const text = renderProbes({ probes: [], traffic: [{ ...way!, state: "changed" }] }, paint);
  assert.match(text, /the box changes packets, so their loss cannot be told/);
});

Deno.test("GET /api/v1/probes gives the listing", async () => {
  const answer = await makeApi(fakeNode()).request("/api/v1/probes");
  assert.deepEqual(await answer.json(), JSON.parse(JSON.stringify(PROBE_LISTING)));
  assert.equal((await makeApi(fakeNode()).request("/api/v1/probes?x=1")).status, 400);
});
