/** The page of the filter: rules with live counters, presets, a form for a rule, and why a capture would be copied. Pure. */
import type { Explanation } from "../../appliance/mirror_run.ts";
import { limits } from "../../appliance/mirror_explain.ts";
import { type FilterRule, type Preset, PRESETS } from "../../filter/rule.ts";
import type { NodeStatus } from "../../appliance/view.ts";
import { byteSize, count, percent } from "../paint.ts";
import { RULE_FLAGS, RULE_NUMBERS } from "./filter_edit.ts";
import type { LiveValues } from "./live.ts";
import { Card, Csrf, Facts, Table, Value } from "./parts.tsx";
import { may, type Visitor } from "../session.ts";

export interface FilterProps {
  readonly status: NodeStatus;
  readonly values: LiveValues;
  /** Those of the configuration, those of its preset last; null: not known here. */
  readonly filter: { readonly preset: Preset; readonly rules: readonly FilterRule[] } | null;
  readonly visitor: Visitor;
  readonly explains: boolean;
  readonly tunes: boolean;
  /** It can be changed here. */
  readonly edits: boolean;
}

export function Filter(props: FilterProps) {
  const { status, values, visitor, explains, tunes } = props;
  const edits = props.edits && props.filter !== null && may(visitor, "admin");
  return (
    <>
      <Card
        id="rules"
        title="Rules"
        note="The first that matches a flow's first packet decides for the flow."
        wide
      >
        <Rules {...props} edits={edits} />
      </Card>
      <Card id="why" title="Copied, and why">
        <Counters
          group="why"
          list={status.mirror.why}
          values={values}
          empty="Nothing has been copied so far."
        />
        <Facts
          rows={[
            ["Of packets", <Value of={values} name="mirror.packets" />],
            ["Of bytes", <Value of={values} name="mirror.bytes" />],
          ]}
        />
      </Card>
      <Card
        id="shed"
        title="Left out by the budget"
        note="Copies not made, by the reason they would have had."
      >
        <Counters
          group="shed"
          list={status.mirror.shed}
          values={values}
          empty="Nothing: the budget was never spent."
        />
      </Card>
      <Card id="presets" title="Presets" note="What forms state in a kind of box." wide>
        <Presets current={props.filter?.preset ?? null} edits={edits} visitor={visitor} />
      </Card>
      {edits ? <RuleForm visitor={visitor} /> : null}
      {explains && may(visitor, "operator") ? <Upload visitor={visitor} tunes={tunes} /> : null}
    </>
  );
}

function Rules({ status, values, filter, edits, visitor }: FilterProps) {
  const columns = [
    { head: "Rule" },
    { head: "Flows" },
    { head: "Copies" },
    { head: "Packets", number: true },
    { head: "Bytes", number: true },
    ...(edits ? [{ head: "Change" }] : []),
  ];
  const own = filter === null ? 0 : filter.rules.length - PRESETS[filter.preset].length;
  const rows = status.mirror.rules.map(({ name }) => {
    const index = filter?.rules.findIndex((rule) => rule.name === name) ?? -1;
    const rule = filter?.rules[index];
    return [
      <span class="code">{name}</span>,
      rule === undefined
        ? <span class="dim">not known here</span>
        : rule.match === ""
        ? "all others"
        : <span class="code">{rule.match}</span>,
      rule === undefined ? "" : copies(rule),
      <Value of={values} name={`rule.${name}`} />,
      <Value of={values} name={`rule.${name}.bytes`} />,
      ...(edits
        ? [
          index >= 0 && index < own
            ? <Remove index={index} visitor={visitor} />
            : <span class="dim">preset</span>,
        ]
        : []),
    ];
  });
  return <Table name="Rules" columns={columns} rows={rows} empty="There are no rules: nothing is copied." />;
}

function copies(rule: FilterRule): string {
  if (rule.none) return "nothing";
  const seeds = rule.seed ? "; seeds where a standby takes over" : "";
  return `${rule.all ? "everything" : limits(rule)}${seeds}`;
}

function Remove({ index, visitor }: { index: number; visitor: Visitor }) {
  return (
    <form method="post" action="/filter/remove" class="inline">
      <Csrf visitor={visitor} />
      <input type="hidden" name="index" value={index} />
      <button type="submit" class="plain">Remove</button>
    </form>
  );
}

interface CountersProps {
  readonly group: string;
  readonly list: NodeStatus["counters"];
  readonly values: LiveValues;
  readonly empty: string;
}

function Counters({ group, list, values, empty }: CountersProps) {
  const rows = list.filter(({ name, packets }) => name !== "none" && packets > 0).map(({ name }) => [
    name.replaceAll("_", " "),
    <Value of={values} name={`${group}.${name}`} />,
    <Value of={values} name={`${group}.${name}.bytes`} />,
  ]);
  const columns = [{ head: "Reason" }, { head: "Packets", number: true }, { head: "Bytes", number: true }];
  return (
    <Table
      name={group === "why" ? "Copied, and why" : "Left out"}
      columns={columns}
      rows={rows}
      empty={empty}
    />
  );
}

