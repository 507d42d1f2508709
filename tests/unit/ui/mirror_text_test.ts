/** What the commands on captures print, and the picture of a tuning. */
import assert from "node:assert/strict";
import { noTotals } from "../../../appliance/mirror_pass.ts";
import type { Candidate } from "../../../appliance/mirror_tune.ts";
import { filterRule } from "../../../filter/rule.ts";
import { plotTuning } from "../../../ui/mirror_plot.ts";
import { drawTuning } from "../../../ui/mirror_plot_png.ts";
import {
  mirrorJson,
  progressBar,
  renderExplanation,
  renderMirror,
  renderTuning,
  tuningJson,
} from "../../../ui/mirror_text.ts";

function report() {
  const totals = noTotals();
  Object.assign(totals.all, { packets: 1000, bytes: 1_000_000 });
  Object.assign(totals.mirrored, { packets: 100, bytes: 20_000 });
  totals.why.set("handshake", { packets: 60, bytes: 4000 });
  totals.why.set("bytes", { packets: 40, bytes: 16_000 });
  totals.rule.set("ids", { packets: 100, bytes: 20_000 });
  totals.parse.set("flow", { packets: 995, bytes: 999_000 });
  totals.parse.set("not_ip", { packets: 5, bytes: 1000 });
  return { totals, cut: null, evicted: 0, digest: "0" };
}

Deno.test("renderMirror() tells amounts by reason and rule, the dearest first", () => {
  const text = renderMirror(report());
  assert.match(text, /mirrored +100 +19\.5 KiB +10\.0 % +2\.00 %/);
  assert.ok(text.indexOf("  bytes") < text.indexOf("  handshake"));
  assert.match(text, /^ +not ip +5/m);
  assert.doesNotMatch(text, /not whole|gave their place/);
  const troubled = renderMirror({ ...report(), cut: "it ends within a record", evicted: 3 });
  assert.match(troubled, /3 flows gave their place[^]*not whole: it ends within a record/);
});

Deno.test("mirrorJson() has the same numbers for machines", () => {
  const json = JSON.parse(JSON.stringify(mirrorJson(report())));
  assert.deepEqual(json.byReason.handshake, { packets: 60, bytes: 4000 });
  assert.deepEqual([json.mirrored.bytes, json.byKind.not_ip.packets, json.cut], [20_000, 5, null]);
});

Deno.test("progressBar() fills with the file, and tells only the amount of a pipe", () => {
  assert.equal(progressBar(0, 100), `[${" ".repeat(24)}]   0 %  0 B`);
  assert.equal(progressBar(2048, 4096), `[${"#".repeat(12)}${" ".repeat(12)}]  50 %  2.0 KiB`);
  assert.equal(progressBar(200, 100), `[${"#".repeat(24)}] 100 %  200 B`);
  assert.equal(progressBar(2048, 0), "2.0 KiB");
});

Deno.test("renderExplanation() folds runs into one line and says what is left out", () => {
  const line = { atS: 0.5, forward: false, why: "none" as const, text: "beyond" };
  const flow = {
    flow: "tcp 10.0.0.1:1 > 10.0.0.2:2",
    rule: "ids",
    ...{ packets: 9, bytes: 900, mirroredPackets: 0, mirroredBytes: 0, omitted: 2 },
    lines: [{ first: 3, last: 12, packets: 6, bytes: 600, ...line }, {
      first: 13,
      last: 13,
      packets: 1,
      bytes: 90,
      ...line,
    }],
  };
  const text = renderExplanation({ ...report(), flows: [flow], flowsLeftOut: true });
  assert.match(text, /^tcp 10\.0\.0\.1:1 > 10\.0\.0\.2:2, rule ids: 0 of 9 packets mirrored, 0 B of 900 B\n/);
  assert.match(text, / #3-12 \(6\) +0\.500 s +< +left out +beyond\n +#13 /);
  assert.match(text, /and 2 more packets[^]*There are more flows/);
  assert.match(renderExplanation({ ...report(), flows: [], flowsLeftOut: false }), /No flow of the capture/);
});

const CANDIDATES: Candidate[] = [[0.01, 0.3], [0.04, 0.9], [0.4, 1], [0.5, 0.5]].map((
  [byteShare, kept],
  i,
) => ({
  rule: filterRule({ name: `r${i}`, firstPackets: i, keepaliveMs: 30_000 }),
  byteShare: byteShare!,
  packetShare: 0.1,
  kept: kept!,
}));
const TUNED = { candidates: CANDIDATES, budget: 0.05, counts: "turns" };

Deno.test("renderTuning() marks the knee and prints the best rule as configuration", () => {
  const text = renderTuning(TUNED);
  assert.match(text, /r1 +4\.00 % +10\.0 % +90\.0 % +knee, best within budget/);
  assert.match(text, /1 of 4 rules/);
  assert.match(text, /\[\[filter\.rules\]\]\nname = "r1"\nfirst_packets = 1\nkeepalive_s = 30\n$/);
  assert.match(renderTuning({ ...TUNED, budget: 0.001 }), /No rule of the grid stays within 0\.10 %/);
  assert.deepEqual((tuningJson(TUNED) as { best: string; front: string[] }).front, ["r0", "r1", "r2"]);
});

Deno.test("plotTuning() draws a point for each rule, the curve, the knee and the budget", () => {
  const svg = plotTuning(CANDIDATES, TUNED);
  assert.equal(svg.match(/<circle /g)!.length, 4);
  assert.equal(svg.match(/class="knee"/g)!.length, 1);
  assert.equal(svg.match(/class="beaten"/g)!.length, 1);
  assert.match(svg, /<polyline class="curve" points="\S+ \S+ \S+"\/>/);
  assert.match(svg, /<path class="budget"/);
  assert.doesNotMatch(svg, /NaN|Infinity/);
  assert.doesNotMatch(plotTuning([], TUNED), /NaN|Infinity/);
});

Deno.test("drawTuning() is the same picture in dots, and a PNG that says what it is", async () => {
  const raster = drawTuning(CANDIDATES, TUNED);
  const counts = new Map<string, number>();
  for (let at = 0; at < raster.dots.length; at += 3) {
    const colour = raster.dots.subarray(at, at + 3).join();
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  const of = (colour: string) => counts.get(colour) ?? 0;
  // Discs of the knee, of two that nothing beats, of the beaten one; the curve and the budget on top.
  assert.ok(of("204,68,0") > 441 && of("0,170,102") > 2 * 197, "the knee, the budget and the curve");
  assert.ok(of("187,187,187") > 150 && of("187,187,187") <= 197, "one that is beaten");
  assert.ok(of("51,51,51") > 1000 && of("221,221,221") > 10_000, "words and a grid");
  const png = await raster.png();
  assert.deepEqual([...png.subarray(0, 8)], [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const view = new DataView(png.buffer);
  assert.deepEqual([view.getUint32(16), view.getUint32(20)], [1440, 880]);
  assert.equal(view.getUint32(29), 0x562c5a8a, "the checksum of the head");
  assert.doesNotThrow(() => drawTuning([], TUNED));
});
