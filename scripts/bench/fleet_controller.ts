/**
 * Duty: the controller of `deno task bench:fleet`, a process of its own: the product's, told what to measure by lines of JSON.
 */
import { cpuS, TextLineStream } from "./lines.ts";
import type { FleetNews, Registry } from "../../appliance/fleet/contract.ts";
import { openRedisRegistry } from "../../appliance/fleet/registry_redis.ts";
import { parseRedis } from "../../appliance/repository/redis_address.ts";
import { openRedis } from "../../appliance/repository/redis_client.ts";
import { rolloutParts } from "../../ui/fleet/parts.ts";
import { serveFleet } from "../../ui/fleet/serve.ts";

/** `settings`: JSON, of several controllers with one registry. */
const [directory = "", port = "0", agents = "10", settings = "{}"] = Deno.args;
const { name = "bench", redis = null, leaseMs = 15_000, certificate = null, key = null } = JSON.parse(
  settings,
);
const say = (level: string, text: string) =>
  level === "info" || console.error(`controller: ${level} ${text}`);

async function shared(url: string): Promise<Registry> {
  const none = { user: null, password: null, ca: null, certificate: null, key: null, commandMs: 10_000 };
  const client = openRedis({ address: parseRedis(url)!, ...none }, (reason) => say("error", reason));
  while (!client.ready) await new Promise((done) => setTimeout(done, 20));
  return await openRedisRegistry(client, name, leaseMs);
}

const running = await serveFleet({
  ...{ name, listen: `127.0.0.1:${port}`, stateDirectory: directory, runtimeDirectory: directory },
  ...{ certificate, key, heartbeatS: 60, connectionsMax: Number(agents) + 100, say },
  ...(redis !== null && { registry: await shared(redis) }),
  parts: (given) => rolloutParts(given, { stateDirectory: directory, say }),
});
const { control } = running;
const answer = (value: object) => console.log(JSON.stringify(value));
answer({ port: running.port, fingerprint: running.fingerprint, fleet: control.registry.fleet });

/** Waits until `count` of a kind of news came. Returns for how long, in milliseconds. */
function heard(count: number, isIt: (news: FleetNews) => boolean): Promise<number> {
  const startMs = performance.now();
  return new Promise((done) => {
    let seen = 0;
    const off = control.follow((news) => {
      if (!isIt(news) || ++seen < count) return;
      off();
      done(performance.now() - startMs);
    });
  });
}

async function enrol(keys: readonly string[]): Promise<string[]> {
  const { registry } = control, nowMs = Date.now();
  return await Promise.all(keys.map(async (key, n) => {
    const { token } = await registry.tokens.add({ note: "", labels: {}, nowMs, expiresMs: nowMs + 60_000 });
    const node = await registry.enrol({ key, name: `agent-${n}`, token, nowMs });
    return typeof node === "string" ? node : node.id;
  }));
}

/** A command for each, all at once; the time of each from its order to its result. */
async function fanOut(nodes: readonly string[]): Promise<number[]> {
  const begun = new Map<string, number>(), times: number[] = [];
  const all = heard(nodes.length, (news) => {
    if (news.kind !== "result") return false;
    times.push(performance.now() - begun.get(news.command.node)!);
    return true;
  });
  const nowMs = Date.now();
  await Promise.all(nodes.map((node) => {
    begun.set(node, performance.now());
    return control.order(node, {
      kind: "support",
      arguments: {},
      by: "bench",
      nowMs,
      expiresMs: nowMs + 600_000,
    });
  }));
  await all;
  return times;
}

const works: Readonly<Record<string, (given: never) => unknown>> = {
  enrol: async ({ keys }: { keys: string[] }) => ({ nodes: await enrol(keys) }),
  stats: () => ({
    connections: control.counters().connections ?? 0,
    rss: Deno.memoryUsage().rss,
    cpuS: cpuS(),
  }),
  fanIn: async ({ count }: { count: number }) => ({
    ms: await heard(count, ({ kind }) => kind === "report"),
  }),
  fanOut: async ({ nodes }: { nodes: string[] }) => ({ times: await fanOut(nodes) }),
};

for await (
  const line of Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(TextLineStream())
) {
  const { id, work, ...given } = JSON.parse(line);
  void (async () => answer({ id, ...await works[work]!(given as never) as object }))();
}
await running.close();
