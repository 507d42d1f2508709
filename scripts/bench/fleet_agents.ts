/**
 * Duty: many agents in one process for `deno task bench:fleet`: the product's protocol code over TLS, each with its own key,
 * connection and journal; their slots are in memory.
 */
import { AgentEdge } from "../../appliance/fleet/agent_edge.ts";
import { IdentityFile } from "../../appliance/fleet/identity.ts";
import { makeKey } from "../../appliance/fleet/keys.ts";
import type { Report } from "../../appliance/fleet/messages.ts";
import type { SlotView, UpdateReport } from "../../appliance/update/contract.ts";
import { cpuS, TextLineStream } from "./lines.ts";

const TICK_MS = 250;

class Agent {
  installs = 0;
  restarts = 0;
  #slots: SlotView[] = [
    { name: "A", state: "good", version: "1.0.0", digest: null, triesLeft: 0, booted: true },
    { name: "B", state: "empty", version: null, digest: null, triesLeft: 0, booted: false },
  ];
  #reports: UpdateReport[] = [];
  #share = 0;
  #edge: AgentEdge | null = null;

  constructor(readonly directory: string, readonly name: string) {}

  async key(): Promise<string> {
    const file = new IdentityFile(this.directory);
    file.save({ keys: [await makeKey()], fleet: null, node: null });
    return (await file.open()).keys[0].key;
  }

  async connect({ node, port, fingerprint, fleet }: Place & { node: string }): Promise<void> {
    const file = new IdentityFile(this.directory), { keys } = await file.open();
    this.#edge = new AgentEdge({
      ...{ name: this.name, file, identity: { keys, fleet, node }, token: null },
      link: { url: `wss://127.0.0.1:${port}`, fingerprint, ca: null, proxy: null },
      enrolled: () => {},
      say: () => {},
      executors: {
        "support": () => Promise.resolve({ outcome: "done", text: "done" }),
        "update.offer": ({ version, digest }) => {
          this.installs++;
          this.#slots[1] = { ...this.#slots[1]!, state: "trial", version, digest, triesLeft: 3 };
          this.#tell(version, digest, "installed");
          return Promise.resolve({ outcome: "done", text: "installed" });
        },
        "update.restart": ({ digest }) => {
          this.restarts++;
          const [before, fresh] = this.#slots as [SlotView, SlotView];
          this.#slots = [{ ...fresh, state: "good", booted: true }, { ...before, booted: false }];
          this.#tell(fresh.version, digest, "good");
          return Promise.resolve({ outcome: "done", text: "restarted" });
        },
      },
    });
    this.report();
  }

  #tell(version: string | null, digest: string, outcome: UpdateReport["outcome"]): void {
    const atMs = Math.max(Date.now(), (this.#reports.at(-1)?.atMs ?? 0) + 1);
    this.#reports.push({ atMs, version, digest, outcome, reason: outcome });
    this.report();
  }

  tick(nowMs: number): void {
    this.#edge?.tick(nowMs);
  }

  change(): void {
    this.#share = this.#share > 0.9 ? 0 : this.#share + 0.001;
    this.report();
  }

  report(): void {
    const { name } = this;
    const report: Report = {
      node: { name, version: "1.0.0", labels: {}, start: name, machine: "bench" },
      health: {
        ...{ light: "green", reason: "", path: "primary", pathSinceMs: 0, unready: null, ill: null },
        ...{ planeRestarts: 0, boxes: [] },
      },
      match: { share: this.#share, reason: "" },
      update: {
        without: null,
        slots: this.#slots,
        installing: null,
        reports: [...this.#reports],
        badVersions: [],
      },
      doctor: { findings: [], atMs: 0 },
    };
    this.#edge?.report(report);
  }

  async close(): Promise<void> {
    await this.#edge?.close();
  }
}

interface Place {
  readonly port: number;
  readonly fingerprint: string;
  readonly fleet: string;
}

const [directory = "", count = "1"] = Deno.args;
const agents = Array.from({ length: Number(count) }, (_, n) => new Agent(`${directory}/${n}`, `agent-${n}`));
const answer = (value: object) => console.log(JSON.stringify(value));
const keys: string[] = [];
for (const agent of agents) keys.push(await agent.key());
answer({ keys });
const timer = setInterval(() => agents.forEach((agent) => agent.tick(Date.now())), TICK_MS);

const works: Readonly<Record<string, (given: never) => unknown>> = {
  connect: async ({ nodes, ...place }: Place & { nodes: string[] }) => {
    for (const [n, agent] of agents.entries()) await agent.connect({ ...place, node: nodes[n]! });
    return {};
  },
  change: () => {
    for (const agent of agents) agent.change();
    return {};
  },
  counts: () => ({
    installs: agents.map(({ installs }) => installs),
    restarts: agents.map(({ restarts }) => restarts),
    rss: Deno.memoryUsage().rss,
    cpuS: cpuS(),
  }),
};

for await (
  const line of Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(TextLineStream())
) {
  const { id, work, ...given } = JSON.parse(line);
  answer({ id, ...await works[work]!(given as never) as object });
}
clearInterval(timer);
await Promise.all(agents.map((agent) => agent.close()));
