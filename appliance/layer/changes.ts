/**
 * Duty: what a source's driver tells of flows while their state moves.
 *
 * A "reprocess" event stands for one frame that changed a flow after its state was read: so many of the flow's last frames
 * the destination has to see as well. Everything else that changes is read again under the hold, so it is only counted
 * here. Bounded: a flow too many, or a gap, and the driver's word counts for nothing; then the move goes back.
 */
import type { StateDriver } from "../../drivers/driver.ts";
import { fieldsText, type HeaderFields, holds } from "../../drivers/fields.ts";

export const FLOWS_MAX = 65_536;

export class Changes {
  readonly #stop = new AbortController();
  readonly #replays = new Map<string, { readonly fields: HeaderFields; readonly frames: number }>();
  /** Why nothing told counts any more; null: it counts. */
  fault: string | null = null;
  redirects = 0;
  readonly #ended: Promise<void>;

  constructor(driver: StateDriver, private readonly fields: HeaderFields) {
    this.#ended = driver.abilities.watch ? this.#listen(driver) : Promise.resolve();
  }

  async #listen(driver: StateDriver): Promise<void> {
    try {
      for await (const event of driver.watch(this.#stop.signal)) {
        if (this.#stop.signal.aborted) return;
        if (event.kind === "reprocess" && holds(this.fields, event.fields)) this.#note(event.fields);
        if (event.kind === "redirect") this.redirects++;
        if (event.kind === "gap" && this.#replays.size > 0) {
          this.fault = `changes were missed: ${event.reason}`;
        }
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) this.fault = error instanceof Error ? error.message : String(error);
    }
  }

  #note(fields: HeaderFields): void {
    const key = fieldsText(fields), frames = (this.#replays.get(key)?.frames ?? 0) + 1;
    if (frames === 1 && this.#replays.size >= FLOWS_MAX) this.fault = `more than ${FLOWS_MAX} flows changed`;
    else this.#replays.set(key, { fields, frames });
  }

  /** The flow's state was read just now: what was told of it before is in it. */
  read(key: string): void {
    this.#replays.delete(key);
  }

  /** Flows whose last frames have to be seen again, by their text. */
  get replays(): ReadonlyMap<string, { readonly fields: HeaderFields; readonly frames: number }> {
    return this.#replays;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }
}
