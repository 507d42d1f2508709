/**
 * Duty: carries out what the agent's machine decides: the connection, the key, commands. An edge.
 *
 * Whoever runs it calls `tick` some times a second and hands it what the node reports. Nothing of the node waits for it.
 */
import { reasonOf } from "../../drivers/reason.ts";
import { type AgentAction, AgentMachine, type AgentView } from "./agent.ts";
import type { Backoff } from "./backoff.ts";
import { bookLine, CommandBook, compactBook, readBook } from "./book.ts";
import { Commander } from "./commander.ts";
import type { Executors } from "./contract.ts";
import type { FleetIdentity, IdentityFile } from "./identity.ts";
import { type KeptKey, makeKey, makeNonce, signText } from "./keys.ts";
import { type Link, type LinkOptions, openLink } from "./link.ts";
import type { FleetEvent, Report } from "./messages.ts";
import { Outgoing } from "./outgoing.ts";
import { type AgentMessage, encode, fromController, rotationText } from "./protocol.ts";
import { SyncedLines } from "../synced_lines.ts";

export interface EdgeOptions {
  readonly name: string;
  readonly file: IdentityFile;
  readonly identity: FleetIdentity;
  /** To enrol with; null: it has, or waits. */
  readonly token: string | null;
  readonly link: LinkOptions;
  readonly executors: Executors;
  readonly enrolled: () => void;
  readonly say: (level: "info" | "warn" | "error", text: string) => void;
  readonly backoff?: Backoff;
  readonly versions?: readonly number[];
}

export class AgentEdge {
  readonly #options: EdgeOptions;
  readonly #commander: Commander;
  #identity: FleetIdentity;
  readonly #machine: AgentMachine;
  #link: Link | null = null;
  #linkOptions: LinkOptions;
  readonly #outgoing: Outgoing;
  #aheadMs = 0;
  #live: (() => void)[] = [];
  #closed = false;

