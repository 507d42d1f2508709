/** Routes of sessions, users and tokens. A part of the table in routes.ts. */
import type { Denied, Entered } from "./access/view.ts";
import { DAYS_MAX, isDenied, PASSWORD_CHARACTERS } from "./access/accounts.ts";
import { have, Refused } from "./refused.ts";
import { type ApiMeans, gives, json, LIST, type Route, TEXT, YES_NO } from "./route.ts";
import { members, nullable } from "../appliance/schema.ts";
import { ACCESS_ROLES, type AccessRole } from "./session.ts";

const NAME = { type: "string", maxLength: 64, description: "a name" } as const;
/** Judged by its length where it is set; wrong ones may be anything. */
const PASSWORD = {
  type: "string",
  maxLength: PASSWORD_CHARACTERS.max,
  description:
    `at most ${PASSWORD_CHARACTERS.max} characters; a new one has at least ${PASSWORD_CHARACTERS.min}`,
} as const;
const ROLE = { type: "string", enum: ACCESS_ROLES } as const;
const OK = gives("It is done.", { ok: YES_NO });
const SESSION = gives("The session; its cookie is in the header.", {
  name: TEXT,
  role: ROLE,
  csrf: nullable(TEXT),
});

const access = (means: ApiMeans) =>
  have(means.access, "users: the file of users or the certificate cannot be read, see the log");
const roleOf = (value: unknown): AccessRole => ACCESS_ROLES.find((role) => role === value) ?? "viewer";

const TITLES = {
  400: "Bad request",
  401: "Not logged in",
  403: "Not allowed",
  404: "Not found",
  409: "Not possible",
  429: "Too many requests",
} as const;

function refusal({ status, text, retryS }: Denied): Refused {
  const refused = new Refused(status, TITLES[status], text);
  return retryS === undefined ? refused : refused.with({ "retry-after": String(retryS) });
}

function entered(result: Entered | Denied): Response {
  if (isDenied(result)) throw refusal(result);
  return json(result.visitor, 200, { "set-cookie": result.cookie });
}

function done(denied: Denied | null): object {
  if (denied !== null) throw refusal(denied);
  return { ok: true };
}

const SESSION_ROUTES: readonly Route[] = [
  {
    method: "POST",
    path: "/api/v1/session",
    name: "login",
    summary: "Log in",
    role: null,
    body: members({ name: NAME, password: PASSWORD }, ["name", "password"]),
    secret: true,
    answers: SESSION,
    work: async ({ body, address }, means) =>
      entered(
        await access(means).login({ name: String(body.name), password: String(body.password), address }),
      ),
  },
  {
    method: "POST",
    path: "/api/v1/first",
    name: "first",
    summary: "Make the first admin with the one-time code that root was shown",
    role: null,
    body: members({ code: { type: "string", maxLength: 64 }, name: NAME, password: PASSWORD }, [
      "code",
      "name",
      "password",
    ]),
    secret: true,
    answers: SESSION,
    work: async ({ body, address }, means) => {
      const { code, name, password } = body;
      const given = { code: String(code), name: String(name), password: String(password), address };
      return entered(await access(means).first(given));
    },
  },
  {
    method: "GET",
    path: "/api/v1/session",
    name: "session",
    summary: "Who asks",
    role: "viewer",
    answers: SESSION,
    work: ({ visitor }) => ({ ...visitor }),
  },
  {
    method: "DELETE",
    path: "/api/v1/session",
    name: "logout",
    summary: "Log out",
    role: "viewer",
    answers: OK,
    work: ({ headers }, means) => json({ ok: true }, 200, { "set-cookie": access(means).logout(headers) }),
  },
  {
    method: "PUT",
    path: "/api/v1/session/password",
    name: "ownPassword",
    summary: "Choose another password; all sessions of the user end",
    role: "viewer",
    body: members({ old: PASSWORD, password: PASSWORD }, ["old", "password"]),
    secret: true,
    answers: OK,
    work: async ({ visitor, body, address }, means) => {
      const credentials = { name: visitor?.name ?? "", password: String(body.old), address };
      return done(await access(means).changePassword({ ...credentials, fresh: String(body.password) }));
    },
  },
  {
    method: "GET",
    path: "/api/v1/listener",
    name: "listener",
    summary: "Where the node listens, and the fingerprint of its certificate",
    role: "viewer",
    answers: gives("Null: by its unix socket alone.", {
      address: nullable(TEXT),
      fingerprint: nullable(TEXT),
    }),
    work: (_, { access }) => access?.listening ?? { address: null, fingerprint: null },
  },
];

