/** Presets until filter/rule.ts lands. */
import type { PresetName } from "./config_keys.ts";

export interface FilterRule {
  readonly name: string;
  readonly match: string;
  readonly handshake: boolean;
  readonly teardown: boolean;
  readonly all: boolean;
  readonly none: boolean;
  readonly seed: boolean;
  readonly firstPackets: number;
  readonly firstPayloadPackets: number;
  readonly firstBytes: number;
  readonly keepaliveMs: number;
}
const BLANK = {
  match: "",
  handshake: false,
  teardown: false,
  all: false,
  none: false,
  seed: false,
  firstPackets: 0,
  firstPayloadPackets: 0,
  firstBytes: 0,
  keepaliveMs: 0,
};
export const PRESETS: Readonly<Record<PresetName, readonly FilterRule[]>> = {
  nat: [{ ...BLANK, name: "nat", handshake: true, teardown: true, seed: true }],
  lb: [{ ...BLANK, name: "lb", handshake: true, teardown: true, seed: true }],
  firewall: [{ ...BLANK, name: "firewall", handshake: true, teardown: true, seed: true }],
  ids: [{ ...BLANK, name: "ids", all: true }],
  none: [],
};
