/**
 * Duty: the layer of a node: its journals in the state directory, its clock, its end. An edge.
 *
 * Without drivers nothing is read or written, and every order is refused in so many words.
 */
import { setImmediate as immediate, setTimeout as delay } from "node:timers/promises";
import type { Config } from "./config.ts";
import type { Courier, DriverSet } from "./layer/contract.ts";
import { intentFile, ledgerFile } from "./layer/intents_file.ts";
import { Layer, type LayerOptions, NO_DRIVERS } from "./layer/layer.ts";
import { type MoveState, stepOf } from "./layer/move.ts";
import { stepText } from "./layer/views.ts";
import { LiveSteering, type LiveSteeringOptions } from "./live_steering.ts";
import { ledgerPath, movesPath } from "./paths.ts";
import { reasonOf } from "../drivers/reason.ts";
import type { EventView } from "./view.ts";

/** Held frames of one move: 20 ms of a million a second. */
const FRAMES_MAX = 20_000;
/** Longer than the last reading of 5,000 flows takes, shorter than what ends a connection. */
const HOLD_MS_MAX = 1000;
const ASK_MS_MAX = 30_000;
const SETTLE_MS = 20;
/** A move may keep everybody else waiting for so long. */
const BREATHE_MS = 5;

function breathing(): () => Promise<void> {
  let lastMs = performance.now();
  return async () => {
    if (performance.now() - lastMs < BREATHE_MS) return;
    await delay(0);
    lastMs = performance.now();
  };
}

/** Get, send and insert go round by batches: each step of a move is told once, and again where its reason is another. */
function news(tell: (state: MoveState) => void): (state: MoveState) => void {
  const told = new Map<string, Set<string>>();
  return (state) => {
    const { order: { id }, course, pass, broken, reason, end } = state;
    const what = [course, pass, broken, stepOf(state), reason].join(" ");
    const before = told.get(id) ?? new Set();
    if (end === null && before.has(what)) return;
    if (end === null) told.set(id, before.add(what));
    else told.delete(id);
    tell(state);
  };
}

export interface LayerParties {
  readonly drivers?: DriverSet;
  /** The plane that leads single flows. @default no rules for single flows here */
  readonly map?: LiveSteeringOptions["map"];
  /** @default in this process, as they are */
  readonly courier?: Courier;
  /** The box that serves by default. */
  readonly serving: () => string | null;
  /** Has the path lead to a box, as a planned switchover does. */
  readonly serve: LayerOptions["serve"];
  /** For the journal of the node. */
  readonly tell: (cause: "step" | "moved" | "back" | "copied", text: string) => void;
}

export class NodeLayer extends Layer {
  readonly #stop: AbortController;
  readonly #tell: LayerParties["tell"];

  constructor(config: Config, parties: LayerParties) {
    const stop = new AbortController(), { tell, drivers = NO_DRIVERS, map } = parties;
    super({
      drivers,
      steering: map === undefined
        ? null
        : new LiveSteering({ map, nowMs: Date.now, sleep: (ms) => ms === 0 ? immediate() : delay(ms) }),
      courier: parties.courier ?? { send: (_id, records) => Promise.resolve(records) },
      serving: parties.serving,
      serve: parties.serve,
      intents: intentFile(movesPath(config)),
      ledger: ledgerFile(ledgerPath(config)),
      nowMs: Date.now,
      wait: (ms, signal) => delay(ms, undefined, { signal }).catch(() => {}),
      breathe: breathing(),
      freshId: () => crypto.randomUUID().slice(0, 8),
      tell: news((state) => tell(state.end ?? "step", stepText(state))),
      say: (text) => tell("copied", text),
      stop: stop.signal,
      framesMax: FRAMES_MAX,
      holdMsMax: HOLD_MS_MAX,
      askMsMax: ASK_MS_MAX,
      settleMs: SETTLE_MS,
    });
    this.#stop = stop;
    this.#tell = tell;
  }

  /** Takes up what an earlier control left. What cannot be read is told, and refuses nothing else. */
  async begin(): Promise<void> {
    await this.recover().catch((error) => this.#tell("back", reasonOf(error)));
  }

  /** Events of the plane: boxes that died. */
  heard(events: readonly EventView[]): void {
    for (const { kind, subject, after } of events) {
      if (kind === "box" && after === "dead") this.boxDied(subject);
    }
  }

  /** Moves in the middle stay there, for the next control to bring to an end. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.idle();
  }
}
