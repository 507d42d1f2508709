/**
 * The sockets that switches come to: one for all switches with the same address, opened again when it could not be.
 *
 * Who comes by is told apart elsewhere (externals.ts); here only that somebody can come.
 */
import type { LinkEvents, Listener, Network } from "../drivers/openflow/link.ts";
import { addressText } from "../drivers/openflow/where.ts";
import { listenKey, type SwitchSettings } from "./failover/external/settings.ts";

export interface ListenersOptions {
  readonly network: Network;
  readonly nowMs: () => number;
  readonly events: (key: string) => LinkEvents;
  /** Why switches of this key cannot come. */
  readonly trouble: (key: string, reason: string) => void;
}

const RETRY_MS = 8000;

export class Listeners {
  readonly #options: ListenersOptions;
  #wanted = new Map<string, SwitchSettings>();
  readonly #open = new Map<string, Listener>();
  /** Those that hear nobody, and since when. */
  readonly #deafMs = new Map<string, number>();

  constructor(options: ListenersOptions) {
    this.#options = options;
  }

  /** Opens and closes until there is one for each key. */
  keep(switches: readonly SwitchSettings[]): void {
    const listening = switches.filter(({ by }) => by === "listen");
    this.#wanted = new Map(listening.map((settings) => [listenKey(settings), settings]));
    for (const key of [...this.#open.keys()]) if (!this.#wanted.has(key)) this.#close(key);
    for (const [key, settings] of this.#wanted) if (!this.#open.has(key)) this.#listen(key, settings);
  }

  /** What was in the way of a listener may have gone. */
  tick(): void {
    for (const [key, sinceMs] of [...this.#deafMs]) {
      const settings = this.#wanted.get(key);
      if (settings === undefined || this.#options.nowMs() - sinceMs < RETRY_MS) continue;
      this.#close(key);
      this.#listen(key, settings);
    }
  }

  close(): void {
    this.keep([]);
  }

  #close(key: string): void {
    this.#open.get(key)?.close();
    this.#open.delete(key);
    this.#deafMs.delete(key);
  }

  #listen(key: string, settings: SwitchSettings): void {
    const { network, nowMs, events, trouble } = this.#options;
    const turnedAway = (reason: string) => {
      const proof = `its certificate has to be one of version 3 signed by ${settings.tls?.ca ?? "nobody"}`;
      trouble(key, `a switch was turned away: ${proof} (${reason})`);
    };
    const deaf = (reason: string) => {
      if (!this.#open.has(key)) return;
      this.#deafMs.set(key, nowMs());
      trouble(key, `Cannot listen on ${addressText(settings.address)}: ${reason}`);
    };
    this.#open.set(key, network.listen(settings, { ...events(key), turnedAway, deaf }));
  }
}
