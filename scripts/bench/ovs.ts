/**
 * Duty: an Open vSwitch of one's own inside a lab: database, switch and sockets in the lab's directory.
 *
 * Both processes live in the lab's namespace, so they end with it, also after a crash of the bench. The
 * system's service is neither used nor touched. It forwards in user space: the kernel's datapath is another program.
 */
import type { Lab } from "../lab/engine.ts";
import { run, sleep } from "../lab/process.ts";
import { NODE_NS } from "../lab/topology.ts";
import { type PmdCount, pmdCounts, type PortCount, portCounts } from "./ovs_text.ts";

export const BRIDGE = "br0";
const SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema";
/** Debian installs both; which of them is called ovs-vswitchd is up to its alternatives. */
export const SWITCH_PROGRAM = {
  sockets: "/usr/lib/openvswitch-switch/ovs-vswitchd",
  dpdk: "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk",
} as const;
const ANSWER_S_MAX = 30;
const PASSED_MS_MAX = 10_000;
const STOP_MS_MAX = 5_000;

export interface SwitchPort {
  /** Of the interface, or of the port only where DPDK drives it. */
  readonly name: string;
  /** OpenFlow's number, from 1. */
  readonly number: number;
  /** A device of DPDK and its arguments. */
  readonly device?: string;
}

export interface SwitchOptions {
  /** "dpdk": polls DPDK's devices on `core`; "sockets": the kernel's interfaces, everything on `core`. */
  readonly kind: keyof typeof SWITCH_PROGRAM;
  readonly core: number;
  readonly ports: readonly SwitchPort[];
  /** Namespace of the lab it stands in. @default the node's */
  readonly ns?: string;
}

export class OpenVSwitch {
  readonly #ns: string;
  readonly #directory: string;
  private constructor(readonly lab: Lab, readonly options: SwitchOptions) {
    this.#ns = options.ns ?? NODE_NS;
    this.#directory = `${lab.directory}/ovs-${this.#ns}`;
  }

  /** Starts the switch with its ports and no flow at all. @throws Error with what it said */
  static async start(lab: Lab, options: SwitchOptions): Promise<OpenVSwitch> {
    await Deno.stat(SWITCH_PROGRAM[options.kind]).catch((cause) => {
      throw new Error(
        `Cannot find ${SWITCH_PROGRAM[options.kind]}: ./scripts/setup --only bench installs it`,
        { cause },
      );
    });
    const one = new OpenVSwitch(lab, options);
    await Deno.mkdir(one.#directory);
    await one.#startDatabase();
    await one.#startSwitch();
    return one;
  }

  async #startDatabase(): Promise<void> {
    const directory = this.#directory;
    await run(["ovsdb-tool", "create", `${directory}/conf.db`, SCHEMA]);
    const argv = ["ovsdb-server", `${directory}/conf.db`, `--remote=punix:${directory}/db.sock`];
    this.lab.startNode(this.#ns, [...argv, `--unixctl=${directory}/db.ctl`], `ovsdb-${this.#ns}.log`).unref();
    await this.configure(["--no-wait", "init"]);
  }

  async #startSwitch(): Promise<void> {
    const { kind, core, ports } = this.options;
    const directory = this.#directory;
    const isDpdk = kind === "dpdk";
    if (isDpdk) {
      const settings = ["dpdk-init=true", `pmd-cpu-mask=0x${(1n << BigInt(core)).toString(16)}`];
      settings.push("dpdk-extra=--no-pci --in-memory --no-telemetry");
      const given = settings.map((text) => `other_config:${text}`);
      await this.configure(["--no-wait", "set", "Open_vSwitch", ".", ...given]);
    }
    const place = isDpdk ? [] : ["taskset", "-c", String(core)];
    const names = ["RUN", "LOG", "DB"].map((name) => `OVS_${name}DIR=${directory}`);
    const argv = ["env", ...names, SWITCH_PROGRAM[kind], `unix:${directory}/db.sock`];
    const own = [`--pidfile=${directory}/switch.pid`, `--unixctl=${directory}/switch.ctl`];
    this.lab.startNode(this.#ns, [...place, ...argv, ...own], `ovs-${this.#ns}.log`).unref();
    await this.configure([
      "--may-exist",
      "add-br",
      BRIDGE,
      "--",
      "set",
      "Bridge",
      BRIDGE,
      "datapath_type=netdev",
    ]);
    // Without a flow and without learning nothing passes before it is told to.
    await this.configure(["set-fail-mode", BRIDGE, "secure"]);
    for (const { name, number, device } of ports) {
      const more = device === undefined ? [] : ["type=dpdk", `options:dpdk-devargs="${device}"`];
      const request = [`ofport_request=${number}`, ...more];
      await this.configure([
        "--may-exist",
        "add-port",
        BRIDGE,
        name,
        "--",
        "set",
        "Interface",
        name,
        ...request,
      ]);
      const error = (await this.configure(["get", "Interface", name, "error"])).trim();
      if (error !== "[]") throw new Error(`Cannot add port ${name} to Open vSwitch: ${error}`);
    }
  }

  /** Words for ovs-vsctl. @throws Error with the end of the switch's log */
  configure(argv: readonly string[]): Promise<string> {
    const head = [
      "ovs-vsctl",
      "--retry",
      `--timeout=${ANSWER_S_MAX}`,
      `--db=unix:${this.#directory}/db.sock`,
    ];
    return run([...head, ...argv], { timeoutMs: (ANSWER_S_MAX + 5) * 1000 })
      .catch((cause: Error) => {
        throw new Error(`${cause.message}; its log ends: ${this.#logEnd()}`, { cause });
      });
  }

  #logEnd(): string {
    const text = Deno.readTextFileSync(`${this.lab.directory}/ovs-${this.#ns}.log`).trim();
    return text.split("\n").slice(-4).join("; ");
  }

