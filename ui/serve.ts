/**
 * All that people and machines talk to a node by: the unix socket, and where it is configured the network.
 *
 * An edge: opens files and listeners, reads the clock. Both listeners answer from one table of routes; they differ in who
 * is believed to ask.
 */
import { readAccepted } from "../appliance/accepted.ts";
import type { Config } from "../appliance/config.ts";
import { consult } from "../appliance/doctor.ts";
import { makeDirectory } from "../appliance/directories.ts";
import { LineFile } from "../appliance/line_file.ts";
import { accountsPath, auditPath, firstCodePath, identityPath } from "../appliance/paths.ts";
import { reasonOf } from "../drivers/reason.ts";
import { supportBundle } from "../appliance/support/bundle.ts";
import type { ResetWish } from "../appliance/reset.ts";
import type { NodeControl } from "../appliance/view.ts";
import type { ConfigControl } from "../appliance/view_config.ts";
import { endpointOf } from "../appliance/config_keys_api.ts";
import { Access } from "./access/access.ts";
import type { AccessControl } from "./access/view.ts";
import { type Identity, loadIdentity, ownIdentity } from "./access/certificate.ts";
import { oneTimeCode } from "./access/secrets.ts";
import { loadAccounts, removeSecret, saveAccounts, writeSecret } from "./access/store.ts";
import { makeApi } from "./api.ts";
import { listen, type Listener } from "./network.ts";
import { problem, Refused } from "./refused.ts";
import type { ApiMeans, AuditEntry } from "./route.ts";
import { serveApi, type Served } from "./server.ts";
import { LOCAL, type PageHandler, type PageServer, type Visitor } from "./session.ts";
import { openStreams } from "./streams.ts";
import type { UpdateDesk } from "./update_desk.ts";

const AUDIT_BYTES_MAX = 1 << 20;
const AGAIN_MS = 5000;
const RESET_AFTER_MS = 300;

export interface ServeOptions {
  readonly control: NodeControl;
  readonly config: Config;
  /** Opens the configuration. @default this is a further stage, whose configuration is the first one's */
  readonly configControl?: () => (ConfigControl & { close(): void }) | null;
  /** The file of the configuration, for whoever is to help. @default only what is in force */
  readonly supportPath?: string;
  /** Notes that the node is to be reset, and ends control. @default this is a further stage */
  readonly reset?: { note(wish: ResetWish): void; end(): void };
  /** Updates of the machine. @default another stage has them */
  readonly update?: UpdateDesk;
  /** Makes the pages, for both listeners. @default there are none */
  readonly pages?: (given: PageGiven) => PageServer;
  readonly say: (level: "info" | "warn" | "error", text: string) => void;
}

/** What pages are given besides the node. */
export interface PageGiven {
  /** Null: the configuration is another stage's. */
  readonly config: ConfigControl | null;
  /** Null: nobody can log in. */
  readonly access: AccessControl | null;
  /** Where a request came from, for the bounds of logins; "" for the unix socket. */
  readonly address: (request: Request) => string;
  readonly update?: UpdateDesk;
  /** Told of everything that a page was to change. */
  readonly audit: (entry: AuditEntry) => void;
}

/**
 * Nothing about the network keeps a node from forwarding: what cannot be opened is told, and tried again where that can
 * help. @throws Error with one sentence: somebody answers on the socket already
 */
export async function serveNode(options: ServeOptions): Promise<Served> {
  const { control, config, say } = options;
  makeDirectory(config.node.stateDirectory);
  makeDirectory(config.node.runtimeDirectory);
  let answer: Answer = () => Promise.resolve(problem("/", new Refused(503, "Not now", "The node starts")));
  // Before any file is touched: where a node answers already, all of them are its own.
  const local = await serveApi({ fetch: (request) => answer(request, "") }, config.api.socket);
  try {
    const behind = openBehind(options);
    answer = behind.local;
    const remote = behind.opened === null ? null : new Remote({ control, config, say, ...behind.opened });
    await remote?.open();
    return {
      close: async () => {
        behind.close(); // readers would be waited for
        await remote?.close();
        await local.close();
      },
    };
  } catch (error) {
    await local.close();
    throw error;
  }
}

