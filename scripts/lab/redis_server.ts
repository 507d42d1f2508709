/**
 * Duty: a Redis or Valkey of a test: on loopback, with a directory of its own, ended by its process.
 */
import { end, sleep, tryRun } from "./process.ts";

export interface ServerOptions {
  /** @default "redis-server" */
  readonly program?: string;
  readonly settings?: readonly string[];
  /** Lines of its access list. */
  readonly users?: readonly string[];
  /** It is a sentinel, with these lines. */
  readonly sentinel?: readonly string[];
  /** Into another network namespace. */
  readonly within?: (argv: readonly string[]) => string[];
}

/** Whether the program is there. */
export function hasServer(program = "redis-server"): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((directory) => {
    try {
      return Deno.statSync(`${directory}/${program}`).isFile;
    } catch {
      return false;
    }
  });
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

export class RedisServer {
  readonly port = freePort();
  readonly directory: string;
  readonly #options: ServerOptions;
  #child: Deno.ChildProcess | null = null;

  private constructor(directory: string, options: ServerOptions) {
    this.directory = directory;
    this.#options = options;
  }

  /** It writes each command to its own log, so that it may be killed and come back. */
  static async start(options: ServerOptions = {}): Promise<RedisServer> {
    const server = new RedisServer(await Deno.makeTempDir({ prefix: "remediate-redis-" }), options);
    if (options.users) {
      await Deno.writeTextFile(`${server.directory}/users.acl`, `${options.users.join("\n")}\n`);
    }
    try {
      await server.up();
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async up(): Promise<void> {
    const { program = "redis-server", settings = [], sentinel } = this.#options;
    if (sentinel) return await this.#upAs(["redis-sentinel", await this.#sentinelFile(sentinel)]);
    const words = ["--port", String(this.port), "--bind", "127.0.0.1", "--dir", this.directory];
    const keep = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--daemonize", "no"];
    const users = this.#options.users ? ["--aclfile", `${this.directory}/users.acl`] : [];
    await this.#upAs([program, ...words, ...keep, ...users, ...settings]);
  }

  async #sentinelFile(lines: readonly string[]): Promise<string> {
    const path = `${this.directory}/sentinel.conf`;
    const own = [`port ${this.port}`, "bind 127.0.0.1", `dir ${this.directory}`];
    await Deno.writeTextFile(path, [...own, ...lines.map((line) => `sentinel ${line}`), ""].join("\n"));
    return path;
  }

  async #upAs(words: readonly string[]): Promise<void> {
    const argv = this.#within(words);
    this.#child = new Deno.Command(argv[0]!, {
      args: argv.slice(1),
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    for (let turn = 0; turn < 500; turn++) {
      if (await this.#answers()) return;
      await sleep(20);
    }
    throw new Error("Cannot start a Redis for a test: it does not answer");
  }

  #within(argv: readonly string[]): string[] {
    return this.#options.within?.(argv) ?? [...argv];
  }

  async #answers(): Promise<boolean> {
    const ask = this.#within(["redis-cli", "-p", String(this.port), "ping"]);
    const { stdout, stderr } = await tryRun(ask, { timeoutMs: 30_000 });
    return /PONG|NOAUTH/.test(stdout + stderr);
  }

  /** As if the machine lost it. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null) return;
    end(child, "SIGKILL");
    await child.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.directory, { recursive: true });
  }
}
