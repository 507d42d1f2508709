/** The page of the configuration: its text, what is wrong at which line, what would change, and the word to keep it. Pure. */
import type { Problem } from "../../appliance/config.ts";
import type { ConfigJudged, ConfigVersion, ConfigView } from "../../appliance/view_config.ts";
import { wallTime } from "../paint.ts";
import { seconds } from "./layout.tsx";
import { Card, Csrf, Facts, FixedLight, Offer, Table } from "./parts.tsx";
import type { Visitor } from "../session.ts";

export const CONFIRM_S = 90;

interface ConfigProps {
  readonly now: ConfigView;
  /** What is in the editor; null: what is in force. */
  readonly text: string | null;
  readonly judgement: ConfigJudged | null;
  readonly history: readonly ConfigVersion[];
  readonly visitor: Visitor;
  readonly nowMs: number;
  /** Who keeps a change says his password again. */
  readonly proves: boolean;
}

export function ConfigPage({ now, text, judgement, history, visitor, nowMs, proves }: ConfigProps) {
  return (
    <>
      {now.pending === null ? null : <Pending {...{ now, visitor, nowMs, proves }} />}
      <Card id="editor" title={now.file} wide>
        <form method="post" action="/config/check" data-config>
          <Csrf visitor={visitor} />
          <input type="hidden" name="etag" value={now.etag} />
          <textarea
            name="text"
            class="code"
            rows={26}
            spellcheck={false}
            autocapitalize="off"
            autocomplete="off"
            aria-label="Configuration, TOML"
            wrap="off"
          >
            {`\n${text ?? now.text}`}
          </textarea>
          <p class="actions">
            <button type="submit">Check and show the change</button>
            <Offer visitor={visitor} action="reload" label="Reload the file" />
          </p>
        </form>
      </Card>
      <div id="judged" aria-live="polite">
        {judgement === null ? null : (
          <Judgement
            judgement={judgement}
            text={text ?? now.text}
            etag={now.etag}
            visitor={visitor}
          />
        )}
      </div>
      <History now={now} history={history} />
    </>
  );
}

const KEPT = { pending: "yellow", confirmed: "green", start: "off", undone: "red" } as const;
const KEPT_WORD = {
  pending: "waits",
  confirmed: "kept",
  start: "found at a start",
  undone: "undone",
} as const;

/** What was in force, the newest first, each with its change. */
function History({ now, history }: { now: ConfigView; history: readonly ConfigVersion[] }) {
  const columns = [{ head: "Number" }, { head: "Since (UTC)" }, { head: "By" }, { head: "Became" }, {
    head: "Note",
  }, { head: "Look" }];
  const rows = history.map(({ id, atMs, who, note, state }) => [
    <span class="code">{id}</span>,
    wallTime(atMs).slice(0, 19),
    who,
    <>
      <FixedLight state={KEPT[state]} word={KEPT_WORD[state]} />{" "}
      {id === now.id ? <span class="tag">in force</span> : null}
    </>,
    note,
    <a href={`/config/history/${id}`}>What number {id} changed</a>,
  ]);
  return (
    <Card
      id="history"
      title="History"
      note="What was in force before. Any of it can be put in force again."
      wide
    >
      <Table name="History" columns={columns} rows={rows} empty="Nothing is kept yet." />
    </Card>
  );
}

interface VersionProps {
  readonly version: ConfigVersion;
  readonly kept: { readonly text: string; readonly diff: string };
  readonly inForce: boolean;
  readonly visitor: Visitor;
}

/** One of the history: what it changed, its text, and the way back to it. */
export function Version({ version, kept, inForce, visitor }: VersionProps) {
  const { id, atMs, who, note, state } = version;
  return (
    <>
      <Card id="version" title={`Number ${id}`} wide>
        <Facts
          rows={[
            ["Since", `${wallTime(atMs).slice(0, 19)} UTC`],
            ["By", who],
            ["Became", <FixedLight state={KEPT[state]} word={KEPT_WORD[state]} />],
            ["Note", note || "none"],
          ]}
        />
        {inForce ? <p class="note">It is in force.</p> : (
          <form method="post" action="/config/rollback">
            <Csrf visitor={visitor} />
            <input type="hidden" name="id" value={id} />
            <p class="note">
              It is put in force, and undone by itself after {CONFIRM_S} seconds unless you confirm it.
            </p>
            <p class="actions">
              <button type="submit">Go back to number {id}</button>
            </p>
          </form>
        )}
        <p class="actions">
          <a class="button quiet" href="/config">To the configuration</a>
        </p>
      </Card>
      <Card id="changed" title="What it changed" wide>
        {kept.diff === ""
          ? <p class="note">Nothing: it is the first that is kept.</p>
          : <Diff text={kept.diff} />}
      </Card>
      <Card id="whole" title="Its text" wide>
        <pre class="code" tabindex={0}>{kept.text}</pre>
      </Card>
    </>
  );
}

