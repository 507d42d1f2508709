/**
 * Duty: an agent's side of the protocol as a state machine. Pure: no socket, no clock, no chance.
 *
 *     waiting --tick--> connecting --opened--> greeting --challenge--> proving --welcome--> live
 *        ^                                                                                   |
 *        +------------------------------- closed, refused, silence --------------------------+
 *
 * Words go in, actions come out, and the edge (agent_run.ts) carries them out. One report and one list of events are under
 * way at a time, so a slow controller costs no memory here.
 */
import { type Backoff, RETRY, waitMs } from "./backoff.ts";
import { changed } from "./delta.ts";
import type { FleetEvent, Message, Report } from "./messages.ts";
import { type AgentMessage, agree, type ControllerMessage, proofText, VERSIONS } from "./protocol.ts";

export type AgentAction =
  | { readonly do: "connect" }
  | { readonly do: "send"; readonly message: AgentMessage }
  /** To be answered by `signed`. */
  | { readonly do: "sign"; readonly text: string }
  | { readonly do: "close"; readonly reason: string }
  | { readonly do: "enrolled"; readonly node: string; readonly fleet: string }
  | { readonly do: "command"; readonly command: Message<"command"> }
  | { readonly do: "settled"; readonly commands: readonly number[] }
  | { readonly do: "rotated"; readonly key: string }
  | { readonly do: "held"; readonly command: number; readonly bytes: number }
  | { readonly do: "refused"; readonly code: string }
  | { readonly do: "tell"; readonly level: "info" | "warn"; readonly text: string };

export type AgentPhase = "waiting" | "connecting" | "greeting" | "proving" | "live";

export interface AgentOptions {
  readonly name: string;
  readonly key: string;
  /** The fleet that it enrolled with; null: not yet. */
  readonly fleet: string | null;
  /** To enrol with; null: it has. */
  readonly token: string | null;
  /** 0 to 1. */
  readonly random: () => number;
  /** @default those of the protocol */
  readonly versions?: readonly number[];
  readonly backoff?: Backoff;
}

export interface AgentView {
  readonly phase: AgentPhase;
  readonly node: string | null;
  readonly fleet: string | null;
  readonly sinceMs: number;
  /** When it tries again; null: it is under way. */
  readonly retryMs: number | null;
  readonly failures: number;
  /** Why the last connection ended; empty: none has. */
  readonly reason: string;
  readonly version: number | null;
}

/** Of each step; longer than the edge waits for a connection (link.ts). */
const OPENING_MS = 60_000;
/** A connection that held for so long was a good one. */
const GOOD_MS = 60_000;
const SILENT_BEATS = 2.5;
/** Where trying again soon cannot help. */
const PATIENCE_MS: Readonly<Record<string, number>> = {
  revoked: 3600_000,
  unknown: 600_000,
  token: 600_000,
  version: 600_000,
};

interface Sent {
  readonly sequence: number;
  readonly report: Report;
}

export class AgentMachine {
  #options: AgentOptions;
  #phase: AgentPhase = "waiting";
  #sinceMs: number;
  #retryMs: number;
  #failures = 0;
  #reason = "";
  #heardMs = 0;
  #heartbeatMs = 60_000;
  #node: string | null = null;
  #version: number | null = null;
  #nonce = "";
  #certificate = "";
  #challenge: Message<"challenge"> | null = null;
  #latest: Report | null = null;
  #known: Sent | null = null;
  #flying: Sent | null = null;
  #sequence = 0;
  #event: number | null = null;
  #eventsFlying = false;
  readonly #results = new Map<number, Message<"result">>();
  /** What the controller asked for when it refused. */
  #patienceMs = 0;

  constructor(options: AgentOptions, nowMs: number) {
    this.#options = options;
    this.#sinceMs = this.#retryMs = nowMs;
  }

  get view(): AgentView {
    return {
      phase: this.#phase,
      node: this.#node,
      fleet: this.#options.fleet,
      sinceMs: this.#sinceMs,
      retryMs: this.#phase === "waiting" ? this.#retryMs : null,
      failures: this.#failures,
      reason: this.#reason,
      version: this.#version,
    };
  }

