/** What people and machines are told of who may do what. Pure types. */
import type { AccessRole, Visitor } from "../session.ts";

export interface UserView {
  readonly name: string;
  readonly role: AccessRole;
  readonly createdMs: number;
}

export interface TokenView {
  /** What it is called when it is revoked. */
  readonly id: string;
  readonly name: string;
  readonly role: AccessRole;
  readonly createdMs: number;
  /** Null: never. */
  readonly expiresMs: number | null;
}

/** A session that has just begun. */
export interface Entered {
  readonly visitor: Visitor & { readonly csrf: string };
  /** The value of the header Set-Cookie. */
  readonly cookie: string;
}

/** `status`: of HTTP. `retryS`: not before. */
export interface Denied {
  readonly status: 400 | 401 | 403 | 404 | 409 | 429;
  readonly text: string;
  readonly retryS?: number;
}

export interface Credentials {
  readonly name: string;
  readonly password: string;
  readonly address: string;
}

export interface AccessControl {
  /** Fingerprint (SHA-256) of the certificate, and where the node listens; null: it does not. */
  readonly listening: { readonly address: string; readonly fingerprint: string | null } | null;
  /** There is no account yet, and a one-time code waits. */
  readonly fresh: boolean;
  login(credentials: Credentials): Promise<Entered | Denied>;
  /** The first admin, by the one-time code. */
  first(credentials: Credentials & { readonly code: string }): Promise<Entered | Denied>;
  /** The user himself, by his password; no session begins. Null: it is he. */
  prove(credentials: Credentials): Promise<Denied | null>;
  logout(request: Headers): string;
  users(): readonly UserView[];
  addUser(user: { name: string; password: string; role: AccessRole }): Promise<Denied | null>;
  removeUser(name: string): Denied | null;
  /** Sessions of the user end. Refused for the only admin. */
  setRole(name: string, role: AccessRole): Denied | null;
  setPassword(name: string, password: string): Promise<Denied | null>;
  /** By the user himself, who knows the old one. */
  changePassword(credentials: Credentials & { readonly fresh: string }): Promise<Denied | null>;
  tokens(): readonly TokenView[];
  addToken(token: { name: string; role: AccessRole; days: number }): Denied | { id: string; token: string };
  revokeToken(id: string): Denied | null;
}
