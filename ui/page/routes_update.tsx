/** Routes of the page of updates. Bundles come in by the API; restart and the way back by forms. */
import type { Context, Hono } from "hono";
import type { Updater } from "../../appliance/update/contract.ts";
import { reasonOf } from "../../drivers/reason.ts";
import { may } from "../session.ts";
import { FormError, readForm } from "./form.ts";
import type { Outcome } from "./means.ts";
import { type Env, type Pages, show, told, visitorOf } from "./pages.tsx";
import { Update } from "./update.tsx";

const BYTES_MAX = 4096;
const LEAD = "Two slots: one runs, the other takes the next version.";

const ORDERS = {
  restart: { run: (updater: Updater) => updater.restart(), text: "The machine restarts." },
  rollback: {
    run: (updater: Updater) => updater.rollBack(),
    text: "The other slot is started next; restart when it suits.",
  },
} as const;

export function addUpdate(app: Hono<Env>, pages: Pages): void {
  const { update } = pages.means;
  if (update === undefined) return;
  const page = async (c: Context<Env>, outcome?: Outcome) => {
    const view = await update.view();
    return await show(c, pages, {
      ...{ at: "/update", title: "Update", lead: LEAD },
      body: (visitor) => <Update view={view} visitor={visitor} {...(outcome && { outcome })} />,
    });
  };
  app.get("/update", (c) => page(c));
  app.post("/update/:order", async (c) => {
    const name = c.req.param("order"), visitor = visitorOf(c);
    if (!Object.hasOwn(ORDERS, name)) return told(c, 404, `There is no order "${name}".`);
    if (!may(visitor, "admin")) {
      throw new FormError(403, `${visitor.name} is ${visitor.role}; this needs admin`);
    }
    await readForm(c.req.raw, visitor, BYTES_MAX);
    const { run, text } = ORDERS[name as keyof typeof ORDERS];
    const outcome = await run(update).then(
      () => ({ ok: true, text }),
      (error: unknown) => ({ ok: false, text: reasonOf(error) }),
    );
    c.set("refused", !outcome.ok);
    return await page(c, outcome);
  });
}
