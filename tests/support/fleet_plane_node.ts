/**
 * The agent of a node whose plane runs, as the product runs it, in a process of its own; the slots are files.
 *
 * A restart ends this agent and begins another: control and plane are other processes, and a file starts none. Its argument
 * is JSON; each line that it is sent asks for a line with what its updater did, and when.
 */
import { createPublicKey } from "node:crypto";
import { type Config, parseConfig } from "../../appliance/config.ts";
import type { Executors } from "../../appliance/fleet/contract.ts";
import { updateExecutors } from "../../appliance/fleet/transfer/executor.ts";
import { getPinned } from "../../appliance/fleet/transfer/get.ts";
import { TextLineStream } from "../../scripts/bench/lines.ts";
import { runAgent } from "../../ui/fleet/agent.ts";
import type { PlaneNodeOptions, Step } from "./fleet_traffic.ts";
import { SlotDirectory } from "./slot_updater.ts";

class PlaneNode {
  readonly steps: Step[] = [];
  readonly said: string[] = [];
  readonly updater: SlotDirectory;
  #stop = new AbortController();
  #running = Promise.resolve();
  #rebooting = Promise.resolve();

  constructor(readonly options: PlaneNodeOptions, readonly config: Config) {
    const key = createPublicKey(options.publicKey);
    this.updater = new SlotDirectory(
      options.slots,
      key,
      () => this.#rebooting = this.#reboot(),
    );
  }

  #note(what: Step["what"]): void {
    this.steps.push({ what, atMs: Date.now() });
  }

  begin(): void {
    this.#stop = new AbortController();
    this.#running = runAgent({
      config: () => configOf(this.options.configPath),
      consult: () => Promise.resolve([]),
      updater: this.updater,
      executors: () => this.#executors(),
      say: (level, text) => void this.said.push(`${level} ${text}`),
      stop: this.#stop.signal,
      backoff: { firstMs: 200, mostMs: 400 },
    });
  }

  #executors(): Executors {
    const { fleet: { url, fingerprint }, node: { stateDirectory } } = this.config;
    const own = updateExecutors({
      updater: this.updater,
      directory: `${stateDirectory}/bundles`,
      controller: url!.replace(/^wss:/, "https:"),
      get: getPinned(fingerprint),
    });
    return {
      ...own,
      "update.offer": async (offer, context) => {
        this.#note("offered");
        const executed = await own["update.offer"]!(offer, context);
        if (executed.outcome === "done") this.#note("installed");
        return executed;
      },
    };
  }

  async #reboot(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.updater.prove();
    this.#note("proved");
    this.begin();
  }

  async end(): Promise<void> {
    await this.#rebooting;
    this.#stop.abort();
    await this.#running;
  }
}

async function configOf(path: string): Promise<Config> {
  const { config, problems } = parseConfig(await Deno.readTextFile(path), path);
  if (config === undefined) throw new Error(`Cannot use ${path}: ${JSON.stringify(problems)}`);
  return config;
}

const options = JSON.parse(Deno.args[0]!) as PlaneNodeOptions;
const node = new PlaneNode(options, await configOf(options.configPath));
node.begin();
console.log("{}");
const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(TextLineStream());
for await (const line of lines) {
  const { id } = JSON.parse(line), { updater, steps, said } = node;
  const { installs, restarts } = updater, view = await updater.view();
  console.log(JSON.stringify({ id, installs, restarts, steps, said, view }));
}
await node.end();
