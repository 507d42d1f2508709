/**
 * The external switches of a running node: their clock, their network, and the node's events of them.
 *
 * They have a timer of their own, because control may wait long for a plane to come up, and a switch that hears nothing
 * for seconds gives its controller up.
 */
import type { Config } from "./config.ts";
import { NETWORK } from "../drivers/openflow/link.ts";
import { Externals, type ExternalsConfig } from "./externals.ts";
import { boxesOf } from "./failover/external/judge.ts";
import type { Told } from "./failover/external/describe.ts";
import { readMembers } from "./members.ts";
import type { OrderKind } from "./orders.ts";
import { type Box, BOXES, type ExternalSwitchView } from "./view.ts";

const TICK_MS = 50;

export class NodeExternals {
  readonly #tell: (told: Told) => void;
  #externals: Externals | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(tell: (told: Told) => void) {
    this.#tell = tell;
  }

  /** Also after a reload: what is the same goes on undisturbed. */
  configure(config: Config): void {
    const wanted = externalsConfig(config);
    if (this.#externals !== null) return this.#externals.configure(wanted);
    if (wanted.switches.length === 0) return;
    const options = { node: config.node.name, network: NETWORK, nowMs: () => Date.now(), tell: this.#tell };
    const externals = new Externals(options, wanted);
    this.#externals = externals;
    this.leave(readMembers(config).left);
    this.#timer = setInterval(() => externals.tick(), TICK_MS);
  }

  views(): readonly ExternalSwitchView[] {
    return this.#externals?.views() ?? [];
  }

  /** Returns why the switches do not go by this box, or null. */
  order(box: Box, how: OrderKind): string | null {
    const externals = this.#externals;
    if (externals === null || !externals.configured) return null;
    return externals.order(BOXES.indexOf(box), how);
  }

  /** Boxes that have left by a person's word, all of them. */
  leave(left: readonly Box[]): void {
    this.#externals?.leave(left.map((box) => BOXES.indexOf(box)));
  }

  /** With `remove` nothing of the node's stays in the switches. */
  async close(remove: boolean): Promise<void> {
    clearInterval(this.#timer);
    await this.#externals?.close(remove, (ms) => new Promise((resolve) => setTimeout(resolve, ms)));
    this.#externals = null;
  }
}

function externalsConfig({ switches, failover }: Config): ExternalsConfig {
  return { switches, boxes: boxesOf(failover) };
}
