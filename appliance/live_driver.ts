/**
 * Duty: keeps one state driver open: opens it, lets it work, and opens it anew when it failed.
 *
 * What a driver throws ends here. It is told once for a run of failures, and once when it works again; between them it waits
 * longer each time (restarts.ts).
 */
import type { DriverContext, DriverKind, Settings, StateDriver } from "../drivers/driver.ts";
import { reasonOf } from "../drivers/reason.ts";
import type { Restarts } from "./restarts.ts";

const OPEN_MS_MAX = 30_000;
/** Working for so long shows that it works again. */
const WELL_MS = 1_000;

export type DriverState = "starting" | "running" | "waiting" | "stopped";

export interface LiveDriverOptions {
  readonly kind: DriverKind;
  readonly settings: Settings;
  readonly context: DriverContext;
  readonly restarts: Restarts;
  /** Ends early with the signal, without an error. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Until the signal; whatever it throws is the driver's failure. */
  readonly work: (driver: StateDriver, signal: AbortSignal) => Promise<void>;
  readonly tell: (event: { readonly kind: "failed" | "again"; readonly text: string }) => void;
}

export class LiveDriver {
  readonly #options: LiveDriverOptions;
  readonly #stop = new AbortController();
  #done: Promise<void> = Promise.resolve();
  #driver: StateDriver | null = null;
  #failures = 0;
  #told = false;
  state: DriverState = "stopped";
  /** Why it does not run, a sentence; empty while it does. */
  reason = "";
  sinceMs: number;

  constructor(options: LiveDriverOptions) {
    this.#options = options;
    this.sinceMs = options.context.nowMs();
  }

  /** Null while it is not open. */
  get driver(): StateDriver | null {
    return this.state === "running" ? this.#driver : null;
  }

  get failures(): number {
    return this.#failures;
  }

  start(): void {
    this.#done = this.#keep();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done;
    this.#is("stopped", "it was stopped");
  }

  #is(state: DriverState, reason: string): void {
    this.state = state;
    this.reason = reason;
    this.sinceMs = this.#options.context.nowMs();
  }

  async #keep(): Promise<void> {
    const { context, restarts, sleep } = this.#options, { signal } = this.#stop;
    while (!signal.aborted) {
      this.#is("starting", this.reason || "it is opened");
      let fault: string | null = null;
      try {
        await this.#once(signal);
        if (!signal.aborted) fault = "it has stopped by itself";
      } catch (error) {
        fault = reasonOf(error);
      }
      await this.#close();
      if (signal.aborted || fault === null) return;
      const waitMs = restarts.failed(context.nowMs());
      this.#failed(fault, waitMs);
      await sleep(waitMs, signal);
    }
  }

  async #once(signal: AbortSignal): Promise<void> {
    const { work, restarts, context } = this.#options;
    const driver = await this.#open(signal);
    if (driver === null) return;
    this.#driver = driver;
    if (signal.aborted) return;
    restarts.started(context.nowMs());
    this.#is("running", "");
    const stop = new AbortController();
    void this.#well(AbortSignal.any([signal, stop.signal]));
    try {
      await work(driver, signal);
    } finally {
      stop.abort();
    }
  }

  /** A driver that hangs while it is opened has failed; one that opens later is closed again. */
  async #open(signal: AbortSignal): Promise<StateDriver | null> {
    const { kind, settings, context, sleep } = this.#options;
    const opening = kind.open(settings, context), waited = new AbortController();
    const either = AbortSignal.any([signal, waited.signal]);
    const late = sleep(OPEN_MS_MAX, either).then(() => null);
    try {
      const driver = await Promise.race([opening, late]);
      if (driver !== null) return driver;
    } finally {
      waited.abort();
    }
    void opening.then((driver) => driver.close(), () => {});
    if (signal.aborted) return null;
    throw new Error(`it was not open after ${OPEN_MS_MAX / 1_000} s`);
  }

  async #well(signal: AbortSignal): Promise<void> {
    if (!this.#told) return;
    await this.#options.sleep(WELL_MS, signal);
    if (signal.aborted) return;
    this.#told = false;
    this.#options.tell({ kind: "again", text: `driver ${this.#options.context.name} works again` });
  }

  #failed(fault: string, waitMs: number): void {
    this.#failures++;
    this.#is("waiting", fault);
    const { context, tell } = this.#options;
    if (!this.#told) tell({ kind: "failed", text: `driver ${context.name} has failed: ${fault}` });
    else context.say("warn", `driver ${context.name} has failed again: ${fault}; next try in ${waitMs} ms`);
    this.#told = true;
  }

  async #close(): Promise<void> {
    const driver = this.#driver;
    this.#driver = null;
    try {
      await driver?.close();
    } catch (error) {
      this.#options.context.say(
        "warn",
        `Cannot close driver ${this.#options.context.name}: ${reasonOf(error)}`,
      );
    }
  }
}
