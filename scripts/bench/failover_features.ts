/**
 * Duty: what of the point of failover this node has, learnt by asking it: `remediate check` refuses keys it does not know.
 *
 * What is there is configured for every trial. What is not is reported as not available, which is a missed bar.
 */
import { nodeConfig, type NodeOptions } from "../lab/node.ts";
import { tryRun } from "../lab/process.ts";

export interface Feature {
  readonly name: string;
  /** Lines of [failover], and tables behind it. */
  readonly failover: readonly string[];
  readonly more: readonly string[];
}

export const FEATURES: readonly Feature[] = [
  {
    name: "probes through the box",
    failover: [],
    // At its defaults, both ways; the address on the client side is the node's own.
    more: ["[[probe]]", 'name = "through"', 'kind = "udp"', 'from = "10.1.0.250"', 'to = "10.2.0.11"'],
  },
  {
    name: "BFD to the box",
    failover: [],
    more: [
      ...["[[bfd]]", 'name = "inside"', 'box = "primary"', 'side = "up"'],
      ...['peer = "10.1.0.1"', 'local = "10.1.0.201"'],
    ],
  },
  // The trial loses 5 %, so what is red begins below it.
  { name: "grey failure", failover: [], more: ["[grey]", "act = true", "loss_percent = 3"] },
  { name: "hold ring", failover: ["hold_ring_ms = 30"], more: [] },
];

export interface Features {
  readonly there: readonly Feature[];
  readonly missing: readonly Feature[];
  /** For the node's configuration. */
  readonly node: Required<Pick<NodeOptions, "failover" | "more">>;
}

/** Whether the node's configuration has the keys of a feature. */
async function knows(top: string, { failover, more }: Feature): Promise<boolean> {
  const path = await Deno.makeTempFile({ suffix: ".toml" });
  try {
    await Deno.writeTextFile(
      path,
      nodeConfig("/run/remediate-bench", { preset: "firewall", failover, more }),
    );
    return (await tryRun([`${top}/scripts/remediate`, "check", "--config", path])).code === 0;
  } finally {
    await Deno.remove(path);
  }
}

/** BFD needs a box that speaks it, which those of the trials do not: it is asked for, and tried by tests of its own. */
const NOT_CONFIGURED = "BFD to the box";

/** Asks for every feature. */
export async function findFeatures(top: string): Promise<Features> {
  const there: Feature[] = [], missing: Feature[] = [];
  for (const one of FEATURES) (await knows(top, one) ? there : missing).push(one);
  const used = there.filter(({ name }) => name !== NOT_CONFIGURED);
  const node = {
    failover: used.flatMap((one) => one.failover),
    more: used.flatMap((one) => one.more),
  };
  return { there, missing, node };
}
