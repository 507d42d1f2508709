/**
 * Duty: what a controller stands on: the registry of nodes, the log of events, the queue of commands. Pure types.
 *
 * One controller keeps them in a file (SQLite); several share them in Redis. Every promise is fulfilled when what it
 * is about is kept, so that a controller may die right after it.
 */
import type { CommandArguments, CommandKind } from "./kinds.ts";
import type { FleetEvent, Outcome, Report } from "./messages.ts";
import type { RolloutStore } from "./rollout/keeping.ts";

/** A node as the registry knows it. */
export interface NodeRecord {
  readonly id: string;
  /** As the node calls itself; not unique. */
  readonly name: string;
  /** Ed25519, raw, base64url. */
  readonly key: string;
  /** The controller's own, set by people; over those that the node reports. */
  readonly labels: Readonly<Record<string, string>>;
  readonly enrolledMs: number;
  readonly revokedMs: number | null;
  /** When it last connected or ended a connection; null: never. */
  readonly seenMs: number | null;
  /** The controller that it is connected to; null: to none. */
  readonly controller: string | null;
  /** Grows with each connection: who has an older one has lost the node. */
  readonly connection: number;
  /** Of the last report; 0: there is none. */
  readonly reportSequence: number;
  readonly reportMs: number | null;
  readonly report: Report | null;
}

export interface NodeQuery {
  /** Only those behind this id; nodes come by id. */
  readonly after?: string;
  /** @default 100 */
  readonly limit?: number;
  /** Part of the name or the id. */
  readonly search?: string;
  readonly connected?: boolean;
}

export interface Registry {
  /** Of the registry itself; agents remember it. */
  readonly fleet: string;
  node(id: string): Promise<NodeRecord | null>;
  byKey(key: string): Promise<NodeRecord | null>;
  /** Those of these ids that are known. */
  nodesOf(ids: readonly string[]): Promise<readonly NodeRecord[]>;
  nodes(query: NodeQuery): Promise<readonly NodeRecord[]>;
  size(): Promise<{ readonly nodes: number; readonly connected: number }>;
  /** Uses the token up and adds the node, both or neither. Returns why not as a sentence. */
  enrol(fresh: Enrolment): Promise<NodeRecord | string>;
  /** False: it is not known. Ends what the node may do, for good; its record stays. */
  revoke(id: string, nowMs: number): Promise<boolean>;
  setKey(id: string, key: string): Promise<void>;
  setLabels(id: string, labels: Readonly<Record<string, string>>): Promise<boolean>;
  /** The node has connected to this controller: returns the number of the connection, above all before. */
  connected(id: string, controller: string, nowMs: number): Promise<number>;
  /** Unless another connection has replaced this one. */
  disconnected(id: string, connection: number, nowMs: number): Promise<void>;
  /** Keeps a report, whole as it now is. False: this connection was replaced. */
  keepReport(id: string, connection: number, kept: KeptReport): Promise<boolean>;
  readonly tokens: TokenStore;
  readonly events: EventLog;
  readonly commands: CommandQueue;
  /** Says to whichever controller has this node that something about it changed: commands, revocation, another owner. */
  wake(node: string): Promise<void>;
  /** Hears that of every node, at whichever controller it was said; until it is called off. */
  awake(hear: (node: string) => void): () => void;
  /** Of a registry that several controllers write to; absent: this one is alone. */
  readonly shared?: SharedRegistry;
  /** Ends with what is under way kept. */
  close(): Promise<void>;
}

export interface SharedRegistry {
  /** Hears of what any controller has kept of nodes, until it is called off. Null: some was missed, all may have changed. */
  changes(hear: (change: Change | null) => void): () => void;
  /** Names of those that live. */
  controllers(): Promise<ReadonlySet<string>>;
  readonly rollouts: RolloutStore;
}

export interface Change {
  readonly node: string;
  /** The number of one that has ended; null: the node itself has changed. */
  readonly command: number | null;
}

export interface KeptReport {
  readonly sequence: number;
  readonly report: Report;
  readonly nowMs: number;
}

export interface Enrolment {
  readonly key: string;
  readonly name: string;
  readonly token: string;
  readonly nowMs: number;
}

/** A one-time token, without its secret. */
export interface EnrolToken {
  readonly id: string;
  /** What it is for. */
  readonly note: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdMs: number;
  readonly expiresMs: number;
  /** The node that used it up; null: nobody yet. */
  readonly usedBy: string | null;
}

export interface TokenStore {
  /** Returns the whole token, which is kept nowhere: only its digest is. */
  add(
    token: {
      readonly note: string;
      readonly labels: Readonly<Record<string, string>>;
      readonly nowMs: number;
      readonly expiresMs: number;
    },
  ): Promise<{ readonly id: string; readonly token: string }>;
  list(): Promise<readonly EnrolToken[]>;
  revoke(id: string): Promise<boolean>;
}

