/** Routes of login and logout: only where there is a way in. */
import type { Context, Hono } from "hono";
import { html } from "hono/html";
import { readForm } from "./form.ts";
import { Login } from "./login.tsx";
import type { Denied, Entered } from "../access/view.ts";
import type { Access, PageMeans } from "./means.ts";
import type { Env } from "./pages.tsx";

const BYTES_MAX = 8 * 1024;

/** What the way in needs of the pages. */
export interface LoginMeans {
  readonly control: { status(): { readonly name: string } };
  readonly means: Pick<PageMeans, "access" | "address">;
}

export function addLogin(app: Hono<Env>, { control, means }: LoginMeans): void {
  const { access } = means;
  if (access === undefined) return;
  const form = (c: Context<Env>, fault = "", name = "", status: Denied["status"] | 200 = 200) => {
    const page = <Login node={control.status().name} fresh={access.fresh} fault={fault} name={name} />;
    return c.html(html`<!doctype html>${page}`, status);
  };
  app.get("/login", (c) => c.env.visitor === null ? form(c) : c.redirect("/", 303));
  app.post("/login", async (c) => {
    const { fields: { name = "", password = "", code = "" } } = await readForm(c.req.raw, null, BYTES_MAX);
    const address = means.address?.(c.req.raw) ?? "";
    const entry = await enter(access, { name, password, code, address });
    if ("cookie" in entry) return c.body(null, 303, { location: "/", "set-cookie": entry.cookie });
    if (entry.retryS !== undefined) c.header("retry-after", String(entry.retryS));
    return form(c, entry.text, name, entry.status);
  });
  app.post("/logout", async (c) => {
    await readForm(c.req.raw, c.env.visitor, BYTES_MAX);
    return c.body(null, 303, { location: "/login", "set-cookie": access.logout(c.req.raw.headers) });
  });
}

interface Given {
  readonly name: string;
  readonly password: string;
  readonly code: string;
  readonly address: string;
}

function enter(access: Access, { code, ...credentials }: Given): Promise<Entered | Denied> {
  return access.fresh ? access.first({ ...credentials, code }) : access.login(credentials);
}
