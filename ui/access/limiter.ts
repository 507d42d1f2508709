/**
 * How often somebody may try to log in.
 *
 * Pure: `nowMs` comes in. An attempt counts as failed until it has succeeded, so a thousand at once are no way around.
 * An address waits twice as long after each further failure, up to 15 minutes. An account's wait ends at 30 s, because
 * it also keeps out the person whose account it is. Bounded: of the places that are full, the one unused for longest
 * gives way.
 */
export const FREE_TRIES = { address: 10, account: 5 } as const;
const WAIT_MS_MAX = { address: 15 * 60_000, account: 30_000 } as const;
const FORGET_MS = 3600_000;
const PLACES_MAX = 4096;

interface Place {
  failures: number;
  /** No attempt before. */
  untilMs: number;
  lastMs: number;
}

type Kind = keyof typeof FREE_TRIES;

export class LoginLimiter {
  readonly #places = new Map<string, Place>();

  get size(): number {
    return this.#places.size;
  }

  /** Note an attempt. Returns 0 if it may be made, else how long to wait; then it does not count. */
  attempt(who: { address: string; account: string }, nowMs: number): number {
    const keys = keysOf(who);
    const waitMs = Math.max(...keys.map(([, key]) => (this.#places.get(key)?.untilMs ?? 0) - nowMs));
    if (waitMs > 0) return waitMs;
    for (const [kind, key] of keys) this.#failed(kind, key, nowMs);
    return 0;
  }

  /** The attempt was a good one. */
  succeeded(who: { address: string; account: string }): void {
    for (const [kind, key] of keysOf(who)) {
      const place = this.#places.get(key);
      if (place === undefined) continue;
      // One good account must not clear an address for guesses at others.
      place.failures = kind === "account" ? 0 : Math.max(0, place.failures - 1);
      place.untilMs = 0;
    }
  }

  #failed(kind: Kind, key: string, nowMs: number): void {
    const before = this.#places.get(key);
    const fresh = before === undefined || nowMs - before.lastMs > FORGET_MS || nowMs < before.lastMs;
    const failures = (fresh ? 0 : before.failures) + 1;
    const over = failures - FREE_TRIES[kind];
    const waitMs = over < 0 ? 0 : Math.min(1000 * 2 ** over, WAIT_MS_MAX[kind]);
    this.#places.delete(key); // so that the order is that of last use
    this.#places.set(key, { failures, untilMs: nowMs + waitMs, lastMs: nowMs });
    if (this.#places.size <= PLACES_MAX) return;
    const oldest = this.#places.keys().next();
    if (!oldest.done) this.#places.delete(oldest.value);
  }
}

function keysOf({ address, account }: { address: string; account: string }): [Kind, string][] {
  return [["address", `address ${network(address)}`], ["account", `account ${account}`]];
}

/** Of IPv6 the first 64 bits: one person has all the rest. */
export function network(address: string): string {
  if (!address.includes(":") || address.startsWith("::ffff:")) return address.replace("::ffff:", "");
  const [head = "", tail = ""] = address.split("::");
  const left = head === "" ? [] : head.split(":"), right = tail === "" ? [] : tail.split(":");
  const zeros = address.includes("::") ? Math.max(0, 8 - left.length - right.length) : 0;
  return [...left, ...Array<string>(zeros).fill("0"), ...right].slice(0, 4).join(":");
}
