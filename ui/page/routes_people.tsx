/** Routes of users and tokens: each form comes back to the page with what came of it. Only an admin gets anything at all. */
import type { Context, Hono } from "hono";
import { isDenied } from "../access/accounts.ts";
import type { Denied } from "../access/view.ts";
import { ACCESS_ROLES, type AccessRole, may } from "../session.ts";
import { FormError, readForm } from "./form.ts";
import type { Outcome, People as Control } from "./means.ts";
import { type Env, type Pages, show, told, visitorOf } from "./pages.tsx";
import { People } from "./people.tsx";

const BYTES_MAX = 8 * 1024;
const DAYS_MAX = 3650;

type Fields = Readonly<Record<string, string>>;
type Came = Outcome & { readonly made?: string };

export function addPeople(app: Hono<Env>, pages: Pages): void {
  const { people } = pages.means;
  if (people === undefined) return;
  app.get("/users", (c) => {
    if (!may(visitorOf(c), "admin")) return told(c, 403, "This is for admins.");
    return page(c, pages, people, null);
  });
  for (const [path, work] of Object.entries(formsOf(people))) {
    app.post(path, async (c) => {
      const visitor = visitorOf(c);
      if (!may(visitor, "admin")) {
        throw new FormError(403, `${visitor.name} is ${visitor.role}; this needs admin`);
      }
      const { fields } = await readForm(c.req.raw, visitor, BYTES_MAX);
      // Never the password.
      c.set("detail", JSON.stringify({ name: fields.name ?? fields.id, role: fields.role }));
      const came = await work(fields);
      c.set("refused", !came.ok);
      return page(c, pages, people, came);
    });
  }
}

/** What each form does. */
function formsOf(people: Control): Readonly<Record<string, (fields: Fields) => Came | Promise<Came>>> {
  return {
    "/users/add": async ({ name = "", password = "", role = "" }) =>
      done(await people.addUser({ name, password, role: roleOf(role) }), `${name} may come in as ${role}`),
    "/users/role": ({ name = "", role = "" }) =>
      done(people.setRole(name, roleOf(role)), `${name} is ${role}`),
    "/users/password": async ({ name = "", password = "" }) =>
      done(await people.setPassword(name, password), `${name} has another password`),
    "/users/remove": ({ name = "" }) => done(people.removeUser(name), `${name} is removed`),
    "/tokens/add": ({ name = "", role = "", days = "" }) => {
      const number = /^\d{1,4}$/.test(days) ? Number(days) : NaN;
      if (!(number <= DAYS_MAX)) {
        return { ok: false, text: `"${days.slice(0, 20)}" is no number of days up to ${DAYS_MAX}` };
      }
      const made = people.addToken({ name, role: roleOf(role), days: number });
      return isDenied(made)
        ? done(made, "")
        : { ok: true, text: `The token for ${name} is made`, made: made.token };
    },
    "/tokens/revoke": ({ id = "" }) => done(people.revokeToken(id), "The token is revoked"),
  };
}

function done(denied: Denied | null, text: string): Came {
  return denied === null ? { ok: true, text } : { ok: false, text: denied.text };
}

/** @throws FormError where it is none */
function roleOf(text: string): AccessRole {
  const role = ACCESS_ROLES.find((known) => known === text);
  if (role !== undefined) return role;
  throw new FormError(400, `"${text.slice(0, 20)}" is no role; accepted: ${ACCESS_ROLES.join(", ")}`);
}

function page(c: Context<Env>, pages: Pages, people: Control, came: Came | null) {
  const { audited, now } = pages.means;
  return show(c, pages, {
    ...{ at: "/users", title: "Users", lead: "Who may come in over the network, and what was changed." },
    body: (visitor) => (
      <People
        {...{ visitor, users: people.users(), tokens: people.tokens(), nowMs: now() }}
        audited={audited?.() ?? []}
        outcome={came === null ? null : { ok: came.ok, text: `${came.text}.` }}
        made={came?.made ?? null}
      />
    ),
  });
}
