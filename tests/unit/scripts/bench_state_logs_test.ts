/** The bench of logs, run small: every format is read, every line becomes a record, and bars say what was missed. */
import assert from "node:assert/strict";
import { BUILTIN_FORMATS } from "../../../drivers/formats/builtin.ts";
import { logBars, logTable, measureDelay, measureReading } from "../../../scripts/bench/state_logs.ts";
import { standing } from "../../../scripts/bench/statistics.ts";

Deno.test("measureReading() reads every format", () => {
  for (const format of Object.keys(BUILTIN_FORMATS)) assert.ok(measureReading(format, 1).linesPerSecond > 0);
});

for (const transport of ["udp", "tcp"] as const) {
  Deno.test(`measureDelay() makes a record of every line over ${transport}`, async () => {
    const row = await measureDelay(transport, 200, 0.5);
    assert.deepEqual([row.sent, row.lost], [100, 0]);
    assert.ok(row.p50Ms > 0 && row.p99Ms >= row.p50Ms);
  });
}

Deno.test("logBars() misses what was slow or lost, and logTable() has a row of each", () => {
  const reading = [{ format: "haproxy", linesPerSecond: 10_000 }];
  const slow = { transport: "udp", rate: 1000, sent: 100, lost: 1, p50Ms: 1, p99Ms: 30, load: 0.5 } as const;
  const good = { ...slow, lost: 0, p99Ms: 3 };
  const missed = logBars(reading, [slow, good]).filter((bar) => standing(bar) < 1).map(({ what }) => what);
  assert.deepEqual(missed, [
    "haproxy, lines read a second on a core",
    "udp at 1000 lines/s, p99 from line to record",
    "udp at 1000 lines/s, lost",
  ]);
  assert.match(logTable(reading, [slow]), /^udp +1000 +100 +1 +1\.00 +30\.00 +0\.5$/m);
});
