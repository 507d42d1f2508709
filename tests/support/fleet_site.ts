/**
 * Duty: a controller as it is served, on loopback with TLS, and agents that reach it by sockets; for tests of one process.
 */
import { AgentEdge, type EdgeOptions } from "../../appliance/fleet/agent_edge.ts";
import { IdentityFile } from "../../appliance/fleet/identity.ts";
import type { LinkOptions } from "../../appliance/fleet/link.ts";
import { connectNode, type RemoteNode } from "../../ui/client.ts";
import { type FleetOptions, type RunningFleet, serveFleet } from "../../ui/fleet/serve.ts";
import { report } from "./fleet.ts";

export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

export class FleetSite implements AsyncDisposable {
  readonly said: string[] = [];
  readonly port = freePort();
  running: RunningFleet | null = null;
  readonly #agents: RunningAgent[] = [];

  private constructor(readonly directory: string) {}

  static async open(over: Partial<FleetOptions> = {}): Promise<FleetSite> {
    const site = new FleetSite(await Deno.makeTempDir({ prefix: "remediate-fleet-" }));
    await site.start(over);
    return site;
  }

  async start(over: Partial<FleetOptions> = {}): Promise<void> {
    this.running = await serveFleet({
      name: "c1",
      listen: `127.0.0.1:${this.port}`,
      stateDirectory: `${this.directory}/state`,
      runtimeDirectory: `${this.directory}/run`,
      certificate: null,
      key: null,
      heartbeatS: 1,
      connectionsMax: 200,
      say: (_, text) => void this.said.push(text),
      ...over,
    });
  }

  async stop(): Promise<void> {
    await this.running?.close();
    this.running = null;
  }

  get up(): RunningFleet {
    if (this.running === null) throw new Error("Cannot ask the controller: it was stopped");
    return this.running;
  }

  get link(): LinkOptions {
    const { fingerprint } = this.up;
    return { url: `wss://127.0.0.1:${this.port}`, fingerprint, ca: null, proxy: null };
  }

  /** By its unix socket. */
  remote(): RemoteNode {
    return connectNode(`${this.directory}/run/control.sock`);
  }

  async token(): Promise<string> {
    const nowMs = Date.now();
    const token = { note: "", labels: {}, nowMs, expiresMs: nowMs + 60_000 };
    return (await this.up.control.registry.tokens.add(token)).token;
  }

  /** An agent with a directory of its own, that runs until the site ends. */
  async agent(name: string, over: Partial<EdgeOptions> = {}): Promise<RunningAgent> {
    const file = new IdentityFile(`${this.directory}/${name}`), identity = await file.open();
    const token = identity.fleet === null ? await this.token() : null;
    const said: string[] = [];
    const agent = new RunningAgent(
      name,
      new AgentEdge({
        ...{ name, file, identity, token, link: this.link, executors: {}, enrolled: () => {} },
        say: (_, text) => void said.push(text),
        backoff: { firstMs: 300, mostMs: 600 },
        ...over,
      }),
      said,
    );
    this.#agents.push(agent);
    return agent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const agent of this.#agents) await agent.close();
    await this.stop();
    await Deno.remove(this.directory, { recursive: true });
  }
}

export class RunningAgent {
  readonly #timer: ReturnType<typeof setInterval>;
  #closed = false;

  constructor(readonly name: string, readonly edge: AgentEdge, readonly said: readonly string[]) {
    edge.report(report({ node: { name, version: "1", labels: {}, start: "s", machine: "m" } }));
    this.#timer = setInterval(() => edge.tick(Date.now()), 50);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    await this.edge.close();
  }
}

/** Until it holds. @throws Error after half a minute */
export async function until(what: string, is: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 30_000; !await is();) {
    if (Date.now() > deadline) throw new Error(`Cannot see that ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}
