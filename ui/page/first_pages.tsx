/**
 * The pages of a machine without ports: the way in, one form, and the end of it.
 *
 * What they need of the machine is handed in. Only an admin gets past the login, and only a configuration that is good is
 * ever written.
 */
import { type Context, Hono } from "hono";
import { html } from "hono/html";
import { type Choice, choiceOf, planConfig } from "../../appliance/setup/plan.ts";
import type { Nic } from "../../appliance/setup/nics.ts";
import { reasonOf } from "../../drivers/reason.ts";
import type { AuditEntry } from "../route.ts";
import { may, type PageHandler } from "../session.ts";
import { First, Starts } from "./first.tsx";
import { FormError, readForm } from "./form.ts";
import type { Access } from "./means.ts";
import { addAssets, type Env, told, visitorOf } from "./pages.tsx";
import { addLogin } from "./routes_login.tsx";

export interface FirstMeans {
  readonly node: string;
  /** What the configuration has already. */
  readonly base: string;
  readonly access: Access;
  readonly address: (request: Request) => string;
  readonly audit: (entry: AuditEntry) => void;
  readonly nics: () => Promise<readonly Nic[]>;
  /** Why neighbours are not heard. */
  readonly deaf: string | null;
  /** Why it does not blink; null: it does. */
  readonly blink: (name: string) => Promise<string | null>;
  /** Takes PCI ports from the kernel and keeps the text. @throws Error with one sentence; nothing is written then */
  readonly write: (text: string) => void | Promise<void>;
  /** It is written: the node is to start. */
  readonly done: () => void;
}

type Said = { readonly ok: boolean; readonly lines: readonly string[] } | null;

const BYTES_MAX = 16 * 1024;

export function firstPages(means: FirstMeans): PageHandler {
  const app = new Hono<Env>();
  const { access, address, node } = means;
  addAssets(app);
  addLogin(app, { control: { status: () => ({ name: node }) }, means: { access, address } });
  app.use(async (c, next) => {
    const { visitor } = c.env;
    if (visitor === null) return c.redirect("/login", 303);
    return may(visitor, "admin") ? await next() : told(c, 403, "This is for admins.");
  });
  app.get("/", (c) => form(c, means, { choice: choiceOf({}) }));
  addButtons(app, means);
  app.notFound((c) => c.redirect("/", 303));
  app.onError((error, c) =>
    error instanceof FormError ? told(c, error.status, `${error.message}.`) : told(c, 500, error.message)
  );
  return async (request, visitor) => await app.fetch(request, { visitor });
}

function addButtons(app: Hono<Env>, means: FirstMeans): void {
  const fieldsOf = async (c: Context<Env>) => (await readForm(c.req.raw, visitorOf(c), BYTES_MAX)).fields;
  app.post("/look", async (c) => form(c, means, { choice: choiceOf(await fieldsOf(c)) }));
  app.post("/blink/:name", async (c) => {
    const choice = choiceOf(await fieldsOf(c)), name = c.req.param("name");
    const fault = await means.blink(name);
    const said = fault === null ? `The LED of ${name} blinks` : `The LED of ${name} does not blink: ${fault}`;
    return form(c, means, { choice, said: { ok: fault === null, lines: [said] } });
  });
  app.post("/check", async (c) => {
    const choice = choiceOf(await fieldsOf(c));
    const plan = planConfig(means.base, choice, await means.nics());
    if (!plan.ok) return form(c, means, { choice, said: { ok: false, lines: plan.faults } });
    return form(c, means, {
      choice,
      said: { ok: true, lines: ["This is good: read it below, then start"] },
      text: plan.text,
    });
  });
  app.post("/apply", async (c) => {
    const choice = choiceOf(await fieldsOf(c));
    const plan = planConfig(means.base, choice, await means.nics());
    if (!plan.ok) return form(c, means, { choice, said: { ok: false, lines: plan.faults } });
    try {
      await means.write(plan.text);
    } catch (error) {
      return form(c, means, { choice, said: { ok: false, lines: [reasonOf(error)] }, text: plan.text });
    }
    means.audit({ who: visitorOf(c).name, from: means.address(c.req.raw), what: "POST /apply", result: 200 });
    means.done();
    return c.html(html`<!doctype html>${<Starts />}`);
  });
}

interface Shown {
  readonly choice: Choice;
  readonly said?: Said;
  readonly text?: string;
}

async function form(c: Context<Env>, means: FirstMeans, { choice, said = null, text }: Shown) {
  const { node, deaf } = means, nics = await means.nics();
  const page = <First visitor={visitorOf(c)} {...{ node, deaf, nics, choice, said }} text={text ?? null} />;
  return c.html(html`<!doctype html>${page}`);
}
