/**
 * From what a switch holds to what it should hold: the fewest changes, in an order that never leads nowhere.
 *
 * Groups first (inner before outer), then flows, then groups nobody needs. Flows are the node's by their cookie, groups by
 * their numbers: what belongs to others is not even looked at. Pure.
 */
import type { Action } from "../../../drivers/openflow/actions.ts";
import { matchKey } from "../../../drivers/openflow/match.ts";
import type { Body } from "../../../drivers/openflow/messages.ts";
import type { FlowDescription, GroupCounts } from "../../../drivers/openflow/multipart.ts";
import {
  ALL_TABLES,
  FLOW_COMMAND,
  FLOW_FLAG,
  GROUP_ANY,
  GROUP_COMMAND,
  NO_BUFFER,
  PORT,
} from "../../../drivers/openflow/names.ts";
import type { Bucket, GroupDescription, PortDescription } from "../../../drivers/openflow/structures.ts";
import { COOKIE_MASK, GROUPS, type Wanted, type WantedFlow } from "./plan.ts";

/** What was read back; of flows only the node's own. */
export interface Found {
  readonly groups: readonly GroupDescription[];
  readonly flows: readonly FlowDescription[];
}

/** What was read so far of what was asked. */
export class Reading implements Found {
  readonly ports: PortDescription[] = [];
  readonly groups: GroupDescription[] = [];
  readonly flows: FlowDescription[] = [];
  readonly counts: GroupCounts[] = [];
}

export interface Change {
  readonly body: Body;
  /** "group 21001 was changed": what was found, for the event. */
  readonly text: string;
}

export function isOwnGroup(group: number, groupFirst: number): boolean {
  return group >= groupFirst && group < groupFirst + GROUPS;
}

export function changesTo(wanted: Wanted, found: Found, groupFirst: number): Change[] {
  const groups = new Map(found.groups.map((one) => [one.group, one]));
  const needed = new Set(wanted.groups.map(({ group }) => group));
  const makes = wanted.groups.flatMap((want) => groupChange(want, groups.get(want.group)));
  const stale = found.groups.filter(({ group }) => isOwnGroup(group, groupFirst) && !needed.has(group));
  const drops = stale.toSorted((a, b) => a.group - b.group).map((one) => groupDelete(one.group));
  return [...makes, ...flowChanges(wanted, found), ...drops];
}

function groupChange(want: GroupDescription, have: GroupDescription | undefined): Change[] {
  const { group, type, buckets } = want;
  const change = (command: number, text: string): Change[] => [
    { body: { kind: "group-mod", command, type, group, buckets }, text: `group ${group} ${text}` },
  ];
  if (have === undefined) return change(GROUP_COMMAND.add, "was missing");
  if (have.type !== type) return change(GROUP_COMMAND.modify, "was of another type");
  const same = have.buckets.map(bucketKey).join(";") === buckets.map(bucketKey).join(";");
  return same ? [] : change(GROUP_COMMAND.modify, "was changed");
}

function groupDelete(group: number): Change {
  const body: Body = { kind: "group-mod", command: GROUP_COMMAND.delete, type: 0, group, buckets: [] };
  return { body, text: `group ${group} was not needed` };
}

function flowChanges(wanted: Wanted, found: Found): Change[] {
  const left = new Map(found.flows.map((flow) => [flowKey(flow), flow]));
  const changes: Change[] = [];
  for (const want of wanted.flows) {
    const have = left.get(flowKey(want));
    left.delete(flowKey(want));
    const text = have === undefined ? "was missing" : "was changed";
    if (have === undefined || !sameFlow(want, have)) {
      changes.push({ body: flowAdd(want), text: `${flowText(want)} ${text}` });
    }
  }
  for (const flow of left.values()) {
    changes.push({ body: flowDelete(flow), text: `${flowText(flow)} was not needed` });
  }
  return changes;
}

