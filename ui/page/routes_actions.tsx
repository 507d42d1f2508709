/**
 * Routes of the actions: a question, then what came of it.
 *
 * The question is a page of its own, and the same form in a dialog where there is script (`x-part: 1` asks for the part
 * alone). Only the answer to it does anything.
 */
import type { Context, Hono } from "hono";
import type { Child } from "hono/jsx";
import { type Action, actionOf, type Given, givenFault } from "./actions.ts";
import { FormError, readForm } from "./form.ts";
import type { Outcome } from "./means.ts";
import { type Env, type Pages, show, told, visitorOf } from "./pages.tsx";
import { Csrf, Result } from "./parts.tsx";
import { may, type Visitor } from "../session.ts";

const BYTES_MAX = 8 * 1024;

export function addActions(app: Hono<Env>, pages: Pages): void {
  app.get("/act/:name", (c) => {
    const action = allowed(c), given = Object.fromEntries(new URL(c.req.url).searchParams);
    const fault = givenFault(action, given, pages.hub.read().status);
    if (fault !== null) return told(c, 400, `${fault}.`);
    return part(
      c,
      pages,
      action.label,
      (visitor) => (
        <Question
          name={c.req.param("name")}
          {...{ action, given, visitor }}
          text={action.question(given, pages.hub.read().status)}
        />
      ),
    );
  });
  app.post("/act/:name", async (c) => {
    const action = allowed(c);
    const { fields: given } = await readForm(c.req.raw, visitorOf(c), BYTES_MAX);
    const fault = givenFault(action, given, pages.hub.read().status);
    if (fault !== null) return told(c, 400, `${fault}.`);
    c.set("detail", JSON.stringify(given));
    const outcome = await action.run(pages.control, given);
    c.set("refused", !outcome.ok);
    return part(c, pages, action.label, () => <Came outcome={outcome} />);
  });
}

/** @throws FormError where there is no such action, or the visitor may not take it */
function allowed(c: Context<Env>): Action {
  const name = c.req.param("name") ?? "", action = actionOf(name), visitor = visitorOf(c);
  if (action === null) throw new FormError(400, `There is no action "${name}"`);
  if (may(visitor, action.role)) return action;
  throw new FormError(403, `${visitor.name} is ${visitor.role}; "${action.label}" needs ${action.role}`);
}

/** A part for a dialog, or the page around it. */
function part(
  c: Context<Env>,
  pages: Pages,
  title: string,
  body: (visitor: Visitor) => Child,
): Response | Promise<Response> {
  if (c.req.header("x-part") !== "1") return show(c, pages, { at: "", title, body });
  return c.html(<>{body(visitorOf(c))}</>);
}

interface QuestionProps {
  readonly name: string;
  readonly action: Action;
  readonly given: Given;
  readonly text: string;
  readonly visitor: Visitor;
}

function Question({ name, action, given, text, visitor }: QuestionProps) {
  return (
    <form method="post" action={`/act/${name}`} class="question" data-question>
      <Csrf visitor={visitor} />
      {Object.entries(given).map(([key, value]) => <input type="hidden" name={key} value={value} />)}
      <h2>{action.label}?</h2>
      <p>{text}</p>
      {action.fields.includes("force")
        ? (
          <label class="tick">
            <input type="checkbox" name="force" value="true" />
            <span>Even if the box is not known to be alive, or would not carry on enough flows</span>
          </label>
        )
        : null}
      <p class="actions">
        <button type="submit">{action.label}</button>
        <a class="button quiet" href="/" data-close autofocus>Cancel</a>
      </p>
    </form>
  );
}

function Came({ outcome }: { outcome: Outcome }) {
  return (
    <div class="came">
      <Result ok={outcome.ok} text={outcome.text} />
      <p class="actions">
        <a class="button quiet" href="/" data-close>Close</a>
      </p>
    </div>
  );
}
