/**
 * Duty: a controller: the sessions of the nodes that are connected here, and what may be asked of the fleet.
 *
 * No socket: whoever has one calls `accept`. Bounded: openings under way, and lines about strangers in the log, of
 * which the rest is counted.
 */
import { reasonOf } from "../../drivers/reason.ts";
import type { CommandRecord, FleetControl, FleetNews, FreshCommand, Registry } from "./contract.ts";
import type { CommandKind } from "./kinds.ts";
import { Session, type SessionMeans } from "./session.ts";

export interface ControllerMeans {
  readonly name: string;
  readonly registry: Registry;
  readonly certificate: string;
  readonly heartbeatS: number;
  readonly nonce: SessionMeans["nonce"];
  readonly verify: SessionMeans["verify"];
  readonly nowMs: () => number;
  readonly files: FleetFiles;
  readonly say: (level: "info" | "warn" | "error", text: string) => void;
}

/** Files that came with results. */
export interface FleetFiles {
  /** False: the piece does not follow the one before, or the file is too long. */
  append(node: string, command: number, offset: number, content: string): Promise<boolean>;
  /** How much of it is here; 0: nothing. */
  bytes(node: string, command: number): Promise<number>;
  read(node: string, command: number): Promise<ReadableStream<Uint8Array> | null>;
}

/** One connection, as the edge has it. */
export interface Line {
  readonly address: string;
  readonly send: (text: string) => void;
  readonly close: () => void;
}

/** Some seconds of work for one core. */
const OPENINGS_MAX = 2048;
const BUSY_RETRY_S = 6;
const STRANGERS_TOLD_MAX = 30;
const STRANGERS_EVERY_MS = 60_000;
/** Progress is of the moment: so many nodes are remembered. */
const PROGRESS_MAX = 20_000;

type Progress = { readonly percent: number | null; readonly text: string };

export class Controller implements FleetControl {
  readonly #means: ControllerMeans;
  readonly #sessions = new Map<string, Session>();
  readonly #openings = new Set<Session>();
  readonly #hearers = new Set<(news: FleetNews) => void>();
  readonly #progress = new Map<string, Progress>();
  readonly #counters = new Map<string, number>();
  readonly #asleep: () => void;
  #toldMs = 0;
  #told = 0;

  constructor(means: ControllerMeans) {
    this.#means = means;
    this.#asleep = means.registry.awake((node) => this.#sessions.get(node)?.wake());
  }

  get name(): string {
    return this.#means.name;
  }

  get registry(): Registry {
    return this.#means.registry;
  }

  /** Nodes that are connected here. */
  get connections(): number {
    return this.#sessions.size;
  }

  accept(line: Line): Session {
    const { registry, name, certificate, heartbeatS, nonce, verify, nowMs, files } = this.#means;
    const session: Session = new Session({
      ...{ registry, certificate, heartbeatS, nonce, verify, nowMs, ...line },
      controller: name,
      live: (one) => this.#live(one),
      news: (news) => this.#news(news),
      count: (what) => this.#count(what),
      refused: (code, text, node) => this.#refused({ code, text, node, address: line.address }),
      piece: (node, { command, offset, content }) => files.append(node, command, offset, content),
      held: (node, command) => files.bytes(node, command),
    });
    this.#count("accepted");
    if (this.#openings.size >= OPENINGS_MAX) {
      // They spread it themselves, by half of it.
      session.refuse("busy", "too many connect at once", BUSY_RETRY_S);
    }
    this.#openings.add(session);
    return session;
  }

