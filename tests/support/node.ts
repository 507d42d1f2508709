/**
 * Duty: a node under test: its configuration, its two processes, and questions to it.
 *
 * It is started as a person would start it; a test may end control with any signal and start it again. Whatever is left
 * of it ends with the wire.
 */
import { type Config, parseConfig } from "../../appliance/config.ts";
import { boardPath } from "../../appliance/paths.ts";
import {
  ALL_ROLES,
  type Box,
  type EventView,
  type NodeStatus,
  type OrderResult,
  type ProbeListing,
  type Role,
  ROLES,
} from "../../appliance/view.ts";
import type { MappedBoard, Native } from "../../filter/dpdk.ts";
import { compileFilter } from "../../filter/pcap_filter.ts";
import type { CompiledRule } from "../../filter/rule.ts";
import { end, inNamespace, type RunResult, sleep, tryRun } from "../../scripts/lab/process.ts";
import { NODE_NS } from "../../scripts/lab/topology.ts";
import { connectNode, NodeSilentError, type OrderName, type RemoteNode } from "../../ui/client.ts";
import { TOP } from "./programs.ts";
import { nodeEnd, type Wire } from "./wire.ts";

const LOOK_MS = 20;
/** What several workers count is added up every 10 ms, by one that may sleep for 5. */
const SUM_MS = 25;
const CORES = Number(Deno.env.get("REMEDIATE_CORES") ?? "1");
const UNTIL_MS_MAX = 30_000;

export interface NodeSettings {
  /** @default "test" */
  readonly name?: string;
  /** @default af_packet on the wire's interface of the role */
  readonly ports?: Partial<Readonly<Record<Role, string>>>;
  /** @default "none" */
  readonly preset?: string;
  /** Further redundant boxes, by lines of their tables beside their ports. @default none */
  readonly further?: readonly (readonly string[])[];
  /** Lines before [plane]: tables of stages. */
  readonly stages?: readonly string[];
  /** Workers of the plane. @default 1, or REMEDIATE_CORES, with which every test runs on so many */
  readonly cores?: number;
  /** Lines for [plane], [filter], [failover], and what follows them. */
  readonly plane?: readonly string[];
  readonly filter?: readonly string[];
  readonly failover?: readonly string[];
  readonly more?: readonly string[];
  /** Put before the command that starts control, as `env` or `unshare` are. */
  readonly wrap?: readonly string[];
}

/** The configuration of a small node: no hugepages, few buffers, a small flow table. */
export function nodeToml(directory: string, settings: NodeSettings = {}): string {
  const port = (role: Role) => settings.ports?.[role] ?? `af_packet:${nodeEnd(role)}`;
  const given = (settings.plane ?? []).map((line) => line.split(" ")[0]);
  const failover = settings.failover ?? [];
  // Tests count every frame: the node asks boxes for their addresses only where that is the matter.
  const quiet = failover.some((line) => line.startsWith("announce")) ? [] : ['announce = "off"'];
  const plane = [
    'hugepages = "off"',
    "memory_mib = 96",
    "flows_max = 1024",
    `cores = ${settings.cores ?? CORES}`,
  ];
  return [
    "[node]",
    `name = "${settings.name ?? "test"}"`,
    `state_directory = "${directory}/state"`,
    `runtime_directory = "${directory}/run"`,
    "[ports]",
    ...ROLES.map((role) => `${role.replace("-", "_")} = "${port(role)}"`),
    ...(settings.further ?? []).flatMap((lines, i) => [
      "[[redundant]]",
      ...[`in = "${port(ALL_ROLES[6 + 2 * i]!)}"`, `out = "${port(ALL_ROLES[7 + 2 * i]!)}"`],
      ...lines,
    ]),
    ...(settings.stages ?? []),
    "[plane]",
    ...plane.filter((line) => !given.includes(line.split(" ")[0])),
    ...(settings.plane ?? []),
    "[filter]",
    `preset = "${settings.preset ?? "none"}"`,
    ...(settings.filter ?? []),
    "[failover]",
    ...quiet,
    ...failover,
    ...(settings.more ?? []),
  ].join("\n") + "\n";
}

