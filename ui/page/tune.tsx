/** What each rule of the grid would cost and keep on a capture: the curve, its knee, and the rules on it. Pure. */
import { type Candidate, front, knee } from "../../appliance/mirror_tune.ts";
import { count, percent } from "../paint.ts";
import { ruleToml } from "../mirror_text.ts";
import type { Visitor } from "../session.ts";
import { Card, Csrf, Table } from "./parts.tsx";

interface TunedProps {
  readonly candidates: readonly Candidate[];
  readonly file: string;
  readonly visitor: Visitor;
  /** The configuration can be changed here. */
  readonly edits: boolean;
}

export function Tuned({ candidates, file, visitor, edits }: TunedProps) {
  const best = front(candidates), bend = knee(candidates);
  return (
    <>
      <Card
        id="curve"
        title={file}
        note="Each dot is a rule: what it costs of the bytes, and of how many turns of a conversation it keeps the first packet."
        wide
      >
        <div class="scroll" role="region" aria-label="The curve" tabindex={0}>
          <Curve candidates={candidates} />
        </div>
        <p class="note">
          {count(best.length)} of {count(candidates.length)}{" "}
          rules lie on the curve; the others cost as much and keep less. Turns rank rules much as an IDS does;
          they are no forecast of alerts.
        </p>
      </Card>
      <Card id="rules" title="Rules on the curve" note="The cheapest first." wide>
        <BestRules {...{ best, bend, visitor, edits }} />
      </Card>
    </>
  );
}

interface BestProps extends Pick<TunedProps, "visitor" | "edits"> {
  readonly best: readonly Candidate[];
  readonly bend: Candidate | undefined;
}

function BestRules({ best, bend, visitor, edits }: BestProps) {
  const columns = [
    { head: "Rule" },
    { head: "Of bytes", number: true },
    { head: "Of packets", number: true },
    { head: "Turns kept", number: true },
    { head: "Is" },
    { head: "In full" },
    ...(edits ? [{ head: "Change" }] : []),
  ];
  const rows = best.map((candidate) => [
    <span class="code">{candidate.rule.name}</span>,
    ...[candidate.byteShare, candidate.packetShare, candidate.kept].map(percent),
    candidate === bend ? <span class="tag">the knee</span> : "",
    <details>
      <summary>the rule {candidate.rule.name}</summary>
      <pre class="code">{ruleToml(candidate)}</pre>
    </details>,
    ...(edits ? [<Take name={candidate.rule.name} visitor={visitor} />] : []),
  ]);
  return <Table name="Rules on the curve" columns={columns} rows={rows} empty="No rule copies anything." />;
}

/** Leads to the change of the configuration, which is shown before anything happens. */
function Take({ name, visitor }: { name: string; visitor: Visitor }) {
  return (
    <form method="post" action="/filter/tuned" class="inline">
      <Csrf visitor={visitor} />
      <input type="hidden" name="rule" value={name} />
      <button type="submit" class="plain" aria-label={`Take it: rule ${name}`}>Take it</button>
    </form>
  );
}

const WIDTH = 720, HEIGHT = 300, LEFT = 56, RIGHT = 20, TOP = 28, BOTTOM = 44, TICKS = 5;

function Curve({ candidates }: { candidates: readonly Candidate[] }) {
  const widest = Math.max(...candidates.map(({ byteShare }) => byteShare), 0);
  const most = widest === 0 ? 1 : Math.min(1, widest * 1.05), floor = HEIGHT - BOTTOM;
  const x = (share: number) => Math.round(LEFT + share / most * (WIDTH - LEFT - RIGHT));
  const y = (kept: number) => Math.round(floor - kept * (floor - TOP));
  const best = front(candidates), bend = knee(candidates);
  // What lies on the curve is drawn above what does not.
  const rank = (one: Candidate) => one === bend ? 2 : best.includes(one) ? 1 : 0;
  const label = bend === undefined
    ? "No rule copies anything."
    : `What rules cost and keep. The curve bends at ${bend.rule.name}: ${percent(bend.byteShare)} of bytes, ${
      percent(bend.kept)
    } of turns.`;
  return (
    <svg class="curve" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
      {Array.from({ length: TICKS + 1 }, (_, i) => i / TICKS).map((part) => (
        <g>
          <path class="grid" d={`M${x(part * most)} ${TOP}V${floor}M${LEFT} ${y(part)}H${WIDTH - RIGHT}`} />
          <text x={x(part * most)} y={floor + 18} text-anchor="middle">{percent(part * most)}</text>
          <text x={LEFT - 8} y={y(part) + 4} text-anchor="end">{percent(part)}</text>
        </g>
      ))}
      <text x={WIDTH - RIGHT} y={HEIGHT - 6} text-anchor="end">of bytes copied</text>
      <text x={LEFT} y={TOP - 12}>of turns kept</text>
      <polyline points={best.map((one) => `${x(one.byteShare)},${y(one.kept)}`).join(" ")} />
      {candidates.toSorted((a, b) => rank(a) - rank(b)).map((one) => (
        <circle
          class={one === bend ? "knee" : best.includes(one) ? "best" : "beaten"}
          cx={x(one.byteShare)}
          cy={y(one.kept)}
          r={one === bend ? 7 : 4}
        />
      ))}
      {bend === undefined ? null : (
        <text
          class="bend"
          x={x(bend.byteShare) + (bend.byteShare > most / 2 ? -12 : 12)}
          y={y(bend.kept) + 20}
          text-anchor={bend.byteShare > most / 2 ? "end" : "start"}
        >
          {bend.rule.name}
        </text>
      )}
    </svg>
  );
}
