/**
 * Duty: run the lab's commands with a bound in time, and find and end what lives inside a namespace.
 *
 * A process belongs to a lab when its network namespace does. That is read from /proc by inode,
 * so nothing is ever ended by its name.
 */
export interface RunOptions {
  readonly stdin?: string;
  /** @default 15000 */
  readonly timeoutMs?: number;
  readonly cwd?: string;
  /** Asks the command to end (SIGTERM) once it is fulfilled. @default never */
  readonly enough?: Promise<unknown>;
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

/** Runs a command to its end. Never throws for a non-zero exit; throws Error when it takes too long or is missing. */
export async function tryRun(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [program, ...args] = argv;
  if (program === undefined) throw new TypeError("Cannot run a command: it is empty");
  const timeoutMs = options.timeoutMs ?? 15_000;
  const child = spawn(program, args, options);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    end(child, "SIGKILL");
  }, timeoutMs);
  options.enough?.then(() => end(child, "SIGTERM"), () => {});
  try {
    if (options.stdin !== undefined) {
      const writer = child.stdin.getWriter();
      // A child that has ended already closes its side; its exit code tells the story.
      await writer.write(new TextEncoder().encode(options.stdin)).catch(() => {});
      await writer.close().catch(() => {});
    }
    const output = await child.output();
    if (late) throw new Error(`Cannot finish "${argv.join(" ")}": more than ${timeoutMs} ms`);
    const text = new TextDecoder();
    return { stdout: text.decode(output.stdout), stderr: text.decode(output.stderr), code: output.code };
  } finally {
    clearTimeout(timer);
  }
}

function spawn(program: string, args: string[], options: RunOptions): Deno.ChildProcess {
  try {
    return new Deno.Command(program, {
      args,
      stdin: options.stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    }).spawn();
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) {
      throw new Error(`Cannot run ${program}: it is not installed (./scripts/setup installs it)`, { cause });
    }
    throw cause;
  }
}

/** As `tryRun`, but a non-zero exit throws Error with what the command said. Returns its standard output. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await tryRun(argv, options);
  if (result.code !== 0) {
    const said = (result.stderr.trim() || result.stdout.trim()).split("\n").slice(-6).join("; ");
    throw new Error(`Cannot run "${argv.join(" ")}": exit ${result.code}: ${said}`);
  }
  return result.stdout;
}

/** Sends a signal; a process that is gone already is fine. */
export function end(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** A command to be run inside a network namespace. Unlike `ip netns exec` it leaves the mounts alone. */
export function inNamespace(name: string, argv: readonly string[]): string[] {
  return ["nsenter", `--net=/run/netns/${name}`, "--", ...argv];
}

/** Full names of the namespaces of this machine that begin with `prefix`. */
export function namespacesOf(prefix: string): string[] {
  try {
    return [...Deno.readDirSync("/run/netns")].map((entry) => entry.name).filter((n) =>
      n.startsWith(`${prefix}-`)
    );
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Ids of all processes whose network namespace is one of `names`. */
export function processesIn(names: readonly string[]): number[] {
  const inodes = new Set<string>();
  for (const name of names) {
    const inode = Deno.statSync(`/run/netns/${name}`).ino;
    if (inode !== null) inodes.add(`net:[${inode}]`);
  }
  const found: number[] = [];
  for (const entry of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(entry.name)) continue;
    try {
      if (inodes.has(Deno.readLinkSync(`/proc/${entry.name}/ns/net`))) found.push(Number(entry.name));
    } catch {
      // Gone between the listing and the look, or a kernel thread.
    }
  }
  return found;
}

function signal(pids: readonly number[], name: Deno.Signal): void {
  for (const pid of pids) {
    try {
      Deno.kill(pid, name);
    } catch {
      // Gone already.
    }
  }
}

async function untilNone(names: readonly string[], ms: number): Promise<void> {
  const deadline = Date.now() + ms;
  while (Date.now() < deadline && processesIn(names).length > 0) await sleep(20);
}

/** Ends every process in the namespaces and waits for it: asks first, insists after `graceMs`. */
export async function endProcessesIn(names: readonly string[], graceMs = 500): Promise<void> {
  signal(processesIn(names), "SIGTERM");
  await untilNone(names, graceMs);
  signal(processesIn(names), "SIGKILL");
  // A process that is being killed may still write a file; the caller is about to remove them.
  await untilNone(names, 3_000);
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