/** Something that happened in the fleet: of a node's own journal, or of the controller's. */
export interface FleetLogEntry {
  /** Ascending over the whole log. */
  readonly sequence: number;
  readonly atMs: number;
  /** Null: of no node. */
  readonly node: string | null;
  /** "node": told by the node. Else who: "fleet", "security", "rollout". */
  readonly source: string;
  readonly kind: string;
  readonly subject: string;
  readonly text: string;
}

export interface EventLog {
  /** Kept in order; the oldest give way beyond a bound. */
  append(entry: Omit<FleetLogEntry, "sequence">): Promise<void>;
  /** A node's own events; those known already are left out. Returns the sequence of the last one known. */
  appendOf(node: string, events: readonly FleetEvent[]): Promise<number>;
  /** Of the last event of this node that is known; 0: none. */
  last(node: string): Promise<number>;
  /** Above `after`, oldest first; or the youngest `limit` of them, oldest first, where `after` is absent. */
  read(
    query: { readonly after?: number; readonly limit: number; readonly node?: string },
  ): Promise<readonly FleetLogEntry[]>;
}

/** queued: not sent. sent: on its way, or being done. ended: there is a result. */
export type CommandState = "queued" | "sent" | "ended";

export interface CommandRecord {
  readonly node: string;
  /** Ascending by node. */
  readonly number: number;
  readonly kind: CommandKind;
  readonly arguments: Readonly<Record<string, unknown>>;
  /** Who gave it: a person, or "rollout NAME". */
  readonly by: string;
  readonly givenMs: number;
  readonly expiresMs: number;
  readonly state: CommandState;
  readonly result: CommandResult | null;
}

export interface CommandResult {
  readonly outcome: Outcome;
  readonly text: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** Of the file that came with it; null: there is none. */
  readonly bytes: number | null;
  readonly atMs: number;
}

export interface FreshCommand<K extends CommandKind = CommandKind> {
  readonly kind: K;
  readonly arguments: CommandArguments<K>;
  readonly by: string;
  readonly nowMs: number;
  readonly expiresMs: number;
  /** Given twice it is one command: the number of the first is returned. Unique by node. */
  readonly once?: string;
}

export interface CommandQueue {
  /** Returns its number. @throws Error with one sentence: the node is not known, was revoked, or has too many waiting */
  add(node: string, fresh: FreshCommand): Promise<number>;
  get(node: string, number: number): Promise<CommandRecord | null>;
  /** Those without a result, by number. */
  open(node: string): Promise<readonly CommandRecord[]>;
  /** The youngest first. */
  list(node: string, limit: number): Promise<readonly CommandRecord[]>;
  sent(node: string, numbers: readonly number[]): Promise<void>;
  /** The first result holds. False: it had one already, or there is no such command. */
  end(node: string, number: number, result: CommandResult): Promise<boolean>;
}

/** What happens while a controller runs, for who follows it (the roll-out engine, pages). */
export type FleetNews =
  | { readonly kind: "connected" | "disconnected"; readonly node: string }
  | { readonly kind: "report"; readonly node: string; readonly report: Report }
  | { readonly kind: "result"; readonly command: CommandRecord }
  | {
    readonly kind: "progress";
    readonly node: string;
    readonly command: number;
    readonly percent: number | null;
    readonly text: string;
  };

/** A running controller, as pages, API and the roll-out engine see it. */
export interface FleetControl {
  readonly name: string;
  readonly registry: Registry;
  /** Queues a command and sends it at once where the node is connected, to whichever controller. Returns its number. */
  order<K extends CommandKind>(node: string, fresh: FreshCommand<K>): Promise<number>;
  /** Calls back for everything that happens at this controller until it is called off. It must not throw. */
  follow(hear: (news: FleetNews) => void): () => void;
  /** The last word on a command that is under way here; null: none. */
  progress(node: string, command: number): { readonly percent: number | null; readonly text: string } | null;
  /** The file that came with a result; null: there is none, or it was cleared away. */
  file(node: string, command: number): Promise<ReadableStream<Uint8Array> | null>;
  /** Revokes a node, and ends its connection. False: it is not known. */
  revoke(node: string, by: string): Promise<boolean>;
  counters(): Readonly<Record<string, number>>;
}

/** What an executor of a command on a node is given. */
export interface CommandContext {
  readonly number: number;
  /** Told to the controller where it can be reached, at most some times a second. */
  progress(text: string, percent?: number): void;
  /** Sends a file to the controller, in pieces. @throws Error: the connection broke, or it is too long */
  send(content: ReadableStream<Uint8Array>): Promise<number>;
  /** When its time is over, by the node's clock. */
  readonly untilMs: number;
  /** Aborted when the agent ends. */
  readonly signal: AbortSignal;
}

export interface Executed {
  readonly outcome: "done" | "failed" | "refused";
  /** One sentence. */
  readonly text: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly bytes?: number;
}

/** Carries out one kind of command. What it throws is a failure, with the error's message as its text. */
export type Executor<K extends CommandKind> = (
  given: CommandArguments<K>,
  context: CommandContext,
) => Promise<Executed>;
/** Kinds without an executor are refused by the agent. */
export type Executors = { readonly [K in CommandKind]?: Executor<K> };