const USER_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/api/v1/users",
    name: "users",
    summary: "The users",
    role: "admin",
    answers: gives("All of them.", { users: LIST }),
    work: (_, means) => ({ users: access(means).users() }),
  },
  {
    method: "POST",
    path: "/api/v1/users",
    name: "userAdd",
    summary: "Add a user",
    role: "admin",
    body: members({ name: NAME, password: PASSWORD, role: ROLE }, ["name", "password", "role"]),
    secret: true,
    answers: OK,
    work: async ({ body: { name, password, role } }, means) => {
      const user = { name: String(name), password: String(password), role: roleOf(role) };
      return done(await access(means).addUser(user));
    },
  },
  {
    method: "DELETE",
    path: "/api/v1/users/{name}",
    name: "userRemove",
    summary: "Remove a user, and end the sessions",
    role: "admin",
    answers: OK,
    work: ({ path }, means) => done(access(means).removeUser(path.name ?? "")),
  },
  {
    method: "PUT",
    path: "/api/v1/users/{name}/role",
    name: "userRole",
    summary: "Give a user another role, and end the sessions",
    role: "admin",
    body: members({ role: ROLE }, ["role"]),
    answers: OK,
    work: ({ path, body }, means) => done(access(means).setRole(path.name ?? "", roleOf(body.role))),
  },
  {
    method: "PUT",
    path: "/api/v1/users/{name}/password",
    name: "userPassword",
    summary: "Give a user another password, and end the sessions",
    role: "admin",
    body: members({ password: PASSWORD }, ["password"]),
    secret: true,
    answers: OK,
    work: async ({ path, body }, means) =>
      done(await access(means).setPassword(path.name ?? "", String(body.password))),
  },
];

const TOKEN_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/api/v1/tokens",
    name: "tokens",
    summary: "The tokens, without their secrets",
    role: "admin",
    answers: gives("All of them.", { tokens: LIST }),
    work: (_, means) => ({ tokens: access(means).tokens() }),
  },
  {
    method: "POST",
    path: "/api/v1/tokens",
    name: "tokenAdd",
    summary: "Make a token, which is shown this once",
    role: "admin",
    body: members({
      name: NAME,
      role: ROLE,
      days: {
        type: "integer",
        minimum: 0,
        maximum: DAYS_MAX,
        default: 365,
        description: "How long it lives; 0: until it is revoked.",
      },
    }, ["name", "role"]),
    answers: gives("For the header `Authorization: Bearer`.", { id: TEXT, token: TEXT }),
    work: ({ body: { name, role, days = 365 } }, means) => {
      const made = access(means).addToken({ name: String(name), role: roleOf(role), days: Number(days) });
      if (isDenied(made)) throw refusal(made);
      return made;
    },
  },
  {
    method: "DELETE",
    path: "/api/v1/tokens/{id}",
    name: "tokenRevoke",
    summary: "Revoke a token",
    role: "admin",
    answers: OK,
    work: ({ path }, means) => done(access(means).revokeToken(path.id ?? "")),
  },
];

export const ACCESS_ROUTES: readonly Route[] = [...SESSION_ROUTES, ...USER_ROUTES, ...TOKEN_ROUTES];
