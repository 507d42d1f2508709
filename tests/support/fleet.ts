/**
 * Duty: a controller without sockets over a registry in memory, and agents that talk to it by calls.
 *
 * Everything but the sockets is the product's: keys, signatures, codec, sessions, tables. Texts go through the codec both
 * ways, so a test can alter, repeat or withhold any of them.
 */
import { type AgentAction, AgentMachine, type AgentOptions } from "../../appliance/fleet/agent.ts";
import type { CommandRecord, FleetNews, FreshCommand, Registry } from "../../appliance/fleet/contract.ts";
import { Controller } from "../../appliance/fleet/controller.ts";
import { isSigned, type KeptKey, makeKey, makeNonce, signText } from "../../appliance/fleet/keys.ts";
import type { Message, Report } from "../../appliance/fleet/messages.ts";
import {
  type AgentMessage,
  type ControllerMessage,
  encode,
  fromController,
} from "../../appliance/fleet/protocol.ts";
import { openRegistry } from "../../appliance/fleet/registry.ts";
import type { Session } from "../../appliance/fleet/session.ts";
import { FleetStore } from "../../appliance/fleet/store.ts";

export const CERTIFICATE = "AA:BB";

export function report(over: Partial<Report> = {}): Report {
  return {
    node: { name: "n1", version: "1.0.0", labels: {}, start: "s", machine: "m" },
    health: {
      ...{ light: "green", reason: "all is well", path: "primary", pathSinceMs: 1 },
      ...{ unready: null, ill: null, planeRestarts: 0, boxes: [] },
    },
    match: { share: 1, reason: "" },
    update: { without: "none", slots: [], installing: null, reports: [], badVersions: [] },
    doctor: { findings: [], atMs: 0 },
    ...over,
  };
}

export class Fleet implements AsyncDisposable {
  nowMs = 1_000_000;
  readonly registry: Registry;
  readonly news: FleetNews[] = [];
  readonly said: string[] = [];
  readonly controller: Controller;

  constructor(registry: Registry = openRegistry(new FleetStore(":memory:")), name = "c1") {
    this.registry = registry;
    this.controller = this.#make(name);
  }

  #make(name: string): Controller {
    const controller = new Controller({
      ...{ name, registry: this.registry, certificate: CERTIFICATE, heartbeatS: 30, nonce: makeNonce },
      verify: isSigned,
      nowMs: () => this.nowMs,
      files: {
        append: () => Promise.resolve(true),
        bytes: () => Promise.resolve(0),
        read: () => Promise.resolve(null),
      },
      say: (_, text) => void this.said.push(text),
    });
    controller.follow((news) => void this.news.push(news));
    return controller;
  }

  async token(validMs = 60_000): Promise<string> {
    const made = await this.registry.tokens.add({
      ...{ note: "", labels: {}, nowMs: this.nowMs },
      expiresMs: this.nowMs + validMs,
    });
    return made.token;
  }

  order(
    node: string,
    kind: "drill" | "support" = "drill",
    over: Partial<FreshCommand> = {},
  ): Promise<number> {
    const fresh = { kind, arguments: {}, by: "test", nowMs: this.nowMs, expiresMs: this.nowMs + 60_000 };
    return this.controller.order(node, { ...fresh, ...over } as FreshCommand);
  }

  async results(node: string): Promise<readonly CommandRecord[]> {
    return await this.registry.commands.list(node, 100);
  }

  get counters(): Readonly<Record<string, number>> {
    return this.controller.counters();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.controller.close();
    await this.registry.close();
  }
}

/** An agent's machine, wired to a session by hand. */
export class Peer {
  readonly heard: ControllerMessage[] = [];
  readonly sent: AgentMessage[] = [];
  readonly commands: Message<"command">[] = [];
  readonly closes: string[] = [];
  session: Session | null = null;
  /** Changes what is sent; null: it is lost. */
  tamper: (message: AgentMessage) => AgentMessage | null = (message) => message;
  /** The certificate that it sees. */
  certificate = CERTIFICATE;

  private constructor(readonly fleet: Fleet, readonly key: KeptKey, readonly machine: AgentMachine) {}

  static async create(fleet: Fleet, over: Partial<AgentOptions> = {}, key?: KeptKey): Promise<Peer> {
    const own = key ?? await makeKey();
    const options = { name: "n1", key: own.key, fleet: null, token: null, random: () => 0.5, ...over };
    return new Peer(fleet, own, new AgentMachine(options, fleet.nowMs));
  }

  static async enrolled(fleet: Fleet, over: Partial<AgentOptions> = {}): Promise<Peer> {
    const peer = await Peer.create(fleet, { token: await fleet.token(), ...over });
    await peer.connect();
    return peer;
  }

  get id(): string {
    return this.machine.view.node ?? "";
  }

  /** From the first tick to the welcome, or to whatever comes instead. */
  async connect(): Promise<void> {
    for (let actions: readonly AgentAction[] = []; actions.length === 0;) {
      this.fleet.nowMs += 1000;
      actions = this.machine.tick(this.fleet.nowMs);
      await this.act(actions);
    }
    // Signatures are made and checked by other threads.
    await until(() => ["live", "waiting"].includes(this.machine.view.phase));
    await settle();
  }

  async act(actions: readonly AgentAction[]): Promise<void> {
    for (const action of actions) {
      if (action.do === "connect") await this.open();
      if (action.do === "send") this.send(action.message);
      if (action.do === "sign") await this.act(this.machine.signed(await signText(this.key, action.text)));
      if (action.do === "command") this.commands.push(action.command);
      if (action.do === "close") await this.close(action.reason);
    }
  }

  async open(): Promise<void> {
    const session: Session = this.fleet.controller.accept({
      address: "192.0.2.9",
      send: (text) => void this.hear(text, session),
      close: () => void this.close("closed by the controller"),
    });
    this.session = session;
    await this.act(this.machine.opened(this.certificate, makeNonce(), this.fleet.nowMs));
  }

  send(message: AgentMessage): void {
    const changed = this.tamper(message);
    if (changed === null) return;
    this.sent.push(changed);
    this.session?.hear(encode(changed));
  }

  hear(text: string, session: Session): void {
    const decoded = fromController(text);
    if (!decoded.ok) throw new Error(decoded.text);
    this.heard.push(decoded.message);
    if (session === this.session || this.session === null) {
      void this.act(this.machine.heard(decoded.message, this.fleet.nowMs));
    }
  }

  async close(reason: string): Promise<void> {
    const { session } = this;
    if (session === null) return;
    this.session = null;
    this.closes.push(reason);
    await this.act(this.machine.closed(reason, this.fleet.nowMs));
    await this.fleet.controller.ended(session);
  }

  /** The last refusal, or "". */
  get refusal(): string {
    return this.heard.findLast((one) => one.type === "refused")?.code ?? "";
  }
}

/** Until it holds, or twenty seconds are over: then the test says what is wrong. */
export async function until(holds: () => boolean): Promise<void> {
  for (let look = 0; look < 2000 && !holds(); look++) await settle(10);
}

/** Until what is under way in memory is done: a commit takes milliseconds. */
export async function settle(ms = 60): Promise<void> {
  await new Promise((done) => setTimeout(done, ms));
}
