/**
 * Reading what wrk, nginx, the probe and the long flows print.
 */
import assert from "node:assert/strict";
import { aroundFailure, parseAccess } from "../../../scripts/lab/access.ts";
import {
  judgeLong,
  judgeProbe,
  parseAssociations,
  parseLong,
  parseProbe,
  parseSessions,
} from "../../../scripts/lab/reports.ts";
import { parseWrk } from "../../../scripts/lab/wrk.ts";

const WRK = `Running 6s test @ http://10.2.0.11/5k
  2 threads and 100 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    25.34ms    2.10ms  60.01ms   91.27%
    Req/Sec     1.98k    83.17     2.19k    77.50%
  Latency Distribution
     50%   25.13ms
     75%   26.01ms
     90%   27.20ms
     99%    1.08s${" "}
  23720 requests in 6.03s, 134.61MB read
`;

Deno.test("parseWrk() reads totals and latencies of a clean run", () => {
  const report = parseWrk(`${WRK}Requests/sec:   3936.85\nTransfer/sec:     22.34MB\n`);
  assert.deepEqual(report, {
    requests: 23_720,
    seconds: 6.03,
    requestsPerSecond: 3_936.85,
    connectErrors: 0,
    readErrors: 0,
    writeErrors: 0,
    timeouts: 0,
    badStatus: 0,
    latencyP50Ms: 25.13,
    latencyP99Ms: 1_080,
  });
});

Deno.test("parseWrk() reads socket errors and bad statuses, and minutes", () => {
  const report = parseWrk(
    WRK.replace("6.03s", "1.10m") + "  Socket errors: connect 1, read 22, write 3, timeout 44\n" +
      "  Non-2xx or 3xx responses: 5\nRequests/sec:    359.39\n",
  );
  assert.deepEqual(
    [
      report.connectErrors,
      report.readErrors,
      report.writeErrors,
      report.timeouts,
      report.badStatus,
      report.seconds,
    ],
    [1, 22, 3, 44, 5, 66],
  );
});

Deno.test("parseWrk() refuses a report that was cut off", () => {
  assert.throws(
    () => parseWrk("unable to connect to 10.2.0.11:80"),
    /Cannot read the report of wrk: no totals/,
  );
});

Deno.test("parseAccess() leaves out a torn last line", () => {
  const answers = parseAccess(
    "1795307131.305 2 200 5700 0.012\n1795307131.306 3 404 10 0.000\n1795307131.307 4 200 5700 1.0",
  );
  assert.deepEqual(answers, [
    { wallMs: 1_795_307_131_305, connection: 2, status: 200, bytes: 5_700, tookMs: 12 },
    { wallMs: 1_795_307_131_306, connection: 3, status: 404, bytes: 10, tookMs: 0 },
  ]);
});

Deno.test("aroundFailure() counts hung connections, the gap and only answers that are good and in time", () => {
  const at = (wallMs: number, connection: number, status = 200) => ({
    ...{ wallMs, connection, status, bytes: 1, tookMs: 0 },
  });
  const answers = [
    ...[at(900, 1), at(950, 2), at(960, 3), at(970, 5)],
    at(1_250, 2), // was on its way when the box died, on a busy machine, and is the last of its connection
    ...[at(1_300, 3), at(1_400, 3)],
    at(1_410, 1, 502),
    at(1_900, 4), // new: neither active before nor hung
    at(2_100, 5), // its first after the failure, but nothing is on its way for so long
    at(2_600, 3), // after the end
  ];
  const found = aroundFailure(answers, { failedMs: 1_000, endMs: 2_500 });
  assert.deepEqual([found.before, found.after, found.active, found.ended, found.gapMs], [4, 5, 4, 2, 500]);
  assert.deepEqual(found.per100ms, [0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0]);
});

