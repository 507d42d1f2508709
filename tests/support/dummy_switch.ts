/**
 * Duty: Open vSwitch without a network: its own program and its own tables over ports that are only names.
 *
 * It needs no namespaces and no rights, speaks OpenFlow on the loopback, and tells by `ofproto/trace` where a packet
 * would go, so every state of its ports can be tried. It ends with the test, or after five minutes.
 */
import { BRIDGE, SWITCH_PROGRAM } from "../../scripts/bench/ovs.ts";
import { end, run, sleep } from "../../scripts/lab/process.ts";

const SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema";
const LIFE_S_MAX = "900";
const START_MS_MAX = 20_000;

export class DummySwitch {
  readonly #children: Deno.ChildProcess[] = [];
  #switch: Deno.ChildProcess | undefined;
  #open: Map<number, number> | undefined;

  private constructor(readonly directory: string, readonly port: number) {}

  /** With these ports, numbered from 1, and a socket for its controller at `port`. */
  static async up(ports: readonly string[]): Promise<DummySwitch> {
    const port = 20_000 + crypto.getRandomValues(new Uint16Array(1))[0]! % 10_000;
    const one = new DummySwitch(await Deno.makeTempDir({ prefix: "remediate-dummy-" }), port);
    try {
      await one.#start(ports);
      return one;
    } catch (error) {
      await one.down();
      throw error;
    }
  }

  async #start(ports: readonly string[]): Promise<void> {
    const at = this.directory;
    await run(["ovsdb-tool", "create", `${at}/conf.db`, SCHEMA]);
    this.#spawn(["ovsdb-server", `${at}/conf.db`, `--remote=punix:${at}/db.sock`, `--unixctl=${at}/db.ctl`]);
    await this.configure(["--no-wait", "init"]);
    this.#startSwitch();
    const bridge = ["datapath-type=dummy", "fail-mode=secure", "other-config:datapath-id=00000000000000aa"];
    const adds = ports.flatMap((name, index) => {
      const request = ["set", "interface", name, "type=dummy", `ofport_request=${index + 1}`];
      return ["--", "add-port", BRIDGE, name, "--", ...request];
    });
    await this.configure(["add-br", BRIDGE, "--", "set", "bridge", BRIDGE, ...bridge, ...adds]);
    await this.configure(["set-controller", BRIDGE, `ptcp:${this.port}:127.0.0.1`]);
  }

  #startSwitch(): void {
    const at = this.directory;
    const dummies = ["--enable-dummy=override", "--disable-system", "--disable-system-route"];
    this.#switch = this.#spawn([
      SWITCH_PROGRAM.sockets,
      ...dummies,
      `unix:${at}/db.sock`,
      `--unixctl=${at}/switch.ctl`,
    ]);
  }

  /** Kills the switch and starts it again: ports and controllers come back, flows do not. */
  async restart(): Promise<void> {
    const child = this.#switch!;
    end(child, "SIGTERM");
    await child.status;
    this.#children.splice(this.#children.indexOf(child), 1);
    this.#startSwitch();
    const socket = `${this.directory}/${BRIDGE}.mgmt`;
    for (let waited = 0; !await there(socket); waited += 20) {
      if (waited > START_MS_MAX) throw new Error(`Cannot see ${socket} after a restart`);
      await sleep(20);
    }
  }

  #spawn(argv: readonly string[]): Deno.ChildProcess {
    const at = this.directory;
    const env = { OVS_RUNDIR: at, OVS_LOGDIR: at, OVS_DBDIR: at };
    const args = ["--kill-after=1", LIFE_S_MAX, ...argv];
    const child = new Deno.Command("timeout", { args, env, stdin: "null", stdout: "null", stderr: "null" })
      .spawn();
    this.#children.push(child);
    return child;
  }

  configure(argv: readonly string[]): Promise<string> {
    const head = [
      "ovs-vsctl",
      "--retry",
      `--timeout=${START_MS_MAX / 1000}`,
      `--db=unix:${this.directory}/db.sock`,
    ];
    return run([...head, ...argv], { timeoutMs: START_MS_MAX + 1000 });
  }

  #tell(argv: readonly string[]): Promise<string> {
    return run(["ovs-appctl", `--target=${this.directory}/switch.ctl`, ...argv]);
  }

  async link(port: string, state: "up" | "down"): Promise<void> {
    await this.#tell(["netdev-dummy/set-admin-state", port, state]);
  }

  /** A packet comes in at a port; `flow` as the datapath writes it. */
  async receive(port: string, flow: string): Promise<void> {
    await this.#tell(["netdev-dummy/receive", port, flow]);
  }

  /** What ovs-ofctl prints: "flows", "groups", "meters". */
  dump(what: string): Promise<string> {
    return this.openflow(`dump-${what}`);
  }

  /** Words of ovs-ofctl, in OpenFlow 1.3. */
  openflow(command: string, ...words: string[]): Promise<string> {
    const [options, rest] = [true, false].map((is) => words.filter((word) => word.startsWith("--") === is));
    const socket = `unix:${this.directory}/${BRIDGE}.mgmt`;
    return run(["ovs-ofctl", "-O", "OpenFlow13", ...options!, command, socket, ...rest!]);
  }

  /** OpenFlow's numbers of ports by those of the datapath, which has its own. */
  async #numbers(): Promise<Map<number, number>> {
    const text = await this.#tell(["dpif/show"]);
    const found = [...text.matchAll(/^ +\S+ (\d+)\/(\d+):/gm)];
    return new Map(found.map(([, open, own]) => [Number(own), Number(open)]));
  }

  /** The ports a packet would leave by; `flow` as ovs-ofctl writes it. */
  async where(flow: string): Promise<number[]> {
    const text = await this.#tell(["ofproto/trace", BRIDGE, flow]);
    const actions = /^Datapath actions: (.*)$/m.exec(text)?.[1];
    if (actions === undefined) throw new Error(`Cannot read what Open vSwitch would do: ${text}`);
    this.#open ??= await this.#numbers();
    return actions === "drop" ? [] : actions.split(",").map((own) => this.#open?.get(Number(own)) ?? NaN);
  }

  async down(): Promise<void> {
    for (const child of this.#children) end(child, "SIGTERM");
    for (const child of this.#children) await child.status;
    await sleep(0);
    await Deno.remove(this.directory, { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }
}

/** A socket that somebody listens on. */
async function there(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return true;
  } catch {
    return false;
  }
}
