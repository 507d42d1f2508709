/** Every page as people see it, light and dark, on a desk and on a phone, into .cache/test/screens; and whether axe finds fault. */
import assert from "node:assert/strict";
import axe from "axe-core/axe.min.js" with { type: "text" };
import type { Page } from "playwright-core";
import { look, openBrowser, servePages, shot } from "../support/browser.ts";
import { pageNode } from "../support/page_node.ts";
import { ADMIN_VISITOR, pageMeans } from "../support/page_means.ts";

const PAGES = [
  "/",
  "/boxes",
  "/flows",
  "/events",
  "/filter",
  "/config",
  "/users",
  "/logs",
  "/doctor",
  "/setup",
] as const;
const VIEWS = [
  { name: "desk-light", width: 1280, height: 900, dark: false, judged: true },
  { name: "desk-dark", width: 1280, height: 900, dark: true, judged: false },
  { name: "phone-light", width: 390, height: 844, dark: false, judged: false },
  { name: "phone-dark", width: 390, height: 844, dark: true, judged: true },
] as const;
/** Long enough for rates, and for a first line in the plot. */
const SETTLE_MS = 2500;

/** What axe calls serious or worse, as sentences. */
async function faults(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const found = await page.evaluate(() =>
    (globalThis as unknown as { axe: { run(): Promise<AxeResult> } }).axe.run()
  );
  return found.violations.filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, help, nodes }) =>
      `${id}: ${help}: ${nodes.slice(0, 3).map(({ html }) => html.slice(0, 160)).join(" | ")}`
    );
}

interface AxeResult {
  readonly violations: readonly {
    id: string;
    impact: string;
    help: string;
    nodes: readonly { html: string }[];
  }[];
}

Deno.test("pages are free of serious faults for everybody, in light and dark, on desk and phone", async () => {
  const node = pageNode(() => Date.now());
  await using served = servePages(node, pageMeans({ control: node }));
  const browser = await openBrowser();
  try {
    for (const view of VIEWS) {
      const { page, complaints } = await look(browser, view);
      for (const path of [...PAGES, "/login"]) {
        served.visitor = path === "/login" ? null : ADMIN_VISITOR;
        await page.goto(served.url + path);
        await page.waitForTimeout(path === "/" ? SETTLE_MS : 300);
        const name = path === "/" ? "overview" : path.slice(1);
        await shot(page, `${name}-${view.name}`);
        // Both sets of colours and both layouts, once each: axe takes longer than all the rest.
        if (view.judged) assert.deepEqual(await faults(page), [], `${path} ${view.name}`);
        const wide = await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
        assert.ok(wide <= 0, `${path} is ${wide} px wider than the screen of ${view.name}`);
      }
      assert.deepEqual(complaints, []);
      await page.context().close();
    }
  } finally {
    await browser.close();
  }
});
