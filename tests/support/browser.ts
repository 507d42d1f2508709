/**
 * Duty: a browser for tests, and pages of a node served on loopback for it.
 *
 * Chromium is Debian's, without a window; it talks to nobody but the server of the test.
 */
import axe from "axe-core/axe.min.js" with { type: "text" };
import { type Browser, chromium, type Page } from "playwright-core";
import { inNamespace } from "../../scripts/lab/process.ts";
import type { NodeControl } from "../../appliance/view.ts";
import { makeApi } from "../../ui/api.ts";
import type { PageMeans } from "../../ui/page/means.ts";
import { makePages, type NodePages } from "../../ui/page/pages.tsx";
import { ADMIN_VISITOR } from "./page_means.ts";
import { TOP } from "./programs.ts";
import type { PageHandler, PageServer, Visitor } from "../../ui/session.ts";

const CHROMIUM = "/usr/bin/chromium";

const SCREENS = `${TOP}/.cache/test/screens`;

/** Every step of a page has to come to its end within so long; a picture of it takes a busy machine half of that. */
export const STEP_MS_MAX = 60_000;

/** @param namespace a network namespace that it is to live in. @default this one */
export async function openBrowser(namespace?: string): Promise<Browser> {
  const inside = namespace === undefined ? null : await wrapper(namespace);
  try {
    // Root has no sandbox for Chromium here; it sees only what the tests serve.
    return await chromium.launch({
      executablePath: inside ?? CHROMIUM,
      args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
    });
  } finally {
    if (inside !== null) await Deno.remove(inside);
  }
}

/** It is driven by pipes, which know no namespaces. */
async function wrapper(namespace: string): Promise<string> {
  const path = await Deno.makeTempFile({ prefix: "remediate-chromium-" });
  const words = inNamespace(namespace, [CHROMIUM]).map((word) => `'${word}'`).join(" ");
  await Deno.writeTextFile(path, `#!/bin/sh\nexec ${words} "$@"\n`);
  await Deno.chmod(path, 0o700);
  return path;
}

export interface ServedHandler extends AsyncDisposable {
  readonly url: string;
  /** Who asks from now on. */
  visitor: Visitor | null;
  /** Refuse everything, as a node that is gone. */
  down: boolean;
}

export interface ServedPages extends ServedHandler {
  readonly pages: NodePages;
}

/** Pages and API of a node on a port of loopback. */
export function servePages(control: NodeControl, means: PageMeans): ServedPages {
  const pages = makePages(control, means), api = makeApi(control);
  const isApi = (request: Request) =>
    /^\/(api\/|healthz$|readyz$|metrics$)/.test(new URL(request.url).pathname);
  const handle: PageHandler = (request, visitor) =>
    isApi(request) ? api.fetch(request) : pages.handle(request, visitor);
  return Object.assign(serveHandler({ handle, close: () => pages.close() }), { pages });
}

/** Any pages, of whoever asks as `visitor`, an admin at first. */
export function serveHandler(server: PageServer): ServedHandler {
  const stop = new AbortController();
  const listener = Deno.serve(
    { hostname: "127.0.0.1", port: 0, signal: stop.signal, onListen: () => {} },
    (request) => {
      if (served.down) return new Response("down", { status: 502 });
      return server.handle(request, served.visitor);
    },
  );
  const served: ServedHandler = {
    url: `http://127.0.0.1:${listener.addr.port}`,
    visitor: ADMIN_VISITOR,
    down: false,
    [Symbol.asyncDispose]: async () => {
      server.close();
      stop.abort();
      await listener.finished;
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

interface AxeResult {
  readonly violations: readonly {
    id: string;
    impact: string;
    help: string;
    nodes: readonly { html: string }[];
  }[];
}

/** What axe calls serious or worse, as sentences. */
export async function seriousFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const found = await page.evaluate(() =>
    (globalThis as unknown as { axe: { run(): Promise<AxeResult> } }).axe.run()
  );
  return found.violations.filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, help, nodes }) =>
      `${id}: ${help}: ${nodes.slice(0, 3).map(({ html }) => html.slice(0, 160)).join(" | ")}`
    );
}

/** Ways to look at a page: both sets of colours and both layouts are judged by axe once each, for it takes longest. */
export const VIEWS = [
  { name: "desk-light", width: 1280, height: 900, dark: false, judged: true },
  { name: "desk-dark", width: 1280, height: 900, dark: true, judged: false },
  { name: "phone-light", width: 390, height: 844, dark: false, judged: false },
  { name: "phone-dark", width: 390, height: 844, dark: true, judged: true },
] as const;

/** The page as it stands, in every view, as pictures `NAME-VIEW.png`; faults of any of them, as sentences. */
export async function portraits(page: Page, name: string): Promise<string[]> {
  const faults: string[] = [];
  for (const { name: view, width, height, dark, judged } of VIEWS) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: dark ? "dark" : "light" });
    await shot(page, `${name}-${view}`);
    const wide = await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
    if (wide > 0) faults.push(`${name} is ${wide} px wider than the screen of ${view}`);
    if (judged) faults.push(...(await seriousFaults(page)).map((fault) => `${name} ${view}: ${fault}`));
  }
  return faults;
}
