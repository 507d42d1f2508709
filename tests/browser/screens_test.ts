/** Every page as people see it, light and dark, on a desk and on a phone, into .cache/test/screens; and whether axe finds fault. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { CaptureWriter } from "../../appliance/mirror_files.ts";
import { bulkContent, bulkFlow } from "../../scripts/bench/ids_bulk.ts";
import type { AgentStatus } from "../../ui/fleet/agent.ts";
import type { PageMeans } from "../../ui/page/means.ts";
import { explainCapture, tuneCapture } from "../../ui/page/explain.ts";
import {
  look,
  openBrowser,
  portraits,
  seriousFaults,
  serveHandler,
  servePages,
  shot,
  VIEWS,
} from "../support/browser.ts";
import { ADMIN, FleetDesk } from "../support/fleet_desk.ts";
import { pageNode } from "../support/page_node.ts";
import { ADMIN_VISITOR, CONFIG_TEXT, pageMeans } from "../support/page_means.ts";
import { fakeDesk } from "../support/update_desk.ts";

const PAGES = [
  "/",
  "/boxes",
  "/flows",
  "/events",
  "/filter",
  "/config",
  "/config/history/1",
  "/users",
  "/logs",
  "/doctor",
  "/fleet",
  "/update",
  "/setup",
  "/act/switchover",
  "/nowhere",
] as const;
/** Long enough for rates, and for a first line in the plot. */
const SETTLE_MS = 2500;

const AGENT: Omit<AgentStatus, "atMs"> = {
  ...{ pid: 1, url: "wss://fleet.example:8444", key: "MCowBQYDK2VwAyEA", busy: 1, waits: "" },
  last: "drill: 12 of 12 canaries came through",
  view: null,
};

const OFFLINE: Pick<PageMeans, "explain" | "tune"> = {
  explain: (bytes, preset) => explainCapture(bytes, preset, () => CONFIG_TEXT),
  tune: tuneCapture,
};

/** Names a picture after a path. */
function nameOf(path: string): string {
  return path === "/" ? "overview" : path.slice(1).replaceAll("/", "-");
}

Deno.test("pages are free of serious faults for everybody, in light and dark, on desk and phone", async () => {
  const node = pageNode(() => Date.now());
  node.fail();
  await using served = servePages(
    node,
    pageMeans({
      control: node,
      ...OFFLINE,
      fleet: () => ({ ...AGENT, atMs: Date.now() }),
      update: fakeDesk().desk.updater,
    }),
  );
  const browser = await openBrowser();
  try {
    for (const view of VIEWS) {
      const { page, complaints } = await look(browser, view);
      for (const path of [...PAGES, "/login"]) {
        served.visitor = path === "/login" ? null : ADMIN_VISITOR;
        await page.goto(served.url + path);
        await page.waitForTimeout(path === "/" ? SETTLE_MS : 300);
        await shot(page, `${nameOf(path)}-${view.name}`);
        if (view.judged) assert.deepEqual(await seriousFaults(page), [], `${path} ${view.name}`);
        const wide = await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
        assert.ok(wide <= 0, `${path} is ${wide} px wider than the screen of ${view.name}`);
      }
      assert.deepEqual(complaints.filter((one) => !/status of 404/.test(one)), []);
      await page.context().close();
    }
  } finally {
    await browser.close();
  }
});

async function upload(page: Page, url: string, capture: string): Promise<void> {
  await page.goto(`${url}/filter`);
  await page.getByLabel("A file, pcap or pcapng").setInputFiles(capture);
}

Deno.test("a capture and a packet are explained, and a rule is tuned and taken, on pages free of serious faults", async () => {
  const node = pageNode(() => Date.now()),
    directory = await Deno.makeTempDir(),
    path = `${directory}/monday.pcap`;
  await using served = servePages(
    node,
    pageMeans({
      control: node,
      ...OFFLINE,
    }),
  );
  const browser = await openBrowser();
  try {
    const frames = bulkFlow(1, "http-download", 20_000, bulkContent());
    await using writer = await CaptureWriter.create(path);
    await writer.write(frames);
    await writer.close();
    const { page, complaints } = await look(browser);
    await upload(page, served.url, path);
    await page.getByRole("button", { name: "Explain" }).click();
    await page.getByText("it opens the connection").first().waitFor();
    assert.deepEqual(await portraits(page, "explained"), []);

    await page.goto(`${served.url}/filter`);
    await page.getByLabel("Or one packet").fill(frames[0]!.bytes.toHex());
    await page.getByRole("button", { name: "Explain" }).click();
    await page.getByText("1 of 1 packets, rule nat").waitFor();
    await page.goto(`${served.url}/filter`);
    await page.getByLabel("Or one packet").fill("02 0g");
    await page.getByRole("button", { name: "Explain" }).click();
    await page.getByText('"g" in the packet is no hexadecimal digit').waitFor();

    await upload(page, served.url, path);
    await page.getByRole("button", { name: "Find the rule that fits it" }).click();
    await page.getByText("the knee").waitFor();
    assert.equal(await page.locator("svg.curve circle").count(), 48);
    assert.deepEqual(await portraits(page, "tuned"), []);
    await page.getByRole("button", { name: /^Take it: rule p/ }).first().click();
    await page.locator(".diff-in").filter({ hasText: /name = "p\d+-b/ }).waitFor();
    await page.getByRole("button", { name: "Apply this change" }).waitFor();
    assert.deepEqual(complaints.filter((one) => !/status of 400/.test(one)), []);
  } finally {
    await browser.close();
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a controller's pages are free of serious faults, live without a stream, and lead through a roll-out", async () => {
  await using desk = await FleetDesk.open();
  await desk.bundle();
  await using served = serveHandler(desk.pages);
  served.visitor = ADMIN;
  const browser = await openBrowser();
  try {
    const { page, complaints } = await look(browser);
    await page.goto(`${served.url}/rollouts`);
    await page.getByLabel("Name", { exact: true }).fill("spring");
    await page.getByLabel("Version of the bundle").fill("1.1.0");
    await page.getByLabel("Canaries").fill("single");
    await page.getByLabel("Then, in percent").fill("50, 100");
    assert.deepEqual(await portraits(page, "fleet-rollouts"), []);
    await page.getByRole("button", { name: "Make" }).click();
    await page.getByText("the roll-out is draft").first().waitFor();
    await page.goto(`${served.url}/rollouts/spring/start`);
    assert.deepEqual(await portraits(page, "fleet-question"), []);
    await page.getByRole("button", { name: "Start" }).click();
    await page.getByText("fetches and installs the bundle").first().waitFor();
    await page.getByText("asked each second").waitFor();
    for (
      const path of ["/nodes", `/nodes/${desk.ids.get("left")}`, "/pairs", "/rollouts/spring", "/events"]
    ) {
      await page.goto(served.url + path);
      await page.waitForTimeout(300);
      const name = path.startsWith("/nodes/") ? "node" : nameOf(path);
      assert.deepEqual(await portraits(page, `fleet-${name}`), []);
    }
    assert.deepEqual(complaints, []);
  } finally {
    await browser.close();
  }
});
