/** Pages in a browser: numbers that follow the node, marks where they do not, questions before actions, and use without script. */
import assert from "node:assert/strict";
import type { Browser, Page } from "playwright-core";
import { look, openBrowser, servePages, shot, STEP_MS_MAX } from "../support/browser.ts";
import { ADMIN_VISITOR, CONFIG_TEXT, pageMeans } from "../support/page_means.ts";
import { pageNode } from "../support/page_node.ts";

async function withBrowser(work: (browser: Browser) => Promise<void>): Promise<void> {
  const browser = await openBrowser();
  try {
    await work(browser);
  } finally {
    await browser.close();
  }
}

const text = (page: Page, selector: string) => page.locator(selector).first().textContent();

async function until(what: string, there: () => Promise<boolean>, msMax = STEP_MS_MAX): Promise<number> {
  const sinceMs = performance.now();
  while (!await there()) {
    if (performance.now() - sinceMs > msMax) assert.fail(`${what} is not seen after ${msMax} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return performance.now() - sinceMs;
}

Deno.test("a page shows a failover, and what has come of it", async () => {
  const node = pageNode(Date.now);
  await using served = servePages(node, pageMeans({ control: node }));
  await withBrowser(async (browser) => {
    const { page, complaints } = await look(browser);
    await page.goto(served.url);
    assert.equal(await text(page, "h1"), "Overview");
    await until("live", async () => (await text(page, "#live")) === "live");
    assert.equal(await text(page, ".big"), "Protected");
    node.fail();
    const sightMs = await until("the failover", async () => (await text(page, ".big")) === "Unprotected");
    console.log(`seen after ${sightMs.toFixed(0)} ms`);
    await until("who serves", async () => (await text(page, '[data-t="serving"]')) === "fw-b");
    assert.match(
      await text(page, '[data-t="state.reason"]') ?? "",
      /^No box would take over: fw-a is not alive/,
    );
    await until("the way back", async () => await page.getByRole("link", { name: "Fail back" }).count() > 0);
    assert.equal(await page.locator('.wide-drawing .line[data-state^="traffic"]').count(), 4);
    await shot(page, "failed-over");
    assert.deepEqual(complaints, []);
  });
});

Deno.test("a page says that it is not live, asks by itself, and is live again", async () => {
  const node = pageNode(Date.now);
  await using served = servePages(node, pageMeans({ control: node }));
  await withBrowser(async (browser) => {
    const { page } = await look(browser);
    // The stream is cut off for good; the page can only ask.
    await page.route("**/live", (route) => route.fulfill({ status: 503, body: "" }));
    await page.goto(served.url);
    await until("asked", async () => /^not live: asked/.test(await text(page, "#live") ?? ""));
    node.fail();
    await until("the failover", async () => (await text(page, ".big")) === "Unprotected");
    served.down = true;
    // The page itself is asked for both at once: a moment later it is lost.
    await page.locator('html[data-mode="late"] #live', { hasText: /^not live: heard \d+ s ago/ }).waitFor();
    await until("the warning", () => page.locator("#not-live").isVisible());
    await shot(page, "not-live");
    served.down = false;
    await page.unroute("**/live");
    await until("live", async () => (await text(page, "#live")) === "live");
    assert.equal(await page.locator("#not-live").isVisible(), false);
  });
});

Deno.test("a page behind others holds no connection, and is live again when it is looked at", async () => {
  const node = pageNode(Date.now);
  await using served = servePages(node, pageMeans({ control: node }));
  await withBrowser(async (browser) => {
    const { page, complaints } = await look(browser);
    await page.goto(served.url);
    const live = async () => (await text(page, "#live")) === "live" && served.pages.hub.viewers === 1;
    const turn = (hidden: boolean) =>
      page.evaluate(`Object.defineProperty(document, "hidden", { configurable: true, get: () => ${hidden} });
        document.dispatchEvent(new Event("visibilitychange"))`);
    await until("live", live);
    await turn(true);
    await until("nobody looks", () => Promise.resolve(served.pages.hub.viewers === 0));
    node.fail();
    await turn(false);
    await until("live", live);
    await until("the failover", async () => (await text(page, ".big")) === "Unprotected");
    assert.deepEqual(complaints, []);
  });
});

Deno.test("a page asks once in a dialog, by keyboard alone, and says what came of it", async () => {
  const node = pageNode(Date.now);
  await using served = servePages(node, pageMeans({ control: node }));
  await withBrowser(async (browser) => {
    const { page, complaints } = await look(browser);
    await page.goto(`${served.url}/boxes`);
    await page.getByRole("link", { name: "Switch over to it" }).focus();
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    assert.match(await dialog.textContent() ?? "", /All traffic moves to fw-b at once/);
    await shot(page, "question");
    await page.keyboard.press("Escape");
    await until("no dialog", async () => await page.getByRole("dialog").count() === 0);
    assert.deepEqual(node.calls.filter((call) => call.startsWith("switchover")), []);
    await page.getByRole("link", { name: "Switch over to it" }).press("Enter");
    await dialog.getByRole("button", { name: "Switch over" }).press("Enter");
    await dialog.getByText("traffic goes by the redundant box").waitFor();
    assert.deepEqual(node.calls.filter((call) => call.startsWith("switchover")), [
      'switchover {"force":false,"box":"redundant"}',
    ]);
    assert.deepEqual(complaints, []);
  });
});

Deno.test("a click on what is fetched anew meanwhile is heard, and two clicks ask one question", async () => {
  const node = pageNode(Date.now);
  await using served = servePages(node, pageMeans({ control: node }));
  await withBrowser(async (browser) => {
    const { page, complaints } = await look(browser);
    await page.goto(served.url);
    await until("live", async () => (await text(page, "#live")) === "live");
    const dialog = page.getByRole("dialog"), order = page.getByRole("link", { name: "Switch over" });
    const pressed = await order.elementHandle();
    await order.dispatchEvent("pointerdown");
    // The page has another shape and fetches its parts, again and again while it cannot put all of them in place.
    const fetches = () => page.waitForRequest((request) => request.url() === `${served.url}/`);
    const first = fetches();
    node.fail();
    await first;
    await fetches();
    assert.ok(await pressed!.evaluate((link) => (link as { isConnected: boolean }).isConnected));
    await order.dispatchEvent("pointerup");
    const back = page.getByRole("link", { name: "Fail back" });
    await back.waitFor();
    assert.equal(await order.count(), 0, "what waited for the click is new as well");
    await back.dblclick();
    await dialog.getByRole("button", { name: "Fail back" }).click();
    await dialog.getByText("traffic goes by the primary box").waitFor();
    await dialog.getByRole("link", { name: "Close" }).click();
    await dialog.waitFor({ state: "detached" });
    assert.deepEqual(complaints, []);
  });
});

Deno.test("pages work without script: they are read, and an action asks on a page of its own", async () => {
  const node = pageNode(Date.now);
  await using served = servePages(node, pageMeans({ control: node }));
  await withBrowser(async (browser) => {
    const { page } = await look(browser, { script: false });
    await page.goto(served.url);
    assert.equal(await text(page, ".big"), "Protected");
    assert.match(await text(page, "#live") ?? "", /^\s*as of \d\d:\d\d:\d\d UTC/);
    await page.getByRole("link", { name: "Switch over" }).click();
    await page.getByRole("button", { name: "Switch over" }).click();
    assert.match(await text(page, ".result") ?? "", /Done traffic goes by the redundant box/);
    await page.goto(`${served.url}/config`);
    await page.locator("textarea").first().fill(
      CONFIG_TEXT.replace("silence_ms = 10", 'silence_ms = "soon"'),
    );
    await page.getByRole("button", { name: "Check" }).click();
    assert.match(await text(page, ".problems") ?? "", /line 21 failover\.silence_ms/);
  });
});

Deno.test("a configuration is judged while it is written, applied, and kept by a word", async () => {
  const node = pageNode(Date.now), means = pageMeans({ control: node });
  await using served = servePages(node, means);
  await withBrowser(async (browser) => {
    const { page, complaints } = await look(browser);
    await page.goto(`${served.url}/config`);
    const area = page.locator("textarea").first();
    await area.fill(CONFIG_TEXT.replace("silence_ms = 10", "silence_ms = -5"));
    await page.getByRole("heading", { name: "1 problem", exact: true }).waitFor();
    await shot(page, "problem");
    await page.getByRole("button", { name: "line 21" }).click();
    assert.equal(await page.evaluate("getSelection().toString()"), "silence_ms = -5");
    await area.fill(CONFIG_TEXT.replace("silence_ms = 10", "silence_ms = 20"));
    await page.locator(".diff-in").filter({ hasText: "silence_ms = 20" }).waitFor();
    await shot(page, "change");
    await page.getByRole("button", { name: "Apply this change" }).click();
    assert.match(await text(page, ".result") ?? "", /in force/);
    assert.match(await text(page, "#pending") ?? "", /comes back in (90|[1-8]\d) s/);
    await shot(page, "pending");
    await page.goto(served.url);
    assert.match(await text(page, ".pending") ?? "", /undone in (90|[1-8]\d) s/);
    await page.getByRole("link", { name: "To the configuration" }).click();
    await page.getByLabel("Password of ada").fill("another");
    await page.getByRole("button", { name: "Keep it" }).click();
    const result = page.locator(".result");
    await result.filter({ hasText: "It is not kept: the password is wrong" }).waitFor();
    await page.getByLabel("Password of ada").fill("correct");
    await page.getByRole("button", { name: "Keep it" }).click();
    await result.filter({ hasText: "it is kept" }).waitFor();
    assert.equal(means.config.text, CONFIG_TEXT.replace("silence_ms = 10", "silence_ms = 20"));
    await page.goto(`${served.url}/config`);
    await page.getByRole("link", { name: "What number 1 changed" }).click();
    await shot(page, "version");
    await page.getByRole("button", { name: "Go back to number 1" }).click();
    assert.match(await text(page, "#pending") ?? "", /comes back in (90|[1-8]\d) s/);
    assert.equal(means.config.text, CONFIG_TEXT);
    assert.deepEqual(complaints, []);
  });
});

Deno.test("a viewer is offered nothing that he may not do", async () => {
  const node = pageNode(Date.now);
  await using served = servePages(node, pageMeans({ control: node }));
  served.visitor = { ...ADMIN_VISITOR, name: "vic", role: "viewer" };
  await withBrowser(async (browser) => {
    const { page } = await look(browser);
    for (const path of ["/", "/boxes", "/filter", "/logs", "/events"]) {
      await page.goto(served.url + path);
      assert.equal(
        await page.locator("a[data-dialog], form[method=post]:not([action='/logout'])").count(),
        0,
        path,
      );
      assert.equal(await page.locator("nav a[href='/config'], nav a[href='/doctor']").count(), 0);
    }
  });
});