/** What both listeners stand on. */
function openBehind(options: ServeOptions) {
  const { control, config, say, update } = options;
  const audit = openAudit(config, say);
  const opened = openAccess(config, { audit, say });
  const configControl = options.configControl?.() ?? null;
  const streams = openStreams(control);
  const shared = {
    config: configControl,
    access: opened?.access ?? null,
    streams,
    support: supportOf(options),
    reset: options.reset === undefined ? null : resetBy(options.reset),
    audit,
    nowMs: () => Date.now(),
    ...(update && { update }),
  };
  const addresses = new WeakMap<Request, string>();
  const pages = options.pages?.({ ...shared, address: (request) => addresses.get(request) ?? "" });
  const front = (app: App, who: Who) => answering({ app, who, pages: pages?.handle, addresses });
  return {
    local: front(makeApi(control, shared), () => LOCAL),
    opened: opened && { ...opened, shared, front },
    close: () => {
      streams.close();
      pages?.close();
      configControl?.close();
    },
  };
}

function supportOf({ control, config, supportPath }: ServeOptions): ApiMeans["support"] {
  return () => {
    const inForce = readAccepted(config) ?? config;
    return supportBundle({
      config: inForce,
      configPath: supportPath ?? null,
      views: {
        "status.json": () => control.status(),
        "match.json": () => control.match({ history: true }),
        "probes.json": () => control.probes(),
        "drivers.json": () => control.state.report(),
        "captures.json": () => control.captures.list(),
        "recorder.json": () => control.recorder.status(),
      },
      doctor: () => consult(inForce),
      nowMs: Date.now(),
    });
  };
}

/** Whoever asked still gets the answer. */
function resetBy({ note, end }: NonNullable<ServeOptions["reset"]>): (wish: ResetWish) => string {
  return (wish) => {
    note(wish);
    setTimeout(end, RESET_AFTER_MS);
    return "control starts again and forgets users, keys, history and records; the plane forwards on";
  };
}

export function openAudit(config: Config, say: ServeOptions["say"]): (entry: AuditEntry) => void {
  const path = auditPath(config);
  const file = new LineFile({
    path,
    bytesMax: AUDIT_BYTES_MAX,
    mode: 0o600,
    complain: (reason) => say("error", `Cannot write the audit log ${path}: ${reason}`),
  });
  file.load();
  return (entry) => file.append({ at: new Date().toISOString(), ...entry });
}

function identityOf({ node, api }: Config): Identity {
  if (api.certificate !== null && api.key !== null) return loadIdentity(api.certificate, api.key);
  const host = endpointOf(api.listen ?? "")?.host ?? "";
  const names = ["0.0.0.0", "::", ""].includes(host) ? [] : [host];
  const path = identityPath({ node } as Config);
  return ownIdentity(path, { name: node.name, names: [...names, Deno.hostname()], nowMs: Date.now() });
}

interface Opened {
  readonly access: Access;
  readonly identity: Identity | null;
}

interface Opening {
  readonly audit: (entry: AuditEntry) => void;
  readonly say: ServeOptions["say"];
}

/** Users, tokens, sessions and the certificate. Null: users or the certificate cannot be read, so nobody comes in but by the socket. */
export function openAccess(config: Config, { audit, say }: Opening): Opened | null {
  const path = accountsPath(config), { listen: address, tls } = config.api;
  try {
    const accounts = loadAccounts(path);
    const identity = address === null || !tls ? null : identityOf(config);
    const wanted = address !== null && !accounts.users.some(({ role }) => role === "admin");
    const access = new Access({
      accounts,
      save: (fresh) => saveAccounts(path, fresh),
      code: firstCode(config, wanted, say),
      used: () => removeSecret(firstCodePath(config)),
      listening: address === null ? null : { address, fingerprint: identity?.fingerprint ?? null },
      audit,
      nowMs: () => Date.now(),
    });
    return { access, identity };
  } catch (error) {
    say("error", `${reasonOf(error)}; nobody can log in, and nothing is listened on but the socket`);
    return null;
  }
}

