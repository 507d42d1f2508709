/** From bare ports to an armed node in a browser: which cable is which, cards by PCI address, a third box, the guide, the button. */
import assert from "node:assert/strict";
import axe from "axe-core/axe.min.js" with { type: "text" };
import type { Page } from "playwright-core";
import type { Nic } from "../../appliance/setup/nics.ts";
import { parseBase } from "../../appliance/setup/plan.ts";
import { ROLES } from "../../appliance/view.ts";
import { askOnPage, type Machine } from "../../ui/first_run.ts";
import { nodePages } from "../../ui/page/node.ts";
import { serveNode } from "../../ui/serve.ts";
import { type Config, parseConfig } from "../../appliance/config.ts";
import { openBrowser, shot, STEP_MS_MAX } from "../support/browser.ts";
import { type PageNode, pageNode } from "../support/page_node.ts";

const PASSWORD = "correct horse battery staple";

function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  return listener.addr.port;
}

/** Cards that the kernel has given away already. */
const GIVEN: readonly Nic[] = ["0000:05:00.0", "0000:05:00.1"].map((name) => ({
  ...{ name, index: 0, driver: "vfio-pci", device: name, mac: "", link: null, mbit: null },
  ...{ rxPackets: null, neighbour: null, taken: null },
}));

const NICS: readonly Nic[] = [
  ...GIVEN,
  ...["mgmt0", "eth1", "eth2", "eth3", "eth4", "eth5", "eth6"].map((name, i) => ({
    ...{
      name,
      index: i + 1,
      driver: "igb",
      device: `0000:03:00.${i}`,
      mac: `02:00:00:00:00:0${i}`,
      mbit: 1000,
    },
    ...{
      link: i !== 6,
      rxPackets: i * 1234,
      neighbour: i === 1 ? { system: "core1", port: "ge-0/0/7" } : null,
    },
    taken: i === 0 ? "it carries the default route" : null,
  })),
];

async function login(page: Page, code: string | null): Promise<void> {
  if (code !== null) await page.getByLabel("One-time code").fill(code);
  await page.getByLabel("Name").fill("ada");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button").click();
}

async function serious(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    (globalThis as unknown as { axe: { run(): Promise<{ violations: { id: string; impact: string }[] }> } })
      .axe.run()
  );
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id }) => id);
}

interface Choosing {
  readonly url: string;
  readonly code: string;
  readonly blinked: readonly string[];
}

async function choosePorts(page: Page, { url, code, blinked }: Choosing): Promise<void> {
  await page.goto(url);
  await login(page, code);
  await page.getByRole("heading", { name: "First set-up" }).waitFor();
  assert.equal(await page.locator('select[name="upstream"] option[value="mgmt0"]').count(), 0);
  for (const [i, role] of ROLES.entries()) {
    await page.locator(`select[name="${role}"]`).selectOption(`eth${i + 1}`);
  }
  await page.getByRole("button", { name: "Let the LED of eth3 blink" }).click();
  await page.getByText("The LED of eth3 blinks").waitFor();
  assert.deepEqual(blinked, ["eth3"]);
  // Nothing that was chosen is lost by it.
  assert.equal(await page.locator('select[name="redundant-out"]').inputValue(), "eth6");
  await page.locator('select[name="downstream"]').selectOption("eth1");
  await page.getByRole("button", { name: "Check" }).click();
  await page.getByText("downstream: eth1 is upstream already").waitFor();
  await page.locator('select[name="downstream"]').selectOption("eth2");
  await page.locator('select[name="preset"]').selectOption("firewall");
  await page.getByText("More than one box stands by").click();
  await page.locator('select[name="redundant-2-in"]').selectOption("0000:05:00.0");
  await page.locator('select[name="redundant-2-out"]').selectOption("0000:05:00.1");
  await page.locator('select[name="way"]').selectOption("pci");
  await page.getByRole("button", { name: "Check" }).click();
  await page.getByText("learning_first = true").waitFor();
  await page.getByText('upstream = "0000:03:00.1"').waitFor();
  await page.getByText('[[redundant]]\nin = "0000:05:00.0"').waitFor();
  assert.deepEqual(await serious(page), []);
  await shot(page, "first-desk-light");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize({ width: 390, height: 844 });
  await shot(page, "first-phone-dark");
  const wide = await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
  assert.ok(wide <= 0, `${wide} px wider than a phone`);
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.emulateMedia({ colorScheme: "light" });
}