function Presets({ current, edits, visitor }: { current: Preset | null; edits: boolean; visitor: Visitor }) {
  const rows = (Object.keys(PRESETS) as Preset[]).map((preset) => [
    <span class="code">{preset}</span>,
    PRESETS[preset].map(copies).join("; "),
    preset === current
      ? <span class="tag">in force</span>
      : !edits
      ? ""
      : (
        <form method="post" action="/filter/preset" class="inline">
          <Csrf visitor={visitor} />
          <input type="hidden" name="preset" value={preset} />
          <button type="submit" class="plain" aria-label={`Take it: preset ${preset}`}>Take it</button>
        </form>
      ),
  ]);
  const columns = [{ head: "Preset" }, { head: "Copies" }, { head: "" }];
  columns[2] = { head: "State" };
  return <Table name="Presets" columns={columns} rows={rows} empty="" />;
}

function RuleForm({ visitor }: { visitor: Visitor }) {
  return (
    <Card
      id="new-rule"
      title="Another rule"
      note="It is checked and shown as a change before anything happens."
      wide
    >
      <form method="post" action="/filter/add" class="form">
        <Csrf visitor={visitor} />
        <label>
          <span>Name</span>
          <input name="name" required maxlength={31} pattern="[A-Za-z0-9._\-]{1,31}" autocomplete="off" />
        </label>
        <label class="grow">
          <span>Flows, as tcpdump writes it; empty for all</span>
          <input name="match" class="code" placeholder="udp port 5060" autocomplete="off" />
        </label>
        <fieldset>
          <legend>Copies</legend>
          {Object.entries(RULE_FLAGS).map(([key, words]) => (
            <label class="tick">
              <input type="checkbox" name={key} value="true" /> <span>{words}</span>
            </label>
          ))}
        </fieldset>
        <fieldset class="numbers">
          <legend>And</legend>
          {Object.entries(RULE_NUMBERS).map(([key, words]) => (
            <label>
              <span>{words}</span>
              <input name={key} inputmode="numeric" pattern="[0-9]*" autocomplete="off" />
            </label>
          ))}
        </fieldset>
        <p class="actions">
          <button type="submit">Check it</button>
        </p>
      </form>
    </Card>
  );
}

function Upload({ visitor, tunes }: { visitor: Visitor; tunes: boolean }) {
  return (
    <Card
      id="explain"
      title="Explain a packet or a capture"
      note="Which packets would be copied, and why. A capture has at most 8 MiB."
      wide
    >
      <form method="post" action="/filter/explain" enctype="multipart/form-data" class="form">
        <Csrf visitor={visitor} />
        <label>
          <span>A file, pcap or pcapng</span>
          <input type="file" name="capture" accept=".pcap,.pcapng,.cap" />
        </label>
        <label class="grow">
          <span>Or one packet with its Ethernet header, as tcpdump -xx prints it</span>
          <textarea name="packet" class="code" rows={3} spellcheck={false} autocomplete="off"></textarea>
        </label>
        <label>
          <span>Rules</span>
          <select name="preset">
            <option value="">those in force</option>
            {Object.keys(PRESETS).map((preset) => <option value={preset}>preset {preset}</option>)}
          </select>
        </label>
        <p class="actions">
          <button type="submit">Explain</button>
          {tunes
            ? (
              <button type="submit" class="quiet" formaction="/filter/tune">
                Find the rule that fits it
              </button>
            )
            : null}
        </p>
      </form>
    </Card>
  );
}

export function Explained({ explanation, file }: { explanation: Explanation; file: string }) {
  const { flows, flowsLeftOut, cut, totals } = explanation;
  const share = (part: number, all: number) => percent(all === 0 ? 0 : part / all);
  const { all, mirrored } = totals;
  return (
    <>
      <Card id="sum" title={file} wide>
        <Facts
          rows={[
            ["Read", `${count(all.packets)} packets, ${byteSize(all.bytes)}`],
            ["Would be copied", `${count(mirrored.packets)} packets, ${byteSize(mirrored.bytes)}`],
            [
              "That is",
              `${share(mirrored.packets, all.packets)} of packets, ${
                share(mirrored.bytes, all.bytes)
              } of bytes`,
            ],
            ...(cut === null ? [] : [["The capture is not whole", cut] as const]),
          ]}
        />
      </Card>
      {flows.map((flow, index) => (
        <details class="card wide explained" open={index === 0}>
          <summary>
            <span class="code">{flow.flow}</span>{" "}
            <span class="note">
              {count(flow.mirroredPackets)} of {count(flow.packets)}{" "}
              packets{flow.rule === null ? "" : `, rule ${flow.rule}`}
            </span>
          </summary>
          <ExplainedLines flow={flow} />
        </details>
      ))}
      {flowsLeftOut
        ? (
          <p class="note">
            There are more flows; <span class="code">remediate mirror explain</span> shows them all.
          </p>
        )
        : null}
    </>
  );
}

function ExplainedLines({ flow }: { flow: Explanation["flows"][number] }) {
  const columns = [
    { head: "Packets" },
    { head: "At", number: true },
    { head: "Way" },
    { head: "Copied" },
    { head: "Why" },
  ];
  const rows = flow.lines.map((line) => [
    line.packets === 1 ? `#${line.first}` : `#${line.first}–${line.last} (${count(line.packets)})`,
    `${line.atS.toFixed(3)} s`,
    line.forward ? "forth" : "back",
    line.why === "none" ? <span class="dim">no</span> : <span class="tag">{line.why}</span>,
    line.text,
  ]);
  return (
    <>
      <Table name={`Packets of ${flow.flow}`} columns={columns} rows={rows} empty="No packets." />
      {flow.omitted > 0 ? <p class="note">And {count(flow.omitted)} more packets.</p> : null}
    </>
  );
}
