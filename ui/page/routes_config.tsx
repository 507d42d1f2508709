/**
 * Routes that change the configuration: check, apply, keep, undo; and changes to the filter, which are changes of its text.
 *
 * Every way to a change leads through the same page: what is wrong, or what would change, and the button that does it.
 */
import type { Context, Hono } from "hono";
import { gridRules } from "../../appliance/mirror_tune.ts";
import { ruleToml } from "../mirror_text.ts";
import { captureOf, readPacket } from "./packet_text.ts";
import { Tuned } from "./tune.tsx";
import { ConfigPage, CONFIRM_S, Judgement, Pending, Version } from "./config.tsx";
import { Explained } from "./filter.tsx";
import { presetOf, ruleOfForm, withoutRule, withPreset, withRule, withRuleLines } from "./filter_edit.ts";
import { type Form, FormError, readForm } from "./form.ts";
import type { ConfigDesk, Outcome } from "./means.ts";
import { configNow, type Env, type Pages, show, told, visitorOf } from "./pages.tsx";
import { Result } from "./parts.tsx";
import { type AccessRole, may, type Visitor } from "../session.ts";

/** Twice the text at most, for the form's own encoding. */
const CONFIG_BYTES_MAX = 512 * 1024;
const FORM_BYTES_MAX = 16 * 1024;
const CAPTURE_BYTES_MAX = 8 * 1024 * 1024;
/** The longest frame as digits with offsets and blanks. */
const PACKET_BYTES_MAX = 256 * 1024;

/** @throws FormError unless the visitor may, and means it */
async function formOf(c: Context<Env>, role: AccessRole, bytesMax: number): Promise<Form> {
  const visitor = visitorOf(c);
  if (!may(visitor, role)) throw new FormError(403, `${visitor.name} is ${visitor.role}; this needs ${role}`);
  return await readForm(c.req.raw, visitor, bytesMax);
}

export function addConfig(app: Hono<Env>, pages: Pages): void {
  const { means } = pages, desk = means.config;
  if (desk === undefined) return;
  app.get("/config", (c) => {
    if (!may(visitorOf(c), "admin")) return told(c, 403, "This is for admins.");
    return editor(c, pages, desk, null);
  });
  app.post("/config/check", async (c) => {
    const { fields: { text = "", etag } } = await formOf(c, "admin", CONFIG_BYTES_MAX);
    if (c.req.header("x-part") !== "1") return editor(c, pages, desk, text);
    const judged = { judgement: desk.check(text), text, etag: etag ?? desk.current().etag };
    return c.html(<Judgement {...judged} visitor={visitorOf(c)} />);
  });
  app.post("/config/apply", async (c) => {
    const { fields: { text, etag } } = await formOf(c, "admin", CONFIG_BYTES_MAX);
    if (text === undefined || etag === undefined) throw new FormError(400, "There is no text to apply");
    const change = { text, etag, who: visitorOf(c).name, note: "by the page", confirmS: CONFIRM_S };
    return await came(c, pages, await desk.apply(change));
  });
  app.post("/config/confirm", async (c) => {
    const { fields: { password = "" } } = await formOf(c, "admin", FORM_BYTES_MAX);
    const fault = await proofFault(c, pages, password);
    return await came(
      c,
      pages,
      fault === null ? desk.confirm(visitorOf(c).name) : { ok: false, text: fault },
    );
  });
  app.post("/config/rollback", async (c) => {
    const { fields: { id } } = await formOf(c, "admin", FORM_BYTES_MAX), who = visitorOf(c).name;
    if (id === undefined) return await came(c, pages, await desk.rollback({ id: null, who, confirmS: 0 }));
    if (!ID.test(id)) throw new FormError(400, `There is no configuration "${id.slice(0, 20)}"`);
    c.set("detail", JSON.stringify({ id: Number(id) }));
    return await came(c, pages, await desk.rollback({ id: Number(id), who, confirmS: CONFIRM_S }));
  });
  addHistory(app, pages, desk);
}

const ID = /^\d{1,15}$/;

function addHistory(app: Hono<Env>, pages: Pages, desk: ConfigDesk): void {
  app.get("/config/history/:id", (c) => {
    if (!may(visitorOf(c), "admin")) return told(c, 403, "This is for admins.");
    const id = ID.test(c.req.param("id")) ? Number(c.req.param("id")) : NaN;
    const version = desk.history().find((one) => one.id === id), kept = version && desk.version(id);
    if (version === undefined || !kept) return told(c, 404, "There is no configuration of that number.");
    return show(c, pages, {
      ...{ at: "/config", title: `Configuration ${id}` },
      body: (visitor) => <Version {...{ version, kept, visitor }} inForce={desk.current().id === id} />,
    });
  });
}

/** Whoever came in by a session says his password: a change that locks people out is not kept by a page left open. */
function proves({ means }: Pages, visitor: Visitor): boolean {
  return means.access !== undefined && visitor.csrf !== null;
}

/** Why the visitor may not keep a change; null: he may. */
async function proofFault(c: Context<Env>, pages: Pages, password: string): Promise<string | null> {
  const { access, address } = pages.means, visitor = visitorOf(c);
  if (access === undefined || !proves(pages, visitor)) return null;
  const denied = await access.prove({
    name: visitor.name,
    password,
    address: address?.(c.req.raw) ?? "",
  });
  return denied === null ? null : `It is not kept: ${denied.text}`;
}