/** The filter that a node with these settings has, its rules compiled. */
export function filterOf(settings: NodeSettings): Config["filter"] & { readonly compiled: CompiledRule[] } {
  const { config, problems } = parseConfig(nodeToml("/nowhere", settings), "a test");
  if (config === undefined) {
    throw new Error(`Cannot read the settings of a test: ${JSON.stringify(problems)}`);
  }
  const compiled = config.filter.rules.map((rule) => ({ rule, program: compileFilter(rule.match) }));
  return { ...config.filter, compiled };
}

/** The program under test. */
export function binary(): string {
  return Deno.env.get("REMEDIATE_SELF") ?? `${TOP}/scripts/remediate`;
}

export class TestNode {
  #control: Deno.ChildProcess | null = null;
  #exit: Deno.CommandStatus | null = null;
  #api: RemoteNode | null = null;

  private constructor(readonly wire: Wire, readonly directory: string, readonly settings: NodeSettings) {}

  /** Starts control and waits until a plane forwards. */
  static async start(wire: Wire, settings: NodeSettings = {}): Promise<TestNode> {
    const directory = await Deno.makeTempDir({ dir: wire.lab.directory });
    await Deno.writeTextFile(`${directory}/remediate.toml`, nodeToml(directory, settings));
    const node = new TestNode(wire, directory, settings);
    wire.atEnd(() => node.#finish());
    await node.startControl();
    return node;
  }

  get configPath(): string {
    return `${this.directory}/remediate.toml`;
  }

  get boardPath(): string {
    return boardPath({ node: { runtimeDirectory: `${this.directory}/run` } } as Config);
  }

  get log(): string {
    return Deno.readTextFileSync(`${this.directory}/node.log`);
  }

  /** Of the process that is control, for signals that do not end it. */
  get controlPid(): number {
    if (this.#control === null) throw new Error("Cannot name control: it does not run");
    return this.#control.pid;
  }

  async startControl(): Promise<void> {
    // The shell keeps its process id through to the program, so a signal reaches what it is meant for.
    const script = 'exec "$0" run --config "$1" >>"$2" 2>&1 </dev/null';
    const argv = [
      ...(this.settings.wrap ?? []),
      "sh",
      "-c",
      script,
      binary(),
      this.configPath,
      `${this.directory}/node.log`,
    ];
    const [program, ...args] = inNamespace(this.wire.lab.ns(NODE_NS), argv);
    const control = new Deno.Command(program!, { args, stdin: "null", stdout: "null", stderr: "null" })
      .spawn();
    this.#control = control;
    this.#exit = null;
    control.status.then((status) => this.#exit = status);
    this.#api?.close();
    this.#api = connectNode(`${this.directory}/run/control.sock`);
    await this.until("a plane that runs", (status) => status.plane.state === "running");
  }

  /** Changes the configuration and has it taken over, as a person would. */
  async reconfigure(settings: NodeSettings): Promise<RunResult> {
    await Deno.writeTextFile(this.configPath, nodeToml(this.directory, settings));
    const argv = [binary(), "reload", "--config", this.configPath];
    return await tryRun(inNamespace(this.wire.lab.ns(NODE_NS), argv), { timeoutMs: UNTIL_MS_MAX });
  }

  /** A client of one of its stages, until the wire ends. */
  stage(name: string): RemoteNode {
    const remote = connectNode(`${this.directory}/run/${name}/control.sock`);
    this.wire.atEnd(() => Promise.resolve(remote.close()));
    return remote;
  }

  /** The board of the running plane, as control has it; until the wire ends. */
  board(native: Native): MappedBoard {
    const map = native.openBoard(this.boardPath);
    this.wire.atEnd(() => Promise.resolve(map.close()));
    return map;
  }

  /** Ends control with a signal and waits for it. The plane is left to whatever the signal means. */
  async endControl(signal: Deno.Signal): Promise<number> {
    const control = this.#control;
    if (control === null) throw new Error("Cannot end control: it does not run");
    end(control, signal);
    const timer = setTimeout(() => end(control, "SIGKILL"), UNTIL_MS_MAX);
    const { code } = await control.status;
    clearTimeout(timer);
    this.#control = null;
    return code;
  }

  async #finish(): Promise<void> {
    if (this.#control !== null) await this.endControl("SIGINT");
    this.#api?.close();
    this.#api = null;
  }

  get #remote(): RemoteNode {
    if (this.#api === null) throw new Error("Cannot ask the node: it was ended");
    return this.#api;
  }

  /** With every frame counted that was handled before the call. */
  async status(): Promise<NodeStatus> {
    if ((this.settings.cores ?? CORES) > 1) await sleep(SUM_MS);
    return this.#remote.status();
  }

  /** The journal, oldest first. */
  events(): Promise<readonly EventView[]> {
    return this.#remote.events({ after: 0, limit: 1000 });
  }

  /** The events that `is` asks for, once there are so many: the journal is written a little after the board. */
  async untilEvents(count: number, is: (event: EventView) => boolean): Promise<readonly EventView[]> {
    const deadline = Date.now() + UNTIL_MS_MAX;
    for (;;) {
      const found = (await this.events()).filter(is);
      if (found.length >= count || Date.now() > deadline) return found;
      await sleep(LOOK_MS);
    }
  }

  /** Probes, and what traffic shows. */
  probes(): Promise<ProbeListing> {
    return this.#remote.probes();
  }

  /** What a failed test wants to know: where frames went, and what happened. */
  async whereabouts(): Promise<string> {
    const { counters, ports } = await this.status();
    const events = (await this.events()).filter(({ kind }) => kind !== "plane").slice(-20);
    return [
      ...ports.map((p) =>
        `${p.role}: ${p.rxPackets} in, ${p.txPackets} out, ${p.txFull} not taken, ${p.rxMissed} missed`
      ),
      ...counters.filter(({ packets }) => packets > 0).map(({ name, packets }) => `${name}: ${packets}`),
      ...events.map(({ text }) => text),
    ].join("\n");
  }

  order(name: OrderName, force = false, box?: Box): Promise<OrderResult> {
    return this.#remote.order(name, { force, ...(box && { box }) });
  }

  maintain(box: string, on: boolean): Promise<OrderResult> {
    return this.#remote.maintain(box, on);
  }

  resync(box?: Box, stop = false): Promise<OrderResult> {
    return this.#remote.resync({ ...(box && { box }), stop });
  }

  member(change: "join" | "leave", box: string): Promise<OrderResult> {
    return this.#remote.member(change, box);
  }

  reload(): Promise<{ ok: boolean; text: string }> {
    return this.#remote.reload();
  }

  /** Change the configuration file; nobody is told. */
  async edit(change: (toml: string) => string): Promise<void> {
    await Deno.writeTextFile(this.configPath, change(await Deno.readTextFile(this.configPath)));
  }

  /** The configuration in force. */
  get accepted(): string {
    return Deno.readTextFileSync(`${this.directory}/run/accepted.toml`);
  }

  /** The first status for which `is` holds. */
  async until(what: string, is: (status: NodeStatus) => boolean): Promise<NodeStatus> {
    const deadline = Date.now() + UNTIL_MS_MAX;
    let last = "it never answered";
    while (Date.now() < deadline) {
      if (this.#exit !== null) {
        const { code, signal } = this.#exit;
        throw new Error(
          `Cannot see ${what}: control ended (exit ${code}, signal ${signal ?? "none"}): ${this.log}`,
        );
      }
      try {
        const status = await this.status();
        if (is(status)) return status;
        last = `${status.plane.state} on ${status.path}: ${status.reason}`;
      } catch (error) {
        if (!(error instanceof NodeSilentError)) throw error;
        last = error.message;
      }
      await sleep(LOOK_MS);
    }
    throw new Error(`Cannot see ${what}: ${last}; the log says ${this.log}`);
  }
}
