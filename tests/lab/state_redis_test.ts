/** The repository in a real Redis: the suite for all repositories, kills in the middle of writes, an outage, TLS and users. */
import assert from "node:assert/strict";
import { openRedis, type RedisOptions } from "../../appliance/repository/redis_client.ts";
import { parseRedis } from "../../appliance/repository/redis_address.ts";
import { RedisRepository } from "../../appliance/repository/redis.ts";
import { hasServer, RedisServer } from "../support/redis_server.ts";
import { type Opening, repositoryConformance } from "../support/repository_conformance.ts";
import { EmbeddedRepository } from "../../appliance/repository/embedded.ts";
import { type RepositoryEvent, SpooledRepository } from "../../appliance/repository/spooled.ts";
import { sleep } from "../../scripts/lab/process.ts";
import { BOUNDS, entries, follow } from "../support/repository_conformance.ts";
import { pause, until } from "../support/state_world.ts";

function options(url: string): RedisOptions {
  const address = parseRedis(url)!;
  return { address, user: null, password: null, ca: null, certificate: null, key: null, commandMs: 5_000 };
}

const ignore = !hasServer();
let server: RedisServer | null = null;
let number = 0;

Deno.test.beforeAll(async () => {
  if (!ignore) server = await RedisServer.start();
});
Deno.test.afterAll(async () => await server?.[Symbol.asyncDispose]());

async function open(opening: Opening): Promise<RedisRepository> {
  const client = openRedis(options(server!.url), () => {});
  for (let turn = 0; turn < 500 && !client.ready; turn++) await sleep(10);
  return new RedisRepository({ ...opening, client, prefix: `test${++number}` });
}

repositoryConformance("redis", { open, ignore });

const ONE = ignore ? " (needs redis-server)" : "";

/** A spool before a server of its own. */
async function spooled(own: RedisServer, told: RepositoryEvent[], path = ":memory:") {
  const bounds = { ...BOUNDS, logMax: 100_000, nowMs: Date.now };
  const client = openRedis({ ...options(own.url), commandMs: 500 }, () => {});
  await until("a connection", () => client.ready);
  const remote = new RedisRepository({ ...bounds, client, prefix: "spooled" });
  const spool = new EmbeddedRepository({ ...bounds, path, keepsAll: true });
  const repository = new SpooledRepository({
    remote,
    spool,
    entriesMax: bounds.logMax,
    bytesMax: bounds.bytesMax,
    nowMs: Date.now,
    sleep: pause,
    tell: (event) => told.push(event),
  });
  return { remote, repository };
}

Deno.test({
  name: `redis: a kill in the middle of writes and an outage lose nothing, and change no order${ONE}`,
  ignore,
  fn: async () => {
    await using own = await RedisServer.start();
    const told: RepositoryEvent[] = [], { remote, repository } = await spooled(own, told);
    let last = 0, writes = true;
    const writing = (async () => {
      while (writes) {
        const appended = await repository.append("s", entries(last + 1, last + 20));
        if (appended.ok) last += 20;
        await sleep(2);
      }
    })();
    for (let turn = 0; turn < 2; turn++) {
      await sleep(300);
      await own.kill();
      await sleep(700);
      await own.up();
      await until("an empty spool", () => repository.health().spooled === 0 && repository.health().ok);
    }
    writes = false;
    await writing;
    await until("an empty spool", () => repository.health().spooled === 0);
    const got = await follow(remote, { count: last });
    assert.ok(typeof got !== "string", String(got));
    assert.deepEqual(got.map(({ sequence }) => sequence), Array.from({ length: last }, (_, at) => at + 1));
    assert.ok(repository.counters().drained! > 0, "nothing had to wait");
    assert.deepEqual([...new Set(told.map(({ kind }) => kind))], ["down", "up"]);
    await repository.close();
  },
});

Deno.test({
  name: `redis: a reader lives through an outage of its server, and has all in order${ONE}`,
  ignore,
  fn: async () => {
    await using own = await RedisServer.start();
    const { repository, remote } = await spooled(own, []);
    await repository.append("s", entries(1, 10));
    const got: number[] = [], stop = new AbortController();
    const reading = (async () => {
      while (!stop.signal.aborted) {
        try {
          for await (const batch of remote.subscribe("s", got.at(-1) ?? 0, stop.signal)) {
            if (batch.kind === "entries") got.push(...batch.entries.map(({ sequence }) => sequence));
          }
        } catch {
          await sleep(50); // Out of reach: again from where it was.
        }
      }
    })();
    await until("the first entries", () => got.length === 10);
    await own.kill();
    await repository.append("s", entries(11, 20));
    await own.up();
    await until("all entries", () => got.length === 20);
    assert.deepEqual(got, Array.from({ length: 20 }, (_, at) => at + 1));
    stop.abort();
    await reading;
    await repository.close();
  },
});

Deno.test({
  name: `redis: users of an access list get in with their password, others do not, and are told why${ONE}`,
  ignore,
  fn: async () => {
    await using own = await RedisServer.start({
      users: ["user default off", "user remediate on >right ~acl:* +@all"],
    });
    const opened = async (password: string) => {
      const said: string[] = [];
      const client = openRedis(
        { ...options(own.url), user: "remediate", password },
        (reason) => said.push(reason),
      );
      await until("an answer", () => client.ready || said.length > 0);
      return { client, said };
    };
    const good = await opened("right");
    const repository = new RedisRepository({
      ...BOUNDS,
      nowMs: Date.now,
      client: good.client,
      prefix: "acl",
    });
    assert.deepEqual(await repository.append("s", entries(1, 3)), { ok: true, last: 3 });
    await repository.close();
    const bad = await opened("wrong");
    assert.match(bad.said[0]!, /WRONGPASS/);
    bad.client.close();
  },
});