interface PendingProps {
  readonly now: ConfigView;
  readonly visitor: Visitor;
  readonly nowMs: number;
  readonly proves: boolean;
}

export function Pending({ now, visitor, nowMs, proves }: PendingProps) {
  const { who, untilMs } = now.pending!;
  return (
    <Card id="pending" title="Keep this change?" wide>
      <p>
        {who} has put this configuration in force. Without a word the one before comes back in{" "}
        <strong data-until={untilMs}>{seconds(untilMs - nowMs)}</strong>.
      </p>
      <div class="actions answer">
        <form method="post" action="/config/confirm" class="form">
          <Csrf visitor={visitor} />
          {proves ? <Proof visitor={visitor} /> : null}
          <button type="submit">Keep it</button>
        </form>
        <form method="post" action="/config/rollback" class="inline">
          <Csrf visitor={visitor} />
          <button type="submit" class="quiet">Undo it now</button>
        </form>
      </div>
    </Card>
  );
}

/** Who can log in while it is in force is not locked out by it. */
function Proof({ visitor }: { visitor: Visitor }) {
  return (
    <label>
      <span>Password of {visitor.name}</span>
      <input type="password" name="password" required autocomplete="current-password" />
    </label>
  );
}

interface JudgementProps {
  readonly judgement: ConfigJudged;
  readonly text: string;
  readonly etag: string;
  readonly visitor: Visitor;
}

/** Problems at their lines, or the change and the way to apply it. */
export function Judgement({ judgement, text, etag, visitor }: JudgementProps) {
  const { ok, problems, warnings, diff } = judgement;
  return (
    <>
      <Card
        id="problems"
        title={ok ? "No problems" : `${problems.length} ${problems.length === 1 ? "problem" : "problems"}`}
        wide
      >
        {problems.length + warnings.length === 0
          ? (
            <p>
              <FixedLight state="green" word="good" /> It can be read, and nothing in it contradicts.
            </p>
          )
          : (
            <ul class="problems">
              {problems.map((one) => <ProblemItem problem={one} level="red" />)}
              {warnings.map((one) => <ProblemItem problem={one} level="yellow" />)}
            </ul>
          )}
      </Card>
      {!ok
        ? null
        : diff === ""
        ? <p class="note">Nothing changes.</p>
        : (
          <Card id="change" title="The change" wide>
            <Diff text={diff} />
            <form method="post" action="/config/apply">
              <Csrf visitor={visitor} />
              <input type="hidden" name="etag" value={etag} />
              <textarea name="text" hidden aria-hidden="true" tabindex={-1} readonly>{`\n${text}`}</textarea>
              <p class="note">
                It is put in force, and undone by itself after {CONFIRM_S} seconds unless you confirm it.
              </p>
              <p class="actions">
                <button type="submit">Apply this change</button>
              </p>
            </form>
          </Card>
        )}
    </>
  );
}

function ProblemItem({ problem, level }: { problem: Problem; level: "red" | "yellow" }) {
  const { line, key, reason, found, accepted } = problem;
  return (
    <li>
      <FixedLight state={level} word={level === "red" ? "problem" : "warning"} />{" "}
      {line === null ? null : <span class="line-number" data-line={line}>line {line}</span>}{" "}
      <span class="code">{key}</span> {reason}
      {found === null ? null : (
        <>
          ; found <span class="code">{found}</span>
        </>
      )}
      {accepted === null ? null : <span class="note block">Accepted: {accepted}</span>}
    </li>
  );
}

const SIGN = { "+": "in", "-": "out" } as const;
const SAID = { in: "added: ", out: "removed: ", same: "" } as const;

function Diff({ text }: { text: string }) {
  const lines = text.split("\n").filter((line) => !/^(---|\+\+\+) /.test(line));
  return (
    <div class="diff code" tabindex={0} role="region" aria-label="Lines that change">
      {lines.map((line) => {
        const kind = SIGN[line.slice(0, 1) as "+" | "-"] ?? "same";
        return (
          <div class={`diff-${kind}`}>
            <span class="hidden">{SAID[kind]}</span>
            {line === "" ? " " : line}
          </div>
        );
      })}
    </div>
  );
}
