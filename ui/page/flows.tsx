/** The page of the flows: search, why each is copied, its bindings on both boxes, and what a standby made of it. Pure. */
import type { FlowView, TwinView } from "../../appliance/view.ts";
import type { FilterRule } from "../../filter/rule.ts";
import { limits } from "../../appliance/mirror_explain.ts";
import { byteSize, count, duration } from "../paint.ts";
import { UNKNOWN } from "./live.ts";
import { Card, FixedLight, Table } from "./parts.tsx";

export interface FlowQuery {
  readonly search: string;
  readonly side: "upstream" | "downstream" | "";
  readonly unlike: boolean;
  readonly limit: number;
}

export const FLOWS_MAX = 500;
const LIMITS = [50, 200, FLOWS_MAX] as const;

/** The query of an address; what is not understood is as if it were not there, and said. */
export function flowQuery(given: URLSearchParams): { query: FlowQuery; faults: string[] } {
  const faults: string[] = [];
  const side = given.get("side") ?? "", limit = given.get("limit") ?? "50";
  if (!["", "upstream", "downstream"].includes(side)) faults.push(`There is no side "${side}"`);
  const most = /^\d{1,4}$/.test(limit) ? Number(limit) : 0;
  if (most < 1 || most > FLOWS_MAX) faults.push(`"${limit}" is no number from 1 to ${FLOWS_MAX}`);
  return {
    faults,
    query: {
      search: (given.get("search") ?? "").slice(0, 200),
      side: side === "upstream" || side === "downstream" ? side : "",
      unlike: given.get("unlike") === "true",
      limit: most < 1 || most > FLOWS_MAX ? LIMITS[0] : most,
    },
  };
}

interface FlowsProps {
  readonly flows: readonly FlowView[];
  readonly query: FlowQuery;
  readonly faults: readonly string[];
  /** Of the configuration; empty: not known here. */
  readonly rules: readonly FilterRule[];
}

export function Flows({ flows, query, faults, rules }: FlowsProps) {
  const columns = [
    { head: "Flow" },
    { head: "Side" },
    { head: "Copied, and why" },
    { head: "Binding on the serving box" },
    { head: "On the standbys" },
    { head: "Idle", number: true },
    { head: "Packets", number: true },
    { head: "Bytes", number: true },
  ];
  return (
    <>
      <Search query={query} />
      {faults.map((text) => <p class="result" data-ok="false" role="alert">{text}.</p>)}
      <Card
        id="flows"
        title={`${count(flows.length)} flows`}
        note={`${flows.length === query.limit ? "The busiest; there may be more. " : ""}${STILL}`}
        everyMs={2000}
        wide
      >
        <Table
          name="Flows"
          columns={columns}
          rows={flows.map((flow) => row(flow, rules))}
          empty={query.search || query.unlike ? "No flow is like that." : "There are no flows."}
        />
      </Card>
    </>
  );
}

/** The plane touches no more than a line of memory for such packets. */
const STILL = "Packets and bytes stand still where nothing more is to be copied, unless the rule seeds.";

function Search({ query }: { query: FlowQuery }) {
  return (
    <form class="search" method="get" action="/flows" role="search">
      <label>
        <span>Address, port, protocol or rule</span>
        <input type="search" name="search" value={query.search} maxlength={200} />
      </label>
      <label>
        <span>Side</span>
        <select name="side">
          {(["", "upstream", "downstream"] as const).map((side) => (
            <option value={side} selected={side === query.side}>{side === "" ? "both" : side}</option>
          ))}
        </select>
      </label>
      <label>
        <span>At most</span>
        <select name="limit">
          {LIMITS.map((limit) => <option value={limit} selected={limit === query.limit}>{limit}</option>)}
        </select>
      </label>
      <label class="tick">
        <input type="checkbox" name="unlike" value="true" checked={query.unlike} />
        <span>Only those that a standby would not carry on</span>
      </label>
      <button type="submit">Search</button>
    </form>
  );
}

/** "tcp, closing, VLAN 12" */
function kind({ protocol, vlan, age }: FlowView): string {
  const stage = age.replace(`${protocol}-`, "");
  return [protocol, ...(stage === protocol ? [] : [stage]), ...(vlan === 0 ? [] : [`VLAN ${vlan}`])].join(
    ", ",
  );
}

function row(flow: FlowView, rules: readonly FilterRule[]) {
  const { outer, inner } = flow;
  return [
    <span class="flow">
      <span class="code">{outer}</span> <span class="code">↔ {inner}</span>
      <span class="note block">{kind(flow)}</span>
    </span>,
    flow.side,
    <Why flow={flow} rules={rules} />,
    flow.binding === "" ? <span class="dim">not inferred</span> : <span class="code">{flow.binding}</span>,
    flow.standbys.length === 0
      ? <span class="dim">not compared</span>
      : flow.standbys.map((twin) => <Twin twin={twin} binding={flow.binding} />),
    duration(flow.idleMs),
    count(flow.packets[0] + flow.packets[1]),
    byteSize(flow.bytes[0] + flow.bytes[1]),
  ];
}

function Why({ flow, rules }: { flow: FlowView; rules: readonly FilterRule[] }) {
  if (flow.rule === "") return <span class="dim">no rule matches it: nothing is copied</span>;
  if (flow.rule === "?") {
    return <span class="dim">its rule was replaced; the next packet chooses another</span>;
  }
  const rule = rules.find(({ name }) => name === flow.rule);
  const words = rule === undefined ? "" : rule.all ? "everything" : rule.none ? "nothing" : limits(rule);
  return (
    <>
      {count(flow.mirrored)} packets, rule <span class="code">{flow.rule}</span>
      {words === "" ? null : <span class="note block">It copies {words}.</span>}
    </>
  );
}

const TWIN = {
  equal: ["green", "the same: it would live on"],
  different: ["yellow", "another binding"],
  dropped: ["red", "nothing came out: it would not live on"],
} as const;

function Twin({ twin, binding }: { twin: TwinView; binding: string }) {
  const [light, words] = TWIN[twin.verdict];
  const own = twin.binding === "" ? (twin.verdict === "equal" ? binding : "") : twin.binding;
  return (
    <span class="block">
      <FixedLight state={light} word={twin.box} /> {words}
      {own === "" ? null : <span class="code block">{own || UNKNOWN}</span>}
    </span>
  );
}
