/**
 * Who may come in: joins accounts, sessions and the limiter, and keeps what changes.
 *
 * A change is on disk before it holds. Whoever is told that a name or a password is wrong is not told which. Few
 * passwords are judged at a time, because each takes 32 MiB.
 */
import {
  type Accounts,
  isDenied,
  nameFault,
  passwordFault,
  tokenView,
  userView,
  withHash,
  withoutToken,
  withoutUser,
  withRole,
  withToken,
  withUser,
} from "./accounts.ts";
import type { AuditEntry } from "../route.ts";
import type { AccessRole, Visitor } from "../session.ts";
import { LoginLimiter } from "./limiter.ts";
import { digest, hashPassword, isPassword, NOBODY, randomId, randomText, same } from "./secrets.ts";
import { LIFE_MS, Sessions } from "./sessions.ts";
import type { AccessControl, Credentials, Denied, Entered } from "./view.ts";

export const COOKIE = "__Host-remediate";
const JUDGED_MAX = 4;

export interface AccessOptions {
  readonly accounts: Accounts;
  /** @throws Error where it cannot be kept */
  readonly save: (accounts: Accounts) => void;
  /** The one-time code that the first admin proves to be root with; null: there are users. */
  readonly code: string | null;
  /** The code was used up. */
  readonly used: () => void;
  readonly listening: AccessControl["listening"];
  readonly audit: (entry: AuditEntry) => void;
  readonly nowMs: () => number;
}

export class Access implements AccessControl {
  readonly #options: AccessOptions;
  readonly #sessions = new Sessions();
  readonly #limiter = new LoginLimiter();
  #accounts: Accounts;
  #code: string | null;
  #judged = 0;

  constructor(options: AccessOptions) {
    this.#options = options;
    this.#accounts = options.accounts;
    this.#code = options.code;
  }

  get listening(): AccessControl["listening"] {
    return this.#options.listening;
  }

  get fresh(): boolean {
    return this.#code !== null;
  }

  /** By a token, or by the cookie of a session. */
  visitorOf(headers: Headers): Visitor | null {
    const bearer = /^Bearer +(\S+)$/i.exec(headers.get("authorization") ?? "");
    if (bearer !== null) return this.#byToken(bearer[1]!);
    const cookie = cookieOf(headers);
    const session = cookie === null ? null : this.#sessions.use(digest(cookie), this.#options.nowMs());
    const user = this.#accounts.users.find(({ name }) => name === session?.name);
    return session === null || user === undefined
      ? null
      : { name: user.name, role: user.role, csrf: session.csrf };
  }

