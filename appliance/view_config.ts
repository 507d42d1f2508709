/** What the node tells of its configuration and takes for it. Pure types, a part of view.ts. */
import type { Problem } from "./config.ts";

/** A configuration that was put in force and waits for a person's word. */
export interface PendingConfig {
  readonly id: number;
  readonly who: string;
  /** When the one before comes back by itself. */
  readonly untilMs: number;
}

/** A configuration that is or was in force. */
export interface ConfigVersion {
  readonly id: number;
  readonly atMs: number;
  readonly who: string;
  readonly note: string;
  /** pending: waits; confirmed: a person's word; start: found at a start or a reload by hand; undone: rolled back. */
  readonly state: "pending" | "confirmed" | "start" | "undone";
  /** Digest of its text. */
  readonly etag: string;
}

export interface ConfigView {
  readonly file: string;
  readonly text: string;
  readonly etag: string;
  readonly id: number;
  readonly pending: PendingConfig | null;
}

export interface ConfigJudged {
  readonly ok: boolean;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** From the one in force to this one, as a unified diff; empty: the same. */
  readonly diff: string;
}

/** `status` is an HTTP status, the refusal's kind. */
export type ConfigAnswer =
  | { readonly ok: true; readonly view: ConfigView; readonly text: string }
  | {
    readonly ok: false;
    readonly status: 404 | 409 | 412 | 422;
    readonly text: string;
    readonly problems?: readonly Problem[];
  };

export interface ConfigWish {
  readonly text: string;
  readonly who: string;
  readonly note: string;
  /** Of the configuration that the change was made from; null: of whatever is in force. */
  readonly etag: string | null;
  /** 0: at once for good. */
  readonly confirmS: number;
}

export interface ConfigControl {
  current(): ConfigView;
  check(text: string): ConfigJudged;
  apply(wish: ConfigWish): Promise<ConfigAnswer>;
  confirm(who: string): ConfigAnswer;
  /** Undo the one that waits, or go back to one of the history; null: the one before. */
  rollback(options: { id: number | null; who: string; confirmS: number }): Promise<ConfigAnswer>;
  /** Newest first. */
  history(): readonly ConfigVersion[];
  /** The text of one, and the diff from the one before it; null: there is none. */
  version(id: number): { readonly text: string; readonly diff: string } | null;
  /** Take over the file as it stands. */
  reload(who: string): Promise<{ readonly ok: boolean; readonly text: string }>;
}
