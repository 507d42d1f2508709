/**
 * Duty: makes offers of roll-outs commands of their nodes, and tells what nodes answered. An edge, for its clock.
 *
 * An offer is a command under its own name, and a name is one command however often it is given. What the registry cannot take
 * now waits for the next turn; what it refuses is an answer.
 */
import { reasonOf } from "../../../drivers/reason.ts";
import type { CommandRecord, FleetControl } from "../contract.ts";
import { BUNDLES_PATH } from "../transfer/bundles.ts";
import type { Answer, Offer } from "./contract.ts";

export interface GiverOptions {
  readonly control: FleetControl;
  /** Besides the controller itself: "https://mirror.example/bundles"; bundles are below it by digest. */
  readonly mirrors: readonly string[];
  readonly bytesPerSecondMax: number | null;
  readonly answered: (answer: Answer) => void;
}

/** Given together: a registry keeps many as fast as one. */
const TOGETHER = 250;
const SOURCES_MAX = 8;

export class Giver {
  readonly #options: GiverOptions;
  readonly #waiting = new Map<string, Offer>();
  /** Commands under way, by node and number. */
  readonly #given = new Map<string, Offer>();

  constructor(options: GiverOptions) {
    this.#options = options;
  }

  isAwaited(node: string, number: number): boolean {
    return this.#given.has(`${node} ${number}`);
  }

  add(offers: Iterable<Offer>): void {
    for (const offer of offers) this.#waiting.set(offer.id, offer);
  }

  /** Another controller leads now: it gives them. */
  clear(): void {
    this.#waiting.clear();
    this.#given.clear();
  }

  /** All that wait, as long as `may`. @throws Error: the registry cannot be used; those that wait stay */
  async give(may: () => boolean): Promise<void> {
    const offers = [...this.#waiting.values()];
    for (let at = 0; at < offers.length && may(); at += TOGETHER) {
      const some = await Promise.allSettled(
        offers.slice(at, at + TOGETHER).map((offer) => this.#give(offer)),
      );
      const failed = some.find(({ status }) => status === "rejected");
      if (failed?.status === "rejected") throw failed.reason;
    }
  }

  /** That a restart was interrupted is what a restart does. */
  ended({ node, number, kind, result }: CommandRecord): void {
    const key = `${node} ${number}`, offer = this.#given.get(key);
    if (offer === undefined || result === null) return;
    this.#given.delete(key);
    const isRestart = kind === "update.restart" && result.outcome === "interrupted";
    this.#options.answered({
      id: offer.id,
      ok: result.outcome === "done" || isRestart,
      reason: result.text,
    });
  }

  async #give(offer: Offer): Promise<void> {
    const { registry } = this.#options.control, { id, node } = offer;
    try {
      const number = await this.#order(offer);
      this.#given.set(`${node} ${number}`, offer);
      // Given before this controller started, it may have ended long ago.
      const known = await registry.commands.get(node, number);
      if (known?.result) this.ended(known);
    } catch (error) {
      // Its own words where it refuses one; all else is not the node's.
      if (!/^Cannot give/.test(reasonOf(error))) throw error;
      this.#options.answered({ id, ok: false, reason: reasonOf(error) });
    }
    this.#waiting.delete(id);
  }

  #order({ id, node, kind, bundle, expiresMs, force }: Offer): Promise<number> {
    const { control, mirrors, bytesPerSecondMax } = this.#options;
    const { digest, version, bytes } = bundle, file = `${digest}.bundle`;
    const given = { by: `rollout ${id.split("/")[0]}`, nowMs: Date.now(), expiresMs, once: id };
    if (kind === "restart") {
      return control.order(node, { ...given, kind: "update.restart", arguments: { digest } });
    }
    const sources = [
      ...mirrors.slice(0, SOURCES_MAX - 1).map((url) => `${url}/${file}`),
      BUNDLES_PATH + file,
    ];
    return control.order(node, {
      ...given,
      kind: "update.offer",
      arguments: {
        ...{ version, digest, bytes, force, sources },
        ...(bytesPerSecondMax !== null && { bytesPerSecondMax }),
      },
    });
  }
}
