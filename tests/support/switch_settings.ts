/** Duty: settings of external switches for tests, a line each. */
import type { SwitchSettings } from "../../appliance/failover/external/settings.ts";

export const GROUP_FIRST = 21_000;

/** Damping as by default. */
export const DAMPING = { halfLifeS: 900, suppressAbove: 2000, reuseBelow: 750, suppressSMax: 3600 } as const;

/** One switch with both sides: upstream 1, downstream 2, primary 3 and 4, redundant 5 and 6. */
export function bothSides(more: Partial<SwitchSettings> = {}): SwitchSettings {
  return {
    name: "edge",
    by: "connect",
    address: { scheme: "tcp", host: "192.0.2.1", port: 6653 },
    tls: null,
    datapath: null,
    client: { outer: "up", boxes: ["pin", "rin"] },
    server: { outer: "down", boxes: ["pout", "rout"] },
    bypass: null,
    deadPolicy: "forward",
    mirror: "state",
    table: 0,
    priority: 1000,
    groupFirst: GROUP_FIRST,
    verifyMs: 1000,
    ...more,
  };
}