  #byToken(text: string): Visitor | null {
    const parts = /^rmt_([0-9a-f]{12})_([\w-]{43})$/.exec(text);
    const token = this.#accounts.tokens.find(({ id }) => id === parts?.[1]);
    if (token === undefined || parts === null || !same(digest(parts[2]!), token.hash)) return null;
    const over = token.expiresMs !== null && token.expiresMs <= this.#options.nowMs();
    return over ? null : { name: `token:${token.name}`, role: token.role, csrf: null };
  }

  async login(credentials: Credentials): Promise<Entered | Denied> {
    const user = this.#accounts.users.find(({ name }) => name === credentials.name);
    return await this.#tried(credentials, "login", async () => {
      const right = await isPassword(user?.hash ?? NOBODY, credentials.password);
      // The user may be gone, or have another password, since the question was asked.
      const still = this.#accounts.users.find(({ name }) => name === credentials.name);
      if (!right || user === undefined || still?.hash !== user.hash) {
        return deny(401, "name or password is wrong");
      }
      return this.#enter(user.name, user.role);
    });
  }

  async first(credentials: Credentials & { readonly code: string }): Promise<Entered | Denied> {
    const { name, password, code } = credentials;
    return await this.#tried({ ...credentials, name: "" }, "first account", async () => {
      if (this.#code === null) return deny(409, "there are accounts already");
      if (!same(digest(this.#code), digest(code.trim().toLowerCase()))) return deny(401, "the code is wrong");
      const denied = await this.addUser({ name, password, role: "admin" });
      return denied ?? this.#enter(name, "admin");
    });
  }

  async changePassword(credentials: Credentials & { readonly fresh: string }): Promise<Denied | null> {
    const { name, password, fresh } = credentials;
    const fault = passwordFault(fresh);
    if (fault !== null) return deny(400, fault);
    return await this.#tried(credentials, "password", async () => {
      const user = this.#accounts.users.find((one) => one.name === name);
      const right = await isPassword(user?.hash ?? NOBODY, password);
      return right ? await this.setPassword(name, fresh) : deny(401, "the old password is wrong");
    });
  }

  async prove(credentials: Credentials): Promise<Denied | null> {
    const { name, password } = credentials;
    return await this.#tried(credentials, "confirm", async () => {
      const user = this.#accounts.users.find((one) => one.name === name);
      const right = await isPassword(user?.hash ?? NOBODY, password);
      return right && user !== undefined ? null : deny(401, "the password is wrong");
    });
  }

  async #tried<T extends object | null>(
    { name, address }: Credentials,
    what: string,
    judge: () => Promise<T | Denied>,
  ): Promise<T | Denied> {
    // The name is a stranger's word, and may be long.
    const who = { address, account: name.slice(0, 64) };
    if (this.#judged >= JUDGED_MAX) return { ...deny(429, "too many log in at once"), retryS: 1 };
    const waitMs = this.#limiter.attempt(who, this.#options.nowMs());
    if (waitMs > 0) {
      const retryS = Math.ceil(waitMs / 1000);
      return { ...deny(429, `too many failures: wait ${retryS} s`), retryS };
    }
    this.#judged++;
    try {
      const result = await judge();
      if (!isDenied(result) || result.status !== 401) this.#limiter.succeeded(who);
      const status = isDenied(result) ? result.status : 200;
      this.#options.audit({ who: who.account, from: address, what, result: status });
      return result;
    } finally {
      this.#judged--;
    }
  }

  #enter(name: string, role: AccessRole): Entered {
    const secret = randomText(), csrf = randomText();
    this.#sessions.begin(digest(secret), { name, csrf, nowMs: this.#options.nowMs() });
    return { visitor: { name, role, csrf }, cookie: cookieText(secret, LIFE_MS / 1000) };
  }

  logout(headers: Headers): string {
    const cookie = cookieOf(headers);
    if (cookie !== null) this.#sessions.end(digest(cookie));
    return cookieText("", 0);
  }

  users = () => this.#accounts.users.map(userView);

  tokens = () => this.#accounts.tokens.map(tokenView);

  async addUser({ name, password, role }: { name: string; password: string; role: AccessRole }) {
    const fault = nameFault(name) ?? passwordFault(password);
    if (fault !== null) return deny(400, fault);
    const hash = await hashPassword(password);
    const denied = this.#keep(
      withUser(this.#accounts, { name, role, hash, createdMs: this.#options.nowMs() }),
    );
    if (denied === null && this.#code !== null && role === "admin") {
      this.#code = null;
      this.#options.used();
    }
    return denied;
  }

  removeUser(name: string): Denied | null {
    const denied = this.#keep(withoutUser(this.#accounts, name));
    if (denied === null) this.#sessions.endAllOf(name);
    return denied;
  }

  setRole(name: string, role: AccessRole): Denied | null {
    const denied = this.#keep(withRole(this.#accounts, name, role));
    if (denied === null) this.#sessions.endAllOf(name);
    return denied;
  }

  async setPassword(name: string, password: string): Promise<Denied | null> {
    const fault = passwordFault(password);
    if (fault !== null) return deny(400, fault);
    const denied = this.#keep(withHash(this.#accounts, name, await hashPassword(password)));
    if (denied === null) this.#sessions.endAllOf(name);
    return denied;
  }

  addToken(token: { name: string; role: AccessRole; days: number }): Denied | { id: string; token: string } {
    const id = randomId(), secret = randomText();
    const fresh = { ...token, id, hash: digest(secret) };
    return this.#keep(withToken(this.#accounts, fresh, this.#options.nowMs())) ??
      { id, token: `rmt_${id}_${secret}` };
  }

  revokeToken(id: string): Denied | null {
    return this.#keep(withoutToken(this.#accounts, id));
  }

  #keep(accounts: Accounts | Denied): Denied | null {
    if (isDenied(accounts)) return accounts;
    this.#options.save(accounts);
    this.#accounts = accounts;
    return null;
  }
}

function deny(status: Denied["status"], text: string): Denied {
  return { status, text };
}

/** The name's prefix has browsers insist on Secure, Path=/ and no Domain. */
function cookieText(secret: string, seconds: number): string {
  return `${COOKIE}=${secret}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=${seconds}`;
}

function cookieOf(headers: Headers): string | null {
  const cookies = (headers.get("cookie") ?? "").split(/; */);
  const mine = cookies.find((cookie) => cookie.startsWith(`${COOKIE}=`))?.slice(COOKIE.length + 1);
  return mine !== undefined && /^[\w-]{43}$/.test(mine) ? mine : null;
}
