/**
 * Why each packet of a flow was mirrored or not, in words.
 *
 * Neighbouring packets of one direction with the same answer are one line, so that a long download reads as short as it
 * is dull. Pure; memory is bounded by the number of flows and lines that are kept.
 */
import type { CoreResult } from "../filter/core.ts";
import { NATURE, type Why } from "../filter/names.ts";
import type { FilterRule } from "../filter/rule.ts";
import { address } from "./address.ts";
import { PROTOCOL } from "./flow_entry.ts";
import { wireBytes } from "./mirror_link.ts";
import type { Passed } from "./mirror_pass.ts";

/** Packets that share an answer. Numbers count from 1 over the whole capture, as in other tools. */
export interface Line {
  readonly first: number;
  last: number;
  packets: number;
  bytes: number;
  /** Of the first packet, in seconds after the flow's first. */
  readonly atS: number;
  /** Sent by the end that is named first in the flow's text. */
  readonly forward: boolean;
  readonly why: Why;
  readonly text: string;
}

export interface ExplainedFlow {
  /** "tcp 10.0.0.1:1234 > 10.0.0.2:80", the sender of its first packet first. */
  readonly flow: string;
  /** Name of its rule; null: none matched. */
  rule: string | null;
  packets: number;
  bytes: number;
  mirroredPackets: number;
  mirroredBytes: number;
  readonly lines: Line[];
  /** Packets that are counted above and in no line, because the flow has too many. */
  omitted: number;
}

export interface ExplainOptions {
  /** Only flows whose text has this. */
  readonly text: string | null;
  readonly flowsMax: number;
  readonly linesMax: number;
}

/** What the reasons for a copy mean. */
const COPIED: Readonly<Record<string, string>> = {
  neighbour: "ARP or neighbour discovery: both boxes must hear it",
  handshake: "it opens the connection, or is its direction's first packet",
  teardown: "it closes or resets the connection, or acknowledges that",
  fragment: "a fragment",
  first: "among the first packets of its direction",
  payload: "among the first packets with payload of its direction",
  bytes: "within the first payload bytes of its direction",
  ack: "it acknowledges what was mirrored",
  turn: "this side has just begun to talk",
  sample: "one in so many",
  keepalive: "a sign of life: nothing was mirrored for so long, or for half a receive window",
  all: "the rule mirrors everything",
};

/** Why frames that belong to no flow are not mirrored. */
const WITHOUT_FLOW: Readonly<Partial<Record<Passed["parse"], string>>> = {
  link_local: "link-local control traffic, which is between neighbours",
  not_ip: "not IP",
  fragment: "a fragment of what was not mirrored",
  unknown_link: "of a link type that the plane never sees",
};

interface State {
  readonly explained: ExplainedFlow;
  readonly firstNs: bigint;
  readonly forwardDir: number;
}

/** Collects answers flow by flow. */
export class Explainer {
  readonly #rules: readonly FilterRule[];
  readonly #options: ExplainOptions;
  readonly #flows = new Map<string, State>();
  #packets = 0;
  #flowsLeftOut = false;

  constructor(rules: readonly FilterRule[], options: ExplainOptions) {
    this.#rules = rules;
    this.#options = options;
  }

  /** Flows in the order of their first packets. */
  get flows(): ExplainedFlow[] {
    return [...this.#flows.values()].map(({ explained }) => explained);
  }

  /** Whether there were more flows than asked for. */
  get flowsLeftOut(): boolean {
    return this.#flowsLeftOut;
  }

  add(passed: readonly Passed[]): void {
    for (const one of passed) {
      this.#packets++;
      const dir = one.parse === "flow" ? one.result!.field("packet.dir") : 0;
      const state = this.#stateOf(one, dir);
      if (state) this.#note(state, one, dir);
    }
  }

  #stateOf(passed: Passed, dir: number): State | undefined {
    const key = passed.parse === "flow"
      ? flowText(passed.result!, 0)
      : `(${passed.parse.replaceAll("_", " ")})`;
    const known = this.#flows.get(key);
    if (known) return known;
    const flow = passed.parse === "flow" ? flowText(passed.result!, dir) : key;
    const { text, flowsMax } = this.#options;
    if (text !== null && !flow.includes(text) && !key.includes(text)) return undefined;
    if (this.#flows.size >= flowsMax) {
      this.#flowsLeftOut = true;
      return undefined;
    }
    const none = { packets: 0, bytes: 0, mirroredPackets: 0, mirroredBytes: 0, omitted: 0 };
    const explained: ExplainedFlow = { flow, rule: null, ...none, lines: [] };
    const state = { explained, firstNs: passed.frame.timeNs, forwardDir: dir };
    this.#flows.set(key, state);
    return state;
  }

