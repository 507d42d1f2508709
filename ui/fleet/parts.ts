/**
 * Duty: what a controller has beside its registry: roll-outs, bundles, pages. An edge: the clock, and files below its state.
 */
import { RolloutKeeper } from "../../appliance/fleet/rollout/keeper.ts";
import { openRolloutStore } from "../../appliance/fleet/rollout/store.ts";
import { reasonOf } from "../../drivers/reason.ts";
import { fleetPages } from "./page/pages.tsx";
import { type RolloutDesk, rolloutRoutes } from "./routes_rollout.ts";
import type { FleetGiven, FleetOptions, FleetParts } from "./serve.ts";

export function bundlesPath(stateDirectory: string): string {
  return `${stateDirectory}/bundles`;
}

/** Nodes at other controllers are heard of by reading alone. */
const SHARED_RESCAN_MS = 5000;

type Options = Pick<FleetOptions, "stateDirectory" | "say"> & {
  readonly mirrors?: readonly string[];
  readonly bytesPerSecondMax?: number | null;
  /** Other controllers have the same registry. */
  readonly shared?: boolean;
};

/** @throws Error with one sentence: the roll-outs cannot be read */
export function rolloutParts(
  { control, access, audit, address }: FleetGiven,
  { stateDirectory, say, mirrors = [], bytesPerSecondMax = null, shared = false }: Options,
): FleetParts {
  const store = openRolloutStore(`${stateDirectory}/rollouts.db`);
  const keeper = new RolloutKeeper({
    control,
    store,
    mirrors,
    bytesPerSecondMax,
    say,
    ...(shared && { rescanMs: SHARED_RESCAN_MS }),
  });
  keeper.start().catch((error) => say("error", `Cannot begin with roll-outs: ${reasonOf(error)}`));
  const desk: RolloutDesk = { keeper, bundles: bundlesPath(stateDirectory) };
  return {
    routes: rolloutRoutes(desk),
    pages: fleetPages({ control, desk, audit, address, now: () => Date.now(), ...(access && { access }) }),
    close: () => keeper.close(),
  };
}
