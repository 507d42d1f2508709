/** Routes of the pages on roll-outs: looking, making, and what may be done with one. */
import type { Context, Hono } from "hono";
import type { Rollout } from "../../../appliance/fleet/rollout/contract.ts";
import { nodeStandings, rolloutView } from "../../../appliance/fleet/rollout/report.ts";
import { reasonOf } from "../../../drivers/reason.ts";
import { FormError, readForm } from "../../page/form.ts";
import { type Env, visitorOf } from "../../page/pages.tsx";
import { Result } from "../../page/parts.tsx";
import { Refused } from "../../refused.ts";
import { type AccessRole, may } from "../../session.ts";
import { keptBundles, makeRollout } from "../routes_rollout.ts";
import { type FleetPageMeans, show } from "./pages.tsx";
import { isVerb, MakeForm, OneRollout, orderOf, Question, QUESTIONS, RolloutList } from "./rollouts.tsx";

const BYTES_MAX = 64 * 1024;
const NODES_SHOWN = 200;
const AT = "/rollouts";

export function addRollouts(app: Hono<Env>, means: FleetPageMeans): void {
  const { desk, desk: { keeper, bundles } } = means;
  const seen = (rollout: Rollout) => rolloutView(keeper.rollouts, keeper.fleet, rollout, means.now());
  const view = async (id: string) => {
    const rollout = await keeper.find(id);
    if (rollout === undefined) throw new Refused(404, "Not found", `There is no roll-out ${id}`);
    return seen(rollout);
  };
  const list = async (
    c: Context<Env>,
    given: Readonly<Record<string, string>>,
    faults: readonly string[],
  ) => {
    const kept = await keptBundles(bundles);
    return show(c, means, {
      ...{ at: AT, title: "Roll-outs", lead: "A bundle for many nodes: few first, never both of a pair." },
      body: (visitor) => (
        <>
          <RolloutList all={keeper.list().map(seen)} />
          <MakeForm {...{ visitor, bundles: kept, given, faults }} />
        </>
      ),
    });
  };
  app.get("/rollouts", (c) => list(c, {}, []));
  app.post("/rollouts", async (c) => {
    needs(c, "admin");
    const { fields } = await readForm(c.req.raw, visitorOf(c), BYTES_MAX);
    c.set("detail", JSON.stringify(fields));
    try {
      await makeRollout(desk, orderOf(fields));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      c.set("refused", true);
      return await list(c, fields, error.message.split("; "));
    }
    return c.redirect(`${AT}/${fields.id}`, 303);
  });
  app.get("/rollouts/:id", async (c) => {
    const rollout = await view(c.req.param("id"));
    const nodes = nodeStandings(keeper.rollouts, keeper.fleet, {
      rollout,
      nowMs: means.now(),
      limit: NODES_SHOWN,
    });
    return show(c, means, {
      ...{ at: AT, title: rollout.order.id, lead: `Version ${rollout.order.bundle.version}` },
      body: (visitor) => <OneRollout {...{ visitor, rollout, nodes }} />,
    });
  });
  addAllow(app, means);
  addVerbs(app, means);
}

/** @throws FormError where the visitor may not */
function needs(c: Context<Env>, role: AccessRole): void {
  const visitor = visitorOf(c);
  if (!may(visitor, role)) throw new FormError(403, `${visitor.name} is ${visitor.role}; this needs ${role}`);
}

function addAllow(app: Hono<Env>, means: FleetPageMeans): void {
  const { keeper } = means.desk, path = "/rollouts/:id/allow" as const;
  app.get(path, (c) => {
    needs(c, "admin");
    const id = c.req.param("id"), node = keeper.fleet.node(c.req.query("node") ?? "");
    if (node === undefined) throw new FormError(400, "There is no such node");
    const text = `${node.name} may be offered this version again, though it failed or fell back there.`;
    return show(c, means, {
      ...{ at: AT, title: id },
      body: (visitor) => (
        <Question
          {...{ visitor, text, node: node.id, label: "Allow again", action: c.req.path, back: `${AT}/${id}` }}
        />
      ),
    });
  });
  app.post(path, async (c) => {
    needs(c, "admin");
    const { fields: { node = "" } } = await readForm(c.req.raw, visitorOf(c), BYTES_MAX);
    c.set("detail", node);
    return await came(c, means, () => keeper.allow(c.req.param("id"), node, visitorOf(c).name));
  });
}

function addVerbs(app: Hono<Env>, means: FleetPageMeans): void {
  const { keeper } = means.desk, path = "/rollouts/:id/:verb" as const;
  app.get(path, (c) => {
    const { id, verb } = c.req.param();
    if (!isVerb(verb)) return c.notFound();
    needs(c, QUESTIONS[verb].role);
    return show(c, means, {
      ...{ at: AT, title: id },
      body: (visitor) => (
        <Question {...{ visitor, ...QUESTIONS[verb], action: c.req.path, back: `${AT}/${id}` }} />
      ),
    });
  });
  app.post(path, async (c) => {
    const { id, verb } = c.req.param();
    if (!isVerb(verb)) return c.notFound();
    needs(c, QUESTIONS[verb].role);
    await readForm(c.req.raw, visitorOf(c), BYTES_MAX);
    return await came(c, means, () => keeper.change(id, verb, visitorOf(c).name));
  });
}

/** Back to the roll-out, or why not. */
async function came(c: Context<Env>, means: FleetPageMeans, work: () => Promise<void>): Promise<Response> {
  const id = c.req.param("id") ?? "";
  try {
    await work();
  } catch (error) {
    c.set("refused", true);
    const text = reasonOf(error);
    return await show(c, means, { at: AT, title: id, body: () => <Result ok={false} text={text} /> });
  }
  return c.redirect(`${AT}/${id}`, 303);
}
