/**
 * Duty: one agent's connection as the controller sees it: who it is, what it reports, what it is to do.
 *
 * No socket and no clock: texts come in, `send` and `close` go out, and the registry is asked. What comes is judged in its
 * order, one at a time; an agent that sends faster than that is cut off at a bound.
 */
import { reasonOf } from "../../drivers/reason.ts";
import type { CommandRecord, FleetNews, NodeRecord, Registry } from "./contract.ts";
import { merged } from "./delta.ts";
import type { Message, Report } from "./messages.ts";
import {
  type AgentMessage,
  agree,
  type ControllerMessage,
  encode,
  fromAgent,
  proofText,
  rotationText,
  VERSIONS,
} from "./protocol.ts";

export type RefusalCode = Message<"refused">["code"];

export interface SessionMeans {
  readonly registry: Registry;
  /** Of this controller. */
  readonly controller: string;
  /** SHA-256 of its certificate. */
  readonly certificate: string;
  readonly heartbeatS: number;
  /** Where the agent comes from. */
  readonly address: string;
  readonly nonce: () => string;
  readonly verify: (key: string, signature: string, text: string) => Promise<boolean>;
  readonly nowMs: () => number;
  readonly send: (text: string) => void;
  /** After what was sent. */
  readonly close: () => void;
  /** It is known now who it is; another session of the same node is to give way. */
  readonly live: (session: Session) => void;
  readonly news: (news: FleetNews) => void;
  readonly count: (name: string) => void;
  /** Somebody was turned away, and why. */
  readonly refused: (code: RefusalCode, text: string, node: string | null) => void;
  /** A piece of a file that a command yields; false: it does not fit. */
  readonly piece: (node: string, piece: Message<"piece">) => Promise<boolean>;
  /** How many bytes of such a file are here. */
  readonly held: (node: string, command: number) => Promise<number>;
  /** @default those of the protocol */
  readonly versions?: readonly number[];
}

/** What comes in one piece of a socket's is beyond recall; after `FULL` nothing more is read. */
const QUEUE_MAX = 256;
const FULL = 16;

interface Hello {
  readonly hello: Message<"hello">;
  readonly nonce: string;
  readonly version: number;
}

export class Session {
  readonly #means: SessionMeans;
  #hello: Hello | null = null;
  #node: NodeRecord | null = null;
  #report: Report | null = null;
  #reportSequence = 0;
  #given = 0;
  #waiting = 0;
  #turn: Promise<void> = Promise.resolve();
  #ended = false;

  constructor(means: SessionMeans) {
    this.#means = means;
  }

  /** Null: not known yet. */
  get node(): string | null {
    return this.#node?.id ?? null;
  }

  get connection(): number {
    return this.#node?.connection ?? 0;
  }

  /** Nothing more should be read for it until `settled`. */
  get full(): boolean {
    return this.#waiting >= FULL;
  }

  /** When all that came until now is judged. */
  get settled(): Promise<void> {
    return this.#turn;
  }

  /** A frame came; null: one that is no text. */
  hear(text: string | null): void {
    if (this.#ended) return;
    if (text === null) return this.refuse("malformed", "a frame that is no text");
    if (this.#waiting >= QUEUE_MAX) return this.refuse("busy", `more than ${QUEUE_MAX} messages at once`);
    this.#waiting++;
    this.#then(() => this.#judge(text)).finally(() => this.#waiting--);
  }

  /** Something about this node changed in the registry. */
  wake(): void {
    this.#then(async () => {
      const { registry } = this.#means, own = this.#node;
      if (own === null) return;
      const now = await registry.node(own.id);
      if (now === null || now.revokedMs !== null) return this.refuse("revoked", "this node was revoked");
      if (now.connection !== own.connection) return this.refuse("replaced", "it connected anew");
      await this.#giveCommands();
    });
  }

