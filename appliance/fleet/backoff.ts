/**
 * Duty: when an agent tries again. Pure: chance comes in as a number from 0 to 1.
 *
 * Full jitter: a wait is drawn from nothing up to a bound that doubles with each failure. A thousand agents whose
 * controller restarts come back spread over seconds, not in step.
 */
export interface Backoff {
  readonly firstMs: number;
  readonly mostMs: number;
}

export const RETRY: Backoff = { firstMs: 4000, mostMs: 300_000 };
const LEAST_MS = 200;

/** How long to wait after so many failures in a row, the first being 1. */
export function waitMs(failures: number, random: number, { firstMs, mostMs }: Backoff = RETRY): number {
  const bound = Math.min(mostMs, firstMs * 2 ** Math.min(30, Math.max(0, failures - 1)));
  return Math.round(LEAST_MS + random * Math.max(0, bound - LEAST_MS));
}
