/**
 * Duty: `deno task bench:page`: what the pages cost a browser, as Chromium itself counts it, and what they cost control.
 *
 * A node that is not there changes its numbers; its pages are served by a process of their own, with the listener of the
 * network. Bytes are those on the wire, of a first visit; the time to live data is from the click to the mark that says
 * live; the page's share of a processor is what its main thread did. Processor time and memory of the serving process are
 * what the kernel counts. What reading a real node costs is not in it.
 */
import { parseArgs } from "node:util";
import type { Browser, Page } from "playwright-core";
import { look, openBrowser } from "../../tests/support/browser.ts";
import { median } from "../demo.d/statistics.ts";

const VISITS = 5;
const WATCH_MS = 10_000;
/** Of the page alone, and as it is shipped. */
const FAST_MS = 100, USUAL_MS = 200;
const PAGES = 20;
const CLIENTS = 100;
/** With --check: what is too much. */
const BARS = {
  firstBytes: 100_000,
  liveMs: 2000,
  share: 0.2,
  seenMs: 1000,
  controlShare: 0.25,
  clientsMib: 32,
} as const;

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
  /** Of one processor, the serving process with so many pages open, five updates a second each. */
  readonly controlShare: number;
  /** By which the serving process grew with so many clients on the stream, ten updates a second each, and what each got. */
  readonly clientsMib: number;
  readonly clientUpdatesPerSecond: number;
  readonly load: readonly number[];
}

/** A serving process. */
class Server implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;

  private constructor(child: Deno.ChildProcess, readonly url: string) {
    this.#child = child;
    this.#input = child.stdin.getWriter();
  }

  static async start(intervalMs: number): Promise<Server> {
    const script = new URL("page_server.ts", import.meta.url).pathname;
    const args = ["run", "-A", "--no-check", script, String(intervalMs)];
    const child = new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped" }).spawn();
    const reader = child.stdout.getReader(), { value } = await reader.read();
    reader.releaseLock();
    return new Server(child, `http://127.0.0.1:${new TextDecoder().decode(value).trim()}`);
  }

  async fail(): Promise<void> {
    await this.#input.write(new TextEncoder().encode("f\n"));
  }

  /** Of one processor, since the start, seconds. */
  cpuS(): number {
    const stat = Deno.readTextFileSync(`/proc/${this.#child.pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
  }

  rssMib(): number {
    const status = Deno.readTextFileSync(`/proc/${this.#child.pid}/status`);
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    await this.#child.stdout.cancel();
    await this.#child.status;
  }
}

/** USER_HZ, which Linux has had since ever on this architecture (proc(5)). */
const TICKS_PER_S = 100;
const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

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
    // Of the thread alone: TaskDuration goes on while others have the processor.
    return metrics.find(({ name }) => name === "ThreadTime")?.value ?? NaN;
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

async function onePage(browser: Browser) {
  await using server = await Server.start(FAST_MS);
  const visits = [];
  for (let visit = 0; visit < VISITS; visit++) {
    const { page } = await look(browser);
    visits.push({ page, ...await firstVisit(page, server.url) });
    if (visit < VISITS - 1) await page.context().close();
  }
  const { page, firstBytes, scriptBytes, requests } = visits.at(-1)!;
  const { share, updatesPerSecond } = await watched(page);
  const failedMs = performance.now();
  await server.fail();
  await page.locator('.word[data-state="unprotected"]').waitFor();
  const seenMs = performance.now() - failedMs;
  await page.context().close();
  const liveMs = median(visits.map((visit) => visit.liveMs));
  return { ...{ firstBytes, scriptBytes, requests, liveMs }, share, updatesPerSecond, seenMs };
}

/** What control spends while so many look, each in a page that draws all it is told. */
async function manyPages(browser: Browser): Promise<{ controlShare: number }> {
  await using server = await Server.start(USUAL_MS);
  const contexts = [];
  // As many people: a browser keeps six connections to a server, and each page that is looked at has a stream.
  for (let open = 0; open < PAGES; open++) {
    const { page } = await look(browser);
    contexts.push(page.context());
    await page.goto(server.url);
  }
  await pause(1000);
  const before = server.cpuS(), sinceMs = performance.now();
  await pause(WATCH_MS);
  const controlShare = (server.cpuS() - before) / ((performance.now() - sinceMs) / 1000);
  await Promise.all(contexts.map((context) => context.close()));
  return { controlShare };
}

/** What control holds for so many readers of the stream. */
async function manyClients(): Promise<{ clientsMib: number; clientUpdatesPerSecond: number }> {
  await using server = await Server.start(FAST_MS);
  // One is there before, so that what everybody shares is not counted for them.
  const stop = new AbortController();
  let told = 0;
  const follow = async () => {
    const { body, status } = await fetch(`${server.url}/live`, { signal: stop.signal });
    if (status !== 200) throw new Error(`Cannot follow the node: status ${status}`);
    const read = async () => {
      for await (const chunk of body!) told += new TextDecoder().decode(chunk).split("data: ").length - 1;
    };
    readers.push(read().catch(() => {}));
  };
  const readers: Promise<void>[] = [];
  await follow();
  await pause(WATCH_MS / 2);
  const before = server.rssMib();
  for (let client = 0; client < CLIENTS; client++) await follow();
  told = 0;
  const sinceMs = performance.now();
  await pause(WATCH_MS);
  const elapsedS = (performance.now() - sinceMs) / 1000, clientsMib = server.rssMib() - before;
  const clientUpdatesPerSecond = told / readers.length / elapsedS;
  stop.abort();
  await Promise.all(readers);
  return { clientsMib, clientUpdatesPerSecond };
}

export async function measurePage(): Promise<PageFigures> {
  const browser = await openBrowser();
  try {
    const one = await onePage(browser), many = await manyPages(browser), clients = await manyClients();
    return { ...one, ...many, ...clients, load: Deno.loadavg() };
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
  const { controlShare, clientsMib, clientUpdatesPerSecond } = figures;
  const percent = (part: number) => `${(100 * part).toFixed(1)} %`;
  return [
    `first visit: ${firstBytes} bytes in ${requests} answers, ${scriptBytes} of them script`,
    `live data after ${liveMs.toFixed(0)} ms (median of ${VISITS} visits)`,
    `${percent(share)} of a processor at ${updatesPerSecond.toFixed(1)} updates a second`,
    `a failover is seen after ${seenMs.toFixed(0)} ms`,
    `${PAGES} open pages: ${percent(controlShare)} of a processor in the serving process`,
    `${CLIENTS} clients on the stream: ${clientsMib.toFixed(1)} MiB more, ${
      clientUpdatesPerSecond.toFixed(1)
    } updates a second each`,
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
