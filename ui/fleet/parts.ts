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

type Options = Pick<FleetOptions, "stateDirectory" | "say"> & {
  readonly mirrors?: readonly string[];
  readonly bytesPerSecondMax?: number | null;
};

/** @throws Error with one sentence: the roll-outs cannot be read */
export function rolloutParts(
  { control, access, audit, address }: FleetGiven,
  { stateDirectory, say, mirrors = [], bytesPerSecondMax = null }: Options,
): FleetParts {
  // Controllers with one registry have one set of roll-outs.
  const store = control.registry.shared?.rollouts ?? openRolloutStore(`${stateDirectory}/rollouts.db`);
  const keeper = new RolloutKeeper({ control, store, mirrors, bytesPerSecondMax, say });
  keeper.start().catch((error) => say("error", `Cannot begin with roll-outs: ${reasonOf(error)}`));
  const desk: RolloutDesk = { keeper, bundles: bundlesPath(stateDirectory) };
  return {
    routes: rolloutRoutes(desk),
    pages: fleetPages({ control, desk, audit, address, now: () => Date.now(), ...(access && { access }) }),
    close: () => keeper.close(),
  };
}
