/** Nodes of a fleet, one node, and pairs, as pages. Pure. */
import type { CommandRecord, FleetLogEntry, NodeRecord } from "../../../appliance/fleet/contract.ts";
import type { FleetNode } from "../../../appliance/fleet/rollout/contract.ts";
import type { NodeStanding } from "../../../appliance/fleet/rollout/report.ts";
import { PAIR_LABEL } from "../../../appliance/fleet/rollout/view.ts";
import { Card, Facts, FixedLight, Table } from "../../page/parts.tsx";
import { wallTime } from "../../paint.ts";

export interface NodeQuery {
  readonly search: string;
  /** "" for all; else a light, or "away". */
  readonly state: string;
}

export const STATES = ["green", "yellow", "red", "unknown", "away"] as const;
export const NODES_SHOWN_MAX = 200;

export function stateOf({ connected, health }: FleetNode): string {
  return connected ? health : "away";
}

/** By name, id, or a label as "site=north". */
export function fits(node: FleetNode, { search, state }: NodeQuery): boolean {
  if (state !== "" && stateOf(node) !== state) return false;
  const word = search.toLowerCase();
  const labels = Object.entries(node.labels).map(([name, value]) => `${name}=${value}`);
  return word === "" || [node.name, node.id, ...labels].some((text) => text.toLowerCase().includes(word));
}

export function versionOf({ update }: FleetNode): string {
  const slot = update?.slots.find(({ booted }) => booted);
  if (slot === undefined) return "no updater";
  return `${slot.version ?? "unknown"}${slot.state === "good" ? "" : ` (${slot.state})`}`;
}

function labelText({ labels }: FleetNode): string {
  return Object.entries(labels).map(([name, value]) => `${name}=${value}`).join(", ");
}

function State({ node }: { node: FleetNode }) {
  return node.connected
    ? <FixedLight state={node.health === "unknown" ? "off" : node.health} word={node.health} />
    : <FixedLight state="off" word="away" />;
}

function Way({ node }: { node: FleetNode }) {
  return <a href={`/nodes/${node.id}`}>{node.name}</a>;
}

export function Nodes({ nodes, total, query }: {
  nodes: readonly FleetNode[];
  total: number;
  query: NodeQuery;
}) {
  const shown = nodes.slice(0, NODES_SHOWN_MAX);
  const more = nodes.length > shown.length ? `; the first ${shown.length} are shown` : "";
  return (
    <Card id="nodes" title="Nodes" note={`${nodes.length} of ${total}${more}`} everyMs={2000} wide>
      <form method="get" action="/nodes" class="form">
        <label>
          <span>Name, id or label</span>
          <input name="search" value={query.search} />
        </label>
        <label>
          <span>State</span>
          <select name="state">
            <option value="" selected={query.state === ""}>any</option>
            {STATES.map((state) => <option value={state} selected={state === query.state}>{state}</option>)}
          </select>
        </label>
        <button type="submit">Search</button>
      </form>
      <Table
        name="Nodes"
        columns={[{ head: "Node" }, { head: "State" }, { head: "Version" }, { head: "Serves" }, {
          head: "Labels",
        }]}
        rows={shown.map((node) => [
          <Way node={node} />,
          <State node={node} />,
          versionOf(node),
          node.onRedundant ? "a redundant box" : "the primary",
          labelText(node),
        ])}
        empty="No node is so."
      />
    </Card>
  );
}

export interface OneNode {
  readonly node: FleetNode;
  readonly record: NodeRecord;
  readonly commands: readonly CommandRecord[];
  readonly events: readonly FleetLogEntry[];
  readonly standings: readonly (NodeStanding & { readonly rollout: string })[];
}

