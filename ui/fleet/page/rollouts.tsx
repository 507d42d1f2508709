/** Roll-outs as pages: the list, one with its stages and reasons, the form that makes one, the questions. Pure. */
import { type Verb, VERBS } from "../../../appliance/fleet/rollout/contract.ts";
import { ORDER_DEFAULTS } from "../../../appliance/fleet/rollout/order.ts";
import type { NodeStanding, RolloutView, StageView } from "../../../appliance/fleet/rollout/report.ts";
import { Card, Csrf, Facts, FixedLight, Table } from "../../page/parts.tsx";
import { byteSize } from "../../paint.ts";
import { may, type Visitor } from "../../session.ts";

const LIGHTS = {
  draft: "off",
  running: "green",
  paused: "yellow",
  halted: "red",
  aborted: "off",
  done: "green",
} as const;

function PhaseLight({ phase }: Pick<RolloutView, "phase">) {
  return <FixedLight state={LIGHTS[phase]} word={phase} />;
}

function Progress({ good, size }: Pick<StageView, "good" | "size">) {
  return (
    <>
      <progress max={Math.max(1, size)} value={good} aria-label={`${good} of ${size} good`} /> {good} of{" "}
      {size}
    </>
  );
}

export function RolloutList({ all }: { all: readonly RolloutView[] }) {
  return (
    <Card id="rollouts" title="Roll-outs" note="The youngest first" everyMs={2000} wide>
      <Table
        name="Roll-outs"
        columns={[{ head: "Roll-out" }, { head: "Version" }, { head: "Phase" }, { head: "Good" }, {
          head: "Reason",
        }]}
        rows={[...all].reverse().map(({ order, phase, stages, waits, reason }) => {
          const sum = (name: "good" | "size") => stages.reduce((total, stage) => total + stage[name], 0);
          return [
            <a href={`/rollouts/${order.id}`}>{order.id}</a>,
            order.bundle.version,
            <PhaseLight phase={phase} />,
            <Progress good={sum("good")} size={sum("size")} />,
            waits || reason,
          ];
        })}
        empty="There are no roll-outs."
      />
    </Card>
  );
}

export interface Kept {
  readonly digest: string;
  readonly bytes: number;
}

const FIELDS = [
  ["id", "Name", "spring", true],
  ["version", "Version of the bundle", "1.1.0", true],
  ["canary", "Canaries: names of nodes, with commas", "berlin-1, paris-2", true],
  ["percents", "Then, in percent of the fleet", "10, 50, 100", true],
  ["scope", "Only nodes with the label", "site=north", false],
  ["window", "Only within these hours, UTC", "02:00-04:30", false],
] as const;

const NUMBERS = [
  ["concurrentMax", "Nodes under way at a time"],
  ["haltPercent", "Halts when more than this many percent fail"],
  ["quorumPercent", "The next stage begins when this many percent are good"],
  ["deadlineS", "Seconds for a node to install, and to restart"],
  ["observeS", "Seconds for which its health must stay as good"],
  ["soakS", "Seconds between two stages"],
] as const;

export function MakeForm({ visitor, bundles, given = {}, faults = [] }: {
  visitor: Visitor;
  bundles: readonly Kept[];
  given?: Readonly<Record<string, string>>;
  faults?: readonly string[];
}) {
  if (!may(visitor, "admin")) return null;
  return (
    <Card id="make" title="Make a roll-out" note="Nothing is offered before it is started" wide>
      {faults.length === 0 ? null : (
        <div class="result" data-ok="false" role="alert">
          {faults.map((fault) => <p>{fault}</p>)}
        </div>
      )}
      {bundles.length === 0
        ? (
          <p class="empty">
            There is no bundle: <span class="code">remediate fleet bundle FILE</span>{" "}
            on the controller's machine brings one.
          </p>
        )
        : (
          <form method="post" action="/rollouts" class="form">
            <Csrf visitor={visitor} />
            <label>
              <span>Bundle</span>
              <select name="digest">
                {bundles.map(({ digest, bytes }) => (
                  <option value={digest} selected={given.digest === digest}>
                    {digest.slice(0, 16)}, {byteSize(bytes)}
                  </option>
                ))}
              </select>
            </label>
            {FIELDS.map(([name, label, hint, required]) => (
              <label>
                <span>{label}</span>
                <input name={name} value={given[name] ?? ""} placeholder={hint} required={required} />
              </label>
            ))}
            {NUMBERS.map(([name, label]) => (
              <label>
                <span>{label}</span>
                <input name={name} type="number" value={given[name] ?? String(ORDER_DEFAULTS[name])} />
              </label>
            ))}
            <p class="actions">
              <button type="submit">Make it</button>
            </p>
          </form>
        )}
    </Card>
  );
}

const words = (text: string) => text.split(",").map((word) => word.trim()).filter((word) => word !== "");

