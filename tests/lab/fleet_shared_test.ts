/**
 * Three controllers with one registry in Redis, as processes, and agents that come by a balancer to whichever lives: the one
 * that leads roll-outs is killed again and again, and no node is lost or updated twice.
 */
import assert from "node:assert/strict";
import net from "node:net";
import { Asked } from "../../scripts/bench/lines.ts";
import { RedisServer } from "../../scripts/lab/redis_server.ts";
import { sleep, tryRun } from "../../scripts/lab/process.ts";
import { makeIdentity } from "../../ui/access/certificate.ts";
import { connectNode, type RemoteNode } from "../../ui/client.ts";
import { freePort } from "../support/fleet_site.ts";

const SCRIPTS = new URL("../../scripts/bench/", import.meta.url).pathname;
const AGENTS = 40;
const LEASE_MS = 2000;
const LIMIT_MS = 90_000;

async function until<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  for (const deadline = Date.now() + LIMIT_MS;;) {
    const found = await look();
    if (found !== null) return found;
    if (Date.now() > deadline) throw new Error(`Cannot see ${what}`);
    await sleep(50);
  }
}

/** Passes TCP through to the first port that takes it, beginning with another one each time. */
class Balancer implements AsyncDisposable {
  readonly #sockets = new Set<net.Socket>();
  readonly #server: net.Server;
  #next = 0;

