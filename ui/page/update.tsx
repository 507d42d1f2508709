/** The page of updates: slots, a bundle to send in, what became of updates. Pure. */
import type { UpdateReport, UpdateView } from "../../appliance/update/contract.ts";
import { wallTime } from "../paint.ts";
import { may, type Visitor } from "../session.ts";
import { Card, Csrf, FixedLight, Result, Table } from "./parts.tsx";
import type { Outcome } from "./means.ts";

const STATE = { good: "green", trial: "yellow", bad: "red", empty: "off" } as const;
const OUTCOME = { installed: "yellow", good: "green", "fell-back": "red", refused: "red" } as const;

interface Props {
  readonly view: UpdateView;
  readonly visitor: Visitor;
  readonly outcome?: Outcome;
}

export function Update({ view, visitor, outcome }: Props) {
  const isAdmin = may(visitor, "admin");
  return (
    <>
      {outcome === undefined ? null : <Result ok={outcome.ok} text={outcome.text} />}
      <Slots view={view} />
      {isAdmin ? <Send visitor={visitor} /> : null}
      {isAdmin ? <Orders view={view} visitor={visitor} /> : null}
      <Reports view={view} />
    </>
  );
}

function Slots({ view: { slots, installing, badVersions } }: { view: UpdateView }) {
  const note = installing === null
    ? "A version on trial has three starts to prove itself."
    : `${installing.version ?? "A bundle"} is being installed: ${installing.percent} %`;
  return (
    <Card id="slots" title="Slots" note={note} wide>
      <Table
        name="Slots"
        columns={["Slot", "State", "Version", "Bundle"].map((head) => ({ head }))}
        rows={slots.map(({ name, state, version, triesLeft, booted, digest }) => [
          booted ? `${name}, runs` : name,
          <FixedLight
            state={STATE[state]}
            word={state === "trial" ? `trial, ${triesLeft} starts left` : state}
          />,
          version ?? "none",
          <span class="code">{digest?.slice(0, 16) ?? "came with the disk"}</span>,
        ])}
        empty="There are no slots."
      />
      {badVersions.length === 0 ? null : <p>Failed here before: {badVersions.join(", ")}</p>}
    </Card>
  );
}

/** Sent by script, for a form would be held in memory as a whole. */
function Send({ visitor }: { visitor: Visitor }) {
  return (
    <Card
      id="send"
      title="Install a bundle"
      note="Traffic goes on. The new version is tried at the next restart."
      wide
    >
      <form class="form" data-bundle data-csrf={visitor.csrf ?? ""}>
        <label>
          <span>Bundle (.raucb)</span>
          <input type="file" name="bundle" accept=".raucb" required />
        </label>
        <label class="tick">
          <input type="checkbox" name="force" value="true" />
          <span>Even if it is older, or failed here before</span>
        </label>
        <p class="actions">
          <button type="submit">Send and install</button>
        </p>
        <p role="status" data-told></p>
      </form>
      <noscript>
        <p>
          Without script: <span class="code">remediate update FILE</span> on the machine.
        </p>
      </noscript>
    </Card>
  );
}

function Orders({ view: { slots }, visitor }: { view: UpdateView; visitor: Visitor }) {
  const other = slots.find(({ booted }) => !booted);
  return (
    <Card
      id="orders"
      title="Restart"
      note="Traffic stands while the machine starts, unless something else carries it."
      wide
    >
      <Asked
        action="/update/restart"
        label={other?.state === "trial" ? "Restart into the new version" : "Restart"}
        question="The machine restarts at once."
        visitor={visitor}
      />
      {other?.state !== "good" ? null : (
        <Asked
          action="/update/rollback"
          label={`Start ${other.version ?? `slot ${other.name}`} next time`}
          question="The next restart starts the version of the other slot. Nothing happens before."
          visitor={visitor}
        />
      )}
    </Card>
  );
}

interface AskedProps {
  readonly action: string;
  readonly label: string;
  readonly question: string;
  readonly visitor: Visitor;
}

/** Asks before it is done, with script and without. */
function Asked({ action, label, question, visitor }: AskedProps) {
  return (
    <details>
      <summary>{label}…</summary>
      <form method="post" action={action}>
        <Csrf visitor={visitor} />
        <p>{question}</p>
        <p class="actions">
          <button type="submit">{label}</button>
        </p>
      </form>
    </details>
  );
}

function Reports({ view: { reports } }: { view: UpdateView }) {
  return (
    <Card id="reports" title="What became of updates" wide>
      {reports.length === 0
        ? <p>There was none.</p>
        : <ul class="findings">{[...reports].reverse().map((report) => <Line report={report} />)}</ul>}
    </Card>
  );
}

function Line({ report: { atMs, version, outcome, reason } }: { report: UpdateReport }) {
  return (
    <li>
      <FixedLight state={OUTCOME[outcome]} word={outcome} /> <strong>{version ?? "a bundle"}</strong> {reason}
      {" "}
      <span class="dim">{wallTime(atMs)}</span>
    </li>
  );
}
