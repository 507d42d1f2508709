/** The way in, by a browser over TLS: the first account by the one-time code, a page that is live, an action, the way out. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { parseConfig } from "../../appliance/config.ts";
import { nodePages } from "../../ui/page/node.ts";
import { serveNode } from "../../ui/serve.ts";
import { openBrowser, STEP_MS_MAX } from "../support/browser.ts";
import { CONFIG_TEXT } from "../support/page_means.ts";
import { type PageNode, pageNode } from "../support/page_node.ts";

const PASSWORD = "correct horse battery staple";

function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

async function logIn(page: Page): Promise<void> {
  await page.getByLabel("Name").fill("ada");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button").click();
}

/** Whose session is over is told so where he gives the order, and nothing is done. */
async function orderAfterItsSession(page: Page, control: PageNode): Promise<void> {
  await logIn(page);
  await page.getByRole("link", { name: "Switch over", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  await page.context().clearCookies();
  const before = control.calls.length;
  await dialog.getByRole("button", { name: "Switch over" }).click();
  await dialog.getByRole("alert").filter({ hasText: "You are not logged in any more" }).waitFor();
  assert.equal(control.calls.length, before);
  await dialog.getByRole("link", { name: "Log in" }).click();
  await page.waitForURL(/\/login$/);
}

Deno.test("a browser makes the first account over TLS, follows the node, acts, and leaves", async () => {
  const directory = await Deno.makeTempDir(), port = freePort();
  const text = CONFIG_TEXT.replace(
    'name = "edge1"',
    `name = "edge1"\nstate_directory = "${directory}/state"\nruntime_directory = "${directory}/run"`,
  ) + `[api]\nlisten = "127.0.0.1:${port}"\n`;
  const { config, problems } = parseConfig(text, "a test");
  assert.deepEqual(problems, []);
  const control = pageNode(Date.now);
  const served = await serveNode({
    control,
    config: config!,
    say: () => {},
    pages: (behind) => nodePages(control, config!, behind),
  });
  const browser = await openBrowser();
  try {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    const page = await context.newPage();
    page.setDefaultTimeout(STEP_MS_MAX);
    const complaints: string[] = [];
    page.on("pageerror", ({ message }) => complaints.push(message));
    await page.goto(`https://127.0.0.1:${port}/`);
    assert.match(page.url(), /\/login$/);
    await page.getByLabel("One-time code").fill("wrong");
    await logIn(page);
    await page.getByRole("alert").waitFor();
    const code = (await Deno.readTextFile(`${directory}/run/first-code`)).trim();
    await page.getByLabel("One-time code").fill(code);
    await logIn(page);
    await page.locator('#live[data-mode="live"]').waitFor();
    control.fail();
    await page.locator('.word[data-state="unprotected"]').waitFor();
    const dialog = page.getByRole("dialog");
    await page.getByRole("link", { name: "Fail back", exact: true }).click();
    await dialog.getByRole("button", { name: "Fail back" }).click();
    await dialog.getByText("traffic goes by the primary box").waitFor();
    await dialog.getByRole("link", { name: "Close" }).click();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.waitForURL(/\/login$/);
    await page.goto(`https://127.0.0.1:${port}/boxes`);
    assert.match(page.url(), /\/login$/);

    await orderAfterItsSession(page, control);
    assert.deepEqual(complaints, []);
    const audited = await Deno.readTextFile(`${directory}/state/audit.jsonl`);
    assert.match(audited, /"who":"ada","from":"127\.0\.0\.1","what":"POST \/act\/failback","result":200/);
  } finally {
    await browser.close();
    await served.close();
    await Deno.remove(directory, { recursive: true });
  }
});
