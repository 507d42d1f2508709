/**
 * Sessions: who has logged in, by the digest of the cookie.
 *
 * Pure: time, secrets and digests come in. A session ends when it was not used for half an hour, after twelve hours in
 * any case, or when its user changes. Bounded in all and by user; the one unused for longest gives way.
 */
export const IDLE_MS = 30 * 60_000;
export const LIFE_MS = 12 * 3600_000;
const SESSIONS_MAX = 256;
const USER_SESSIONS_MAX = 16;

export interface Session {
  readonly name: string;
  readonly csrf: string;
  readonly sinceMs: number;
}

export class Sessions {
  /** In the order of last use. */
  readonly #sessions = new Map<string, Session & { readonly usedMs: number }>();

  get size(): number {
    return this.#sessions.size;
  }

  begin(digest: string, { name, csrf, nowMs }: { name: string; csrf: string; nowMs: number }): void {
    const own = [...this.#sessions].filter(([, session]) => session.name === name);
    const full = own.length >= USER_SESSIONS_MAX
      ? own[0]
      : this.#sessions.size >= SESSIONS_MAX
      ? [...this.#sessions][0]
      : undefined;
    if (full !== undefined) this.#sessions.delete(full[0]);
    this.#sessions.set(digest, { name, csrf, sinceMs: nowMs, usedMs: nowMs });
  }

  /** The session of a cookie, which is thereby used; null: there is none, or it has ended. */
  use(digest: string, nowMs: number): Session | null {
    const session = this.#sessions.get(digest);
    if (session === undefined) return null;
    this.#sessions.delete(digest);
    // A clock that was set back would let it live for ever.
    if (nowMs - session.usedMs > IDLE_MS || nowMs - session.sinceMs > LIFE_MS || nowMs < session.sinceMs) {
      return null;
    }
    this.#sessions.set(digest, { ...session, usedMs: nowMs });
    return session;
  }

  end(digest: string): void {
    this.#sessions.delete(digest);
  }

  endAllOf(name: string): void {
    for (const [digest, session] of this.#sessions) {
      if (session.name === name) this.#sessions.delete(digest);
    }
  }
}