function firstCode(config: Config, wanted: boolean, say: ServeOptions["say"]): string | null {
  const path = firstCodePath(config);
  if (!wanted) {
    removeSecret(path);
    return null;
  }
  const code = oneTimeCode();
  writeSecret(path, `${code}\n`);
  say(
    "warn",
    `there is no admin yet: the one-time code to make the first one with is in ${path}, for root alone`,
  );
  return code;
}

type App = ReturnType<typeof makeApi>;
type Who = (headers: Headers) => Visitor | null;
type Answer = (request: Request, address: string) => Promise<Response>;

/** What the network's listener stands on. */
interface Behind extends Opened, Pick<ServeOptions, "control" | "config" | "say"> {
  readonly shared: Partial<Omit<ApiMeans, "control">>;
  readonly front: (app: App, who: Who) => Answer;
}

/** The listener of the network, once its address can be had. */
class Remote {
  readonly #with: Behind;
  #listener: Listener | null = null;
  #again: ReturnType<typeof setTimeout> | undefined;
  #told = "";
  #closed = false;

  constructor(behind: Behind) {
    this.#with = behind;
  }

  async open(): Promise<void> {
    const { control, config, say, access, identity, shared, front } = this.#with;
    const endpoint = config.api.listen === null ? null : endpointOf(config.api.listen);
    if (endpoint === null) return;
    const who = (headers: Headers) => access.visitorOf(headers);
    const answer = front(makeApi(control, { ...shared, who: ({ headers }) => who(headers) }), who);
    try {
      const listener = await listen({ ...endpoint, identity, answer });
      if (this.#closed) return await listener.close();
      this.#listener = listener;
      const print = identity === null ? "without TLS" : `certificate SHA-256 ${identity.fingerprint}`;
      say("info", `listening on ${config.api.listen}, ${print}`);
    } catch (error) {
      const reason = reasonOf(error);
      if (reason !== this.#told) say("error", `${reason}; it is tried again every ${AGAIN_MS / 1000} s`);
      this.#told = reason;
      // The address may come later, as by DHCP.
      if (!this.#closed) this.#again = setTimeout(() => void this.open(), AGAIN_MS);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#again);
    await this.#listener?.close();
  }
}

interface Front {
  readonly app: Pick<App, "fetch">;
  readonly who: Who;
  readonly pages: PageHandler | undefined;
  /** Where requests for pages came from is kept here. */
  readonly addresses: WeakMap<Request, string>;
}

/** The API, or a page. */
export function answering({ app, who, pages, addresses }: Front): Answer {
  return async (request, address) => {
    const { pathname } = new URL(request.url);
    if (isForeign(request)) {
      return problem(pathname, new Refused(403, "Not meant", "The page of another site asked for this"));
    }
    const isApi = /^\/(api\/|healthz$|readyz$|metrics$)/.test(pathname);
    if (isApi || pages === undefined) return await app.fetch(request, { address });
    addresses.set(request, address);
    try {
      return await pages(request, who(request.headers));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return problem(pathname, new Refused(500, "The node failed to answer", reason));
    }
  };
}

/** Whether another site had a browser ask for a change: a login is one, and has no token yet. */
function isForeign({ method, headers }: Request): boolean {
  if (method === "GET" || method === "HEAD") return false;
  const site = headers.get("sec-fetch-site");
  if (site !== null) return site !== "same-origin" && site !== "none";
  // Browsers too old for that tell their origin.
  const origin = headers.get("origin"), host = headers.get("host");
  return origin !== null && (!URL.canParse(origin) || new URL(origin).host !== host);
}
