/**
 * Duty: who this node is to its fleet, in files that only root may read. An edge.
 *
 * The key is made at the first start and never leaves. While it is being changed there are two, because the controller may
 * have heard of the second one or not; whichever it knows is kept.
 */
import { makeDirectory } from "../directories.ts";
import { reasonOf } from "../../drivers/reason.ts";
import { type KeptKey, makeKey } from "./keys.ts";

export interface FleetIdentity {
  /** The one in use first. */
  readonly keys: readonly [KeptKey] | readonly [KeptKey, KeptKey];
  /** Of the controller's registry; null: not enrolled. */
  readonly fleet: string | null;
  readonly node: string | null;
}

export class IdentityFile {
  constructor(readonly directory: string) {}

  get path(): string {
    return `${this.directory}/identity.json`;
  }

  /** Where a one-time token waits if the configuration names no other place. */
  get tokenPath(): string {
    return `${this.directory}/token`;
  }

  get bookPath(): string {
    return `${this.directory}/commands.jsonl`;
  }

  /** For files on their way to the controller. */
  get outgoingPath(): string {
    return `${this.directory}/outgoing`;
  }

  /** @throws Error with one sentence */
  async load(): Promise<FleetIdentity | null> {
    try {
      return JSON.parse(await Deno.readTextFile(this.path)) as FleetIdentity;
    } catch (cause) {
      if (cause instanceof Deno.errors.NotFound) return null;
      throw new Error(`Cannot use ${this.path}: ${reasonOf(cause)}`, { cause });
    }
  }

  /** With a key of its own, if there is none yet. @throws Error with one sentence */
  async open(): Promise<FleetIdentity> {
    const known = await this.load();
    if (known !== null) return known;
    const fresh: FleetIdentity = { keys: [await makeKey()], fleet: null, node: null };
    this.save(fresh);
    return fresh;
  }

  /** Replaced as a whole, and on disk when it returns. @throws Error with one sentence */
  save(identity: FleetIdentity): void {
    replaceSecret(this.path, `${JSON.stringify(identity)}\n`);
  }

  /** The token that waits; null: none does. */
  async token(path: string | null): Promise<string | null> {
    try {
      return (await Deno.readTextFile(path ?? this.tokenPath)).trim();
    } catch (cause) {
      if (cause instanceof Deno.errors.NotFound) return null;
      throw new Error(`Cannot read the token ${path ?? this.tokenPath}: ${reasonOf(cause)}`, { cause });
    }
  }

  saveToken(token: string): void {
    replaceSecret(this.tokenPath, `${token}\n`);
  }

  /** It was used up. */
  async dropToken(path: string | null): Promise<void> {
    await Deno.remove(path ?? this.tokenPath).catch(() => {}); // who cannot remove it: it is worth nothing now
  }

  /** The node leaves its fleet: key, number and what it was told are gone. False: there was nothing. */
  async forget(): Promise<boolean> {
    let there = false;
    for (const path of [this.path, this.tokenPath, this.bookPath]) {
      try {
        await Deno.remove(path);
        there ||= path === this.path;
      } catch (cause) {
        if (cause instanceof Deno.errors.NotFound) continue;
        throw new Error(`Cannot remove ${path}: ${reasonOf(cause)}`, { cause });
      }
    }
    return there;
  }
}

function replaceSecret(path: string, text: string): void {
  const fresh = `${path}.new`;
  try {
    makeDirectory(path.replace(/\/[^/]*$/, ""));
    {
      using file = Deno.openSync(fresh, { write: true, create: true, truncate: true, mode: 0o600 });
      for (let left = new TextEncoder().encode(text); left.length > 0;) {
        left = left.subarray(file.writeSync(left));
      }
      file.syncDataSync();
    }
    Deno.renameSync(fresh, path);
  } catch (cause) {
    throw new Error(`Cannot write ${path}: ${reasonOf(cause)}`, { cause });
  }
}
