/**
 * Why does a standby not do as the serving box does? From the flows compared to a short list of likely causes. Pure.
 *
 * Each kind of fault leaves a pattern: a rule drops all that share a port or an address, a full table drops all that is new,
 * random ports differ everywhere, and pressure only where two clients want the same port. Causes are likely, not proven;
 * each says what speaks for it. A standby that forgets sooner leaves no trace in openings: a canary of a drill that is silent
 * for a while finds it.
 */
import type { DriftCause, TwinView } from "../view_match.ts";
import { allocationCauses } from "./drift_ports.ts";

/** One flow compared. Ends are "10.1.0.11:40112" or "[2001:db8::1]:443". */
export interface DriftFlow {
  readonly verdict: TwinView["verdict"];
  readonly protocol: string;
  readonly rule: string;
  /** When it began, on any clock. */
  readonly openedMs: number;
  readonly client: string;
  /** The source that the serving box gave it, and where it sent it. */
  readonly own: string;
  readonly server: string;
  /** The standby's, of a different one: "source - destination"; empty: not known any more. */
  readonly made: string;
}

export interface DriftSeen {
  /** Of those compared, all or a fair sample. */
  readonly flows: readonly DriftFlow[];
  /** Live flows that were not compared. */
  readonly unknown: number;
  /** Copies that were shed or found the standby's ports full, lately. */
  readonly lostCopies: number;
  /** After so long a silence the last drill of the standby found a connection forgotten. Absent: it did not. */
  readonly forgotMs?: number;
}

const CAUSES_MAX = 4;
/** Fewer are no pattern. */
const PATTERN_MIN = 3;
/** What opened so shortly before the first one dropped opened at its time. */
const SAME_TIME_MS = 2_000;
const NEARLY_ALL = 0.9, FEW = 0.3;

/** "10.1.0.11:40112" in two. */
export function splitEnd(end: string): { readonly address: string; readonly port: string } {
  const colon = end.lastIndexOf(":");
  return end.endsWith("]") || colon < 0
    ? { address: end, port: "" }
    : { address: end.slice(0, colon), port: end.slice(colon + 1) };
}

function prefixOf(end: string): string {
  const { address } = splitEnd(end);
  return address.includes(".") ? `${address.split(".").slice(0, 3).join(".")}.0/24` : address;
}

/** What a rule may go by, the likeliest first. */
const FEATURES: readonly ((flow: DriftFlow) => string)[] = [
  ({ protocol, server }) => `to ${protocol} port ${splitEnd(server).port}`,
  ({ server }) => `to ${splitEnd(server).address}`,
  ({ client }) => `from ${splitEnd(client).address}`,
  ({ client }) => `from ${prefixOf(client)}`,
  ({ rule }) => `of the rule "${rule}"`,
  ({ protocol }) => `of ${protocol}`,
];

interface Feature {
  readonly name: string;
  readonly has: (flow: DriftFlow) => boolean;
  readonly dropped: number;
  readonly all: number;
  readonly others: number;
}

/** How a feature divides the flows since the first one dropped; null: it does not explain them. */
function weigh(name: string, has: Feature["has"], flows: readonly DriftFlow[]): Feature | null {
  const hit = flows.filter((flow) => flow.verdict === "dropped" && has(flow));
  const since = Math.min(...hit.map(({ openedMs }) => openedMs));
  const all = flows.filter((flow) => has(flow) && flow.openedMs >= since).length;
  const rest = flows.filter((flow) => !has(flow) && flow.openedMs >= since - SAME_TIME_MS);
  const others = rest.length, droppedOthers = rest.filter(({ verdict }) => verdict === "dropped").length;
  const explains = hit.length >= PATTERN_MIN && hit.length >= NEARLY_ALL * all && others >= PATTERN_MIN &&
    droppedOthers <= FEW * others;
  return explains ? { name, has, dropped: hit.length, all, others: others - droppedOthers } : null;
}

function bestFeature(flows: readonly DriftFlow[]): Feature | null {
  const dropped = flows.filter(({ verdict }) => verdict === "dropped");
  let best: Feature | null = null;
  for (const feature of FEATURES) {
    const hits = Map.groupBy(dropped, feature);
    for (const [name, { length }] of hits) {
      if (length < PATTERN_MIN || length <= (best?.dropped ?? 0)) continue;
      const found = weigh(name, (flow) => feature(flow) === name, flows);
      best = found ?? best;
    }
  }
  return best;
}

