/**
 * Users and tokens as values, and every change to them with the reason why it is refused.
 *
 * Pure. Passwords and tokens are here as hashes only. The text form is what store.ts keeps on disk.
 */
import { ACCESS_ROLES, type AccessRole } from "../session.ts";
import type { Denied, TokenView, UserView } from "./view.ts";

export const USERS_MAX = 64;
export const TOKENS_MAX = 256;
export const PASSWORD_CHARACTERS = { min: 10, max: 256 } as const;
export const DAYS_MAX = 3650;
const DAY_MS = 86_400_000;

export interface User extends UserView {
  readonly hash: string;
}
export interface Token extends TokenView {
  readonly hash: string;
}
export interface Accounts {
  readonly users: readonly User[];
  readonly tokens: readonly Token[];
}

export const NO_ACCOUNTS: Accounts = { users: [], tokens: [] };

export function nameFault(name: string): string | null {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/.test(name)
    ? null
    : `"${name.slice(0, 40)}" is no name; accepted: 1 to 32 letters, digits, dots, dashes and underscores`;
}

export function passwordFault(password: string): string | null {
  const { min, max } = PASSWORD_CHARACTERS, length = [...password].length;
  return length >= min && length <= max ? null : `a password has ${min} to ${max} characters`;
}

function denied(status: Denied["status"], text: string): Denied {
  return { status, text };
}

export function isDenied(value: object | null): value is Denied {
  return value !== null && "status" in value && "text" in value;
}

export function withUser(accounts: Accounts, user: User): Accounts | Denied {
  const fault = nameFault(user.name);
  if (fault !== null) return denied(400, fault);
  if (accounts.users.some(({ name }) => name === user.name)) {
    return denied(409, `there is a user "${user.name}" already`);
  }
  if (accounts.users.length >= USERS_MAX) {
    return denied(409, `there are ${USERS_MAX} users, which is the most`);
  }
  return { ...accounts, users: [...accounts.users, user] };
}

export function withoutUser(accounts: Accounts, name: string): Accounts | Denied {
  const user = accounts.users.find((one) => one.name === name);
  if (user === undefined) return denied(404, `there is no user "${name}"`);
  const users = accounts.users.filter((one) => one !== user);
  if (user.role === "admin" && !users.some(({ role }) => role === "admin")) {
    return denied(409, `"${name}" is the only admin`);
  }
  return { ...accounts, users };
}

/** The only admin stays one: nobody could undo it. */
export function withRole(accounts: Accounts, name: string, role: AccessRole): Accounts | Denied {
  if (role !== "admin") {
    const without = withoutUser(accounts, name);
    if (isDenied(without)) return without;
  } else if (!accounts.users.some((one) => one.name === name)) {
    return denied(404, `there is no user "${name}"`);
  }
  return { ...accounts, users: accounts.users.map((one) => one.name === name ? { ...one, role } : one) };
}

export function withHash(accounts: Accounts, name: string, hash: string): Accounts | Denied {
  if (!accounts.users.some((one) => one.name === name)) return denied(404, `there is no user "${name}"`);
  return { ...accounts, users: accounts.users.map((one) => one.name === name ? { ...one, hash } : one) };
}

export interface FreshToken {
  readonly id: string;
  readonly hash: string;
  readonly name: string;
  readonly role: AccessRole;
  /** 0: for good. */
  readonly days: number;
}

export function withToken(
  accounts: Accounts,
  { days, ...token }: FreshToken,
  nowMs: number,
): Accounts | Denied {
  const fault = nameFault(token.name);
  if (fault !== null) return denied(400, fault);
  const live = accounts.tokens.filter(({ expiresMs }) => expiresMs === null || expiresMs > nowMs);
  if (live.length >= TOKENS_MAX) return denied(409, `there are ${TOKENS_MAX} tokens, which is the most`);
  const expiresMs = days === 0 ? null : nowMs + days * DAY_MS;
  return { ...accounts, tokens: [...live, { ...token, createdMs: nowMs, expiresMs }] };
}

export function withoutToken(accounts: Accounts, id: string): Accounts | Denied {
  const tokens = accounts.tokens.filter((one) => one.id !== id);
  return tokens.length < accounts.tokens.length
    ? { ...accounts, tokens }
    : denied(404, `there is no token "${id}"`);
}

export function userView({ name, role, createdMs }: User): UserView {
  return { name, role, createdMs };
}

export function tokenView({ id, name, role, createdMs, expiresMs }: Token): TokenView {
  return { id, name, role, createdMs, expiresMs };
}

export function writeAccounts(accounts: Accounts): string {
  return `${JSON.stringify({ version: 1, ...accounts }, null, 1)}\n`;
}

/** @throws SyntaxError with one sentence: a file that cannot be read must not become one without users */
export function readAccounts(text: string): Accounts {
  const value = JSON.parse(text);
  const role = (one: Record<string, unknown>) => ACCESS_ROLES.some((known) => known === one.role);
  const texts = (one: Record<string, unknown>, keys: readonly string[]) =>
    keys.every((key) => typeof one[key] === "string");
  const time = (one: Record<string, unknown>) => typeof one.createdMs === "number";
  const good = value?.version === 1 && Array.isArray(value.users) && Array.isArray(value.tokens) &&
    value.users.every((one: Record<string, unknown>) =>
      role(one) && time(one) && texts(one, ["name", "hash"])
    ) &&
    value.tokens.every((one: Record<string, unknown>) =>
      role(one) && time(one) && texts(one, ["id", "name", "hash"]) &&
      (one.expiresMs === null || typeof one.expiresMs === "number")
    );
  if (!good) throw new SyntaxError("it is no list of users and tokens of version 1");
  return { users: value.users, tokens: value.tokens };
}
