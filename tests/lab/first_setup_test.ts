/** From bare ports to an armed node, by a browser: it is asked, hears of a neighbour, and the node runs by what it chose. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { parseConfig } from "../../appliance/config.ts";
import { inNamespace, sleep, tryRun } from "../../scripts/lab/process.ts";
import { NODE_NS } from "../../scripts/lab/topology.ts";
import { ROLES } from "../../appliance/view.ts";
import { openBrowser, portraits, shot, STEP_MS_MAX } from "../support/browser.ts";
import { lldpFrame } from "../support/lldp.ts";
import { binary } from "../support/node.ts";
import { nodeEnd, Wire } from "../support/wire.ts";

const LISTEN = "127.0.0.1:8443", URL_TOP = `https://${LISTEN}/`;
const LLDP = lldpFrame("core1", "ge-0/0/7"), PASSWORD = "correct horse battery";

/** Its words go to a file, which nobody has to read in time. */
async function startControl(argv: readonly string[], directory: string): Promise<Deno.ChildProcess> {
  await Deno.writeTextFile(`${directory}/log`, "");
  const args = ["-c", 'exec "$@" 2>>"$0"', `${directory}/log`, ...argv];
  return new Deno.Command("sh", { args, stdout: "null" }).spawn();
}

async function login(page: Page, code: string | null): Promise<void> {
  if (code !== null) await page.getByLabel("One-time code").fill(code);
  await page.getByLabel("Name").fill("ann");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button").click();
}

/** Wrong at first, then right, then without the word of the session, and for good. */
async function choose(page: Page): Promise<void> {
  for (const role of ROLES) await page.locator(`select[name="${role}"]`).selectOption(nodeEnd(role));
  await page.locator('select[name="downstream"]').selectOption(nodeEnd("upstream"));
  await page.getByRole("button", { name: "Check" }).click();
  await page.getByText(`downstream: ${nodeEnd("upstream")} is upstream already`).waitFor();
  await page.locator('select[name="downstream"]').selectOption(nodeEnd("downstream"));
  await page.getByRole("button", { name: "Check" }).click();
  await page.getByText("learning_first = true").waitFor();
  const forged = 'fetch("/apply", { method: "POST", body: new URLSearchParams({ preset: "nat" }) })';
  assert.equal(await page.evaluate<number>(`${forged}.then((answer) => answer.status)`), 403);
  await page.getByRole("button", { name: "Write it and start" }).click();
  await page.getByRole("heading", { name: "The node starts" }).waitFor();
}

async function arm(page: Page): Promise<void> {
  await page.goto(`${URL_TOP}setup`);
  await page.getByRole("heading", { name: /6\. Arm/ }).waitFor();
  await page.getByRole("link", { name: "Arm", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Arm" }).click();
  await dialog.locator('.result[data-ok="true"]').waitFor();
  await dialog.getByRole("link", { name: "Close" }).click();
  await page.getByText("The node is armed: it moves traffic by itself when a box dies").waitFor();
  assert.deepEqual(await portraits(page, "first-armed"), []);
}

Deno.test("a machine without ports is set up by its page, learns, and is armed", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const directory = await Deno.makeTempDir({ dir: wire.lab.directory });
  const file = `${directory}/remediate.toml`;
  await Deno.writeTextFile(
    file,
    `[node]\nstate_directory = "${directory}/state"\nruntime_directory = "${directory}/run"\n` +
      `[plane]\nhugepages = "off"\nmemory_mib = 96\nflows_max = 1024\n[api]\nlisten = "${LISTEN}"\n`,
  );
  const control = await startControl(
    inNamespace(wire.lab.ns(NODE_NS), [binary(), "run", "--config", file]),
    directory,
  );
  const logged = () => Deno.readTextFileSync(`${directory}/log`);
  const status = async () =>
    (await tryRun([binary(), "status", "--json", "--config", file], { timeoutMs: 20_000 })).stdout;
  const until = async (what: string, is: () => boolean | Promise<boolean>) => {
    for (const end = Date.now() + 30_000; !await is(); await sleep(50)) {
      assert.ok(Date.now() < end, `${what} did not come: ${logged()}`);
    }
  };
  const browser = await openBrowser(wire.lab.ns(NODE_NS));
  try {
    await until("the page", () => logged().includes("set this node up at"));
    const code = (await Deno.readTextFile(`${directory}/run/first-code`)).trim();
    const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
    page.setDefaultTimeout(STEP_MS_MAX);
    await page.goto(URL_TOP);
    await login(page, code);
    await page.getByRole("heading", { name: "First set-up" }).waitFor();
    await until("a neighbour", async () => {
      bench.send("upstream", LLDP);
      await page.getByRole("button", { name: "Look again" }).click();
      await page.waitForLoadState();
      return await page.getByText("core1 ge-0/0/7").count() > 0;
    });
    // What cannot blink says so, and offers nothing.
    await page.getByText("no LED: a virtual port (veth)").first().waitFor();
    await choose(page);
    const { config } = parseConfig(await Deno.readTextFile(file), file);
    assert.deepEqual([config?.filter.preset, config?.failover.learningFirst], ["nat", true]);

    await until("the node", async () => (await status()).includes('"learning"'));
    // It answers on its socket before it has the address that the first page gave up.
    await until("its pages", () => logged().includes(`listening on ${LISTEN}`));
    await page.getByRole("link", { name: "To the node" }).click();
    await login(page, null);
    await page.locator('.word[data-state="learning"]').waitFor();
    await shot(page, "first-learning");
    await arm(page);
    assert.ok(!(await status()).includes('"learning"'));
  } finally {
    await browser.close();
    Deno.kill(control.pid, "SIGINT");
    await control.status;
  }
});
