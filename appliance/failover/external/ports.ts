/**
 * Whether a port of an external switch is live, and whether a box is, by its ports.
 *
 * A switch may judge its ports by more than their link (BFD, for one) and say so in a bit; but some never set it.
 * So the bit counts as soon as one port of the switch has shown it. Pure.
 */
import { PORT_CONFIG_DOWN, PORT_STATE } from "../../../drivers/openflow/names.ts";
import type { PortDescription } from "../../../drivers/openflow/structures.ts";
import { boxName, findPort, rolePorts, type SwitchSettings } from "./settings.ts";

export interface PortLight {
  readonly role: string;
  /** As written in the configuration. */
  readonly written: string;
  /** null: the switch has no such port. */
  readonly number: number | null;
  readonly live: boolean;
}

/** The ports of a switch as it tells them. */
export class PortTable {
  readonly #ports = new Map<number, PortDescription>();
  #showsLive = false;

  get all(): readonly PortDescription[] {
    return [...this.#ports.values()];
  }

  keep(port: PortDescription): void {
    this.#showsLive ||= (port.state & PORT_STATE.live) !== 0;
    this.#ports.set(port.number, port);
  }

  /** All of them were told. */
  replace(ports: readonly PortDescription[]): void {
    this.#ports.clear();
    for (const port of ports) this.keep(port);
  }

  drop(number: number): void {
    this.#ports.delete(number);
  }

  #isLive({ config, state }: PortDescription): boolean {
    if ((config & PORT_CONFIG_DOWN) !== 0 || (state & PORT_STATE.linkDown) !== 0) return false;
    return !this.#showsLive || (state & PORT_STATE.live) !== 0;
  }

  /** Every role's port. */
  lights(settings: SwitchSettings): PortLight[] {
    return rolePorts(settings).map(({ role, written }) => {
      const port = findPort(written, this.all);
      const live = port !== undefined && this.#isLive(port);
      return { role, written, number: port?.number ?? null, live };
    });
  }
}

/** Are all ports of a box live that the switch has? */
export function boxLive(lights: readonly PortLight[], box: number): boolean {
  const name = boxName(box);
  return lights.every(({ role, live }) => live || (role !== `${name}-in` && role !== `${name}-out`));
}
