/**
 * How the machine kept the gate from running, by the test that ran meanwhile.
 *
 * A lab stands on clocks: a machine that does not run its processes for a while tests itself. What is known of that
 * tells a fault of ours from one of the machine. Three things tell: a timer that comes late, processors that the host took
 * for others (steal), and those that a quota withheld (throttling). The pressure of the kernel (/proc/pressure/cpu) does not:
 * it says that tasks wait for a processor, and those of a lab wait for each other. The core is pure; `watchMachine` has the
 * timers.
 */
import { type NamedTest, Printed, type Verdict } from "./printed.ts";

const LOOK_MS = 5;
/** Shorter ones are usual on a machine whose processors are all in use. */
const PAUSE_MS_MIN = 20;
/** So often is looked at what host and quota took. */
const TAKEN_EVERY_MS = 100;
/** Between two looks, of all processors. Four ticks of the kernel's clock: one or two come on a busy machine all the time. */
const TAKEN_MS_MIN = 40;

/** At its worst, each of them. Milliseconds. */
export interface Disturbance {
  /** Nothing of ours ran for so long. */
  readonly pausedMs: number;
  /** The host ran others in our place, within a tenth of a second. */
  readonly stolenMs: number;
  /** A quota withheld, within a tenth of a second. */
  readonly throttledMs: number;
}

const NONE: Disturbance = { pausedMs: 0, stolenMs: 0, throttledMs: 0 };

/** Was the machine itself kept from its work? */
export function isDisturbed({ pausedMs, stolenMs, throttledMs }: Disturbance): boolean {
  return pausedMs >= PAUSE_MS_MIN || stolenMs >= TAKEN_MS_MIN || throttledMs >= TAKEN_MS_MIN;
}

/** For the line of a test. */
export function disturbanceText({ pausedMs, stolenMs, throttledMs }: Disturbance): string {
  const ms = (value: number) => `${value.toFixed(0)} ms`;
  return [
    `the machine stood still for ${ms(pausedMs)} at the longest`,
    ...(stolenMs > 0 ? [`the host took ${ms(stolenMs)} of 100 ms at most`] : []),
    ...(throttledMs > 0 ? [`a quota withheld ${ms(throttledMs)} of 100 ms at most`] : []),
  ].join(", ");
}

export interface EndedTest extends NamedTest {
  readonly verdict: Verdict;
  readonly disturbance: Disturbance;
}

/** What was measured while a group ran. */
export class Pauses {
  readonly #ended: EndedTest[] = [];
  readonly #printed: Printed;
  /** Of the test that runs; null: none does. */
  #now: Disturbance | null = null;

  constructor() {
    this.#printed = new Printed({
      began: () => this.#now = NONE,
      ended: (test, verdict) => {
        this.#ended.push({ ...test, verdict, disturbance: this.#now ?? NONE });
        this.#now = null;
      },
    });
  }

  /** What `deno test` printed next. */
  printed(text: string): void {
    this.#printed.add(text);
  }

  /** Each is the worst of its kind from here on. */
  note(more: Partial<Disturbance>): void {
    if (this.#now === null) return;
    const { pausedMs, stolenMs, throttledMs } = { ...NONE, ...more };
    this.#now = {
      pausedMs: Math.max(pausedMs, this.#now.pausedMs),
      stolenMs: Math.max(stolenMs, this.#now.stolenMs),
      throttledMs: Math.max(throttledMs, this.#now.throttledMs),
    };
  }

  /** Those that failed, in their order; the file is the one that was run, wherever the test was written. */
  get failed(): readonly EndedTest[] {
    return this.#ended.filter(({ verdict }) => verdict === "FAILED");
  }
}

/** Milliseconds since some start. */
interface Taken {
  readonly stolenMs: number;
  readonly throttledMs: number;
}

const MS_PER_TICK = 10; // USER_HZ, 100 everywhere
const STOLEN_FIELD = 8;

/** `stat`: of /proc/stat. `quota`: of a cgroup's cpu.stat, either version; empty: there is none. */
export function readTaken(stat: string, quota: string): Taken {
  const ticks = Number(stat.split("\n")[0]?.split(/\s+/)[STOLEN_FIELD] ?? 0);
  const us = /^throttled_usec (\d+)$/m.exec(quota)?.[1], ns = /^throttled_time (\d+)$/m.exec(quota)?.[1];
  const throttledMs = us === undefined ? Number(ns ?? 0) / 1e6 : Number(us) / 1e3;
  return { stolenMs: ticks * MS_PER_TICK, throttledMs };
}

const QUOTAS = ["/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpu/cpu.stat"];

function textOf(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return ""; // a kernel without it tells nothing
  }
}

function lookTaken(): Taken {
  return readTaken(textOf("/proc/stat"), QUOTAS.map(textOf).find((text) => text !== "") ?? "");
}

/** Measures until the end of its scope. */
export function watchMachine(pauses: Pauses): Disposable {
  let last = performance.now(), taken = lookTaken();
  const late = setInterval(() => {
    const now = performance.now();
    pauses.note({ pausedMs: now - last - LOOK_MS });
    last = now;
  }, LOOK_MS);
  const looks = setInterval(() => {
    const now = lookTaken();
    pauses.note({
      stolenMs: now.stolenMs - taken.stolenMs,
      throttledMs: now.throttledMs - taken.throttledMs,
    });
    taken = now;
  }, TAKEN_EVERY_MS);
  return {
    [Symbol.dispose]: () => {
      clearInterval(late);
      clearInterval(looks);
    },
  };
}
