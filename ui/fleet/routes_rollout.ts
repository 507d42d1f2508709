/** The routes of a controller's roll-outs and bundles, beside those of its nodes (routes.ts). */
import { type Rollout, VERBS } from "../../appliance/fleet/rollout/contract.ts";
import type { RolloutKeeper } from "../../appliance/fleet/rollout/keeper.ts";
import { parseOrder } from "../../appliance/fleet/rollout/order.ts";
import { nodeStandings, rolloutView } from "../../appliance/fleet/rollout/report.ts";
import {
  BUNDLES_PATH,
  findBundle,
  listBundles,
  serveBundles,
} from "../../appliance/fleet/transfer/bundles.ts";
import { reasonOf } from "../../drivers/reason.ts";
import { bad, Refused } from "../refused.ts";
import { type ApiMeans, type Asked, gives, LIST, OBJECT, type Route, YES_NO } from "../route.ts";

const BASE = "/api/v1/fleet/rollouts";
const NODES_MAX = 1000;
const ORDER_BYTES_MAX = 128 * 1024;

export interface RolloutDesk {
  readonly keeper: RolloutKeeper;
  /** Where bundles are kept. */
  readonly bundles: string;
}

async function rolloutOf({ keeper }: RolloutDesk, id: string) {
  const rollout = await keeper.find(id);
  if (rollout === undefined) throw new Refused(404, "Not found", `There is no roll-out ${id}`);
  return rollout;
}

/** @throws Refused with the engine's own words */
async function refusing(work: () => Promise<void>): Promise<object> {
  try {
    await work();
    return { ok: true };
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw new Refused(409, "Not possible now", reasonOf(error));
  }
}

/** By its id, or by a name that only one has. @throws Refused */
function nodeOf({ keeper }: RolloutDesk, wanted: string): string {
  const known = keeper.fleet.node(wanted);
  if (known !== undefined) return known.id;
  const named = [...keeper.fleet.nodes()].filter(({ name }) => name === wanted);
  if (named.length === 1) return named[0]!.id;
  throw new Refused(
    404,
    "Not found",
    `${named.length === 0 ? "there is no node" : "several nodes are called"} ${wanted}`,
  );
}

export function rolloutRoutes(desk: RolloutDesk): readonly Route[] {
  return [...views(desk), ...changes(desk), ...bundleRoutes(desk)];
}

function views(desk: RolloutDesk): readonly Route[] {
  const { keeper } = desk;
  const show = (rollout: Rollout, means: ApiMeans) =>
    rolloutView(keeper.rollouts, keeper.fleet, rollout, means.nowMs());
  return [
    {
      method: "GET",
      path: BASE,
      name: "fleetRollouts",
      summary: "All roll-outs that are kept, with how far each stage is",
      role: "viewer",
      answers: gives("The youngest last.", { rollouts: LIST }),
      work: (_, means) => ({ rollouts: keeper.list().map((rollout) => show(rollout, means)) }),
    },
    {
      method: "GET",
      path: `${BASE}/{id}`,
      name: "fleetRollout",
      summary: "One roll-out",
      role: "viewer",
      answers: gives("The roll-out.", { rollout: OBJECT }),
      work: async ({ path: { id = "" } }, means) => ({ rollout: show(await rolloutOf(desk, id), means) }),
    },
    {
      method: "GET",
      path: `${BASE}/{id}/nodes`,
      name: "fleetRolloutNodes",
      summary: "Where each node is in a roll-out, and why; those first that something is the matter with",
      role: "viewer",
      query: {
        state: { type: "string", maxLength: 16, description: "failed, waiting, left, good, or a step" },
        limit: { type: "integer", minimum: 1, maximum: NODES_MAX, default: 100 },
      },
      answers: gives("At most `limit` of them.", { nodes: LIST }),
      work: async ({ path: { id = "" }, query: { state, limit } }, means) => ({
        nodes: nodeStandings(keeper.rollouts, keeper.fleet, {
          ...{ rollout: await rolloutOf(desk, id), nowMs: means.nowMs(), limit: Number(limit) },
          ...(state !== undefined && { state: String(state) }),
        }),
      }),
    },
  ];
}

