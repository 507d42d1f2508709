/**
 * Duty: build a lab from a topology, run commands in it, and take it down, whatever happens.
 *
 * The lab is registered before the first namespace exists and unregistered after the last is gone. Callers use
 * `await using`, and hand a lifetime over so that a signal takes it down as well.
 */
import type { Lifetime } from "./lifetime.ts";
import { buildPlan, type Processors, splitProcessors, topologyProblems } from "./plan.ts";
import { inNamespace, run, type RunOptions, type RunResult, tryRun } from "./process.ts";
import { claim, keepRecord, type LabRecord, takeDown } from "./registry.ts";
import type { Topology } from "./topology.ts";

export class Lab {
  readonly #record: LabRecord;
  readonly #children: Deno.ChildProcess[] = [];
  #kept = false;
  #down: Promise<void> | undefined;
  #forget = () => {};

  /** Null on a machine with one processor. */
  readonly processors: Processors | null = splitProcessors(navigator.hardwareConcurrency);

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

  /** Builds the lab. On any error what was built is removed again. A signal takes it down while `lifetime` lasts. */
  static async up(topology: Topology, lifetime?: Pick<Lifetime, "add">): Promise<Lab> {
    const problems = topologyProblems(topology);
    if (problems.length > 0) throw new TypeError(problems.join("; "));
    const lab = new Lab(claim(topology.name, false), topology);
    if (lifetime !== undefined) lab.#forget = lifetime.add(() => lab.down());
    const plan = buildPlan(topology, lab.prefix, lab.processors);
    try {
      await run(["ip", "-batch", "-"], { stdin: plan.batch });
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

  /** Runs `sh -e` with a script inside a namespace, which sees its own /sys; a failure throws with what it said. */
  script(ns: string, script: string): Promise<string> {
    return run(["ip", "netns", "exec", this.ns(ns), "sh", "-e"], { stdin: script });
  }

  /**
   * The command line that runs a workload inside a namespace: on the processors of the world, and behind the kernel's
   * own work. Packets that wait too long are handed to ksoftirqd, a task like any other; a load generator that kept it
   * off the processor for ten milliseconds would look like a box that fell silent.
   */
  argv(ns: string, argv: readonly string[]): string[] {
    return inNamespace(this.ns(ns), ["nice", "-n", "10", ...this.#world(), ...argv]);
  }

  #world(): string[] {
    return this.processors ? ["taskset", "-c", this.processors.world.join(",")] : [];
  }

  /** Runs a tool inside a namespace, ahead of the workloads. Throws as run() does; returns what it printed. */
  exec(ns: string, argv: readonly string[], options: RunOptions = {}): Promise<string> {
    return run(inNamespace(this.ns(ns), argv), options);
  }

  tryExec(ns: string, argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return tryRun(inNamespace(this.ns(ns), argv), options);
  }

  /** Starts a workload or server that runs until the lab ends. */
  start(ns: string, argv: readonly string[]): Deno.ChildProcess {
    return this.#started(this.argv(ns, argv), "/dev/null");
  }

  /** Starts the node: its own /sys, where it looks up its ports, and its words in a file of the lab's directory. */
  startNode(ns: string, argv: readonly string[], log: string): Deno.ChildProcess {
    const all = [...this.#world(), "ip", "netns", "exec", this.ns(ns), ...argv];
    return this.#started(all, `${this.directory}/${log}`);
  }

  #started(argv: readonly string[], log: string): Deno.ChildProcess {
    const child = spawnDetached(argv, log);
    this.#children.push(child);
    return child;
  }

  /** Waits for what was started, which has been ended: nobody else would hear of its end. */
  async #reap(): Promise<void> {
    for (const child of this.#children) {
      child.ref();
      await child.status;
    }
  }

  /** Lets the lab outlive this process; `down` of the command line ends it. */
  keep(): void {
    keepRecord(this.#record);
    this.#kept = true;
    this.#forget();
  }

  /** Ends all processes of the lab and removes it. Safe to call more than once, and at the same time. */
  down(): Promise<void> {
    this.#down ??= takeDown(this.#record).then(() => this.#reap()).finally(() => this.#forget());
    return this.#down;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#kept) await this.down();
  }
}

/** In a session of its own: a Ctrl-C or a closed terminal is this program's affair and not the child's. */
function spawnDetached(argv: readonly string[], log: string): Deno.ChildProcess {
  const script = 'log=$1; shift; exec "$@" >>"$log" 2>&1';
  const args = ["sh", "-c", script, "sh", log, ...argv];
  return new Deno.Command("setsid", { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
}
