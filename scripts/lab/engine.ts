/**
 * Duty: build a lab from a topology, run commands in it, and take it down, whatever happens.
 *
 * The lab is registered before the first namespace exists and unregistered after the last is gone. Callers use
 * `await using`, and hand `down` to lifetime.ts so that a signal takes it down as well.
 */
import { buildPlan } from "./plan.ts";
import { inNamespace, run, type RunOptions, type RunResult, tryRun } from "./process.ts";
import { claim, keepRecord, type LabRecord, takeDown } from "./registry.ts";
import type { Topology } from "./topology.ts";

export class Lab {
  readonly #record: LabRecord;
  #kept = false;
  #down: Promise<void> | undefined;

  private constructor(record: LabRecord, readonly topology: Topology) {
    this.#record = record;
  }

  /** "rm3f9c": what every namespace of this lab begins with. */
  get prefix(): string {
    return this.#record.prefix;
  }

  /** Files of this lab; removed with it. */
  get directory(): string {
    return this.#record.directory;
  }

  /** Builds the lab. On any error what was built is removed again. `early` gets the lab before it is complete. */
  static async up(topology: Topology, early?: (lab: Lab) => void): Promise<Lab> {
    const plan = buildPlan(topology, "rm0000");
    const lab = new Lab(claim(topology.name, false), topology);
    early?.(lab);
    try {
      await run(["ip", "-batch", "-"], { stdin: plan.batch.replaceAll("rm0000", lab.prefix) });
      await Promise.all([...plan.scripts].map(([ns, script]) => lab.script(ns, script)));
      return lab;
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  /** Full name of a namespace of the topology. Throws RangeError for one that is not there. */
  ns(name: string): string {
    if (!this.topology.namespaces.some((ns) => ns.name === name)) {
      const names = this.topology.namespaces.map((ns) => ns.name).join(", ");
      throw new RangeError(`Cannot find namespace "${name}": this lab has ${names}`);
    }
    return `${this.prefix}-${name}`;
  }

  /** Runs `sh -e` with a script inside a namespace; a failure throws with what it said. */
  script(ns: string, script: string): Promise<string> {
    return run(inNamespace(this.ns(ns), ["sh", "-e"]), { stdin: script });
  }

  exec(ns: string, argv: readonly string[], options: RunOptions = {}): Promise<string> {
    return run(inNamespace(this.ns(ns), argv), options);
  }

  tryExec(ns: string, argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return tryRun(inNamespace(this.ns(ns), argv), options);
  }

  /**
   * Starts a program that runs until the lab ends, in a session of its own: a Ctrl-C or a closed terminal is
   * this program's affair, not its. What it prints goes to `log` below the lab's directory, if given. With `sys` it
   * sees the namespace's own /sys as well, which programs that look up their interfaces there need.
   */
  start(
    ns: string,
    argv: readonly string[],
    options: { log?: string; sys?: boolean } = {},
  ): Deno.ChildProcess {
    const log = options.log === undefined ? "/dev/null" : `${this.directory}/${options.log}`;
    const inner = ["setsid", "sh", "-c", 'log=$1; shift; exec "$@" >>"$log" 2>&1', "sh", log, ...argv];
    const name = this.ns(ns);
    const [program, ...args] = options.sys
      ? ["ip", "netns", "exec", name, ...inner]
      : inNamespace(name, inner);
    return new Deno.Command(program!, { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
  }

  /** Lets the lab outlive this process; `down` of the command line ends it. */
  keep(): void {
    keepRecord(this.#record);
    this.#kept = true;
  }

  /** Ends all processes of the lab and removes it. Safe to call more than once, and at the same time. */
  down(): Promise<void> {
    this.#down ??= takeDown(this.#record);
    return this.#down;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#kept) await this.down();
  }
}