function changes(desk: RolloutDesk): readonly Route[] {
  const { keeper, bundles } = desk, who = ({ visitor }: Asked) => visitor?.name ?? "";
  return [
    {
      method: "POST",
      path: BASE,
      name: "fleetRolloutMake",
      summary: "Make a roll-out; nothing is offered before it is started",
      role: "admin",
      bytesMax: ORDER_BYTES_MAX,
      idempotent: true,
      body: { type: "object" },
      answers: gives("It is made.", { ok: YES_NO }),
      work: async ({ body }) => await makeRollout(desk, body),
    },
    ...VERBS.map((verb): Route => ({
      method: "POST",
      path: `${BASE}/{id}/${verb}`,
      name: `fleetRollout${verb[0]!.toUpperCase()}${verb.slice(1)}`,
      summary: {
        start: "Start a roll-out, or go on with one that is paused or halted",
        pause: "Offer nothing more for now",
        abort: "End a roll-out for good; what has restarted is watched to its end",
      }[verb],
      role: verb === "start" ? "admin" : "operator",
      answers: gives("It is done.", { ok: YES_NO }),
      work: (asked) =>
        refusing(async () =>
          await keeper.change((await rolloutOf(desk, asked.path.id!)).order.id, verb, who(asked))
        ),
    })),
    {
      method: "POST",
      path: `${BASE}/{id}/nodes/{node}/allow`,
      name: "fleetRolloutAllow",
      summary: "Let a node try again what failed or fell back there",
      role: "admin",
      answers: gives("It is allowed.", { ok: YES_NO }),
      work: (asked) => {
        const { id = "", node = "" } = asked.path;
        return refusing(async () => {
          const { order } = await rolloutOf(desk, id);
          await keeper.allow(order.id, nodeOf(desk, node), who(asked));
        });
      },
    },
    {
      method: "GET",
      path: BUNDLES_PATH.replace(/\/$/, ""),
      name: "fleetBundles",
      summary: "Bundles that nodes can fetch here",
      role: "viewer",
      answers: gives("With digest and size.", { bundles: LIST }),
      work: async () => ({ bundles: await keptBundles(bundles) }),
    },
  ];
}

/** @throws Refused with every fault */
export async function makeRollout({ keeper, bundles }: RolloutDesk, body: unknown): Promise<object> {
  const given = body as { bundle?: { digest?: unknown; bytes?: unknown } };
  // Of a bundle that is here the size is known.
  const kept = await findBundle(bundles, String(given.bundle?.digest ?? ""));
  const order = parseOrder(
    kept !== null && given.bundle?.bytes === undefined
      ? { ...given, bundle: { ...given.bundle, bytes: kept.bytes } }
      : given,
  );
  if (!("id" in order)) throw bad(order.join("; "));
  if (kept !== null && kept.bytes !== order.bundle.bytes) {
    throw bad(`bundle.bytes = ${order.bundle.bytes}: the bundle that is here has ${kept.bytes}`);
  }
  return await refusing(() => keeper.make(order));
}

export async function keptBundles(directory: string) {
  const digests = (await listBundles(directory)).map((path) => path.slice(-71, -7));
  return (await Promise.all(digests.map((digest) => findBundle(directory, digest)))).flatMap((kept) =>
    kept === null ? [] : [{ digest: kept.digest, bytes: kept.bytes }]
  );
}

function bundleRoutes({ bundles }: RolloutDesk): readonly Route[] {
  return [{
    method: "GET",
    path: `${BUNDLES_PATH}{name}`,
    name: "fleetBundle",
    summary: "A bundle by its digest, or its index; ranges are answered. Who knows the digest may have it",
    role: null,
    headers: { range: "a part of it" },
    answers: { 200: { description: "The bundle.", type: "application/octet-stream" } },
    work: async ({ path: { name = "" }, headers }) => {
      const range = headers.get("range"), url = `http://controller${BUNDLES_PATH}${encodeURIComponent(name)}`;
      return (await serveBundles(bundles, new Request(url, { headers: range === null ? {} : { range } })))!;
    },
  }];
}