  /** The connection of a session has ended. */
  async ended(session: Session): Promise<void> {
    this.#openings.delete(session);
    const { node } = session;
    if (node !== null && this.#sessions.get(node) === session) this.#sessions.delete(node);
    try {
      await session.ended();
    } catch (error) {
      this.#means.say("error", `Cannot keep that ${node} has left: ${reasonOf(error)}`);
    }
  }

  async order<K extends CommandKind>(node: string, fresh: FreshCommand<K>): Promise<number> {
    const { registry, nowMs } = this.#means;
    const number = await registry.commands.add(node, fresh);
    this.#count("commands");
    await registry.events.append({
      atMs: nowMs(),
      node,
      source: "fleet",
      kind: "command",
      subject: fresh.kind,
      text: `${fresh.by} gave command ${number}, ${fresh.kind}`,
    });
    await registry.wake(node);
    return number;
  }

  follow(hear: (news: FleetNews) => void): () => void {
    this.#hearers.add(hear);
    return () => void this.#hearers.delete(hear);
  }

  progress(node: string, command: number): Progress | null {
    return this.#progress.get(`${node} ${command}`) ?? null;
  }

  async file(node: string, command: number): Promise<ReadableStream<Uint8Array> | null> {
    const record = await this.#means.registry.commands.get(node, command);
    const bytes = record?.result?.bytes ?? null;
    return bytes === null ? null : await this.#means.files.read(node, command);
  }

  async revoke(node: string, by: string): Promise<boolean> {
    const { registry, nowMs } = this.#means;
    if (!await registry.revoke(node, nowMs())) return false;
    const text = `${by} revoked ${node}`;
    await registry.events.append({
      atMs: nowMs(),
      node,
      source: "security",
      kind: "revoked",
      subject: by,
      text,
    });
    await registry.wake(node);
    return true;
  }

  counters(): Readonly<Record<string, number>> {
    return { connections: this.#sessions.size, ...Object.fromEntries([...this.#counters].sort()) };
  }

  close(): void {
    this.#asleep();
  }

  #live(session: Session): void {
    this.#openings.delete(session);
    if (session.node === null) return;
    const before = this.#sessions.get(session.node);
    this.#sessions.set(session.node, session);
    before?.wake(); // it finds that it was replaced
  }

  #news(news: FleetNews): void {
    if (news.kind === "progress") this.#keepProgress(`${news.node} ${news.command}`, news);
    if (news.kind === "result") this.#ended(news.command);
    for (const hear of [...this.#hearers]) hear(news);
  }

  #ended({ node, number, kind, result }: CommandRecord): void {
    this.#progress.delete(`${node} ${number}`);
    if (result === null) return;
    const text = `command ${number}, ${kind}, ended: ${result.outcome}, ${result.text}`;
    const entry = { atMs: result.atMs, node, source: "fleet", kind: "result", subject: kind, text };
    void this.#append(entry);
  }

  #keepProgress(key: string, { percent, text }: Progress): void {
    this.#progress.delete(key);
    this.#progress.set(key, { percent, text });
    if (this.#progress.size <= PROGRESS_MAX) return;
    const oldest = this.#progress.keys().next();
    if (!oldest.done) this.#progress.delete(oldest.value);
  }

  #count(what: string): void {
    this.#counters.set(what, (this.#counters.get(what) ?? 0) + 1);
  }

  #refused(
    { code, text, node, address }: { code: string; text: string; node: string | null; address: string },
  ): void {
    const { nowMs, say } = this.#means, now = nowMs();
    if (now - this.#toldMs > STRANGERS_EVERY_MS) [this.#toldMs, this.#told] = [now, 0];
    // Strangers must not fill the log; what is not told is counted all the same.
    if (++this.#told > STRANGERS_TOLD_MAX) return this.#count("refusals_not_told");
    const said = `refused ${address} (${code}): ${text}`;
    say("warn", said);
    void this.#append({
      atMs: now,
      node,
      source: "security",
      kind: "refused",
      subject: code,
      text: said.slice(0, 1000),
    });
  }

  async #append(entry: Parameters<Registry["events"]["append"]>[0]): Promise<void> {
    try {
      await this.#means.registry.events.append(entry);
    } catch (error) {
      this.#means.say("error", `Cannot keep an event: ${reasonOf(error)}`);
    }
  }
}