export function One({ node, record, commands, events, standings }: OneNode) {
  const { report } = record, when = (ms: number | null) => ms === null ? "never" : wallTime(ms);
  return (
    <>
      <Card id="facts" title="Now" note={record.id} everyMs={2000}>
        <Facts
          rows={[
            ["State", <State node={node} />],
            ["Reason", report?.health.reason || "none told"],
            ["Last seen", when(record.seenMs)],
            ["Reported", when(record.reportMs)],
            ["Path", report?.health.path ?? "unknown"],
            ["Safe to fail over", report?.health.unready ?? "yes"],
            ["Partner", node.partner ?? "none"],
            ["Labels", labelText(node) || "none"],
          ]}
        />
      </Card>
      <Slots node={node} />
      <Card id="rollouts" title="Roll-outs" everyMs={2000} wide>
        <Table
          name="Roll-outs"
          columns={[{ head: "Roll-out" }, { head: "Stage" }, { head: "State" }, { head: "Reason" }]}
          rows={standings.map(({ rollout, stage, state, reason }) => [
            <a href={`/rollouts/${rollout}`}>{rollout}</a>,
            stage,
            state,
            reason,
          ])}
          empty="It is of no roll-out."
        />
      </Card>
      <Card id="commands" title="Commands" everyMs={2000} wide>
        <Table
          name="Commands"
          columns={[{ head: "Number", number: true }, { head: "Kind" }, { head: "By" }, { head: "State" }, {
            head: "Result",
          }]}
          rows={commands.map(({ number, kind, by, state, result }) => [
            number,
            kind,
            by,
            result?.outcome ?? state,
            result?.text ?? "",
          ])}
          empty="It was given none."
        />
      </Card>
      <EventTable events={events} names={new Map()} />
    </>
  );
}

function Slots({ node: { update } }: { node: FleetNode }) {
  if (update === null) {
    return (
      <Card id="slots" title="Slots">
        <p class="empty">This node has no updater.</p>
      </Card>
    );
  }
  const { installing, reports, badVersions } = update;
  const note = installing === null
    ? undefined
    : `installs ${installing.version ?? "a bundle"}, ${installing.percent} %`;
  return (
    <Card id="slots" title="Slots" note={note} everyMs={2000}>
      <Table
        name="Slots"
        columns={[{ head: "Slot" }, { head: "State" }, { head: "Version" }, { head: "Runs" }]}
        rows={update.slots.map(({ name, state, version, booted }) => [
          name,
          state,
          version ?? "none",
          booted ? "yes" : "no",
        ])}
        empty="No slot is known."
      />
      <Facts
        rows={[
          [
            "Last report",
            reports.length === 0 ? "none" : `${reports.at(-1)!.outcome}: ${reports.at(-1)!.reason}`,
          ],
          ["Known as bad", badVersions.join(", ") || "none"],
        ]}
      />
    </Card>
  );
}

export function EventTable({ events, names }: {
  events: readonly FleetLogEntry[];
  names: ReadonlyMap<string, string>;
}) {
  return (
    <Card id="events" title="Events" note="The youngest first" everyMs={2000} wide>
      <Table
        name="Events"
        columns={[{ head: "Time (UTC)" }, { head: "Node" }, { head: "Source" }, { head: "Kind" }, {
          head: "Text",
        }]}
        rows={[...events].reverse().map(({ atMs, node, source, kind, subject, text }) => [
          wallTime(atMs),
          node === null ? "" : <a href={`/nodes/${node}`}>{names.get(node) ?? node}</a>,
          source,
          subject === "" ? kind : `${kind}, ${subject}`,
          text,
        ])}
        empty="Nothing has happened."
      />
    </Card>
  );
}

export function Pairs({ nodes, underWay }: {
  nodes: readonly FleetNode[];
  underWay: ReadonlySet<string>;
}) {
  const pairs = Map.groupBy(
    nodes.filter(({ labels }) => labels[PAIR_LABEL] !== undefined),
    ({ labels }) => labels[PAIR_LABEL]!,
  );
  const rows = [...pairs].sort(([a], [b]) => a < b ? -1 : 1).slice(0, NODES_SHOWN_MAX);
  return (
    <Card id="pairs" title="Pairs" note={`Nodes with the same label "${PAIR_LABEL}"`} everyMs={2000} wide>
      <Table
        name="Pairs"
        columns={[{ head: "Pair" }, { head: "Members" }, { head: "Versions" }, { head: "Update" }]}
        rows={rows.map(([pair, members]) => [
          pair,
          <>
            {members.toSorted((a, b) =>
              a.name < b.name ? -1 : 1
            ).map((node) => (
              <span class="member">
                <Way node={node} /> <State node={node} />
                {" "}
              </span>
            ))}
          </>,
          [...new Set(members.map(versionOf))].join(" and "),
          members.length !== 2
            ? `${members.length} nodes have this label: nothing is updated before there are two`
            : members.find(({ id }) =>
              underWay.has(id)
            )?.name ?? "none is under way",
        ])}
        empty="There are no pairs."
      />
    </Card>
  );
}
