/** Routes of the configuration: look, check, apply, confirm, go back. A part of the table in routes.ts. */
import type { ConfigAnswer } from "../appliance/view_config.ts";
import { have, Refused } from "./refused.ts";
import { type ApiMeans, type Asked, gives, json, LIST, OBJECT, type Route, TEXT, YES_NO } from "./route.ts";
import { members, nullable } from "../appliance/schema.ts";

const CONFIG_BYTES_MAX = 256 * 1024;
export const CONFIRM_S = 90;

const WHOLE = {
  type: "string",
  maxLength: CONFIG_BYTES_MAX / 2,
  description: "the text of a configuration, at most 128 KiB",
} as const;
const CONFIRM = {
  type: "integer",
  minimum: 0,
  maximum: 3600,
  default: CONFIRM_S,
  description:
    "Seconds after which the one before comes back unless this one is confirmed; 0: at once for good.",
} as const;
const ID = { type: "integer", minimum: 1, maximum: Number.MAX_SAFE_INTEGER } as const;

const VIEW = gives("The configuration in force. Its ETag is in the header as well.", {
  file: TEXT,
  text: TEXT,
  etag: TEXT,
  id: { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
  pending: nullable(OBJECT),
});

const config = (means: ApiMeans) => have(means.config, "configuration to change here: ask the first stage");
const whoOf = ({ visitor }: Asked) => visitor?.name ?? "";

function told(answer: ConfigAnswer): Response {
  if (answer.ok) return json({ ...answer.view, said: answer.text }, 200, { etag: `"${answer.view.etag}"` });
  const title = { 404: "Not found", 409: "Not now", 412: "Changed meanwhile", 422: "Not taken over" };
  const more = answer.problems === undefined ? {} : { problems: answer.problems };
  throw new Refused(answer.status, title[answer.status], answer.text, more);
}

/** The ETag that a change was made from; null for "*". */
function ifMatch(headers: Headers): string | null {
  const text = headers.get("if-match");
  if (text === null) {
    throw new Refused(
      428,
      "Precondition required",
      'Send "If-Match" with the ETag that the change was made from',
    );
  }
  return text.trim() === "*" ? null : text.trim().replace(/^(W\/)?"(.*)"$/, "$2");
}

const confirmS = ({ body }: Asked) => Number(body.confirm_s ?? CONFIRM_S);

export const CONFIG_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/api/v1/config",
    name: "config",
    summary: "The configuration in force",
    role: "admin",
    answers: VIEW,
    work: (_, means) => {
      const view = config(means).current();
      return json(view, 200, { etag: `"${view.etag}"` });
    },
  },
  {
    method: "PUT",
    path: "/api/v1/config",
    name: "configApply",
    summary: "Put a configuration in force, until it is confirmed",
    role: "admin",
    body: members({
      text: WHOLE,
      confirm_s: CONFIRM,
      note: { type: "string", maxLength: 200, description: "at most 200 characters" },
    }, ["text"]),
    bytesMax: CONFIG_BYTES_MAX,
    secret: true,
    idempotent: true,
    headers: { "If-Match": "The ETag that the change was made from, or `*`. Required." },
    answers: VIEW,
    work: async (asked, means) =>
      told(
        await config(means).apply({
          text: String(asked.body.text),
          who: whoOf(asked),
          note: String(asked.body.note ?? ""),
          etag: ifMatch(asked.headers),
          confirmS: confirmS(asked),
        }),
      ),
  },
  {
    method: "POST",
    path: "/api/v1/config/check",
    name: "configCheck",
    summary: "Judge a configuration and change nothing",
    role: "admin",
    body: members({ text: WHOLE }, ["text"]),
    bytesMax: CONFIG_BYTES_MAX,
    secret: true,
    answers: gives("Problems with key, line and what is accepted; the diff to the one in force.", {
      ok: YES_NO,
      problems: LIST,
      warnings: LIST,
      diff: TEXT,
    }),
    work: ({ body }, means) => config(means).check(String(body.text)),
  },
  {
    method: "POST",
    path: "/api/v1/config/confirm",
    name: "configConfirm",
    summary: "Keep the configuration that waits",
    role: "admin",
    answers: VIEW,
    idempotent: true,
    work: (asked, means) => told(config(means).confirm(whoOf(asked))),
  },
  {
    method: "POST",
    path: "/api/v1/config/rollback",
    name: "configRollback",
    summary:
      "Undo the configuration that waits, or go back to one of the history; without `id` to the one before",
    role: "admin",
    body: members({ id: ID, confirm_s: CONFIRM }),
    idempotent: true,
    answers: VIEW,
    work: async (asked, means) => {
      const id = asked.body.id === undefined ? null : Number(asked.body.id);
      return told(await config(means).rollback({ id, who: whoOf(asked), confirmS: confirmS(asked) }));
    },
  },
  {
    method: "GET",
    path: "/api/v1/config/history",
    name: "configHistory",
    summary: "Configurations that were in force, the newest first",
    role: "admin",
    answers: gives("All that are kept.", { versions: LIST }),
    work: (_, means) => ({ versions: config(means).history() }),
  },
  {
    method: "GET",
    path: "/api/v1/config/history/{id}",
    name: "configVersion",
    summary: "One of them, with the diff from the one before it",
    role: "admin",
    answers: gives("Its text and the diff.", { text: TEXT, diff: TEXT }),
    work: ({ path }, means) => {
      const id = path.id ?? "";
      const found = /^\d{1,15}$/.test(id) ? config(means).version(Number(id)) : null;
      if (found === null) throw new Refused(404, "Not found", `There is no configuration ${id}`);
      return found;
    },
  },
  {
    method: "POST",
    path: "/api/v1/reload",
    name: "reload",
    summary: "Take over the configuration file as it stands",
    role: "admin",
    answers: gives("It is in force.", { ok: YES_NO, text: TEXT }),
    work: async (asked, { config, control }) => {
      const result = await (config === null ? control.reload() : config.reload(whoOf(asked)));
      if (!result.ok) throw new Refused(422, "The configuration was not taken over", result.text);
      return result;
    },
  },
];