Deno.test("aroundFailure() takes nothing for a sign of life that came while the box was made to fail", () => {
  const at = (wallMs: number, connection: number) => ({
    wallMs,
    connection,
    status: 200,
    bytes: 1,
    tookMs: 0,
  });
  const answers = [
    at(900, 1),
    at(910, 2),
    at(1_010, 1),
    at(1_050, 1),
    at(1_110, 1),
    at(1_120, 2),
    at(1_130, 2),
  ];
  const window = { failedMs: 1_000, endMs: 2_500 };
  assert.equal(aroundFailure(answers, window).ended, 0);
  assert.equal(aroundFailure(answers, { ...window, deadMs: 1_100 }).ended, 1);
});

Deno.test("aroundFailure() counts of an answer that was under way at either end its part", () => {
  const of = (wallMs: number, tookMs: number, bytes = 1_000, status = 200) => ({
    ...{ wallMs, tookMs, connection: 1, status, bytes },
  });
  const answers = [
    of(900, 400), // over before
    of(1_100, 400), // a quarter of it
    of(1_600, 500),
    of(2_200, 600, 600), // two thirds of 600 bytes; the rest was never sent
    of(1_700, 100, 5_000, 502),
    of(2_500, 300), // began after the end
  ];
  const found = aroundFailure(answers, { failedMs: 1_000, endMs: 2_000 });
  assert.ok(Math.abs(found.afterWorth - (0.25 + 1 + 0.4)) < 1e-9, String(found.afterWorth));
  assert.equal(aroundFailure([of(1_500, 0)], { failedMs: 1_000, endMs: 2_000 }).afterWorth, 1);
});

const PROBE = {
  ...{ sent: 6_000, received: 5_990, late: 0, duplicates: 0, rttP50Us: 100, rttP99Us: 900, rttMaxUs: 9e3 },
};

Deno.test("judgeProbe() takes the longest loss around the failure and leaves earlier ones apart", () => {
  const report = parseProbe(JSON.stringify({
    ...PROBE,
    losses: [[10, 2, 1e9, 1.002e9], [3_000, 7, 5.001e9, 5.008e9], [3_100, 1, 5.1e9, 5.101e9]],
    gaps: [[0.9e9, 50e6], [4.999e9, 12e6]],
  }));
  assert.deepEqual(judgeProbe(report, 5e9), { outageMs: 7, lost: 8, lostBefore: 2, gapMs: 12 });
});

Deno.test("judgeProbe() says zero when nothing was lost", () => {
  const report = parseProbe(JSON.stringify({ ...PROBE, losses: [], gaps: [] }));
  assert.deepEqual(judgeProbe(report, 5e9), { outageMs: 0, lost: 0, lostBefore: 0, gapMs: 0 });
});

Deno.test("parseProbe() refuses text that is no report", () => {
  assert.throws(() => parseProbe("Cannot connect: no"), SyntaxError);
  assert.throws(() => parseProbe('{"sent":1}'), /received, losses, gaps/);
});

Deno.test("judgeLong() tells alive, stuck, broken and corrupt flows apart", () => {
  const found = judgeLong(parseLong(JSON.stringify({
    endedNs: 9e9,
    flows: [
      ["open", 30, 1, 100, true],
      ["open", 50, 1, 100, true],
      ["open", 400, 1, 100, true],
      ["open", 3_000, 1, 100, false],
      ["connecting", 0, 0, 0, false],
      ["reset", 0, 0, 10, false],
      ["closed", 0, 0, 10, false],
      ["corrupt", 0, 0, 10, false],
    ],
  })));
  assert.deepEqual(found, {
    ...{ flows: 8, ok: 3, stuck: 2, broken: 2, corrupt: 1 },
    ...{ gapMsMax: 400, gapMsMedian: 50 },
  });
});

Deno.test("the report of sessions is read whole or not at all", () => {
  const text = '{"sessions":500,"opened":500,"alive":499,"sent":7478,"answered":7258}';
  assert.equal(parseSessions(text).alive, 499);
  assert.throws(
    () => parseSessions('{"sessions":500}'),
    /Cannot read the report of datagrams: opened, alive/,
  );
  assert.equal(parseAssociations(text.replace("}", ',"strange":2}')).strange, 2);
  assert.throws(() => parseAssociations(text), /Cannot read the report of associations: strange missing/);
});
