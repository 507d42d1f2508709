/**
 * A node of the simulated fleet: two slots that keep what is in them, an updater, a way to the controller, and bad luck.
 *
 * What it truly is stands in its fields; the controller only sees what `view()` gave at the last report.
 */
import type { FleetNode, Health, Offer } from "../../appliance/fleet/rollout/contract.ts";
import type { SlotView, UpdateReport } from "../../appliance/update/contract.ts";
import { Random } from "../../filter/random.ts";

export interface Slot {
  state: "good" | "trial" | "bad" | "empty";
  version: string | null;
  digest: string | null;
}

/** What a bundle does to the nodes that start from it. */
export type Nature = "sound" | "falls back" | "sickens";

export type Doing = "serves" | "installs" | "restarts" | "proves itself";

const NEVER_MS = Infinity;

export class SimNode {
  readonly slots: [Slot, Slot];
  booted: 0 | 1 = 0;
  doing: Doing = "serves";
  /** When what it does ends. */
  untilMs = NEVER_MS;
  /** Off, or in a hang: nothing of it moves until then. */
  deadUntilMs = 0;
  cutUntilMs = 0;
  sickUntilMs = 0;
  redundantUntilMs = 0;
  sickened = false;
  readonly reports: UpdateReport[] = [];
  readonly bad: string[] = [];
  /** Every offer that it ever began: what its journal on disk says. */
  readonly begun = new Map<string, Offer>();
  current: Offer | null = null;
  /** Fell back to what was there before. */
  readonly fellBack: string[] = [];
  hasUpdater = true;

  constructor(
    readonly id: string,
    readonly partner: string | null,
    readonly labels: Readonly<Record<string, string>>,
    /** By its own clock, which need not be right. */
    readonly skewMs: number,
  ) {
    this.slots = [
      { state: "good", version: "1.0.0", digest: "0".repeat(64) },
      { state: "empty", version: null, digest: null },
    ];
  }

  isAlive(nowMs: number): boolean {
    return nowMs >= this.deadUntilMs;
  }

  isConnected(nowMs: number): boolean {
    return this.isAlive(nowMs) && nowMs >= this.cutUntilMs && this.doing !== "restarts";
  }

  health(nowMs: number): Health {
    return this.sickened || nowMs < this.sickUntilMs ? "red" : "green";
  }

  get busy(): boolean {
    return this.doing !== "serves";
  }

  view(nowMs: number): FleetNode {
    const { id, partner, labels } = this;
    const names = ["A", "B"] as const;
    const slots = this.slots.map((slot, index): SlotView => ({
      ...slot,
      name: names[index]!,
      triesLeft: slot.state === "trial" ? 3 : 0,
      booted: index === this.booted,
    }));
    const installing = this.doing !== "installs" || this.current === null
      ? null
      : { version: this.current.bundle.version, digest: this.current.bundle.digest, percent: 50 };
    const update = this.hasUpdater
      ? { slots, installing, reports: this.reports.slice(-4), badVersions: [...this.bad] }
      : null;
    const onRedundant = nowMs < this.redundantUntilMs;
    return {
      id,
      name: id,
      partner,
      labels,
      connected: true,
      health: this.health(nowMs),
      onRedundant,
      update,
    };
  }

  #report(nowMs: number, { version, digest }: Slot, outcome: UpdateReport["outcome"]): void {
    this.reports.push({ atMs: nowMs + this.skewMs, version, digest, outcome, reason: `it ${outcome}` });
  }

  /** As the agent: an id once, and not after its time. Null: begun, now or before. */
  take(offer: Offer, nowMs: number, random: Random): string | null {
    if (this.begun.has(offer.id)) return null;
    if (nowMs > offer.expiresMs) return "it came too late";
    if (this.busy) return "it is busy";
    this.begun.set(offer.id, offer);
    if (offer.kind === "install") {
      if (this.bad.includes(offer.bundle.version) && !offer.force) return "the version is known as bad";
      this.doing = "installs";
      this.untilMs = nowMs + 20_000 + random.below(60_000);
    } else {
      if (this.slots[1 - this.booted as 0 | 1].digest !== offer.bundle.digest) {
        return "nothing to restart into";
      }
      this.doing = "restarts";
      this.untilMs = nowMs + 10_000 + random.below(30_000);
    }
    this.current = offer;
    return null;
  }

  /** What is under way when the power goes is lost; the slots are not. */
  die(nowMs: number, forMs: number): void {
    this.deadUntilMs = nowMs + forMs;
    if (this.doing === "installs") this.#idle();
    else if (this.doing === "restarts" || this.doing === "proves itself") {
      this.untilMs = this.deadUntilMs + 10_000;
    }
  }

  hang(nowMs: number, forMs: number): void {
    if (this.doing === "installs") this.untilMs = nowMs + forMs;
  }

  #idle(): void {
    this.doing = "serves";
    this.untilMs = NEVER_MS;
    this.current = null;
  }

  step(nowMs: number, natureOf: (digest: string) => Nature, random: Random): void {
    if (!this.isAlive(nowMs) || nowMs < this.untilMs || this.current === null) return;
    const { bundle } = this.current, other = this.slots[1 - this.booted as 0 | 1];
    if (this.doing === "installs") {
      Object.assign(other, { state: "trial", version: bundle.version, digest: bundle.digest });
      this.#report(nowMs, other, "installed");
      return this.#idle();
    }
    if (this.doing === "restarts") {
      this.booted = 1 - this.booted as 0 | 1;
      this.doing = "proves itself";
      this.untilMs = nowMs + 10_000 + random.below(30_000);
      return;
    }
    this.#prove(nowMs, natureOf(bundle.digest));
  }

  #prove(nowMs: number, nature: Nature): void {
    const slot = this.slots[this.booted];
    if (nature === "falls back") {
      slot.state = "bad";
      this.bad.push(slot.version!);
      this.fellBack.push(slot.version!);
      this.booted = 1 - this.booted as 0 | 1;
      this.#report(nowMs, slot, "fell-back");
    } else {
      slot.state = "good";
      this.sickened = nature === "sickens";
      this.#report(nowMs, slot, "good");
    }
    this.#idle();
  }
}
