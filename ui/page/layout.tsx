/**
 * The frame of every page: head, navigation, name of the node, the mark that says whether what stands here is live. Pure.
 */
import type { Child } from "hono/jsx";
import type { LiveValues } from "./live.ts";
import { wallTime } from "../paint.ts";
import { type AccessRole, may, type Visitor } from "../session.ts";

export interface Frame {
  readonly visitor: Visitor;
  readonly node: string;
  readonly version: string;
  readonly values: LiveValues;
  readonly shape: string;
  /** Whether changes are told; else the page asks each second. @default true */
  readonly tells?: boolean;
  readonly nowMs: number;
  /** Links of the navigation, as far as there is something behind them. */
  readonly links: readonly Link[];
  readonly logout: boolean;
  /** A change of the configuration waits to be confirmed. */
  readonly pendingMs: number | null;
}

export interface Link {
  readonly href: string;
  readonly title: string;
  readonly role: AccessRole;
}

interface PageProps {
  readonly frame: Frame;
  readonly at: string;
  readonly title: string;
  readonly lead?: string | undefined;
  readonly plots?: boolean;
  readonly children?: Child;
}

function Head({ title, plots = false }: { title: string; plots?: boolean }) {
  return (
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <title>{title}</title>
      <link rel="icon" href="/assets/icon.svg" type="image/svg+xml" />
      <link rel="stylesheet" href="/assets/page.css" />
      {plots ? <link rel="stylesheet" href="/assets/uplot.css" /> : null}
      {plots ? <script src="/assets/uplot.js" defer></script> : null}
      {plots ? <script src="/assets/plot.js" type="module"></script> : null}
      <script src="/assets/page.js" type="module"></script>
    </head>
  );
}

export function Page({ frame, at, title, lead, plots = false, children }: PageProps) {
  const { visitor, node, values, shape, nowMs, links } = frame;
  return (
    <html lang="en">
      <Head title={`${title} – ${node}`} plots={plots} />
      <body data-shape={shape} data-live={frame.tells === false ? "asks" : undefined}>
        <a class="skip" href="#main">Skip to the content</a>
        <header class="top">
          <p class="brand">
            <svg class="logo" viewBox="0 0 24 24" aria-hidden="true">
              <path d="M2 12h5m10 0h5M7 12c0-5 10-5 10 0" />
              <path class="spare" d="M7 12c0 5 10 5 10 0" />
            </svg>
            <span class="node">{node}</span>
          </p>
          <p class="state-chip" data-s="state" data-state={values.state}>
            <span data-t="state.word">{values["state.word"]}</span>
          </p>
          <p class="live" id="live" data-mode="still">
            as of <time>{wallTime(nowMs).slice(11, 19)}</time> UTC
          </p>
          <p class="who">
            {visitor.name} <span class="dim">({visitor.role})</span>
            {frame.logout ? <LogOut visitor={visitor} /> : null}
          </p>
        </header>
        <nav aria-label="Pages">
          <ul>
            {links.filter(({ role }) => may(visitor, role)).map(({ href, title: name }) => (
              <li>
                <a href={href} aria-current={href === at ? "page" : undefined}>{name}</a>
              </li>
            ))}
          </ul>
          <p class="version">Remediate {frame.version}</p>
        </nav>
        <main id="main" tabindex={-1}>
          <p class="not-live" id="not-live" role="alert" hidden></p>
          {frame.pendingMs === null || at === "/config" ? null : (
            <p class="pending">
              A change of the configuration is undone in{" "}
              <strong data-until={frame.pendingMs}>{seconds(frame.pendingMs - nowMs)}</strong>{" "}
              unless it is confirmed. <a href="/config">To the configuration</a>
            </p>
          )}
          <header class="title">
            <h1>{title}</h1>
            {lead ? <p>{lead}</p> : null}
          </header>
          {children}
        </main>
      </body>
    </html>
  );
}

export function seconds(ms: number): string {
  return `${Math.max(0, Math.ceil(ms / 1000))} s`;
}

function LogOut({ visitor }: { visitor: Visitor }) {
  return (
    <form method="post" action="/logout" class="inline">
      <input type="hidden" name="csrf" value={visitor.csrf ?? ""} />
      <button type="submit" class="plain">Log out</button>
    </form>
  );
}

/** A page for somebody who is nobody yet, or where nothing else can be said. */
export function Bare({ title, children }: { title: string; children?: Child }) {
  return (
    <html lang="en">
      <Head title={title} />
      <body class="bare">
        <main id="main">
          <h1>{title}</h1>
          {children}
        </main>
      </body>
    </html>
  );
}
