/**
 * Duty: the programs of a fleet as they are run: a controller and agents, each a process that is ended by itself.
 *
 * What they say goes to files, so that none waits for a reader.
 */
import assert from "node:assert/strict";
import type { CommandRecord, NodeRecord } from "../../appliance/fleet/contract.ts";
import { end, inNamespace, run, sleep, tryRun } from "../../scripts/lab/process.ts";
import { connectNode, type RemoteNode } from "../../ui/client.ts";
import { binary } from "./node.ts";

const UNTIL_MS = 45_000;

/** @throws Error when it is not seen in time */
export async function until<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  for (const deadline = Date.now() + UNTIL_MS;;) {
    const found = await look().catch(() => null);
    if (found !== null) return found;
    if (Date.now() > deadline) throw new Error(`Cannot see ${what}`);
    await sleep(100);
  }
}

/** A program of ours that is ended by its process, with what it says in a file. */
export class Program implements AsyncDisposable {
  #child: Deno.ChildProcess | null = null;

  constructor(readonly words: readonly string[], readonly log: string, readonly ns: string | null = null) {}

  start(): void {
    const argv = [
      "sh",
      "-c",
      'log=$1; shift; exec "$@" >>"$log" 2>&1',
      "sh",
      this.log,
      binary(),
      ...this.words,
    ];
    const [program, ...args] = this.ns === null ? argv : inNamespace(this.ns, argv);
    this.#child = new Deno.Command(program!, { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
  }

  signal(signal: Deno.Signal): void {
    if (this.#child !== null) end(this.#child, signal);
  }

  async kill(signal: Deno.Signal = "SIGKILL"): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null) return;
    end(child, signal);
    await child.status;
  }

  get said(): string {
    return Deno.readTextFileSync(this.log);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal("SIGCONT");
    await this.kill();
  }
}

/** `fleet serve`, and what a person or a program asks of it. */
export class TestController implements AsyncDisposable {
  readonly program: Program;
  readonly remote: RemoteNode;
  readonly socket: string;

  /** `more`: further words of its command line. */
  constructor(
    readonly directory: string,
    listen: string,
    ns: string | null = null,
    more: readonly string[] = [],
  ) {
    const words = ["fleet", "serve", "--listen", listen, "--state", this.#state, "--heartbeat-s", "1"];
    const all = [...words, "--runtime", `${directory}/ctlrun`, ...more];
    this.program = new Program(all, `${directory}/ctl.log`, ns);
    this.socket = `${directory}/ctlrun/control.sock`;
    this.remote = connectNode(this.socket);
  }

  get #state(): string {
    return `${this.directory}/ctl`;
  }

  /** Returns the fingerprint of its certificate. */
  async start(): Promise<string> {
    this.program.start();
    await until("a controller that answers", async () => (await this.get("")).fleet as string ?? null)
      .catch((error) => {
        throw new Error(`${error.message}: ${this.program.said}`);
      });
    return /SHA-256 ([0-9A-F:]+)/.exec(this.program.said)![1]!;
  }

  async get(path: string): Promise<Readonly<Record<string, unknown>>> {
    const { status, body } = await this.remote.ask("GET", `/api/v1/fleet${path}`);
    if (status !== 200) throw new Error(`Cannot get ${path}: ${JSON.stringify(body)}`);
    return body;
  }

  async nodes(): Promise<readonly NodeRecord[]> {
    return (await this.get("/nodes")).nodes as NodeRecord[];
  }

  async token(): Promise<string> {
    return (await this.cli("token")).stdout.trim();
  }

  cli(...words: readonly string[]) {
    return tryRun([binary(), "fleet", ...words, "--socket", this.socket], { timeoutMs: UNTIL_MS });
  }

  /** Takes a bundle in. Returns its digest. */
  async bundle(path: string): Promise<string> {
    const argv = [binary(), "fleet", "bundle", path, "--state", this.#state];
    return (await run(argv, { timeoutMs: UNTIL_MS })).split(" ")[0]!;
  }

  async order(node: string, kind: string, given: object = {}): Promise<number> {
    const body = { kind, arguments: given };
    const answer = await this.remote.ask("POST", `/api/v1/fleet/nodes/${node}/commands`, { body });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return Number(answer.body.number);
  }

  ended(node: string, number: number): Promise<CommandRecord> {
    return until(`the end of command ${number} of ${node}`, async () => {
      const { command } = await this.get(`/nodes/${node}/commands/${number}`) as { command: CommandRecord };
      return command.result === null ? null : command;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
    this.remote.close();
  }
}

/** Of a node's configuration: where its controller is, and the token to enrol with. */
export function fleetLines(host: string, fingerprint: string, tokenFile: string): string[] {
  return [
    "[fleet]",
    `url = "wss://${host}"`,
    `fingerprint = "${fingerprint}"`,
    `token_file = "${tokenFile}"`,
  ];
}
