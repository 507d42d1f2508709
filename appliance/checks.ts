/**
 * Control's checks: asks the boxes themselves whether they are there, each check at its own pace.
 *
 * A check that hangs is given up at its timeout and not asked again before its question has ended, so none waits for
 * another and none piles up. A ticker watches how late control itself is run; what a late control has missed is no evidence
 * (failover/check.ts).
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Native } from "../filter/dpdk.ts";
import type { CheckConfig } from "./config.ts";
import { askHttp } from "./check_http.ts";
import {
  type BoxChecks,
  CHECK_START,
  type CheckState,
  type Fault,
  FAULT_TEXT,
  lightNow,
  noteOutcome,
  worstOf,
} from "./failover/check.ts";
import type { Box, CheckView } from "./view.ts";

const TICK_MS = 10;
/** Beyond its timeout, before a question that does not end is left alone. */
const GRACE_MS = 100;

const ERRNO: Readonly<Record<number, Fault>> = {
  0: "none",
  1: "not_permitted",
  13: "not_permitted",
  19: "device",
  101: "unreachable",
  104: "reset",
  110: "timeout",
  111: "refused",
  112: "unreachable",
  113: "unreachable",
};

interface Running {
  readonly config: CheckConfig;
  readonly stop: AbortController;
  state: CheckState;
  /** Worst lateness of control since the present question was asked. */
  lateMs: number;
  /** A question that has not ended yet. */
  hanging: boolean;
}

export interface ChecksOptions {
  readonly reach: Native["reach"];
  /** Called when a check's light changes, with one sentence. */
  readonly tell: (text: string, light: CheckState["light"]) => void;
}

export class Checks {
  readonly #options: ChecksOptions;
  #running: Running[] = [];
  #ticker: ReturnType<typeof setInterval> | undefined;
  #dueMs = 0;

  constructor(options: ChecksOptions) {
    this.#options = options;
  }

  /** Run these from now on. Those that stay as they were keep what they know. */
  configure(configs: readonly CheckConfig[]): void {
    const same = (config: CheckConfig) => (one: Running) =>
      JSON.stringify(one.config) === JSON.stringify(config);
    const before = this.#running;
    this.#running = configs.map((config) => before.find(same(config)) ?? this.#start(config));
    for (const one of before) if (!this.#running.includes(one)) one.stop.abort();
    if (this.#running.length === 0) return this.#stopTicker();
    if (this.#ticker !== undefined) return;
    this.#dueMs = performance.now() + TICK_MS;
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
  }

  close(): void {
    this.configure([]);
  }

  #stopTicker(): void {
    clearInterval(this.#ticker);
    this.#ticker = undefined;
  }

  #tick(): void {
    this.#noteLate();
    this.#dueMs = performance.now() + TICK_MS;
  }

  #noteLate(): void {
    const lateMs = Math.max(0, performance.now() - this.#dueMs);
    for (const one of this.#running) one.lateMs = Math.max(one.lateMs, lateMs);
  }

  #start(config: CheckConfig): Running {
    const one: Running = {
      config,
      stop: new AbortController(),
      state: CHECK_START,
      lateMs: 0,
      hanging: false,
    };
    void this.#run(one);
    return one;
  }

  async #run(one: Running): Promise<void> {
    const { signal } = one.stop;
    const { intervalMs } = one.config;
    while (!signal.aborted) {
      const startMs = performance.now();
      one.lateMs = 0;
      const fault = await this.#askInTime(one);
      this.#noteLate();
      if (signal.aborted) return;
      this.#note(one, fault);
      const restMs = Math.max(0, intervalMs - (performance.now() - startMs));
      await delay(restMs, undefined, { signal }).catch(() => {});
    }
  }

  /** The answer, or a timeout if the question does not end. */
  async #askInTime(one: Running): Promise<Fault> {
    const late = delay(one.config.timeoutMs + GRACE_MS, "timeout" as const);
    if (one.hanging) return await late;
    one.hanging = true;
    const asked = this.#ask(one.config).catch((): Fault => "other").finally(() => one.hanging = false);
    return await Promise.race([asked, late]);
  }

  async #ask(config: CheckConfig): Promise<Fault> {
    if (config.kind === "http") return await askHttp(config);
    const { kind, timeoutMs } = config;
    const code = await this.#options.reach({
      kind,
      address: config.address ?? "",
      port: config.port ?? 0,
      device: config.interface ?? "",
      timeoutMs,
    });
    return ERRNO[code] ?? "other";
  }

  #note(one: Running, fault: Fault): void {
    const before = one.state;
    one.state = noteOutcome(before, { fault, atMs: performance.now(), lateMs: one.lateMs }, one.config);
    if (one.state.light === before.light) return;
    const { name, box } = one.config;
    const why = one.state.light === "green" ? FAULT_TEXT.none : FAULT_TEXT[one.state.fault];
    this.#options.tell(
      `check ${name} of ${box} is ${one.state.light}, was ${before.light}: ${why}`,
      one.state.light,
    );
  }

  /** Of each box that has checks: what they say together, and why. */
  boxes(): ReadonlyMap<Box, BoxChecks & { readonly reason: string }> {
    const nowMs = performance.now();
    const found = new Map<Box, BoxChecks & { reason: string }>();
    for (const box of new Set(this.#running.map((one) => one.config.box))) {
      const all = this.#running.flatMap((one, index) => one.config.box === box ? [{ one, index }] : []);
      const verdict = worstOf(all.map(({ one }) => ({ light: spoken(one, nowMs), fault: one.state.fault })));
      const { one, index } = all[verdict.worst]!;
      found.set(box, { ...verdict, worst: index, reason: reasonOf(one, verdict.light) });
    }
    return found;
  }

  views(): CheckView[] {
    const nowMs = performance.now();
    return this.#running.map((one) => {
      const { config, state } = one;
      const light = spoken(one, nowMs);
      return {
        name: config.name,
        box: config.box,
        kind: config.kind,
        target: config.url ??
          (config.port === null ? config.address ?? "" : `${config.address} port ${config.port}`),
        light,
        reason: reasonOf(one, light),
        ageMs: state.seenMs === 0 ? null : Math.max(0, nowMs - state.seenMs),
        asked: state.asked,
        failed: state.failed,
        excused: state.excused,
      };
    });
  }
}

/** What it says of its box: a failure may be a mere warning. */
function spoken({ state, config }: Running, nowMs: number): CheckState["light"] {
  const light = lightNow(state, config, nowMs);
  return light === "red" && config.severity === "yellow" ? "yellow" : light;
}

function reasonOf({ config, state }: Running, light: CheckState["light"]): string {
  if (light === "off") {
    const why = state.fault === "none" ? "" : `: ${FAULT_TEXT[state.fault]}`;
    return `${config.name} knows nothing at the moment${why}`;
  }
  if (light === "green") return `${config.name}: ${FAULT_TEXT.none}`;
  return config.reason ?? `${config.name}: ${FAULT_TEXT[state.fault]}`;
}
