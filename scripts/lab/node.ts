/**
 * Duty: what stands in the node's place in a lab: Remediate itself, or a plain Linux bridge to compare it with.
 *
 * The node is used as a person would: a configuration file, `scripts/remediate run`, and questions through
 * the command line. Nothing here knows its insides.
 */
import type { EventView, NodeStatus, ProbeListing } from "../../appliance/view.ts";
import { connectNode, type RemoteNode } from "../../ui/client.ts";
import type { Lab } from "./engine.ts";
import { bridgeScript } from "./plan.ts";
import { end, type RunResult, sleep, tryRun } from "./process.ts";
import { FURTHER_INTERFACES, NODE_INTERFACES, NODE_NS } from "./topology.ts";

export interface NodeOptions {
  /** Top of the checkout. */
  readonly top: string;
  /** The program itself. @default scripts/remediate */
  readonly program?: string;
  /** "none": the redundant box stays cold, unless `rules` say more. */
  readonly preset: "nat" | "firewall" | "lb" | "none";
  /** Lines of rules of one's own, TOML. @default none */
  readonly rules?: readonly string[];
  /** Sections at the end of the configuration, TOML lines. @default none */
  readonly more?: readonly string[];
  /** @default the node's own */
  readonly silenceMs?: number;
  /** Workers of the plane. @default 1 */
  readonly cores?: number;
  /** Lines for [failover], and what follows them, TOML. */
  readonly failover?: readonly string[];
  /** As the lab has. @default 2 */
  readonly boxes?: number;
  /** Ports that are no interfaces of the lab, by their key. */
  readonly ports?: Readonly<Record<string, string>>;
}

/** Lines of a driver that reads the kernel's connections of a box. */
export function conntrackSource(lab: Lab, name: string, box: string): string[] {
  return [
    `[driver.${name}]`,
    'kind = "conntrack"',
    `box = "${box}"`,
    'role = "source"',
    `namespace = "${lab.ns(box)}"`,
  ];
}

function further(count: number): string[] {
  const names = Object.values(FURTHER_INTERFACES);
  return Array.from({ length: count }, (_, i) => [
    "[[redundant]]",
    `in = "af_packet:${names[2 * i]}"`,
    `out = "af_packet:${names[2 * i + 1]}"`,
  ]).flat();
}

const programOf = ({ program, top }: NodeOptions) => program ?? `${top}/scripts/remediate`;

/** Configuration of the node for a lab, TOML. `directory` holds its state and its sockets; `core`: of the plane. */
export function nodeConfig(
  directory: string,
  options: Omit<NodeOptions, "top">,
  core: number | null = null,
): string {
  const ports = Object.entries(NODE_INTERFACES).map(([role, name]) =>
    `${role} = "${options.ports?.[role] ?? `af_packet:${name}`}"`
  );
  return [
    "[node]",
    'name = "lab"',
    `state_directory = "${directory}/state"`,
    `runtime_directory = "${directory}/run"`,
    "[ports]",
    ...ports,
    ...further((options.boxes ?? 2) - 2),
    "[plane]",
    `cores = ${options.cores ?? 1}`,
    ...(core === null ? [] : [`core = ${core}`]),
    "[filter]",
    `preset = "${options.preset}"`,
    ...(options.rules ?? []),
    "[failover]",
    ...(options.silenceMs === undefined ? [] : [`silence_ms = ${options.silenceMs}`]),
    ...(options.failover ?? []),
    ...(options.more ?? []),
  ].join("\n") + "\n";
}

/** Puts a Linux bridge between the outside and the primary. The redundant box stays unconnected. */
export async function startBridge(lab: Lab): Promise<void> {
  const { upstream, downstream, primary_in, primary_out } = NODE_INTERFACES;
  await lab.script(NODE_NS, bridgeScript([[upstream, primary_in], [downstream, primary_out]]));
}

/** A machine that has more to do than it can is slow, not wrong. */
const START_MS_MAX = 60_000;
const ASK_MS_MAX = 30_000;
const STOP_MS_MAX = 10_000;

/** A running node. */
export class LabNode {
  readonly config: string;
  readonly #binary: string;
  #exit: Deno.CommandStatus | undefined;

  private constructor(readonly lab: Lab, readonly options: NodeOptions, readonly child: Deno.ChildProcess) {
    this.config = `${lab.directory}/remediate.toml`;
    this.#binary = programOf(options);
    child.unref();
    child.status.then((status) => this.#exit = status);
  }

  /** Starts the node and returns when its plane runs. Throws Error with the end of its log if that fails. */
  static async start(lab: Lab, options: NodeOptions): Promise<LabNode> {
    const config = `${lab.directory}/remediate.toml`;
    for (const name of ["state", "run"]) await Deno.mkdir(`${lab.directory}/${name}`, { recursive: true });
    await Deno.writeTextFile(config, nodeConfig(lab.directory, options, lab.processors?.node ?? null));
    const argv = [programOf(options), "run", "--config", config];
    const node = new LabNode(lab, options, lab.startNode(NODE_NS, argv, "node.log"));
    await node.#untilRunning();
    return node;
  }

  async #untilRunning(): Promise<void> {
    const deadline = Date.now() + START_MS_MAX, api = this.connect();
    let last = "it never answered";
    try {
      while (Date.now() < deadline) {
        if (this.#exit) throw this.#failure(`it ended with exit ${this.#exit.code}`);
        const plane = await api.status().then((status) => status.plane, () => null);
        if (plane?.state === "running") return;
        if (plane !== null) last = `its plane is ${plane.state} ${plane.error}`;
        await sleep(50);
      }
    } finally {
      api.close();
    }
    throw this.#failure(last);
  }

  #failure(reason: string): Error {
    let log = "";
    try {
      log = Deno.readTextFileSync(`${this.lab.directory}/node.log`).trim().split("\n").slice(-5).join("; ");
    } catch (error) {
      log = String(error);
    }
    return new Error(`Cannot start the node: ${reason}; its log ends: ${log}`);
  }

  #ask(argv: string[]) {
    return tryRun([this.#binary, ...argv, "--config", this.config], { timeoutMs: ASK_MS_MAX });
  }

  async #json<T>(argv: string[]): Promise<T> {
    const { stdout, stderr, code } = await this.#ask([...argv, "--json"]);
    // 4: the node answers and says that it is degraded, which after a failure it is.
    if (code !== 0 && code !== 4) throw new Error(`Cannot ask the node for ${argv[0]}: ${stderr.trim()}`);
    return JSON.parse(stdout) as T;
  }

  /** Its API, for questions that are asked often or are in a hurry. The caller closes it. */
  connect(): RemoteNode {
    return connectNode(`${this.lab.directory}/run/control.sock`);
  }

  status(): Promise<NodeStatus> {
    return this.#json(["status"]);
  }

  events(): Promise<EventView[]> {
    return this.#json(["events", "--limit", "1000"]);
  }

  /** A command as a person would type it, without --config. */
  command(argv: readonly string[]): Promise<RunResult> {
    return this.#ask([...argv]);
  }

  probes(): Promise<ProbeListing> {
    return this.#json(["probe"]);
  }

  /** Ends control in order; the plane, if it lives on, ends with the lab. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    if (this.#exit) return;
    end(this.child, signal);
    const deadline = Date.now() + STOP_MS_MAX;
    while (!this.#exit && Date.now() < deadline) await sleep(20);
  }
}