/** Each rule is looked for in what those before it left; what is left in the end comes back. */
function ruleCauses(flows: readonly DriftFlow[]): { causes: DriftCause[]; rest: readonly DriftFlow[] } {
  const causes: DriftCause[] = [];
  let rest = flows;
  for (
    let found = bestFeature(rest);
    found !== null && causes.length < CAUSES_MAX;
    found = bestFeature(rest)
  ) {
    const { name, has, dropped, all, others } = found;
    const text =
      `a rule or setting of its own: ${dropped} of ${all} flows ${name} are dropped, and ${others} others ` +
      "of the same time are not";
    causes.push({ kind: "rule", flows: dropped, text });
    rest = rest.filter((flow) => flow.verdict !== "dropped" || !has(flow));
  }
  return { causes, rest };
}

function common(dropped: readonly DriftFlow[]): string {
  const shared = FEATURES.map((feature) => new Set(dropped.map(feature))).find(({ size }) => size === 1);
  return shared === undefined ? "" : `, all ${[...shared][0]}`;
}

/** Old flows are well and new ones are not, whatever they are; or none is well. */
function fullCause(flows: readonly DriftFlow[]): DriftCause[] {
  const dropped = flows.filter(({ verdict }) => verdict === "dropped");
  if (dropped.length < PATTERN_MIN) return [];
  const since = Math.min(...dropped.map(({ openedMs }) => openedMs));
  const older = flows.filter(({ openedMs }) => openedMs < since).length;
  const later = flows.length - older;
  if (older >= PATTERN_MIN && dropped.length >= later / 2) {
    const text =
      `its table is full, or copies get lost on their way: ${dropped.length} of ${later} flows that opened ` +
      `since one moment are dropped, and ${older} older ones are well`;
    return [{ kind: "table-full", flows: dropped.length, text }];
  }
  const text =
    `it drops ${dropped.length} of ${flows.length}${common(dropped)}: another configuration, out of ` +
    "service, or no copies arrive";
  return dropped.length >= NEARLY_ALL * flows.length
    ? [{ kind: "all-dropped", flows: dropped.length, text }]
    : [];
}

/** Copies that were not made explain what is dropped, and what cannot be compared. */
function copyCauses({ flows, unknown, lostCopies }: DriftSeen): DriftCause[] {
  const dropped = flows.filter(({ verdict }) => verdict === "dropped").length;
  const explained = Math.min(dropped + unknown, lostCopies);
  if (lostCopies < PATTERN_MIN || explained < PATTERN_MIN) return [];
  const text =
    `copies were not made: ${lostCopies} of openings were shed by the mirror's budget or found its ports full ` +
    `in the last ten minutes; ${dropped} flows are dropped, ${unknown} not compared`;
  return [{ kind: "lost-copies", flows: explained, text }];
}

/** Every connection that it holds is forgotten in its turn. */
function timeoutCauses({ flows, forgotMs }: DriftSeen): DriftCause[] {
  if (forgotMs === undefined) return [];
  const held = flows.filter(({ protocol, verdict }) => protocol === "tcp" && verdict === "equal").length;
  const text =
    `its timeouts are shorter than they should be, or its clock runs ahead: a canary that was silent for ${
      forgotMs / 1000
    } s was forgotten; ${held} TCP flows compared are alike as long as they speak`;
  return [{ kind: "timeout", flows: held, text }];
}

/** The likely causes, those that explain most flows first; none: all is alike, or there is no pattern. */
export function likelyCauses(seen: DriftSeen): DriftCause[] {
  const { causes, rest } = ruleCauses(seen.flows);
  const lost = copyCauses(seen);
  const all = [
    ...causes,
    ...lost,
    // Copies that were not made look like a full table.
    ...(lost.length > 0 ? [] : fullCause(rest)),
    ...allocationCauses(seen.flows),
    ...timeoutCauses(seen),
  ];
  return all.toSorted((a, b) => b.flows - a.flows).slice(0, CAUSES_MAX);
}
