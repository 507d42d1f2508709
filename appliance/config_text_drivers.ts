/** Keys of each kind of driver, for the page of keys and the example file. Pure. */
import { DRIVER_KINDS } from "../drivers/registry.ts";
import type { Keys } from "./config_key.ts";
import { settingKeys } from "./config_keys_state.ts";

export interface KindKeys {
  readonly kind: string;
  readonly summary: string;
  readonly keys: Keys;
}

export const KIND_KEYS: readonly KindKeys[] = DRIVER_KINDS.map(({ kind, summary, settings }) => ({
  kind,
  summary,
  keys: settingKeys(settings),
}));
