/**
 * What `bench:ids` compares: published mirror policies, and the presets.
 *
 * The published ones are written as rules of the same language, so one engine judges all. "SYN only" is what the
 * paper uses for address translation, "first 5" what it uses for an IDS.
 */
import type { Passed } from "../../appliance/mirror_pass.ts";
import { type FilterRule, filterRule, opensTunnels, type Preset, PRESETS } from "../../filter/rule.ts";

export interface BenchPolicy {
  readonly name: string;
  readonly rules: readonly FilterRule[];
  /** Takes back copies that the rules of a policy cannot leave out. */
  readonly keeps?: (passed: Passed) => boolean;
  /** Tunnels are looked into, as with `filter.inner`. */
  readonly inner?: boolean;
  /** Share of the bytes of the heavy-tailed mix that the README of the test data gives for it. */
  readonly published?: number;
}

const TCP = 6;
const SYN_ACK = 0x12;
const SYN = 0x02;

/** TCP: only the opening SYN, not the answer and not the ACK. Others keep the first packet of each direction. */
function opensOnly({ result, parse }: Passed): boolean {
  if (parse !== "flow" || !result || result.field("packet.proto") !== TCP) return true;
  return (result.field("packet.tcp_flags") & SYN_ACK) === SYN;
}

export const BASELINES: readonly BenchPolicy[] = [
  {
    name: "SYN only",
    rules: [filterRule({ name: "syn", handshake: true })],
    keeps: opensOnly,
    published: 0.006,
  },
  {
    name: "handshake+teardown",
    rules: [filterRule({ name: "hs", handshake: true, teardown: true })],
    published: 0.010,
  },
  { name: "first 5", rules: [filterRule({ name: "first5", firstPackets: 5 })], published: 0.033 },
  { name: "first 10", rules: [filterRule({ name: "first10", firstPackets: 10 })], published: 0.051 },
  {
    name: "first 4 KB",
    rules: [
      filterRule({
        name: "first4k",
        handshake: true,
        teardown: true,
        firstBytes: 4096,
        acks: true,
        keepaliveMs: 60_000,
      }),
    ],
    published: 0.048,
  },
];

/** Presets meant for an IDS, by name, as they are and with tunnels left shut; one that this version does not have is not compared. */
export function idsPresets(): BenchPolicy[] {
  const presets = Object.entries(PRESETS).filter(([name]) => name.startsWith("ids"));
  return [
    ...presets.map(([name, rules]) => ({ name, rules, inner: opensTunnels(name as Preset) })),
    ...presets.map(([name, rules]) => ({ name: `${name}, inner = false`, rules, inner: false })),
  ];
}
