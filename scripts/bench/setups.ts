/**
 * Duty: the three set-ups that benches of failovers compare, and what clients saw with one of them. Pure.
 */
export const SETUPS = ["base", "simple", "remediate"] as const;
/** No failure; a failure and a replica that was told nothing; a failure and a replica that was told all. */
export type Setup = (typeof SETUPS)[number];
export const SETUP_TEXT: Readonly<Record<Setup, string>> = {
  base: "Base",
  simple: "Simple",
  remediate: "Remediate",
};

/** What wrk and the servers' logs tell of a run in which half way a box dies. */
export interface LoadSeen {
  readonly setup: Setup;
  readonly connections: number;
  readonly requests: number;
  readonly timeouts: number;
  /** Connections that broke. */
  readonly resets: number;
  /** Requests answered after the failure, or in the second half. */
  readonly after: number;
  /** Connections that were never answered again. */
  readonly ended: number;
  /** Longest time without any answer after it. */
  readonly gapMs: number;
}

/** All that went wrong for a client. */
export const failures = ({ timeouts, resets, ended }: LoadSeen) => timeouts + resets + ended;