  /** Events above this sequence are wanted now; null: none are. */
  get eventsAfter(): number | null {
    return this.#phase === "live" && !this.#eventsFlying ? this.#event : null;
  }

  tick(nowMs: number): AgentAction[] {
    if (this.#phase === "waiting") {
      // A clock that was set back must not keep it waiting.
      const due = nowMs >= this.#retryMs || nowMs < this.#sinceMs;
      if (!due) return [];
      this.#enter("connecting", nowMs);
      return [{ do: "connect" }];
    }
    if (this.#phase === "live") {
      if (nowMs - this.#sinceMs > GOOD_MS) this.#failures = 0;
      const silent = nowMs - this.#heardMs > SILENT_BEATS * this.#heartbeatMs;
      return silent ? [{ do: "close", reason: "the controller is silent" }] : [];
    }
    return nowMs - this.#sinceMs > OPENING_MS
      ? [{ do: "close", reason: `the controller did not answer (${this.#phase})` }]
      : [];
  }

  /** The connection stands, with the certificate seen. `nonce`: fresh. */
  opened(certificate: string, nonce: string, nowMs: number): AgentAction[] {
    this.#enter("greeting", nowMs);
    [this.#certificate, this.#nonce] = [certificate, nonce];
    const { key, name, token, versions = VERSIONS } = this.#options;
    return [send({ type: "hello", versions, key, nonce, name, enrol: token !== null })];
  }

  signed(signature: string): AgentAction[] {
    if (this.#phase !== "proving") return [];
    return [send({ type: "proof", signature, token: this.#options.token })];
  }

  /** Anything came, if only a ping. */
  alive(nowMs: number): void {
    this.#heardMs = nowMs;
  }

  heard(message: ControllerMessage, nowMs: number): AgentAction[] {
    this.alive(nowMs);
    switch (message.type) {
      case "challenge":
        return this.#phase === "greeting" ? this.#challenged(message, nowMs) : this.#misplaced(message);
      case "welcome":
        return this.#phase === "proving" ? this.#welcomed(message, nowMs) : this.#misplaced(message);
      case "refused":
        return this.#turnedAway(message, nowMs);
    }
    if (this.#phase !== "live") return this.#misplaced(message);
    switch (message.type) {
      case "noted":
        return this.#noted(message);
      case "command":
        return [{ do: "command", command: message }];
      case "held":
        return [{ do: "held", command: message.command, bytes: message.bytes }];
      case "rotated":
        this.#options = { ...this.#options, key: message.key };
        return [{ do: "rotated", key: message.key }];
    }
  }

  closed(reason: string, nowMs: number): AgentAction[] {
    const before = this.#phase;
    if (before === "waiting") return [];
    this.#failures++;
    const random = this.#options.random();
    const wait = waitMs(this.#failures, random, this.#options.backoff ?? RETRY);
    this.#retryMs = nowMs + Math.max(this.#patienceMs * (1 + random / 2), wait);
    this.#patienceMs = 0;
    const same = reason === this.#reason;
    this.#reason = reason;
    this.#enter("waiting", nowMs);
    this.#flying = this.#challenge = null;
    this.#eventsFlying = false;
    return same ? [] : [{ do: "tell", level: "warn", text: `the controller is not there: ${reason}` }];
  }

  /** What the node is now. */
  report(report: Report): AgentAction[] {
    this.#latest = report;
    return this.#phase === "live" ? this.#reports() : [];
  }

  /** What `eventsAfter` asked for; oldest first. */
  events(list: readonly FleetEvent[]): AgentAction[] {
    if (this.eventsAfter === null || list.length === 0) return [];
    this.#eventsFlying = true;
    return [send({ type: "events", list })];
  }

  /** A result is sent until the controller has noted it. */
  result(result: Message<"result">): AgentAction[] {
    this.#results.set(result.command, result);
    return this.#phase === "live" ? [send(result)] : [];
  }

  progress(command: number, text: string, percent: number | null): AgentAction[] {
    return this.#phase === "live" ? [send({ type: "progress", command, percent, text })] : [];
  }

  rotate(key: string, signature: string): AgentAction[] {
    return this.#phase === "live" ? [send({ type: "rotate", key, signature })] : [];
  }

  /** There are other settings: what failed before says nothing of them. */
  hurry(nowMs: number): void {
    this.#failures = 0;
    this.#retryMs = nowMs;
  }

  /** Another key is tried, after a short wait: the controller did not know the one before. */
  useKey(key: string, nowMs: number): void {
    this.#options = { ...this.#options, key };
    this.#retryMs = nowMs + waitMs(this.#failures, this.#options.random(), this.#options.backoff ?? RETRY);
  }

  #enter(phase: AgentPhase, nowMs: number): void {
    [this.#phase, this.#sinceMs] = [phase, nowMs];
  }

  #misplaced({ type }: ControllerMessage): AgentAction[] {
    return [{ do: "close", reason: `"${type}" came out of turn (${this.#phase})` }];
  }

  #challenged(message: Message<"challenge">, nowMs: number): AgentAction[] {
    const { versions = VERSIONS, fleet, key, token } = this.#options;
    if (agree(versions, message.versions) !== message.version) {
      const reason = `version ${message.version} was chosen of ${message.versions.join(", ")}; this agent ` +
        `has ${versions.join(", ")}`;
      return [{ do: "close", reason }];
    }
    if (fleet !== null && message.fleet !== fleet) {
      const reason = `it is of fleet ${message.fleet}, this node enrolled with ${fleet}`;
      return [{ do: "close", reason }];
    }
    this.#enter("proving", nowMs);
    this.#challenge = message;
    this.#version = message.version;
    const text = proofText({
      offered: versions,
      accepted: message.versions,
      version: message.version,
      fleet: message.fleet,
      key,
      agentNonce: this.#nonce,
      controllerNonce: message.nonce,
      certificate: this.#certificate,
      token: token ?? "",
    });
    return [{ do: "sign", text }];
  }

  #welcomed(message: Message<"welcome">, nowMs: number): AgentAction[] {
    this.#enter("live", nowMs);
    this.#reason = "";
    this.#node = message.node;
    this.#heartbeatMs = message.heartbeatS * 1000;
    this.#event = message.event;
    if (this.#known?.sequence !== message.report) this.#known = null;
    this.#sequence = Math.max(this.#sequence, message.report);
    const fleet = this.#challenge?.fleet ?? "";
    const fresh = this.#options.fleet === null;
    if (fresh) this.#options = { ...this.#options, fleet, token: null };
    return [
      ...(fresh ? [{ do: "enrolled", node: message.node, fleet } as const] : []),
      { do: "tell", level: "info", text: `connected to the controller as ${message.node}` },
      ...[...this.#results.values()].map(send),
      ...this.#reports(),
    ];
  }

  #turnedAway({ code, text, retryS }: Message<"refused">, nowMs: number): AgentAction[] {
    this.#patienceMs = retryS === null ? PATIENCE_MS[code] ?? 0 : retryS * 1000;
    // Closed here and not by the edge alone: the reason is the controller's own.
    const actions = this.closed(`refused (${code}): ${text}`, nowMs);
    return [...actions, { do: "refused", code }, { do: "close", reason: text }];
  }

  #noted({ report, event, results, whole }: Message<"noted">): AgentAction[] {
    if (report !== null && report === this.#flying?.sequence) {
      this.#known = this.#flying;
      this.#flying = null;
    }
    if (whole) this.#known = this.#flying = null;
    if (event !== null) {
      this.#event = Math.max(this.#event ?? 0, event);
      this.#eventsFlying = false;
    }
    const settled = results.filter((command) => this.#results.delete(command));
    return [
      ...(settled.length > 0 ? [{ do: "settled", commands: settled } as const] : []),
      ...this.#reports(),
    ];
  }

  /** The next report, if there is something new and none is under way. */
  #reports(): AgentAction[] {
    if (this.#latest === null || this.#flying !== null) return [];
    const delta = changed(this.#known?.report ?? null, this.#latest);
    if (Object.keys(delta).length === 0) return [];
    const base = this.#version === 1 ? null : this.#known?.sequence ?? null;
    const sections = base === null ? this.#latest : delta;
    this.#flying = { sequence: ++this.#sequence, report: this.#latest };
    return [send({ type: "report", sequence: this.#sequence, base, sections })];
  }
}

function send(message: AgentMessage): AgentAction {
  return { do: "send", message };
}
