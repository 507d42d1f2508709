/**
 * Duty: a day of an operator on the pages of a running node: logins by TLS, roles, a drill, a capture, a switch there and
 * back, a change that nobody confirms and one that somebody does.
 *
 * The browser lives in the node's namespace, as somebody at the management port would, so nothing stands between them.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import type { Browser, Page } from "playwright-core";
import { Lab } from "../../scripts/lab/engine.ts";
import { LabNode } from "../../scripts/lab/node.ts";
import { end, run, sleep } from "../../scripts/lab/process.ts";
import { hotReplica, NODE_NS } from "../../scripts/lab/topology.ts";
import { openBrowser, portraits, shot, STEP_MS_MAX } from "../support/browser.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const LISTEN = "127.0.0.1:8443", URL_TOP = `https://${LISTEN}`;
const PASSWORD = "correct horse battery staple";
const MORE = [
  ...["[drill]", 'client = "10.1.0.250"', 'server = "10.2.0.250"', 'gateway = "10.1.0.1"', "udp_port = 53"],
  ...["[capture]", "ring_mib = 8", "[api]", `listen = "${LISTEN}"`],
];
/** What the page gives somebody to confirm a change, and as much again. */
const UNDO_MS_MAX = 180_000;

async function enter(browser: Browser, name: string, code?: string): Promise<Page> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, acceptDownloads: true });
  const page = await context.newPage();
  page.setDefaultTimeout(STEP_MS_MAX);
  await page.goto(`${URL_TOP}/`);
  if (code !== undefined) await page.getByLabel("One-time code").fill(code);
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button").click();
  await page.locator('#live[data-mode="live"]').waitFor();
  return page;
}

async function addUser(page: Page, name: string, role: string): Promise<void> {
  await page.goto(`${URL_TOP}/users`);
  const form = page.locator("#add-user");
  await form.getByLabel("Name").fill(name);
  await form.getByLabel("Password").fill(PASSWORD);
  await form.getByLabel("Role").selectOption(role);
  await form.getByRole("button", { name: "Add" }).click();
  await page.getByText(`${name} may come in as ${role}`).waitFor();
}

/** Asks in the dialog, means it, and returns what came of it. */
async function act(page: Page, button: string): Promise<string> {
  await page.getByRole("link", { name: button }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: button }).click();
  await dialog.locator(".result").waitFor();
  const said = await dialog.locator(".result").textContent() ?? "";
  await dialog.getByRole("link", { name: "Close" }).click();
  return said;
}

/** Of the node's answers to orders by the page's own session, past what the page offers. */
async function statusOf(page: Page, path: string, method: "GET" | "POST"): Promise<number> {
  const script = `fetch(${JSON.stringify(path)}, { method: "${method}", redirect: "manual",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    ...("${method}" === "POST" && { body: new URLSearchParams({ csrf:
      document.querySelector("[name=csrf]").value }) }) }).then((answer) => answer.status)`;
  return await page.evaluate<number>(script);
}

async function edit(page: Page, from: string, to: string): Promise<void> {
  await page.goto(`${URL_TOP}/config`);
  const area = page.locator("textarea").first(), text = await area.inputValue();
  assert.ok(text.includes(from), text);
  await area.fill(text.replace(from, to));
  await page.locator(".diff-in").filter({ hasText: to }).waitFor();
  await page.getByRole("button", { name: "Apply this change" }).click();
  await page.locator('.result[data-ok="true"]').waitFor();
  await page.locator("#pending").waitFor();
}

async function roles(browser: Browser): Promise<void> {
  const viewer = await enter(browser, "vic");
  for (const path of ["/", "/boxes", "/filter", "/logs", "/events"]) {
    await viewer.goto(URL_TOP + path);
    assert.equal(await viewer.locator("a[data-dialog]").count(), 0, path);
  }
  for (const path of ["/config", "/users", "/doctor", "/setup"]) {
    assert.equal(await statusOf(viewer, path, "GET"), 403, path);
  }
  for (
    const path of ["/act/switchover", "/act/drill", "/config/apply", "/config/confirm", "/filter/explain"]
  ) {
    assert.equal(await statusOf(viewer, path, "POST"), 403, path);
  }
  assert.equal(await statusOf(viewer, "/api/v1/capture/kept", "GET"), 403);
  const operator = await enter(browser, "olga");
  assert.equal(await operator.getByRole("link", { name: "Switch over" }).count(), 1);
  assert.equal(await operator.locator("nav a[href='/config']").count(), 0);
  for (const path of ["/config", "/users"]) assert.equal(await statusOf(operator, path, "GET"), 403, path);
  assert.equal(await statusOf(operator, "/config/rollback", "POST"), 403);
  await viewer.context().close();
  await operator.context().close();
}