function flowAdd(want: WantedFlow): Body {
  return {
    ...flowMod(FLOW_COMMAND.add, want),
    cookie: want.cookie,
    flags: FLOW_FLAG.sendRemoved,
    instructions: [{ kind: "apply", actions: want.groups.map((group) => ({ kind: "group", group })) }],
  };
}

/** Strict: this flow and no other. The cookie keeps it from a flow of others in the same place. */
function flowDelete(flow: FlowDescription): Body {
  return { ...flowMod(FLOW_COMMAND.deleteStrict, flow), cookie: flow.cookie, cookieMask: COOKIE_MASK };
}

function flowMod(command: number, of: Pick<WantedFlow, "table" | "priority" | "match">) {
  return {
    kind: "flow-mod",
    command,
    cookie: 0n,
    cookieMask: 0n,
    table: of.table,
    priority: of.priority,
    idleS: 0,
    hardS: 0,
    buffer: NO_BUFFER,
    outPort: PORT.any,
    outGroup: GROUP_ANY,
    flags: 0,
    match: of.match,
    instructions: [],
  } as const;
}

/** Takes away all that is the node's. */
export function removal(found: Found, own: { readonly cookie: bigint; readonly groupFirst: number }): Body[] {
  const flows: Body = {
    ...flowMod(FLOW_COMMAND.delete, { table: ALL_TABLES, priority: 0, match: [] }),
    cookie: own.cookie,
    cookieMask: COOKIE_MASK,
  };
  const groups = found.groups.filter(({ group }) => isOwnGroup(group, own.groupFirst));
  return [flows, ...groups.map(({ group }) => groupDelete(group).body)];
}

function sameFlow(want: WantedFlow, have: FlowDescription): boolean {
  const [only, ...more] = have.instructions;
  const leads = only?.kind === "apply" && more.length === 0 &&
    actionsKey(only.actions) === want.groups.map((group) => `group:${group}`).join("+");
  return leads && have.cookie === want.cookie && have.idleS === 0 && have.hardS === 0;
}

function flowKey(flow: Pick<WantedFlow, "table" | "priority" | "match">): string {
  return `${flow.table}/${flow.priority}/${matchText(flow)}`;
}

/** For people. */
function flowText(flow: Pick<WantedFlow, "table" | "priority" | "match">): string {
  return `flow ${matchText(flow)} (table ${flow.table}, priority ${flow.priority})`;
}

/** Open vSwitch may tell TCP flags under its own number. */
function matchText({ match }: Pick<WantedFlow, "match">): string {
  return matchKey(match).replaceAll("nxm_tcp_flags", "tcp_flags");
}

/** Weights mean nothing in fast failover; a switch may tell any. */
function bucketKey(bucket: Bucket): string {
  return `${bucket.watchPort},${bucket.watchGroup}:${actionsKey(bucket.actions)}`;
}

function actionsKey(actions: readonly Action[]): string {
  return actions.map((action) => {
    if (action.kind === "output") return `output:${action.port}`;
    return action.kind === "group" ? `group:${action.group}` : `other:${action.kind}`;
  }).join("+");
}

/** Of some orders of boxes the one whose groups the switch holds; null: none of them. */
export function orderHeld(
  found: Found,
  tries: readonly { readonly order: readonly number[]; readonly wanted: Wanted }[],
): readonly number[] | null {
  const held = new Map(found.groups.map((one) => [one.group, one]));
  const fits = ({ wanted }: { wanted: Wanted }) =>
    wanted.groups.every((want) => groupChange(want, held.get(want.group)).length === 0);
  return tries.find(fits)?.order ?? null;
}

const TOLD_MAX = 5;

/** The first few of many. */
export function toldOf(texts: readonly string[]): string {
  const more = texts.length - TOLD_MAX;
  return texts.slice(0, TOLD_MAX).join("; ") + (more > 0 ? `; and ${more} more` : "");
}
