/**
 * Duty: a listener of the API on loopback over a node that is not there, and people who ask it.
 *
 * The real one in all but the node: TLS or not, accounts, sessions, tables of routes. Passwords cost a tenth of a second
 * each, so tests share one listener where they can.
 */
import { Access } from "../../ui/access/access.ts";
import { isDenied, NO_ACCOUNTS } from "../../ui/access/accounts.ts";
import type { Identity } from "../../ui/access/certificate.ts";
import { makeApi } from "../../ui/api.ts";
import { listen, type Listening } from "../../ui/network.ts";
import type { ApiMeans, AuditEntry } from "../../ui/route.ts";
import { answering } from "../../ui/serve.ts";
import type { AccessRole, PageHandler } from "../../ui/session.ts";
import { openStreams, type StreamHub } from "../../ui/streams.ts";
import { type FakeNode, fakeNode } from "../unit/ui/fake_node.ts";

export const PASSWORD = "correct horse battery";
export const CODE = "abcd-efgh-jkmn-pqrs";

export interface Site extends AsyncDisposable {
  readonly base: string;
  readonly port: number;
  readonly node: FakeNode;
  readonly access: Access;
  readonly streams: StreamHub;
  readonly audited: AuditEntry[];
  /** Milliseconds by which the clock of the site is ahead. */
  aheadMs: number;
  /** A session: what a browser would send. */
  enter(role: AccessRole): Promise<{ readonly cookie: string; readonly csrf: string }>;
  token(role: AccessRole): string;
}

export interface SiteOptions {
  readonly identity?: Identity;
  readonly bounds?: NonNullable<Listening["bounds"]>;
  readonly more?: Partial<ApiMeans>;
  readonly pages?: PageHandler;
  /** @default one user of each role, called as it */
  readonly users?: readonly AccessRole[];
}

export async function openSite(options: SiteOptions = {}): Promise<Site> {
  const node = fakeNode(), audited: AuditEntry[] = [];
  const audit = (entry: AuditEntry) => void audited.push(entry);
  const nowMs = (): number => Date.now() + site.aheadMs;
  const users = options.users ?? ["viewer", "operator", "admin"];
  const access: Access = new Access({
    accounts: NO_ACCOUNTS,
    save: () => {},
    code: users.includes("admin") ? null : CODE,
    used: () => {},
    listening: null,
    audit,
    nowMs,
  });
  const streams = openStreams(node);
  const who = ({ headers }: Request) => access.visitorOf(headers);
  const app = makeApi(node, { access, streams, audit, nowMs, who, ...options.more });
  const { identity = null, bounds, pages } = options;
  const listener = await listen({
    host: "127.0.0.1",
    port: 0,
    identity,
    answer: answering({ app, who: (headers) => access.visitorOf(headers), pages, addresses: new WeakMap() }),
    ...(bounds && { bounds }),
  });
  const site: Site = {
    base: `${identity === null ? "http" : "https"}://127.0.0.1:${listener.port}`,
    port: listener.port,
    node,
    access,
    streams,
    audited,
    aheadMs: 0,
    enter: async (role) => {
      const entered = await access.login({ name: role, password: PASSWORD, address: "test" });
      if (isDenied(entered)) throw new Error(`Cannot log in: ${entered.text}`);
      return { cookie: entered.cookie.split(";")[0]!, csrf: entered.visitor.csrf };
    },
    token: (role) => {
      const made = access.addToken({ name: role, role, days: 1 });
      if (isDenied(made)) throw new Error(`Cannot make a token: ${made.text}`);
      return made.token;
    },
    [Symbol.asyncDispose]: async () => {
      streams.close();
      await listener.close();
    },
  };
  for (const role of users) await access.addUser({ name: role, password: PASSWORD, role });
  return site;
}
