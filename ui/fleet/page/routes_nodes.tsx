/** Routes of the pages on nodes, pairs and events. */
import type { Hono } from "hono";
import { nodeStanding } from "../../../appliance/fleet/rollout/report.ts";
import { type Env, told } from "../../page/pages.tsx";
import { EventTable, fits, Nodes, One, Pairs, STATES } from "./nodes.tsx";
import { type FleetPageMeans, show } from "./pages.tsx";

const EVENTS_SHOWN = 200;
const COMMANDS_SHOWN = 20;

export function addNodes(app: Hono<Env>, means: FleetPageMeans): void {
  const { control: { registry }, desk: { keeper } } = means;
  app.get("/nodes", (c) => {
    const { search = "", state = "" } = c.req.query(), all = [...keeper.fleet.nodes()];
    const query = { search: search.slice(0, 64), state: STATES.find((one) => one === state) ?? "" };
    return show(c, means, {
      ...{ at: "/nodes", title: "Nodes" },
      body: () => <Nodes nodes={all.filter((node) => fits(node, query))} total={all.length} query={query} />,
    });
  });
  app.get("/nodes/:id", async (c) => {
    const node = keeper.fleet.node(c.req.param("id")), record = node && await registry.node(node.id);
    if (node === undefined || !record) return told(c, 404, `There is no node ${c.req.param("id")}.`);
    const commands = await registry.commands.list(node.id, COMMANDS_SHOWN);
    const events = await registry.events.read({ limit: 50, node: node.id });
    const standings = keeper.list().flatMap((rollout) => {
      const one = nodeStanding(keeper.rollouts, keeper.fleet, { rollout, node, nowMs: means.now() });
      return one === null ? [] : [{ ...one, rollout: rollout.order.id }];
    });
    return show(c, means, {
      ...{ at: "/nodes", title: node.name },
      body: () => <One {...{ node, record, commands, events, standings }} />,
    });
  });
  app.get("/pairs", (c) => {
    const underWay = new Set([...keeper.rollouts.underWay()].map(({ node }) => node));
    return show(c, means, {
      ...{ at: "/pairs", title: "Pairs", lead: "Of two nodes that share traffic, one at a time is updated." },
      body: () => <Pairs nodes={[...keeper.fleet.nodes()]} underWay={underWay} />,
    });
  });
  app.get("/events", async (c) => {
    const events = await registry.events.read({ limit: EVENTS_SHOWN });
    const names = new Map([...keeper.fleet.nodes()].map(({ id, name }) => [id, name]));
    return show(c, means, {
      ...{ at: "/events", title: "Events" },
      body: () => <EventTable {...{ events, names }} />,
    });
  });
}