  /** @throws Error with one sentence: the journal of commands cannot be used */
  constructor(options: EdgeOptions) {
    this.#options = options;
    this.#identity = options.identity;
    this.#linkOptions = options.link;
    this.#machine = this.#makeMachine();
    this.#outgoing = new Outgoing({
      directory: options.file.outgoingPath,
      send: async (message) => {
        if (this.#link === null) throw new Error("there is no connection");
        await this.#link.send(encode(message));
      },
    });
    const lines = new SyncedLines(options.file.bookPath, compactBook);
    const book = new CommandBook(readBook(lines.load()), (line) => lines.append(bookLine(line)));
    this.#commander = new Commander({
      book,
      executors: { "key.rotate": () => this.#rotate(), ...options.executors },
      nowMs: () => Date.now(),
      aheadMs: () => this.#aheadMs,
      told: (result) => this.#carryOut(this.#machine.result(result)),
      progress: (command, text, percent) => this.#carryOut(this.#machine.progress(command, text, percent)),
      send: (command, content) => this.#outgoing.send(command, content),
      say: options.say,
    });
    this.#settle = (commands) => commands.forEach((number) => book.settle(number));
  }

  readonly #settle: (commands: readonly number[]) => void;

  get view(): AgentView & { readonly busy: number; readonly last: string | null } {
    return { ...this.#machine.view, busy: this.#commander.busy, last: this.#commander.last };
  }

  get eventsAfter(): number | null {
    return this.#machine.eventsAfter;
  }

  tick(nowMs: number): void {
    if (!this.#closed) this.#carryOut(this.#machine.tick(nowMs));
  }

  report(report: Report): void {
    this.#carryOut(this.#machine.report(report));
  }

  events(list: readonly FleetEvent[]): void {
    this.#carryOut(this.#machine.events(list));
  }

  /** Connects anew, with these settings. True: it succeeded before the time was over. */
  async reconnect(link: LinkOptions, withinMs: number): Promise<boolean> {
    this.#linkOptions = link;
    this.#link?.close("it connects anew");
    this.#machine.hurry(Date.now());
    let timer;
    const live = new Promise<boolean>((done) => {
      timer = setTimeout(() => done(false), withinMs);
      this.#live.push(() => done(true));
    });
    const result = await live;
    clearTimeout(timer);
    return result;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#outgoing.close();
    await this.#commander.close();
    this.#link?.close("the agent ends");
  }

  #makeMachine(): AgentMachine {
    const { name, token, backoff, versions } = this.#options, { keys: [{ key }], fleet } = this.#identity;
    return new AgentMachine({
      ...{ name, key, fleet },
      token: fleet === null ? token : null,
      random: () => Math.random(),
      ...(backoff && { backoff }),
      ...(versions && { versions }),
    }, Date.now());
  }

  #carryOut(actions: readonly AgentAction[]): void {
    for (const action of actions) this.#act(action);
  }

  #act(action: AgentAction): void {
    switch (action.do) {
      case "connect":
        return this.#connect();
      case "send":
        return this.#send(action.message);
      case "sign":
        return void this.#sign(action.text);
      case "close":
        return this.#link?.close(action.reason);
      case "enrolled":
        this.#keep({ ...this.#identity, fleet: action.fleet, node: action.node });
        return this.#options.enrolled();
      case "command":
        return this.#commander.give(action.command);
      case "settled":
        return this.#settle(action.commands);
      case "held":
        return this.#outgoing.held(action.command, action.bytes);
      case "rotated":
        return this.#rotated(action.key);
      case "refused":
        return this.#refused(action.code);
      case "tell":
        return this.#options.say(action.level, action.text);
    }
  }

  #connect(): void {
    // What a connection that was given up still says is not heard.
    const own = (hear: () => void) => () => link === this.#link && hear();
    const link: Link = openLink(this.#linkOptions, {
      opened: (certificate) =>
        own(() => this.#carryOut(this.#machine.opened(certificate, makeNonce(), Date.now())))(),
      heard: (text) => own(() => this.#heard(text))(),
      alive: own(() => this.#machine.alive(Date.now())),
      closed: (reason) =>
        own(() => {
          this.#outgoing.connected(null);
          this.#carryOut(this.#machine.closed(reason, Date.now()));
        })(),
    });
    this.#link = link;
  }

  #heard(text: string): void {
    const decoded = fromController(text);
    if (!decoded.ok) return this.#link?.close(`the controller said what is no message: ${decoded.text}`);
    const { message } = decoded;
    if (message.type === "welcome") this.#aheadMs = message.nowMs - Date.now();
    this.#carryOut(this.#machine.heard(message, Date.now()));
    if (message.type !== "welcome" || this.#machine.view.phase !== "live") return;
    this.#outgoing.connected(this.#machine.view.version);
    for (const done of this.#live.splice(0)) done();
  }

  #send(message: AgentMessage): void {
    this.#link?.send(encode(message)).catch((error) => this.#link?.close(reasonOf(error)));
  }

  async #sign(text: string): Promise<void> {
    const link = this.#link, signature = await signText(this.#identity.keys[0], text);
    if (link === this.#link) this.#carryOut(this.#machine.signed(signature));
  }

  async #rotate() {
    const fresh = await makeKey(), { node } = this.#machine.view;
    const [current] = this.#identity.keys;
    if (node === null) return { outcome: "failed", text: "there is no connection" } as const;
    this.#keep({ ...this.#identity, keys: [current, fresh] });
    this.#carryOut(this.#machine.rotate(fresh.key, await signText(fresh, rotationText(node, fresh.key))));
    return {
      outcome: "done",
      text: "another key was made; it counts from the controller's answer on",
    } as const;
  }

  #rotated(key: string): void {
    const kept = this.#identity.keys.find((one) => one.key === key);
    if (kept !== undefined) this.#keep({ ...this.#identity, keys: [kept] });
  }

  /** A controller that does not know the first key may have heard of the second one. */
  #refused(code: string): void {
    const [first, second] = this.#identity.keys;
    if (code !== "unknown" || second === undefined) return;
    const keys: readonly [KeptKey, KeptKey] = [second, first];
    this.#keep({ ...this.#identity, keys });
    this.#machine.useKey(second.key, Date.now());
  }

  #keep(identity: FleetIdentity): void {
    this.#identity = identity;
    try {
      this.#options.file.save(identity);
    } catch (error) {
      this.#options.say("error", reasonOf(error));
    }
  }
}
