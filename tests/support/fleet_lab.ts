/**
 * A fleet on loopback: one controller with TLS, registry and roll-outs on disk, and agents with directory-backed slots.
 *
 * All by the protocol code of the product. The controller can be killed, which loses whatever it had not kept, and started
 * again on the same files and port.
 */
import https from "node:https";
import { Buffer } from "node:buffer";
import type { ServerResponse } from "node:http";
import { AgentEdge } from "../../appliance/fleet/agent_edge.ts";
import { Controller } from "../../appliance/fleet/controller.ts";
import { fleetFiles } from "../../appliance/fleet/files.ts";
import { IdentityFile } from "../../appliance/fleet/identity.ts";
import { isSigned, makeNonce } from "../../appliance/fleet/keys.ts";
import type { Report } from "../../appliance/fleet/messages.ts";
import { openRegistry } from "../../appliance/fleet/registry.ts";
import { FleetSockets } from "../../appliance/fleet/sockets.ts";
import { FleetStore } from "../../appliance/fleet/store.ts";
import { RolloutKeeper } from "../../appliance/fleet/rollout/keeper.ts";
import type { RolloutStore } from "../../appliance/fleet/rollout/keeping.ts";
import { openRolloutStore } from "../../appliance/fleet/rollout/store.ts";
import { serveBundles } from "../../appliance/fleet/transfer/bundles.ts";
import { updateExecutors } from "../../appliance/fleet/transfer/executor.ts";
import { getPinned } from "../../appliance/fleet/transfer/get.ts";
import type { UpdateView } from "../../appliance/update/contract.ts";
import { fingerprintOf, makeIdentity } from "../../ui/access/certificate.ts";
import { type Publisher, SlotDirectory } from "./slot_updater.ts";

export interface ControllerOptions {
  readonly directory: string;
  readonly identity: { readonly cert: string; readonly key: string };
  /** 0: any. */
  readonly port: number;
  readonly say?: (text: string) => void;
  readonly everyMs?: number;
  /** Around the file of roll-outs: to die where a test wants it. */
  readonly store?: (store: RolloutStore) => RolloutStore;
}

export function labIdentity() {
  return makeIdentity("fleet", ["127.0.0.1"], Date.now());
}

export class LabController {
  readonly control: Controller;
  readonly keeper: RolloutKeeper;
  readonly port: number;
  readonly fingerprint: string;
  readonly bundles: string;
  readonly end: () => Promise<void>;

  private constructor(parts: Omit<LabController, never>) {
    ({
      control: this.control,
      keeper: this.keeper,
      port: this.port,
      fingerprint: this.fingerprint,
      bundles: this.bundles,
      end: this.end,
    } = parts);
  }

  static async start({ directory, identity, port, say = () => {}, ...more }: ControllerOptions) {
    await Deno.mkdir(directory, { recursive: true });
    const registry = openRegistry(new FleetStore(`${directory}/fleet.db`)), bundles = `${directory}/bundles`;
    const fingerprint = fingerprintOf(identity.cert), heartbeatS = 30;
    const control = new Controller({
      ...{ name: "lab", registry, certificate: fingerprint, heartbeatS, nonce: makeNonce, verify: isSigned },
      nowMs: () => Date.now(),
      files: fleetFiles(`${directory}/files`),
      say: (_, text) => say(text),
    });
    const sockets = new FleetSockets(control, heartbeatS);
    const server = https.createServer({ cert: identity.cert, key: identity.key }, (request, response) => {
      void answer(bundles, request.url ?? "", request.headers.range, response);
    });
    server.on(
      "upgrade",
      (request, socket, head) => sockets.upgrade(request, socket, head as Buffer) || socket.destroy(),
    );
    await new Promise<void>((done) => server.listen({ port, host: "127.0.0.1", backlog: 4096 }, done));
    const store = openRolloutStore(`${directory}/rollouts.db`), wrap = more.store ?? ((one) => one);
    const keeper = new RolloutKeeper({
      ...{ control, store: wrap(store), mirrors: [], bytesPerSecondMax: null, everyMs: more.everyMs ?? 50 },
      say: (_, text) => say(text),
    });
    await keeper.start();
    const end = async () => {
      await keeper.close();
      const closed = new Promise((done) => server.close(done));
      await sockets.close();
      server.closeAllConnections();
      await closed;
      control.close();
      await registry.close();
    };
    const { port: own } = server.address() as { port: number };
    return new LabController({ control, keeper, port: own, fingerprint, bundles, end });
  }
}