  #tell(argv: readonly string[]): Promise<string> {
    return run(["ovs-appctl", `--target=${this.#directory}/switch.ctl`, ...argv]);
  }

  /** Words for ovs-ofctl on the bridge; options among them come first. */
  flows(command: string, ...more: string[]): Promise<string> {
    const options = more.filter((word) => word.startsWith("-"));
    const rest = more.filter((word) => !word.startsWith("-"));
    return run(["ovs-ofctl", ...options, command, `unix:${this.#directory}/${BRIDGE}.mgmt`, ...rest]);
  }

  /** The same in OpenFlow 1.3, which knows groups. */
  groups(command: string, ...more: string[]): Promise<string> {
    const socket = `unix:${this.#directory}/${BRIDGE}.mgmt`;
    return run(["ovs-ofctl", "-O", "OpenFlow13", command, socket, ...more]);
  }

  /**
   * Goes by these flows and this mirror from now on. What the datapath remembers of the old ones is thrown away: a
   * mirror that appears does not by itself change what is remembered.
   */
  async use(
    flows: readonly string[],
    mirror?: { readonly from: string; readonly to: string },
  ): Promise<void> {
    await this.configure(["clear", "Bridge", BRIDGE, "mirrors"]);
    await this.flows("del-flows");
    for (const flow of flows) await this.flows("add-flow", flow);
    if (mirror) {
      const ports = ["--id=@from", "get", "Port", mirror.from, "--", "--id=@to", "get", "Port", mirror.to];
      const make = ["--id=@m", "create", "Mirror", "name=m", "select_src_port=@from", "output_port=@to"];
      await this.configure(["--", ...ports, "--", ...make, "--", "set", "Bridge", BRIDGE, "mirrors=@m"]);
    }
    await this.#tell(["revalidator/purge"]);
  }

  /** Ends the switch, as an upgrade would; its database stays. */
  async stop(): Promise<void> {
    const pid = await this.pid();
    await this.#tell(["exit"]);
    for (let waited = 0; waited < STOP_MS_MAX && existsProcess(pid); waited += 20) await sleep(20);
    if (existsProcess(pid)) throw new Error(`Cannot end Open vSwitch: process ${pid} is still there`);
  }

  /** Starts it again after `stop`. */
  startAgain(): Promise<void> {
    return this.#startSwitch();
  }

  /** Adds a group, in OpenFlow 1.3's words. */
  async addGroup(group: string): Promise<void> {
    await this.groups("add-group", group);
  }

  /** Flows that need OpenFlow 1.3, for instance because they name a group. */
  async addFlow(flow: string): Promise<void> {
    await this.groups("add-flow", flow);
  }

  /** Settings of the interface of a port, in the words of `ovs-vsctl set`. */
  async setInterface(name: string, settings: readonly string[]): Promise<void> {
    await this.configure(["set", "Interface", name, ...settings]);
  }

  /** One column of an interface, as `ovs-vsctl` prints it. */
  async interfaceColumn(name: string, column: string): Promise<string> {
    return (await this.configure(["get", "Interface", name, column])).trim();
  }

  async ports(): Promise<Map<number, PortCount>> {
    return portCounts(await this.flows("dump-ports"));
  }

  async pmd(): Promise<PmdCount> {
    return pmdCounts(await this.#tell(["dpif-netdev/pmd-stats-show"]));
  }

  async pid(): Promise<number> {
    return Number((await Deno.readTextFile(`${this.#directory}/switch.pid`)).trim());
  }

  /** Waits until a port has sent something more. */
  async untilSent(number: number): Promise<void> {
    const sent = async () => (await this.ports()).get(number)?.tx ?? 0;
    const before = await sent();
    for (let waited = 0; waited < PASSED_MS_MAX; waited += 100) {
      await sleep(100);
      if (await sent() > before) return;
    }
    throw new Error(
      `Cannot see Open vSwitch send anything out of port ${number}; its log: ${this.#logEnd()}`,
    );
  }
}

function existsProcess(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
