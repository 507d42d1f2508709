/** Duty: keys, hashes and scripts of the shared registry, as texts. An edge, for the connection. */
import type { RedisClient } from "../repository/redis_client.ts";

const utf8 = new TextDecoder();
export type Word = string | number;
export type Fields = ReadonlyMap<string, string>;

/** Answers as texts, whatever is nested in them. */
export function readable(value: unknown): unknown {
  if (value instanceof Uint8Array) return utf8.decode(value);
  return Array.isArray(value) ? value.map(readable) : value;
}

function pairs(flat: readonly string[]): [string, string][] {
  return flat.flatMap((name, i): [string, string][] => i % 2 === 0 ? [[name, flat[i + 1]!]] : []);
}

const SCAN = 1000;

export class RedisStore {
  constructor(readonly client: RedisClient, readonly prefix: string) {}

  key(...parts: readonly Word[]): string {
    return [this.prefix, ...parts].join(":");
  }

  async call(command: string, ...words: readonly Word[]): Promise<unknown> {
    return readable(await this.client.call(command, ...words));
  }

  async run(script: string, ...words: readonly Word[]): Promise<unknown> {
    return await this.call("EVAL", script, 1, this.prefix, ...words);
  }

  async texts(command: string, ...words: readonly Word[]): Promise<readonly string[]> {
    return await this.call(command, ...words) as readonly string[];
  }

  /** Null: there is no such key. */
  async hash(...parts: readonly Word[]): Promise<Fields | null> {
    const found = pairs(await this.texts("HGETALL", this.key(...parts)));
    return found.length === 0 ? null : new Map(found);
  }

  /** A hash of any size, a part at a time: the server is not kept from others by it. */
  async longHash(...parts: readonly Word[]): Promise<Fields> {
    const found = new Map<string, string>();
    let cursor = "0";
    do {
      const words = [this.key(...parts), cursor, "COUNT", SCAN];
      const [next, flat] = await this.call("HSCAN", ...words) as [string, readonly string[]];
      for (const [name, value] of pairs(flat)) found.set(name, value);
      cursor = next;
    } while (cursor !== "0");
    return found;
  }
}
