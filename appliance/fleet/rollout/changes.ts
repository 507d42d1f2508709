/**
 * Duty: which nodes have changed, for those who look now and then and do not want to look at all of them. Pure.
 *
 * Bounded: who comes too seldom is told to look at all.
 */

/** `ids`: since the mark that was given; null: all may have. `mark`: for the next time. */
export interface Changed {
  readonly ids: Iterable<string> | null;
  readonly mark: number;
}

/** Of every mark: nothing is known yet. */
export const NO_MARK = -1;
const KEPT = 200_000;

export class Changes {
  #ids: string[] = [];
  #dropped = 0;

  note(id: string): void {
    this.#ids.push(id);
    if (this.#ids.length <= KEPT) return;
    this.#ids = this.#ids.slice(KEPT / 2);
    this.#dropped += KEPT / 2;
  }

  since(mark: number): Changed {
    const now = this.#dropped + this.#ids.length;
    return { ids: mark < this.#dropped ? null : new Set(this.#ids.slice(mark - this.#dropped)), mark: now };
  }
}
