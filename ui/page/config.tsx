/** The page of the configuration: its text, what is wrong at which line, what would change, and the word to keep it. Pure. */
import type { Problem } from "../../appliance/config.ts";
import type { ConfigJudged, ConfigView } from "../../appliance/view_config.ts";
import { seconds } from "./layout.tsx";
import { Card, Csrf, FixedLight, Offer } from "./parts.tsx";
import type { Visitor } from "../session.ts";

export const CONFIRM_S = 90;

interface ConfigProps {
  readonly now: ConfigView;
  /** What is in the editor; null: what is in force. */
  readonly text: string | null;
  readonly judgement: ConfigJudged | null;
  readonly visitor: Visitor;
  readonly nowMs: number;
}

export function ConfigPage({ now, text, judgement, visitor, nowMs }: ConfigProps) {
  return (
    <>
      {now.pending === null ? null : <Pending now={now} visitor={visitor} nowMs={nowMs} />}
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
    </>
  );
}

export function Pending({ now, visitor, nowMs }: { now: ConfigView; visitor: Visitor; nowMs: number }) {
  const { who, untilMs } = now.pending!;
  return (
    <Card id="pending" title="Keep this change?" wide>
      <p>
        {who} has put this configuration in force. Without a word the one before comes back in{" "}
        <strong data-until={untilMs}>{seconds(untilMs - nowMs)}</strong>.
      </p>
      <div class="actions">
        <form method="post" action="/config/confirm" class="inline">
          <Csrf visitor={visitor} />
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