/** Frames in a file that the page gave. */
async function framesIn(page: Page, click: () => Promise<void>, path: string): Promise<number> {
  const [download] = await Promise.all([page.waitForEvent("download"), click()]);
  await download.saveAs(path);
  const lines = (await run(["tshark", "-r", path, "-T", "fields", "-e", "frame.number"])).trim();
  return lines === "" ? 0 : lines.split("\n").length;
}

async function captures(page: Page, lab: Lab): Promise<void> {
  await page.goto(`${URL_TOP}/logs`);
  await page.getByLabel("Seconds").fill("5");
  // Each is a flow of its own: of one that lasts little is copied.
  const pings = lab.start("c1", [
    "sh",
    "-c",
    "while :; do ping -c 1 -W 1 10.2.0.11 >/dev/null; sleep 0.2; done",
  ]);
  const now = await framesIn(
    page,
    () => page.getByRole("button", { name: "Capture" }).click(),
    `${lab.directory}/now.pcapng`,
  );
  end(pings, "SIGKILL");
  await pings.status;
  assert.ok(now > 0, "copies while it pings");
}

async function thereAndBack(page: Page, lab: Lab): Promise<void> {
  await page.goto(`${URL_TOP}/`);
  const serving = page.locator('[data-t="serving"]').first();
  const primary = await serving.textContent();
  assert.match(await act(page, "Switch over"), /Done/);
  // Not by a function in the page: its policy lets no text become script.
  for (const deadline = Date.now() + STEP_MS_MAX; await serving.textContent() === primary; await sleep(50)) {
    assert.ok(Date.now() < deadline, "the page never showed the switch");
  }
  await page.getByRole("link", { name: "Fail back" }).first().waitFor();
  await page.goto(`${URL_TOP}/events`);
  for (const [name, words] of [["copies", "Copied frames"], ["decisions", "Decisions"]] as const) {
    const click = () => page.getByRole("link", { name: words }).first().click();
    // The ring on disk has the moment of the switch, and the decisions of it, a little after it.
    let frames = 0;
    for (const deadline = Date.now() + STEP_MS_MAX; frames === 0 && Date.now() < deadline; await sleep(200)) {
      frames = await framesIn(page, click, `${lab.directory}/${name}.pcapng`);
    }
    assert.ok(frames > 0, `${name} of the switch`);
  }
  await shot(page, "operator-events");
}

/** By who can still log in, and by nobody else. */
async function confirmed(page: Page): Promise<void> {
  await edit(page, "hold_up_ms = 500", "hold_up_ms = 700");
  await page.getByLabel("Password of ada").fill("what is not her password");
  await page.getByRole("button", { name: "Keep it" }).click();
  await page.getByText("It is not kept: the password is wrong").waitFor();
  await page.getByLabel("Password of ada").fill(PASSWORD);
  await page.getByRole("button", { name: "Keep it" }).click();
  await page.locator('.result[data-ok="true"]').waitFor();
  await page.goto(`${URL_TOP}/config`);
  assert.equal(await page.locator("#pending").count(), 0);
}

Deno.test("an operator's day on the pages of a running node", async () => {
  await using lab = await Lab.up(hotReplica({ clients: 1 }));
  const node = await LabNode.start(lab, {
    top: TOP,
    preset: "nat",
    failover: ["hold_up_ms = 500"],
    more: MORE,
  });
  const browser = await openBrowser(lab.ns(NODE_NS));
  const text = () => Deno.readTextFileSync(`${lab.directory}/remediate.toml`);
  try {
    const code = (await Deno.readTextFile(`${lab.directory}/run/first-code`)).trim();
    const page = await enter(browser, "ada", code), before = text();
    await addUser(page, "vic", "viewer");
    await addUser(page, "olga", "operator");

    await edit(page, "hold_up_ms = 500", "hold_up_ms = 600");
    assert.match(text(), /hold_up_ms = 600/);
    await roles(browser);
    await page.goto(`${URL_TOP}/boxes`);
    assert.match(await act(page, "Run a drill"), /Done.*10 of 10 canaries|Done/);
    await page.goto(`${URL_TOP}/setup`);
    await page.getByText(/The last drill through redundant was good/).waitFor();
    await captures(page, lab);
    await thereAndBack(page, lab);
    assert.deepEqual(await portraits(page, "operator"), []);
    for (const end = Date.now() + UNDO_MS_MAX; text() !== before && Date.now() < end;) await sleep(200);
    assert.equal(text(), before, "nobody confirmed it");
    await page.goto(`${URL_TOP}/config`);
    await page.locator("#history").getByText("undone").first().waitFor();

    await confirmed(page);
    assert.match(text(), /hold_up_ms = 700/);
  } finally {
    await browser.close();
    await node.stop();
  }
});