  /** The connection has ended. Resolves when that is kept. */
  async ended(): Promise<void> {
    if (this.#ended && this.#node === null) return;
    this.#ended = true;
    await this.#turn;
    const { registry, nowMs, news } = this.#means, node = this.#node;
    if (node === null) return;
    this.#node = null;
    await registry.disconnected(node.id, node.connection, nowMs());
    news({ kind: "disconnected", node: node.id });
  }

  refuse(code: RefusalCode, text: string, retryS: number | null = null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#means.count(`refused_${code}`);
    this.#means.refused(code, text, this.node);
    this.#send({ type: "refused", code, text: text.slice(0, 1000), retryS });
    this.#means.close();
  }

  #then(work: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(async () => {
      if (this.#ended) return;
      try {
        await work();
      } catch (error) {
        // The registry, not the agent: it is to come again.
        this.#means.count("failed");
        this.refuse("busy", `the controller cannot go on: ${reasonOf(error)}`, 10);
      }
    });
    return this.#turn;
  }

  async #judge(text: string): Promise<void> {
    const { count } = this.#means;
    const moment = { opening: this.#node === null, version: this.#hello?.version ?? null };
    const decoded = fromAgent(text, moment);
    if (!decoded.ok) return this.refuse(decoded.fault, decoded.text);
    const { message } = decoded;
    count(`heard_${message.type}`);
    await this.#answer(message);
  }

  async #answer(message: AgentMessage): Promise<void> {
    switch (message.type) {
      case "hello":
        return await this.#greet(message);
      case "proof":
        return await this.#prove(message);
      case "report":
        return await this.#reported(message);
      case "events": {
        const event = await this.#means.registry.events.appendOf(this.#own.id, message.list);
        return this.#note({ event });
      }
      case "progress": {
        const { command, percent, text } = message;
        return this.#means.news({ kind: "progress", node: this.#own.id, command, percent, text });
      }
      case "result":
        return await this.#resulted(message);
      case "piece": {
        const open = await this.#means.registry.commands.get(this.#own.id, message.command);
        const wanted = open !== null && open.result === null && await this.#means.piece(open.node, message);
        if (!wanted) this.refuse("order", `a piece of command ${message.command} that does not fit`);
        return;
      }
      case "resume": {
        const { command } = message, bytes = await this.#means.held(this.#own.id, command);
        return this.#send({ type: "held", command, bytes });
      }
      case "rotate":
        return await this.#rotated(message);
    }
  }

  get #own(): NodeRecord {
    if (this.#node === null) throw new TypeError("Cannot go on: the session has no node yet");
    return this.#node;
  }

  async #greet(hello: Message<"hello">): Promise<void> {
    if (this.#hello !== null) return this.refuse("order", "a second hello");
    const { registry, versions = VERSIONS } = this.#means;
    const version = agree(versions, hello.versions);
    if (version === null) {
      const text = `versions ${hello.versions.join(", ")} are offered, ${versions.join(", ")} accepted`;
      return this.refuse("version", text);
    }
    const known = await registry.byKey(hello.key);
    if (known !== null && known.revokedMs !== null) {
      return this.refuse("revoked", `the key of ${known.id} was revoked`);
    }
    if (known === null && !hello.enrol) return this.refuse("unknown", "no node has this key: enrol it");
    const nonce = this.#means.nonce();
    this.#hello = { hello, nonce, version };
    this.#send({ type: "challenge", version, versions, nonce, fleet: registry.fleet });
  }

  async #prove({ signature, token }: Message<"proof">): Promise<void> {
    const opened = this.#hello;
    if (opened === null) return this.refuse("order", "a proof before the hello");
    const { registry, certificate, verify, nowMs, versions = VERSIONS } = this.#means;
    const { hello: { key, name, nonce: agentNonce, versions: offered, enrol }, version, nonce } = opened;
    const text = proofText({
      ...{ offered, version, key, agentNonce, certificate },
      accepted: versions,
      fleet: registry.fleet,
      controllerNonce: nonce,
      token: token ?? "",
    });
    if (!await verify(key, signature, text)) {
      const said = "the proof is not signed by its key for this connection: altered, replayed, or another's";
      return this.refuse("signature", said);
    }
    // A node that was enrolled and did not hear of it asks once more: its key tells.
    const known = await registry.byKey(key);
    if (known === null && (!enrol || token === null)) return this.refuse("unknown", "no node has this key");
    const node = known ?? await registry.enrol({ key, name, token: token ?? "", nowMs: nowMs() });
    if (typeof node === "string") return this.refuse("token", node);
    if (node.revokedMs !== null) return this.refuse("revoked", `${node.id} was revoked`);
    if (known === null) await this.#enrolled(node);
    await this.#welcome(node);
  }

  async #enrolled({ id, name }: NodeRecord): Promise<void> {
    const { registry, nowMs, address } = this.#means;
    const text = `${name} enrolled as ${id}, from ${address}`;
    const entry = { atMs: nowMs(), node: id, source: "fleet", kind: "enrolled", subject: name, text };
    await registry.events.append(entry);
  }

  async #welcome(node: NodeRecord): Promise<void> {
    const { registry, controller, nowMs, heartbeatS, live, news } = this.#means;
    const connection = await registry.connected(node.id, controller, nowMs());
    this.#node = { ...node, connection };
    this.#report = node.report;
    this.#reportSequence = node.reportSequence;
    live(this);
    await registry.wake(node.id); // another controller that has it still lets go of it
    const event = await registry.events.last(node.id);
    this.#send({
      type: "welcome",
      node: node.id,
      report: node.reportSequence,
      event,
      heartbeatS,
      nowMs: nowMs(),
    });
    news({ kind: "connected", node: node.id });
    await this.#giveCommands();
  }

  async #reported({ sequence, base, sections }: Message<"report">): Promise<void> {
    const { registry, nowMs, news, count } = this.#means, { id, connection } = this.#own;
    if (sequence <= this.#reportSequence) {
      count("replayed_reports");
      return this.refuse("order", `report ${sequence} came after ${this.#reportSequence}`);
    }
    const fits = base === null || base === this.#reportSequence;
    const report = fits ? merged(base === null ? null : this.#report, sections) : null;
    if (report === null) {
      count("gaps");
      return this.#note({ whole: true });
    }
    if (!await registry.keepReport(id, connection, { sequence, report, nowMs: nowMs() })) {
      return this.refuse("replaced", "it connected anew");
    }
    this.#report = report;
    this.#reportSequence = sequence;
    this.#note({ report: sequence });
    news({ kind: "report", node: id, report });
  }

  async #resulted({ command, outcome, text, data, bytes }: Message<"result">): Promise<void> {
    const { registry, nowMs, news, count } = this.#means, { id } = this.#own;
    const first = await registry.commands.end(id, command, { outcome, text, data, bytes, atMs: nowMs() });
    this.#note({ results: [command] });
    if (!first) return count("repeated_results");
    const ended = await registry.commands.get(id, command);
    if (ended !== null) news({ kind: "result", command: ended });
  }

  async #rotated({ key, signature }: Message<"rotate">): Promise<void> {
    const { registry, verify, nowMs } = this.#means, { id, name } = this.#own;
    if (!await verify(key, signature, rotationText(id, key))) {
      return this.refuse("signature", "the fresh key did not sign its rotation");
    }
    const other = await registry.byKey(key);
    if (other !== null && other.id !== id) return this.refuse("signature", "the fresh key is another node's");
    await registry.setKey(id, key);
    const text = `${name} (${id}) has another key`;
    await registry.events.append({
      atMs: nowMs(),
      node: id,
      source: "fleet",
      kind: "rotated",
      subject: name,
      text,
    });
    this.#send({ type: "rotated", key });
  }

  /** Those without a result that were not given on this connection yet, in order. */
  async #giveCommands(): Promise<void> {
    const { registry } = this.#means, { id } = this.#own;
    const open = (await registry.commands.open(id)).filter(({ number }) => number > this.#given);
    if (open.length === 0) return;
    // Kept before it is sent: who may have begun it is asked for its result, never given a second one.
    await registry.commands.sent(id, open.map(({ number }) => number));
    for (const command of open) this.#give(command);
  }

  #give({ number, kind, arguments: given, expiresMs }: CommandRecord): void {
    this.#given = number;
    this.#send({ type: "command", number, kind, arguments: given, expiresMs });
  }

  #note(what: Partial<Omit<Message<"noted">, "type">>): void {
    this.#send({ type: "noted", report: null, event: null, results: [], whole: false, ...what });
  }

  #send(message: ControllerMessage): void {
    this.#means.send(encode(message));
  }
}