/** The editor with the text in force, or with another one and what is to be said of it. */
function editor(
  c: Context<Env>,
  pages: Pages,
  desk: ConfigDesk,
  text: string | null,
): Response | Promise<Response> {
  const now = desk.current();
  return show(c, pages, {
    ...{
      at: "/config",
      title: "Config",
      lead: "Checked as a whole; nothing happens before you apply a change.",
    },
    body: (visitor) => (
      <ConfigPage
        {...{ now, text, visitor, history: desk.history(), proves: proves(pages, visitor) }}
        judgement={text === null ? null : desk.check(text)}
        nowMs={pages.means.now()}
      />
    ),
  });
}

function came(c: Context<Env>, pages: Pages, { ok, text }: Outcome): Response | Promise<Response> {
  const now = configNow(pages.means);
  c.set("refused", !ok);
  return show(c, pages, {
    ...{ at: "/config", title: "Config" },
    body: (visitor) => (
      <>
        <Result ok={ok} text={text} />
        {now === null || now.pending === null ? null : (
          <Pending
            {...{ now, visitor, nowMs: pages.means.now() }}
            proves={proves(pages, visitor)}
          />
        )}
        <p class="actions">
          <a class="button" href="/config">To the configuration</a>
        </p>
      </>
    ),
  });
}

export function addFilterChanges(app: Hono<Env>, pages: Pages): void {
  addExplain(app, pages);
  const desk = pages.means.config;
  if (desk === undefined) return;
  app.post("/filter/add", async (c) => {
    const rule = ruleOfForm((await formOf(c, "admin", FORM_BYTES_MAX)).fields);
    if (typeof rule === "string") throw new FormError(400, rule);
    return editor(c, pages, desk, withRule(desk.current().text, rule));
  });
  app.post("/filter/remove", async (c) => {
    const { fields: { index = "" } } = await formOf(c, "admin", FORM_BYTES_MAX);
    if (!/^\d{1,3}$/.test(index)) throw new FormError(400, `There is no rule "${index}"`);
    return editor(c, pages, desk, withoutRule(desk.current().text, Number(index)));
  });
  app.post("/filter/preset", async (c) => {
    const { fields } = await formOf(c, "admin", FORM_BYTES_MAX), preset = presetOf(fields.preset);
    if (preset === null) throw new FormError(400, `There is no preset "${fields.preset ?? ""}"`);
    return editor(c, pages, desk, withPreset(desk.current().text, preset));
  });
  app.post("/filter/tuned", async (c) => {
    const { fields: { rule: name = "" } } = await formOf(c, "admin", FORM_BYTES_MAX);
    const rule = gridRules().find((one) => one.name === name);
    if (rule === undefined) throw new FormError(400, `There is no rule "${name.slice(0, 40)}" in the grid`);
    return editor(c, pages, desk, withRuleLines(desk.current().text, ruleToml({ rule }).split("\n")));
  });
}

/** What is to be explained: a file, or one packet as digits. @throws FormError */
async function captureIn({ fields: { packet = "" }, files: { capture } }: Form) {
  if (capture !== undefined && capture.size > 0) {
    return { name: capture.name, bytes: new Uint8Array(await capture.arrayBuffer()) };
  }
  if (packet.trim() === "") throw new FormError(400, "There is neither a capture nor a packet in the form");
  const frame = readPacket(packet);
  if (typeof frame === "string") throw new FormError(400, frame);
  return { name: "One packet", bytes: captureOf(frame) };
}

const UPLOAD_BYTES_MAX = CAPTURE_BYTES_MAX + PACKET_BYTES_MAX;

function addExplain(app: Hono<Env>, pages: Pages): void {
  const { explain, tune, config } = pages.means;
  if (explain === undefined) return;
  app.post("/filter/explain", async (c) => {
    const form = await formOf(c, "operator", UPLOAD_BYTES_MAX), { name, bytes } = await captureIn(form);
    const named = form.fields.preset, preset = named ? presetOf(named) : null;
    if (named && preset === null) throw new FormError(400, `There is no preset "${named}"`);
    const found = await explain(bytes, preset).catch((error: Error) => error);
    if (found instanceof Error) return told(c, 400, `${found.message}.`);
    return show(c, pages, {
      ...{ at: "/filter", title: "Why it would be copied" },
      body: () => <Explained explanation={found} file={name} />,
    });
  });
  if (tune === undefined) return;
  app.post("/filter/tune", async (c) => {
    const { name, bytes } = await captureIn(await formOf(c, "operator", UPLOAD_BYTES_MAX));
    const found = await tune(bytes).catch((error: Error) => error);
    if (found instanceof Error) return told(c, 400, `${found.message}.`);
    return show(c, pages, {
      ...{ at: "/filter", title: "Which rule fits it" },
      body: (visitor) => (
        <Tuned
          {...{ candidates: found, file: name, visitor }}
          edits={config !== undefined && may(visitor, "admin")}
        />
      ),
    });
  });
}