  private constructor(readonly ports: readonly number[]) {
    this.#server = net.createServer((client) => {
      this.#keep(client);
      this.#pass(client, this.#next++, ports.length);
    });
  }

  static async open(ports: readonly number[]): Promise<Balancer> {
    const balancer = new Balancer(ports);
    await new Promise<void>((done) => balancer.#server.listen(0, "127.0.0.1", () => done()));
    return balancer;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  #keep(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#sockets.delete(socket));
  }

  #pass(client: net.Socket, at: number, tries: number): void {
    if (tries === 0) return void client.destroy();
    const server = net.connect(this.ports[at % this.ports.length]!, "127.0.0.1");
    let isOpen = false;
    server.on("connect", () => {
      isOpen = true;
      client.pipe(server).pipe(client);
      client.on("close", () => server.destroy());
    });
    this.#sockets.add(server);
    server.on("error", () => server.destroy());
    server.on("close", () => {
      this.#sockets.delete(server);
      if (isOpen) client.destroy();
      else this.#pass(client, at + 1, tries - 1);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((done) => this.#server.close(done));
  }
}

class Site {
  readonly ports = [freePort(), freePort(), freePort()];
  readonly controllers: Asked[] = [];
  first!: { fingerprint: string; fleet: string };

  constructor(readonly directory: string, readonly redis: RedisServer) {}

  async up(n: number): Promise<void> {
    const certificate = `${this.directory}/cert.pem`, key = `${this.directory}/key.pem`;
    const settings = { name: `c${n}`, redis: this.redis.url, leaseMs: LEASE_MS, certificate, key };
    const controller = this.controllers[n] = new Asked(`${SCRIPTS}fleet_controller.ts`, [
      ...[`${this.directory}/c${n}`, `${this.ports[n]}`, `${AGENTS}`, JSON.stringify(settings)],
    ]);
    this.first = await controller.first as Site["first"];
  }

  /** Of the one that leads: null where nobody does now. */
  async leader(): Promise<number | null> {
    const { stdout } = await tryRun([
      ...["redis-cli", "-p", `${this.redis.port}`, "get", "{remediate-fleet}:rollout:leader"],
    ], { timeoutMs: 30_000 });
    const found = /^c(\d)\//.exec(stdout);
    return found === null ? null : Number(found[1]);
  }

  async ask(n: number, method: "GET" | "POST", path: string, body?: object) {
    const remote: RemoteNode = connectNode(`${this.directory}/c${n}/control.sock`);
    try {
      const answer = await remote.ask(method, `/api/v1/fleet${path}`, body === undefined ? {} : { body });
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      return answer.body;
    } finally {
      remote.close();
    }
  }
}

async function inSite(
  work: (site: Site, crowd: Asked, nodes: readonly string[]) => Promise<void>,
): Promise<void> {
  await using redis = await RedisServer.start();
  const directory = await Deno.makeTempDir({ prefix: "fleet-shared-" }), site = new Site(directory, redis);
  const { cert, key } = makeIdentity("fleet", ["127.0.0.1"], Date.now());
  await Deno.writeTextFile(`${directory}/cert.pem`, cert);
  await Deno.writeTextFile(`${directory}/key.pem`, key, { mode: 0o600 });
  const crowd = new Asked(`${SCRIPTS}fleet_agents.ts`, [`${directory}/crowd`, `${AGENTS}`]);
  await using balancer = await Balancer.open(site.ports);
  try {
    await Promise.all([0, 1, 2].map((n) => site.up(n)));
    const { keys } = await crowd.first as { keys: string[] };
    const { nodes } = await site.controllers[0]!.ask<{ nodes: string[] }>("enrol", { keys });
    await crowd.ask("connect", { ...site.first, port: balancer.port, nodes });
    await work(site, crowd, nodes);
  } finally {
    await crowd.end();
    await Promise.all(site.controllers.map((controller) => controller.end()));
    await Deno.remove(directory, { recursive: true });
  }
}

/** It dies, another one leads, and it comes back as one that follows. */
async function handOver(site: Site, leader: number): Promise<void> {
  await site.controllers[leader]!.kill();
  const next = await until("another one that leads", async () => {
    const found = await site.leader();
    return found === null || found === leader ? null : found;
  });
  assert.notEqual(next, leader);
  await site.up(leader);
}

Deno.test("the controller that leads is killed five times: another goes on, no node is lost or updated twice", async () => {
  await inSite(async (site, crowd, nodes) => {
    const connected = (wanted: number, n: number) =>
      until(`${wanted} nodes that are connected`, async () => {
        const { connected } = await site.ask(n, "GET", "");
        return connected === wanted ? true : null;
      });
    await connected(AGENTS, 1);
    const spread = await Promise.all(
      [0, 1, 2].map((n) => site.controllers[n]!.ask<{ connections: number }>("stats")),
    );
    assert.ok(spread.every(({ connections }) => connections > 0), "each controller has some of them");

    // Whatever people want, they may say at any of them.
    const first = await until("one that leads", () => site.leader()), other = (first + 1) % 3;
    await site.ask(other, "POST", "/rollouts", {
      ...{ id: "r", bundle: { digest: "a".repeat(64), version: "1.1.0", bytes: 1 } },
      stages: [{ name: "canary", nodes: nodes.slice(0, 1) }, { name: "all", percent: 100 }],
      ...{ concurrentMax: 4, deadlineS: 3600, observeS: 0, soakS: 0 },
    });
    await site.ask((first + 2) % 3, "POST", "/rollouts/r/start", {});

    const counts = () => crowd.ask<{ installs: number[]; restarts: number[] }>("counts");
    const begun = async () => (await counts()).installs.filter((count) => count > 0).length;
    for (const share of [0, 0.2, 0.4, 0.6, 0.8]) {
      await until(
        `${share} of the nodes that were begun`,
        async () => await begun() > share * AGENTS ? true : null,
      );
      const leader = await until("one that leads", () => site.leader());
      await handOver(site, leader);
    }
    const at = await until("one that leads", () => site.leader());
    await until("the end of the roll-out", async () => {
      const { rollout } = await site.ask(at, "GET", "/rollouts/r") as {
        rollout: { phase: string; reason: string };
      };
      assert.notEqual(rollout.phase, "halted", rollout.reason);
      return rollout.phase === "done" ? true : null;
    });
    const { installs, restarts } = await counts();
    assert.deepEqual(installs, nodes.map(() => 1));
    assert.deepEqual(restarts, nodes.map(() => 1));
    await connected(AGENTS, (at + 1) % 3);
    // Those that follow show the same.
    await until("its end at another one", async () => {
      const { rollout } = await site.ask((at + 1) % 3, "GET", "/rollouts/r") as {
        rollout: { phase: string };
      };
      return rollout.phase === "done" ? true : null;
    });
  });
});
