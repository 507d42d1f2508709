/** Addresses of Redis: one server, a cluster, sentinels. */
import assert from "node:assert/strict";
import { parseRedis } from "../../../../appliance/repository/redis_address.ts";

Deno.test("parseRedis() reads servers, clusters and sentinels", () => {
  const server = { by: "server", tls: false, master: "", database: 0 };
  assert.deepEqual(parseRedis("redis://h"), { ...server, hosts: [{ host: "h", port: 6379 }] });
  assert.deepEqual(parseRedis("rediss://[2001:db8::1]:7/3"), {
    ...server,
    tls: true,
    database: 3,
    hosts: [{ host: "2001:db8::1", port: 7 }],
  });
  const two = [{ host: "a", port: 1 }, { host: "b", port: 6379 }];
  assert.deepEqual(parseRedis("redis+cluster://a:1,b"), { ...server, by: "cluster", hosts: two });
  assert.deepEqual(parseRedis("rediss+sentinel://a,b:9/mine"), {
    by: "sentinel",
    tls: true,
    database: 0,
    master: "mine",
    hosts: [{ host: "a", port: 26379 }, { host: "b", port: 9 }],
  });
});

Deno.test("parseRedis() refuses what it cannot reach, and secrets in an address", () => {
  for (
    const text of [
      "",
      "http://h",
      "redis://",
      "redis://a,b",
      "redis://h:0",
      "redis://h:65536",
      "redis://user:password@h",
      "redis+sentinel://a",
      "redis+cluster://a/1",
      "redis://h/db",
    ]
  ) assert.equal(parseRedis(text), null, text);
});
