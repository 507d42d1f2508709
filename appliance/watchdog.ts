/**
 * Duty: whether the machine's watchdog is fed: only while every plane makes progress.
 *
 * Pure. Looks are counted, not time: a machine that was halted as a whole wakes up with old beats and nothing wrong. A
 * plane that stands is ended first, for another one is up within a second; only where that does not help the feeding ends,
 * and the machine starts again. A plane that is not there has longer, because control is at work on it, and a person may be.
 *
 *   beats ---> fed          stands 10 looks ---> ended ---> stands 20 more ---> starved
 *                           absent 300 looks ----------------------------------> starved
 */
export interface PlaneLook {
  readonly state: "starting" | "running" | "stopped" | "failed" | "absent";
  /** 0: unknown. */
  readonly pid: number;
  /** Age of its last beat, milliseconds. */
  readonly freshMs: number;
}

/** One look every so often, milliseconds. */
export const LOOK_MS = 1000;
/** A plane beats many times a second. */
const FRESH_MS_MAX = 900;
const STANDS_LOOKS = 10;
const STARVE_LOOKS = 30;
const ABSENT_LOOKS = 300;

export type Verdict =
  | { readonly kind: "feed" }
  /** Fed, and this process is to be ended. */
  | { readonly kind: "end"; readonly pid: number }
  | { readonly kind: "starve"; readonly reason: string };

const FEED: Verdict = { kind: "feed" };

/** Of one plane. */
export class Progress {
  #standing = 0;
  #absent = 0;

  /** Called once in LOOK_MS. */
  judge({ state, pid, freshMs }: PlaneLook): Verdict {
    if (state === "running" && freshMs <= FRESH_MS_MAX) {
      this.#standing = this.#absent = 0;
      return FEED;
    }
    if (state !== "running") {
      this.#absent++;
      if (this.#absent < ABSENT_LOOKS) return FEED;
      return { kind: "starve", reason: `no plane runs for ${this.#absent} s: it is ${state}` };
    }
    this.#standing++;
    if (this.#standing === STANDS_LOOKS && pid > 0) return { kind: "end", pid };
    if (this.#standing < STARVE_LOOKS) return FEED;
    return { kind: "starve", reason: `the plane stands for ${this.#standing} s` };
  }
}

/** How long systemd waits for the feed, milliseconds; null: it does not. sd_watchdog_enabled(3). */
export function watchdogMs(environment: (name: string) => string | undefined, pid: number): number | null {
  const us = Number(environment("WATCHDOG_USEC"));
  const meant = environment("WATCHDOG_PID");
  if (!Number.isFinite(us) || us <= 0 || environment("NOTIFY_SOCKET") === undefined) return null;
  return meant !== undefined && Number(meant) !== pid ? null : us / 1000;
}
