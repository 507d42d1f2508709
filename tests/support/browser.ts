/**
 * Duty: a browser for tests, and pages of a node served on loopback for it.
 *
 * Chromium is Debian's, without a window; it talks to nobody but the server of the test.
 */
import { type Browser, chromium, type Page } from "playwright-core";
import type { NodeControl } from "../../appliance/view.ts";
import { makeApi } from "../../ui/api.ts";
import type { PageMeans } from "../../ui/page/means.ts";
import { makePages, type NodePages } from "../../ui/page/pages.tsx";
import { ADMIN_VISITOR } from "./page_means.ts";
import { TOP } from "./programs.ts";
import type { Visitor } from "../../ui/session.ts";

const CHROMIUM = "/usr/bin/chromium";

const SCREENS = `${TOP}/.cache/test/screens`;

/** Every step of a page has to come to its end within so long. */
const STEP_MS_MAX = 8000;

export async function openBrowser(): Promise<Browser> {
  // Root has no sandbox for Chromium here; it sees only what the tests serve.
  return await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
}

export interface ServedPages extends AsyncDisposable {
  readonly url: string;
  readonly pages: NodePages;
  /** Who asks from now on. */
  visitor: Visitor | null;
  /** Refuse everything, as a node that is gone. */
  down: boolean;
}

/** Pages and API of a node on a port of loopback. */
export function servePages(control: NodeControl, means: PageMeans): ServedPages {
  const pages = makePages(control, means);
  const api = makeApi(control);
  const answer = (request: Request) =>
    /^\/(api\/|healthz$|readyz$|metrics$)/.test(new URL(request.url).pathname)
      ? api.fetch(request)
      : pages.handle(request, served.visitor);
  const stop = new AbortController();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, signal: stop.signal, onListen: () => {} },
    (request) => served.down ? new Response("down", { status: 502 }) : answer(request),
  );
  const served: ServedPages = {
    url: `http://127.0.0.1:${server.addr.port}`,
    pages,
    visitor: ADMIN_VISITOR,
    down: false,
    [Symbol.asyncDispose]: async () => {
      pages.close();
      stop.abort();
      await server.finished;
    },
  };
  return served;
}

/** A picture of the whole page for people, in .cache/test/screens. */
export async function shot(page: Page, name: string): Promise<void> {
  await Deno.mkdir(SCREENS, { recursive: true });
  await page.screenshot({ path: `${SCREENS}/${name}.png`, fullPage: true });
}

export interface Sight {
  readonly page: Page;
  /** What the page complained of: errors of script, refused loads, violations of its policy. */
  readonly complaints: readonly string[];
}

export interface SightOptions {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
  readonly script?: boolean;
}

/** A fresh context with one page, closed with the browser. */
export async function look(browser: Browser, options: SightOptions = {}): Promise<Sight> {
  const { width = 1280, height = 900, dark = false, script = true } = options;
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    javaScriptEnabled: script,
    deviceScaleFactor: width < 600 ? 2 : 1,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(STEP_MS_MAX);
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(`console: ${message.text()}`);
  });
  page.on("requestfailed", (request) => {
    if (request.failure()?.errorText !== "net::ERR_ABORTED") complaints.push(`failed: ${request.url()}`);
  });
  return { page, complaints };
}
