/** The repository in a real Redis: the suite for all repositories, kills in the middle of writes, an outage, TLS and users. */
import assert from "node:assert/strict";
import { openRedis, type RedisOptions } from "../../appliance/repository/redis_client.ts";
import { parseRedis } from "../../appliance/repository/redis_address.ts";
import { RedisRepository } from "../../appliance/repository/redis.ts";
import { hasServer, RedisServer } from "../../scripts/lab/redis_server.ts";
import { type Opening, repositoryConformance } from "../support/repository_conformance.ts";
import { EmbeddedRepository } from "../../appliance/repository/embedded.ts";
import { type RepositoryEvent, SpooledRepository } from "../../appliance/repository/spooled.ts";
import { sleep, tryRun } from "../../scripts/lab/process.ts";
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
  for (let turn = 0; turn < 3_000 && !client.ready; turn++) await sleep(10);
  return new RedisRepository({ ...opening, client, prefix: `test${++number}` });
}

repositoryConformance("redis", { open, ignore });

const VALKEY = "valkey-server", noValkey = !hasServer(VALKEY);

Deno.test({
  name: `valkey: what one reader needs works there too${noValkey ? " (needs valkey-server)" : ""}`,
  ignore: noValkey,
  fn: async () => {
    await using own = await RedisServer.start({ program: VALKEY });
    const { repository, remote } = await spooled(own, []);
    await repository.append("s", entries(1, 50));
    assert.equal((await remote.snapshot("s")).entries.length, 50);
    const got = await follow(remote, { count: 50 });
    assert.equal(got.length, 50);
    await remote.acknowledge("s", { replica: "r", sequence: 20 });
    assert.equal(await remote.trim("s"), 20);
    await repository.close();
  },
});

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
  name: `redis: a kill in the middle of writes and an outage lose nothing, and change no order${
    ignore ? " (needs redis-server)" : ""
  }`,
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
    for (const { text } of told) assert.doesNotMatch(text, /enableOfflineQueue/, "a reason that helps");
    await repository.close();
  },
});

Deno.test({
  name: `redis: a reader lives through an outage of its server, and has all in order${
    ignore ? " (needs redis-server)" : ""
  }`,
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
  name: `redis: users of an access list get in with their password, others do not, and are told why${
    ignore ? " (needs redis-server)" : ""
  }`,
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
    await bad.client.close();
  },
});

/** An authority, and a certificate of it for loopback. */
async function certificates(directory: string): Promise<void> {
  const openssl = async (...words: string[]) => {
    const { code, stderr } = await tryRun(["openssl", ...words], { timeoutMs: 20_000 });
    assert.equal(code, 0, stderr);
  };
  const at = (name: string) => `${directory}/${name}`;
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await openssl("req", "-x509", ...key, "-keyout", at("ca.key"), "-out", at("ca.pem"), "-subj", "/CN=ca");
  await openssl("req", ...key, "-keyout", at("tls.key"), "-out", at("tls.csr"), "-subj", "/CN=redis");
  await Deno.writeTextFile(at("names"), "subjectAltName=IP:127.0.0.1\n");
  const signed = ["-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial", "-extfile", at("names")];
  await openssl("x509", "-req", "-in", at("tls.csr"), "-out", at("tls.pem"), ...signed);
}

Deno.test({
  name: `redis: TLS with certificates of both ends; without them there is no connection${
    ignore ? " (needs redis-server)" : ""
  }`,
  ignore,
  fn: async () => {
    const directory = await Deno.makeTempDir({ prefix: "remediate-tls-" });
    await certificates(directory);
    const [ca, certificate, key] = await Promise.all(
      ["ca.pem", "tls.pem", "tls.key"].map((name) => Deno.readTextFile(`${directory}/${name}`)),
    );
    const port = 20_000 + Deno.pid % 20_000;
    const tls = ["--tls-port", String(port), "--tls-cert-file", `${directory}/tls.pem`];
    const files = ["--tls-key-file", `${directory}/tls.key`, "--tls-ca-cert-file", `${directory}/ca.pem`];
    await using _ = await RedisServer.start({ settings: [...tls, ...files] });
    const secure = options(`rediss://127.0.0.1:${port}`);
    const client = openRedis({ ...secure, ca: ca!, certificate: certificate!, key: key! }, () => {});
    await until("a connection", () => client.ready);
    const repository = new RedisRepository({ ...BOUNDS, nowMs: Date.now, client, prefix: "tls" });
    await repository.append("s", entries(1, 3));
    assert.equal((await follow(repository, { count: 3 })).length, 3);
    await repository.close();
    const said: string[] = [];
    const bare = openRedis({ ...secure, ca: ca! }, (reason) => said.push(reason));
    await until("a refusal", () => said.length > 0);
    assert.ok(!bare.ready);
    await bare.close();
    await Deno.remove(directory, { recursive: true });
  },
});

Deno.test({
  name: `redis: by a sentinel, to the server that it watches over${ignore ? " (needs redis-server)" : ""}`,
  ignore,
  fn: async () => {
    await using own = await RedisServer.start();
    await using sentinel = await RedisServer.start({ sentinel: [`monitor mine 127.0.0.1 ${own.port} 1`] });
    const address = parseRedis(`redis+sentinel://127.0.0.1:${sentinel.port}/mine`)!;
    const client = openRedis({ ...options(own.url), address }, () => {});
    await until("a connection", () => client.ready);
    const repository = new RedisRepository({ ...BOUNDS, nowMs: Date.now, client, prefix: "sentinel" });
    await repository.append("s", entries(1, 3));
    assert.equal((await follow(repository, { count: 3 })).length, 3);
    await repository.close();
  },
});

Deno.test({
  name: `redis: in a cluster, where a source's keys stay together${ignore ? " (needs redis-server)" : ""}`,
  ignore,
  fn: async () => {
    await using own = await RedisServer.start({
      settings: ["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"],
    });
    const slots = await tryRun(
      ["redis-cli", "-p", String(own.port), "cluster", "addslotsrange", "0", "16383"],
      { timeoutMs: 30_000 },
    );
    assert.match(slots.stdout, /OK/);
    const address = parseRedis(`redis+cluster://127.0.0.1:${own.port}`)!;
    const client = openRedis({ ...options(own.url), address }, () => {});
    await until("a connection", () => client.ready);
    const repository = new RedisRepository({ ...BOUNDS, nowMs: Date.now, client, prefix: "cluster" });
    await until(
      "a cluster that is well",
      () => repository.append("s", entries(1, 3)).then(({ ok }) => ok, () => false),
    );
    assert.equal((await follow(repository, { count: 3 })).length, 3);
    await repository.acknowledge("s", { replica: "r", sequence: 3 });
    assert.equal(await repository.trim("s"), 3);
    await repository.close();
  },
});
