/**
 * Duty: a fleet under traffic: the controller in a namespace, and nodes in theirs, each with a plane and a load through it.
 *
 * A node's namespace has its six ports and one interface more, by which its agent reaches the controller.
 */
import type { UpdateView } from "../../appliance/update/contract.ts";
import { Asked } from "../../scripts/bench/lines.ts";
import { Lab } from "../../scripts/lab/engine.ts";
import { inNamespace, run } from "../../scripts/lab/process.ts";
import { NODE_NS } from "../../scripts/lab/topology.ts";
import { fleetLines, TestController, until } from "./fleet_program.ts";
import { TestNode } from "./node.ts";
import { type Publisher, publisher } from "./slot_updater.ts";
import { type Load, type LoadReport, Wire } from "./wire.ts";

const SCRIPT = new URL("./fleet_plane_node.ts", import.meta.url).pathname;
const CTL = "ctl";
const PORT = 8444;
/** What moves traffic on a busy machine is not the matter here. */
const FAILOVER = ["automatic = false", "hold_up_ms = 200", "silence_ms = 1000"];
/** Of each load, both directions together. */
const FRAMES_PER_SECOND = 500;
const TRANSFER_KIB_S = 1024;

/** What the agent's process is given. */
export interface PlaneNodeOptions {
  readonly configPath: string;
  /** Directory of the slots. */
  readonly slots: string;
  /** Of the publisher of bundles, PEM. */
  readonly publicKey: string;
}

/** A node is being updated from the offer until the new slot has proved itself. */
export interface Step {
  readonly what: "offered" | "installed" | "proved";
  /** Milliseconds since 1970. */
  readonly atMs: number;
}

/** What the agent's process answers. */
export interface PlaneNodeTold {
  readonly installs: number;
  readonly restarts: number;
  readonly steps: readonly Step[];
  /** By the agent, for people. */
  readonly said: readonly string[];
  readonly view: UpdateView;
}

/** What had come through each load at a moment. */
export interface Sample {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly received: Readonly<Record<string, number>>;
}

export interface TrafficNode {
  readonly node: TestNode;
  readonly load: Load;
  readonly agent: Asked;
}

export class TrafficFleet implements AsyncDisposable {
  readonly publisher: Publisher = publisher();
  readonly nodes = new Map<string, TrafficNode>();
  readonly #ends = new AsyncDisposableStack();
  #fingerprint = "";

  private constructor(readonly lab: Lab, readonly controller: TestController) {}

  /** With a controller, and as many nodes as there are names; `labels` of each in the order of `[fleet] labels`. */
  static async up(labels: Readonly<Record<string, string>>): Promise<TrafficFleet> {
    const topology = { name: "fleet-traffic", ipv6: false, namespaces: [{ name: CTL }] };
    const lab = await Lab.up({ ...topology, links: [], boxes: [], servers: [] });
    const more = ["--transfer-kib-s", String(TRANSFER_KIB_S)];
    const controller = new TestController(lab.directory, `0.0.0.0:${PORT}`, lab.ns(CTL), more);
    const fleet = new TrafficFleet(lab, controller);
    fleet.#ends.defer(() => lab.down());
    fleet.#ends.use(controller);
    try {
      fleet.#fingerprint = await controller.start();
      for (const [name, its] of Object.entries(labels)) await fleet.#add(name, its);
      await fleet.#green();
      return fleet;
    } catch (error) {
      await fleet.#ends.disposeAsync();
      throw error;
    }
  }

  async #add(name: string, labels: string): Promise<void> {
    const wire = this.#ends.use(await Wire.up());
    await wire.box("primary");
    await wire.box("redundant");
    const host = await this.#join(wire), token = `${wire.lab.directory}/token`;
    await Deno.writeTextFile(token, await this.controller.token(), { mode: 0o600 });
    const more = [...fleetLines(`${host}:${PORT}`, this.#fingerprint, token), `labels = "${labels}"`];
    const node = await TestNode.start(wire, { name, preset: "nat", failover: FAILOVER, more });
    const load = await wire.load(FRAMES_PER_SECOND);
    const options: PlaneNodeOptions = {
      configPath: node.configPath,
      slots: `${node.directory}/slots`,
      publicKey: this.publisher.key.export({ type: "spki", format: "pem" }) as string,
    };
    const within = (argv: readonly string[]) => inNamespace(wire.lab.ns(NODE_NS), argv);
    const agent = new Asked(SCRIPT, [JSON.stringify(options)], within);
    this.#ends.defer(() => agent.end());
    await agent.first;
    this.nodes.set(name, { node, load, agent });
  }

  /** The wire for management. Returns the controller's address on it. */
  async #join({ lab }: Wire): Promise<string> {
    const at = this.nodes.size, end = `c${at}`;
    const peer = ["peer", "name", "mgmt", "netns", lab.ns(NODE_NS)];
    await run(["ip", "link", "add", end, "netns", this.lab.ns(CTL), "type", "veth", ...peer]);
    const up = (name: string, address: string) =>
      `ip address add ${address}/24 dev ${name}\nip link set dev ${name} up\n`;
    await this.lab.script(CTL, up(end, `10.79.${at}.1`));
    await lab.script(NODE_NS, up("mgmt", `10.79.${at}.2`));
    return `10.79.${at}.1`;
  }

  async #green(): Promise<void> {
    await until("that all nodes are green", async () => {
      const nodes = await this.controller.nodes();
      const green = nodes.filter(({ controller, report }) =>
        controller !== null && report?.health.light === "green"
      );
      return green.length === this.nodes.size ? true : null;
    });
  }

  tell(name: string): Promise<PlaneNodeTold> {
    return this.nodes.get(name)!.agent.ask("tell");
  }

  /** What has come to a node by its wire for management. Bytes. */
  async fetched(name: string): Promise<number> {
    const { lab } = this.nodes.get(name)!.node.wire;
    const [link] = JSON.parse(await lab.exec(NODE_NS, ["ip", "-s", "-j", "link", "show", "mgmt"]));
    return link.stats64.rx.bytes;
  }

  async sample(): Promise<Sample> {
    const reports = await this.reports(), atMs = Date.now();
    const received = Object.fromEntries(
      [...reports].map(([name, report]) => [name, report.received]),
    );
    return { atMs, received };
  }

  async reports(): Promise<ReadonlyMap<string, LoadReport>> {
    return await this.#ofLoads((load) => load.report());
  }

  /** All loads stop, and what is under way arrives. */
  async stop(): Promise<ReadonlyMap<string, LoadReport>> {
    return await this.#ofLoads((load) => load.stop());
  }

  async #ofLoads(ask: (load: Load) => Promise<LoadReport>): Promise<ReadonlyMap<string, LoadReport>> {
    const pairs = [...this.nodes].map(async ([name, { load }]) => [name, await ask(load)] as const);
    return new Map(await Promise.all(pairs));
  }

  /** What a failed test wants to know. */
  async whereabouts(): Promise<string> {
    const each = [...this.nodes].map(async ([name, { node }]) => {
      const { steps, said } = await this.tell(name);
      return [`${name}: ${JSON.stringify(steps)}`, ...said, await node.whereabouts()].join("\n");
    });
    return (await Promise.all(each)).join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ends.disposeAsync();
  }
}