async function armByPage(page: Page, url: string, control: PageNode): Promise<void> {
  const would = { path: "redundant", cause: "silence", sinceMs: Date.now() } as const;
  await page.goto(url);
  await login(page, null);
  await page.locator('.word[data-state="learning"]').waitFor();
  await shot(page, "learning-desk-light");
  control.pinned = { ...control.pinned, learning: { sinceMs: 0, would, times: 3 } };
  await page.getByText("it would move the traffic to redundant (silence)").first().waitFor();
  await page.goto(`${url}setup`);
  await page.getByRole("heading", { name: /6\. Arm/ }).waitFor();
  await page.getByRole("link", { name: "Arm", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("It would move it to redundant at once").waitFor();
  await dialog.getByRole("button", { name: "Arm" }).click();
  await dialog.getByText("traffic goes by the primary box").waitFor();
  await page.goto(url);
  await page.locator('.word[data-state="protected"]').waitFor();
}

/** Its first card is in use, once. */
function machineOf(blinked: string[], bound: string[]): Machine {
  return {
    nics: () => Promise.resolve(NICS),
    blink: (name: string) => (blinked.push(name), Promise.resolve(null)),
    bind: ({ ports }: Config) => {
      bound.push(...Object.values(ports).map(({ spec }) => spec));
      return Promise.resolve(bound.length > 8 ? [] : ["Cannot bind upstream: the card is in use"]);
    },
    deaf: null,
    close: () => {},
  };
}

Deno.test("a browser leads from bare ports to an armed node", async () => {
  const directory = await Deno.makeTempDir(), port = freePort(), path = `${directory}/remediate.toml`;
  const url = `https://127.0.0.1:${port}/`;
  const base = `[node]\nname = "edge1"\nstate_directory = "${directory}/state"\n` +
    `runtime_directory = "${directory}/run"\n[api]\nlisten = "127.0.0.1:${port}"\n`;
  const blinked: string[] = [], bound: string[] = [], say = () => {};
  const machine = machineOf(blinked, bound);
  const asked = askOnPage({
    ...{ base, path, machine, say, signal: AbortSignal.timeout(5 * STEP_MS_MAX) },
    config: parseBase(base, path).config!,
  });
  const browser = await openBrowser();
  try {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    const page = await context.newPage();
    page.setDefaultTimeout(STEP_MS_MAX);
    await choosePorts(page, {
      url,
      code: (await Deno.readTextFile(`${directory}/run/first-code`)).trim(),
      blinked,
    });
    await page.getByRole("button", { name: "Write it and start" }).click();
    await page.getByText("Cannot bind upstream: the card is in use").waitFor();
    assert.equal(
      await Deno.stat(path).catch(() => null),
      null,
      "nothing is written while a card cannot be had",
    );
    await page.getByRole("button", { name: "Write it and start" }).click();
    await page.getByRole("heading", { name: "The node starts" }).waitFor();
    assert.equal(await asked, true);

    const { config } = parseConfig(await Deno.readTextFile(path), path), control = pageNode(Date.now);
    assert.equal(config?.failover.learningFirst, true);
    assert.deepEqual(config?.boxes.map(({ box }) => box), ["primary", "redundant", "redundant-2"]);
    assert.equal(config?.ports["redundant-2-in"]?.spec, "0000:05:00.0");
    control.pinned = {
      light: "yellow",
      learning: { sinceMs: Date.now() - 3_600_000, would: null, times: 2 },
    };
    const served = await serveNode({
      control,
      config: config!,
      say,
      pages: (behind) => nodePages(control, config!, behind),
    });
    await armByPage(page, url, control).finally(() => served.close());
  } finally {
    await browser.close();
    await Deno.remove(directory, { recursive: true });
  }
});
