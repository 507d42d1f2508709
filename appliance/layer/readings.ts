/**
 * Duty: what the destination was given already, so that under the hold only what changed since is carried. Pure.
 *
 * A record that is read again with the version that was put need not be put again, if it cannot have run out meanwhile: a
 * version says nothing of the time that is left. Bounded: what has no place here is put twice, which does no harm.
 */
import type { StateRecord } from "../../drivers/record.ts";

/** As many flows as a move may be told of. */
export const READINGS_MAX = 65_536;

interface Given {
  readonly version: number;
  readonly untilMs: number;
}

const placeOf = ({ role, key }: StateRecord) => `${role} ${key}`;

export class Readings {
  readonly #given = new Map<string, Given>();

  /** The destination has taken them, or had them. */
  given(records: readonly StateRecord[], nowMs: number): void {
    for (const record of records) {
      const place = placeOf(record), { version, ttlMs } = record;
      if (this.#given.size >= READINGS_MAX && !this.#given.has(place)) continue;
      this.#given.set(place, { version, untilMs: ttlMs === null ? Infinity : nowMs + ttlMs / 2 });
    }
  }

  /** Whether it is there as it is. */
  has(record: StateRecord, nowMs: number): boolean {
    const given = this.#given.get(placeOf(record));
    return given !== undefined && given.version === record.version && nowMs < given.untilMs;
  }

  forget(): void {
    this.#given.clear();
  }
}
