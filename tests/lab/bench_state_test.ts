/** The bench of state, small: every record comes into every replica, through both repositories. */
import assert from "node:assert/strict";
import { stateRun } from "../../scripts/bench/state.ts";
import { stateBars, stateTable } from "../../scripts/bench/state_report.ts";
import { hasServer, RedisServer } from "../../scripts/lab/redis_server.ts";

const ignore = !hasServer();

Deno.test({
  name: `bench:state measures both repositories, with one replica and with four${
    ignore ? " (needs redis-server)" : ""
  }`,
  ignore,
  fn: async () => {
    await using server = await RedisServer.start();
    const plan = { records: 20, burst: 300 };
    const runs = [
      await stateRun({ ...plan, repository: "embedded", replicas: 4 }, server.url),
      await stateRun({ ...plan, repository: "redis", replicas: 1 }, server.url),
    ];
    for (const { p50Ms, p99Ms, lastP50Ms, perSecond } of runs) {
      assert.ok(p50Ms > 0 && p99Ms >= p50Ms && lastP50Ms >= p50Ms && perSecond > 0);
    }
    assert.equal(stateBars(runs).length, 4);
    assert.match(stateTable(runs), /^repository +replicas/);
  },
});
