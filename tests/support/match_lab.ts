/** Duty: a lab with a running node for tests of the match: long connections on demand, and waiting for what the node says. */
import type { EventView, MatchReport, NodeStatus, StandbyMatch } from "../../appliance/view.ts";
import { Lab } from "../../scripts/lab/engine.ts";
import { type Programs, programs } from "../../scripts/lab/native.ts";
import { LabNode, type NodeOptions } from "../../scripts/lab/node.ts";
import { run, sleep } from "../../scripts/lab/process.ts";
import { LONG_PORT, startServers } from "../../scripts/lab/servers.ts";
import { hotReplica, type HotReplicaOptions } from "../../scripts/lab/topology.ts";
import type { RemoteNode } from "../../ui/client.ts";

const UNTIL_MS_MAX = 30_000;
const BYTES_PER_S = 20_480;

export class MatchLab implements AsyncDisposable {
  private constructor(
    readonly lab: Lab,
    readonly built: Programs,
    readonly node: LabNode,
    readonly api: RemoteNode,
  ) {}

  static async up(topology: HotReplicaOptions, options: NodeOptions): Promise<MatchLab> {
    const lab = await Lab.up(hotReplica({ clients: 1, servers: 1, serverMbit: null, ...topology }));
    try {
      const built = await programs(options.top);
      const node = await LabNode.start(lab, options);
      await startServers(lab, built);
      return new MatchLab(lab, built, node, node.connect());
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.api.close();
    await this.node.stop();
    await this.lab.down();
  }

  /** Long connections from the first client, for so long; what it says at the end. */
  open(flows: number, ms: number, server = "10.2.0.11"): Promise<string> {
    const words = [server, LONG_PORT, flows, BYTES_PER_S, ms].map(String);
    const argv = this.lab.argv("c1", [this.built.longflows, "fetch", ...words]);
    const running = run(argv, { timeoutMs: ms + 15_000 });
    running.catch(() => {}); // Awaited by whoever cares.
    return running;
  }

  /** What the node says once it is so. @throws Error with the last thing it said */
  async until<T>(ask: () => Promise<T>, is: (said: T) => boolean): Promise<T> {
    const deadline = Date.now() + UNTIL_MS_MAX;
    for (;;) {
      const said = await ask();
      if (is(said)) return said;
      if (Date.now() > deadline) throw new Error(`Cannot see it happen: ${JSON.stringify(said)}`);
      await sleep(50);
    }
  }

  status(is: (status: NodeStatus) => boolean): Promise<NodeStatus> {
    return this.until(() => this.api.status(), is);
  }

  match(is: (report: MatchReport) => boolean): Promise<MatchReport> {
    return this.until(() => this.api.match({ history: false }), is);
  }

  /** Of the one box that stands by. */
  async standby(is: (standby: StandbyMatch) => boolean): Promise<StandbyMatch> {
    const { standbys } = await this.match(({ standbys }) => standbys[0] !== undefined && is(standbys[0]));
    return standbys[0]!;
  }

  async events(kind: EventView["kind"]): Promise<EventView[]> {
    return (await this.api.events({ after: 0, limit: 1000 })).filter((event) => event.kind === kind);
  }
}