  #note({ explained, firstNs, forwardDir }: State, passed: Passed, dir: number): void {
    const bytes = wireBytes(passed.frame);
    const rule = passed.rule === undefined ? undefined : this.#rules[passed.rule];
    explained.rule = rule?.name ?? explained.rule;
    explained.packets++;
    explained.bytes += bytes;
    if (passed.why !== "none") {
      explained.mirroredPackets++;
      explained.mirroredBytes += bytes;
    }
    const text = words(passed, rule);
    const forward = dir === forwardDir;
    const last = explained.lines.at(-1);
    if (last && last.text === text && last.forward === forward && last.why === passed.why) {
      last.last = this.#packets;
      last.packets++;
      last.bytes += bytes;
      return;
    }
    if (explained.lines.length >= this.#options.linesMax) {
      explained.omitted++;
      return;
    }
    const atS = Number(passed.frame.timeNs - firstNs) / 1e9;
    const span = { first: this.#packets, last: this.#packets, packets: 1, bytes };
    explained.lines.push({ ...span, atS, forward, why: passed.why, text });
  }
}

/** The flow of a packet with the end of direction `dir` first. */
export function flowText(result: CoreResult, dir: number): string {
  const end = (i: 0 | 1) => address(result.address(i), result.port[i]);
  const [from, to] = dir === 0 ? [end(0), end(1)] : [end(1), end(0)];
  const proto = result.field("packet.proto");
  const vlan = result.field("packet.vlan");
  return `${PROTOCOL[proto] ?? `ip-${proto}`} ${from} > ${to}${vlan === 0 ? "" : ` vlan ${vlan}`}`;
}

function words(passed: Passed, rule: FilterRule | undefined): string {
  if (passed.why !== "none") return COPIED[passed.why] ?? passed.why;
  if (passed.parse !== "flow") {
    return WITHOUT_FLOW[passed.parse] ?? `malformed: ${passed.parse.replaceAll("_", " ")}`;
  }
  if (rule === undefined) return "no rule matches the flow";
  if (rule.none) return `rule ${rule.name} mirrors nothing`;
  const { shed } = passed.result!;
  if (shed !== "none") return `the budget of the mirror is spent; else: ${COPIED[shed] ?? shed}`;
  const opaque = rule.plaintext && NATURE[passed.result!.field("result.nature")] === "opaque";
  if (opaque) return `encrypted from here on, and rule ${rule.name} mirrors what can be read`;
  const bare = passed.result!.field("packet.payload_bytes") === 0;
  return `${bare ? "no payload, and " : ""}beyond what rule ${rule.name} mirrors: ${limits(rule)}`;
}

/** A packet is mirrored whole when its first byte is within the bound. */
const upTo = (n: number) => n === 1 ? "the first packet with payload" : `the first ${n} bytes`;

/** What a setting of a rule mirrors of each direction. */
const SETTINGS: Readonly<Record<string, (value: number) => string>> = {
  handshake: () => "the opening",
  teardown: () => "the closing",
  firstPackets: (n) => n === 1 ? "the first packet" : `the first ${n} packets`,
  firstPayloadPackets: (n) => n === 1 ? upTo(1) : `the first ${n} packets with payload`,
  firstBytesUp: (n) => `${upTo(n)} from the client`,
  firstBytesDown: (n) => `${upTo(n)} to the client`,
  turnBytesUp: (n) => `${upTo(n)} each time the client begins to talk`,
  turnBytesDown: (n) => `${upTo(n)} each time the other side begins to talk`,
  turnBytesMax: (n) => `at most ${n} bytes of turns`,
  plaintext: () => "bytes only until the flow is encrypted",
  acks: () => "what acknowledges a copy",
  sample: (n) => `one packet in ${n}`,
  keepaliveMs: (n) => `one every ${n / 1000} s`,
  keepaliveWindow: () => "a pair every half receive window",
};

/** What a rule mirrors of each direction, in words. */
export function limits(rule: FilterRule): string {
  const values = new Map<string, unknown>(Object.entries(rule));
  const parts = Object.entries(SETTINGS).flatMap(([name, say]) => {
    const value = values.get(name);
    return value === true || (typeof value === "number" && value > 0) ? [say(Number(value))] : [];
  });
  return parts.length === 0 ? "nothing" : parts.join(", ");
}
