/** The repository in a real Redis: the suite for all repositories. */
import { openRedis, type RedisOptions } from "../../appliance/repository/redis_client.ts";
import { parseRedis } from "../../appliance/repository/redis_address.ts";
import { RedisRepository } from "../../appliance/repository/redis.ts";
import { hasServer, RedisServer } from "../support/redis_server.ts";
import { type Opening, repositoryConformance } from "../support/repository_conformance.ts";
import { sleep } from "../../scripts/lab/process.ts";

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
