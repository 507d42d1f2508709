/**
 * Duty: `deno task bench:page`: what the overview costs a browser, as Chromium itself counts it.
 *
 * A node that is not there changes its numbers ten times a second. Bytes are those on the wire, of a first visit; the time
 * to live data is from the click to the mark that says live; the page's share of a processor is what its main thread did.
 */
import { parseArgs } from "node:util";
import type { Page } from "playwright-core";
import { look, openBrowser, servePages } from "../../tests/support/browser.ts";
import { pageMeans } from "../../tests/support/page_means.ts";
import { pageNode } from "../../tests/support/page_node.ts";
import { median } from "../demo.d/statistics.ts";

const VISITS = 5;
const WATCH_MS = 10_000;
const INTERVAL_MS = 100;
/** With --check: what is too much. */
const BARS = { firstBytes: 100_000, liveMs: 2000, share: 0.2, seenMs: 1000 } as const;

export interface PageFigures {
  readonly firstBytes: number;
  readonly scriptBytes: number;
  readonly requests: number;
  /** Medians over visits. */
  readonly liveMs: number;
  /** Of one processor, main thread of the page, at so many updates a second. */
  readonly share: number;
  readonly updatesPerSecond: number;
  /** From a failover to its sight on the page. */
  readonly seenMs: number;
  readonly load: readonly number[];
}

async function firstVisit(page: Page, url: string) {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  const kinds = new Map<string, string>();
  let firstBytes = 0, scriptBytes = 0;
  session.on("Network.responseReceived", ({ requestId, type }) => kinds.set(requestId, type));
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    firstBytes += encodedDataLength;
    if (kinds.get(requestId) === "Script") scriptBytes += encodedDataLength;
  });
  const sinceMs = performance.now();
  await page.goto(url);
  await page.locator('#live[data-mode="live"]').waitFor();
  const liveMs = performance.now() - sinceMs;
  await page.waitForTimeout(300);
  return { firstBytes, scriptBytes, requests: kinds.size, liveMs };
}

/** Share of a processor, and updates a second, while it is only looked at. */
async function watched(page: Page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  const seconds = async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return metrics.find(({ name }) => name === "TaskDuration")?.value ?? NaN;
  };
  await page.evaluate(`globalThis.changes = 0; new MutationObserver(() => changes++).observe(
    document.querySelector('[data-t="port.upstream.rxp"]'), { childList: true, characterData: true, subtree: true })`);
  const sinceMs = performance.now(), before = await seconds();
  await page.waitForTimeout(WATCH_MS);
  const elapsedS = (performance.now() - sinceMs) / 1000;
  return {
    share: (await seconds() - before) / elapsedS,
    updatesPerSecond: await page.evaluate<number>("changes") / elapsedS,
  };
}

export async function measurePage(): Promise<PageFigures> {
  const node = pageNode(Date.now);
  await using served = servePages(node, pageMeans({ control: node, intervalMs: INTERVAL_MS }));
  const browser = await openBrowser();
  try {
    const visits = [];
    for (let visit = 0; visit < VISITS; visit++) {
      const { page } = await look(browser);
      visits.push({ page, ...await firstVisit(page, served.url) });
      if (visit < VISITS - 1) await page.context().close();
    }
    const { page, firstBytes, scriptBytes, requests } = visits.at(-1)!;
    const { share, updatesPerSecond } = await watched(page);
    const failedMs = performance.now();
    node.fail();
    await page.locator('.word[data-state="unprotected"]').waitFor();
    const seenMs = performance.now() - failedMs;
    const liveMs = median(visits.map((visit) => visit.liveMs));
    return {
      firstBytes,
      scriptBytes,
      requests,
      liveMs,
      share,
      updatesPerSecond,
      seenMs,
      load: Deno.loadavg(),
    };
  } finally {
    await browser.close();
  }
}

/** What is above its bar, as sentences. */
export function faultsOf(figures: PageFigures): string[] {
  return (Object.keys(BARS) as (keyof typeof BARS)[]).filter((name) => !(figures[name] <= BARS[name]))
    .map((name) => `${name} is ${figures[name]}, the bar is ${BARS[name]}`);
}

function text(figures: PageFigures): string {
  const { firstBytes, scriptBytes, requests, liveMs, share, updatesPerSecond, seenMs, load } = figures;
  return [
    `first visit: ${firstBytes} bytes in ${requests} answers, ${scriptBytes} of them script`,
    `live data after ${liveMs.toFixed(0)} ms (median of ${VISITS} visits)`,
    `${(100 * share).toFixed(1)} % of a processor at ${updatesPerSecond.toFixed(1)} updates a second`,
    `a failover is seen after ${seenMs.toFixed(0)} ms`,
    `load ${load.map((one) => one.toFixed(1)).join(" ")} on ${navigator.hardwareConcurrency} processors`,
  ].join("\n");
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: { json: { type: "boolean" }, check: { type: "boolean" } },
  });
  const figures = await measurePage();
  console.log(values.json ? JSON.stringify(figures, null, 2) : text(figures));
  const faults = values.check ? faultsOf(figures) : [];
  for (const fault of faults) console.error(fault);
  Deno.exit(faults.length === 0 ? 0 : 1);
}