/** What the form means, as the API takes it; what is wrong with it is found there. */
export function orderOf(given: Readonly<Record<string, string>>): object {
  const { id, version, digest, canary = "", percents = "", scope = "", window = "" } = given;
  const number = (text: string) => text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
  const [label = "", value = ""] = scope.split("=").map((part) => part.trim());
  return {
    id,
    bundle: { digest, version },
    ...(scope.trim() !== "" && { scope: { [label]: value } }),
    ...(window.trim() !== "" && { windows: words(window) }),
    stages: [
      { name: "canary", nodes: words(canary) },
      ...words(percents).map((percent) => ({ name: `${percent} %`, percent: number(percent) })),
    ],
    ...Object.fromEntries(
      NUMBERS.map(([name]) => [name, number(given[name] ?? String(ORDER_DEFAULTS[name]))]),
    ),
  };
}

const OFFERED: Readonly<Record<RolloutView["phase"], readonly Verb[]>> = {
  draft: ["start", "abort"],
  running: ["pause", "abort"],
  paused: ["start", "abort"],
  halted: ["start", "abort"],
  aborted: [],
  done: [],
};

export const QUESTIONS: Readonly<Record<Verb, { label: string; text: string; role: "admin" | "operator" }>> =
  {
    start: {
      label: "Start",
      text: "Nodes are offered the bundle, stage after stage. What failed so far is forgiven.",
      role: "admin",
    },
    pause: {
      label: "Pause",
      text: "Nothing more is offered and nobody restarts until it is started again.",
      role: "operator",
    },
    abort: {
      label: "Abort",
      text: "It ends for good. What has restarted already is watched to its end; nobody is taken back.",
      role: "operator",
    },
  };

export function isVerb(text: string): text is Verb {
  return VERBS.some((verb) => verb === text);
}

export function OneRollout({ visitor, rollout, nodes }: {
  visitor: Visitor;
  rollout: RolloutView;
  nodes: readonly NodeStanding[];
}) {
  const { order, phase, reason, waits } = rollout, { bundle } = order;
  const verbs = OFFERED[phase].filter((verb) => may(visitor, QUESTIONS[verb].role));
  return (
    <>
      <Card id="facts" title="Now" everyMs={2000}>
        <Facts
          rows={[
            ["Phase", <PhaseLight phase={phase} />],
            ["Reason", reason],
            ["Waits for", waits || "nothing"],
            ["Bundle", `${bundle.version}, ${bundle.digest.slice(0, 16)}, ${byteSize(bundle.bytes)}`],
            ["At a time", `${order.concurrentMax} nodes`],
            ["Halts above", `${order.haltPercent} % failures`],
          ]}
        />
        <p class="actions">
          {verbs.map((verb) => (
            <a class="button" href={`/rollouts/${order.id}/${verb}`}>{QUESTIONS[verb].label}</a>
          ))}
        </p>
      </Card>
      <Stages rollout={rollout} />
      <Reasons {...{ visitor, nodes }} id={order.id} />
    </>
  );
}

function Stages({ rollout }: { rollout: RolloutView }) {
  const { stages, phase } = rollout;
  return (
    <Card id="stages" title="Stages" everyMs={2000} wide>
      <Table
        name="Stages"
        columns={[
          { head: "Stage" },
          { head: "Who" },
          { head: "Good" },
          ...["Under way", "Failed", "Waiting", "Left"].map((head) => ({ head, number: true })),
        ]}
        rows={stages.map((stage, index) => [
          index === rollout.stage && phase !== "done" ? `${stage.name} (now)` : stage.name,
          stage.who,
          <Progress good={stage.good} size={stage.size} />,
          ...[stage.underWay, stage.failed, stage.waiting, stage.left],
        ])}
        empty="There are no stages."
      />
    </Card>
  );
}

function Reasons({ visitor, nodes, id }: {
  visitor: Visitor;
  nodes: readonly NodeStanding[];
  id: string;
}) {
  return (
    <Card
      id="reasons"
      title="Nodes"
      note="Those first that something is the matter with"
      everyMs={2000}
      wide
    >
      <Table
        name="Nodes"
        columns={[{ head: "Node" }, { head: "Stage" }, { head: "State" }, { head: "Reason" }, { head: "" }]}
        rows={nodes.map(({ node, name, stage, state, reason }) => [
          <a href={`/nodes/${node}`}>{name}</a>,
          stage,
          state,
          reason,
          (state === "failed" || state === "left") && may(visitor, "admin")
            ? <a class="button" href={`/rollouts/${id}/allow?node=${node}`}>Allow again</a>
            : "",
        ])}
        empty="No node is of it."
      />
    </Card>
  );
}

export function Question({ visitor, action, label, text, back, node }: {
  visitor: Visitor;
  action: string;
  label: string;
  text: string;
  back: string;
  node?: string;
}) {
  return (
    <form method="post" action={action} class="question">
      <Csrf visitor={visitor} />
      {node === undefined ? null : <input type="hidden" name="node" value={node} />}
      <h2>{label}?</h2>
      <p>{text}</p>
      <p class="actions">
        <button type="submit">{label}</button>
        <a class="button quiet" href={back}>Cancel</a>
      </p>
    </form>
  );
}