async function answer(bundles: string, url: string, range: string | undefined, response: ServerResponse) {
  const request = new Request(`https://fleet${url}`, { headers: range === undefined ? {} : { range } });
  const found = await serveBundles(bundles, request) ?? new Response(null, { status: 404 });
  response.writeHead(found.status, Object.fromEntries(found.headers));
  try {
    for await (const bytes of found.body ?? []) response.write(bytes);
  } catch {
    // The other side has gone.
  }
  response.end();
}

export interface AgentOptions {
  readonly name: string;
  readonly directory: string;
  /** @default "127.0.0.1" */
  readonly host?: string;
  readonly port: number;
  readonly fingerprint: string;
  readonly token: string;
  readonly publisher: Pick<Publisher, "key">;
  readonly labels?: Readonly<Record<string, string>>;
}

/** A machine that can restart: agent and updater, without a plane. */
export class LabAgent {
  readonly updater: SlotDirectory;
  #edge: AgentEdge | null = null;
  #timer: ReturnType<typeof setInterval>;
  #told = "";
  path: Report["health"]["path"] = "primary";
  light: Report["health"]["light"] = "green";
  #rebooting: Promise<void> = Promise.resolve();

  private constructor(readonly options: AgentOptions) {
    this.updater = new SlotDirectory(
      `${options.directory}/slots`,
      options.publisher.key,
      () => this.reboot(),
    );
    this.#timer = setInterval(() => void this.#tick(), 40);
  }

  static async start(options: AgentOptions): Promise<LabAgent> {
    const agent = new LabAgent(options);
    await agent.#begin();
    return agent;
  }

  async #begin(): Promise<void> {
    const { name, directory, host = "127.0.0.1", port, fingerprint, token } = this.options,
      file = new IdentityFile(`${directory}/fleet`);
    const controller = `https://${host}:${port}`;
    this.#told = "";
    this.#edge = new AgentEdge({
      ...{ name, file, identity: await file.open(), token },
      link: { url: `wss://${host}:${port}`, fingerprint, ca: null, proxy: null },
      backoff: { firstMs: 200, mostMs: 400 },
      enrolled: () => {},
      say: () => {},
      executors: updateExecutors({
        ...{
          updater: this.updater,
          directory: `${directory}/bundles`,
          controller,
          get: getPinned(fingerprint),
        },
        ...{ restartDelayMs: 20, retryMs: 100 },
      }),
    });
  }

  async #tick(): Promise<void> {
    const edge = this.#edge;
    if (edge === null) return;
    edge.tick(Date.now());
    const report = reportOf(this.options, await this.updater.view(), this);
    const text = JSON.stringify(report);
    if (text === this.#told || edge !== this.#edge) return;
    this.#told = text;
    edge.report(report);
  }

  reboot(): Promise<void> {
    return this.#rebooting = (async () => {
      const edge = this.#edge;
      this.#edge = null;
      await edge?.close();
      await new Promise((done) => setTimeout(done, 100));
      await this.updater.prove();
      await this.#begin();
    })();
  }

  async end(): Promise<void> {
    clearInterval(this.#timer);
    await this.#rebooting;
    await this.#edge?.close();
  }
}

export function reportOf(
  { name, labels = {} }: { name: string; labels?: Readonly<Record<string, string>> },
  { slots, installing, reports, badVersions }: UpdateView,
  { light, path }: Pick<LabAgent, "light" | "path">,
): Report {
  return {
    node: { name, version: "1.0.0", labels, start: name, machine: "lab" },
    health: {
      light,
      path,
      reason: "",
      pathSinceMs: 0,
      unready: null,
      ill: null,
      planeRestarts: 0,
      boxes: [],
    },
    match: { share: null, reason: "" },
    update: {
      without: null,
      slots: [...slots],
      installing,
      reports: [...reports],
      badVersions: [...badVersions],
    },
    doctor: { findings: [], atMs: 0 },
  };
}
