/**
 * Duty: what the pages need of the world besides the node: the configuration, the doctor, a filter to explain captures
 * with, and a way to log in.
 *
 * Pure types. What is not given is not offered on any page.
 */
import type { Problem } from "../../appliance/config.ts";
import type { Finding } from "../../appliance/doctor_finding.ts";
import type { Explanation } from "../../appliance/mirror_run.ts";
import type { Preset } from "../../filter/rule.ts";
import type { Visitor } from "./visitor.ts";

export interface Outcome {
  readonly ok: boolean;
  /** One or more sentences. */
  readonly text: string;
}

export interface PendingChange {
  readonly who: string;
  /** When the configuration before comes back by itself. */
  readonly untilMs: number;
}

export interface ConfigNow {
  readonly file: string;
  readonly text: string;
  /** Changes with the text. */
  readonly etag: string;
  readonly pending: PendingChange | null;
}

export interface ConfigJudgement {
  readonly ok: boolean;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** From what is in force to what was judged; empty: the same. */
  readonly diff: string;
}

export interface ConfigChange {
  readonly text: string;
  readonly who: string;
  readonly note: string;
  /** Of the text that the change was made from; null: of whatever is in force. */
  readonly etag: string | null;
  /** Seconds after which it is undone unless it is confirmed; 0: at once for good. */
  readonly confirmS: number;
}

/** Where the configuration is kept, and changed. Whatever is refused has changed nothing. */
export interface ConfigDesk {
  /** False: a change is for good at once. @default true */
  readonly confirms?: boolean;
  /** @throws Error with one sentence */
  current(): ConfigNow;
  check(text: string): ConfigJudgement;
  apply(change: ConfigChange): Promise<Outcome>;
  confirm(who: string): Outcome;
  rollback(options: { id: number | null; who: string; confirmS: number }): Promise<Outcome>;
}

export interface Entry {
  /** The value of the header Set-Cookie. */
  readonly cookie: string;
}

export interface Refusal {
  /** Of HTTP. */
  readonly status: 400 | 401 | 403 | 404 | 409 | 429;
  readonly text: string;
  /** Not again before. */
  readonly retryS?: number;
}

export interface Credentials {
  readonly name: string;
  readonly password: string;
  readonly address: string;
}

/** The way in and out. */
export interface Access {
  /** There is no account yet, and a one-time code waits. */
  readonly fresh: boolean;
  login(credentials: Credentials): Promise<Entry | Refusal>;
  /** Makes the first account. */
  first(credentials: Credentials & { readonly code: string }): Promise<Entry | Refusal>;
  /** Ends the session; the value of the header Set-Cookie. */
  logout(headers: Headers): string;
}

/** Something that was asked for, and what came of it. */
export interface Audited {
  readonly who: string;
  /** Where it came from; "" for the unix socket. */
  readonly from: string;
  /** "POST /act/switchover" */
  readonly what: string;
  /** As an HTTP status. */
  readonly result: number;
  readonly detail?: string;
}

export interface PageMeans {
  /** Since the epoch. */
  readonly now: () => number;
  readonly config?: ConfigDesk;
  readonly doctor?: () => Promise<readonly Finding[]>;
  /** Why each packet of a capture would be copied; null: by the rules in force. @throws Error with one sentence */
  readonly explain?: (capture: Uint8Array<ArrayBuffer>, preset: Preset | null) => Promise<Explanation>;
  readonly access?: Access;
  /** Of who asks, for the bounds of logins. */
  readonly address?: (request: Request) => string;
  /** Told of everything that was to change something. */
  readonly audit?: (entry: Audited) => void;
  /** Between two updates. @default 200 */
  readonly intervalMs?: number;
}

/** Answers for a visitor; null: nobody who is known. */
export type PageHandler = (request: Request, visitor: Visitor | null) => Response | Promise<Response>;
