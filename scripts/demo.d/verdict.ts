/**
 * Duty: hold what was measured against the bars, and say it in one sentence. Pure.
 *
 * A bar knows how far it was missed relative to its limit, so that the worst one can be named.
 */
import { FAILURE_TEXT } from "../lab/failures.ts";
import { objectText, type Row, type Run } from "./rows.ts";
import { baseOf, median, medianOf, shareOfBase, troubleRatio } from "./statistics.ts";

export interface Bar {
  /** "5 KB x 100, link loss" or "all rows". */
  readonly row: string;
  readonly what: string;
  readonly value: number;
  readonly limit: number;
  readonly sense: "at least" | "at most" | "below";
  readonly ok: boolean;
  readonly text: string;
}

const broken = (run: Run) => run.resets + run.timeouts;
const troubled = (run: Run) => run.resets + run.timeouts + run.hung;

interface Claim {
  readonly row: string;
  readonly what: string;
  readonly value: number;
  readonly limit: number;
  readonly sense: Bar["sense"];
  readonly unit: "%" | "ms" | "";
}

function bar({ unit, ...claim }: Claim): Bar {
  const { value, limit, sense } = claim;
  const ok = sense === "at least" ? value >= limit : sense === "at most" ? value <= limit : value < limit;
  const show = (number: number) =>
    unit === "%" ? `${(number * 100).toFixed(1)} %` : `${Number(number.toFixed(2))}${unit && ` ${unit}`}`;
  return { ...claim, ok, text: `${claim.row}: ${claim.what} ${show(value)}, to be ${sense} ${show(limit)}` };
}

export function rowText(row: Row): string {
  return `${objectText(row.load)}, ${FAILURE_TEXT[row.failure]}`;
}

function rowBars(rows: readonly Row[], row: Row): Bar[] {
  const name = rowText(row);
  const lost = Math.max(...row.runs.map((run) => run.longLost));
  const bars = [
    bar({
      row: name,
      what: "requests after the failure against Base",
      value: shareOfBase(rows, row),
      limit: 0.97,
      sense: "at least",
      unit: "%",
    }),
    bar({ row: name, what: "long flows lost in a run", value: lost, limit: 0, sense: "at most", unit: "" }),
  ];
  const ratios = [["resets and timeouts", broken], [
    "resets, timeouts and hung connections",
    troubled,
  ]] as const;
  for (const [what, trouble] of ratios) {
    const value = troubleRatio(rows, row, trouble);
    if (value !== null) {
      bars.push(
        bar({
          row: name,
          what: `${what} as a share of Simple's`,
          value,
          limit: 0.1,
          sense: "at most",
          unit: "%",
        }),
      );
    }
  }
  return bars;
}

function outageBars(rows: readonly Row[]): Bar[] {
  const runs = (failure: Row["failure"]) =>
    rows.filter((row) => row.failure === failure).flatMap((row) => row.runs);
  const link = runs("link-both").map((run) => run.outageMs),
    silent = runs("silent").map((run) => run.outageMs);
  const bars: Bar[] = [];
  if (link.length > 0) {
    const row = "all link losses";
    bars.push(
      bar({ row, what: "outage, median", value: median(link), limit: 5, sense: "below", unit: "ms" }),
      bar({
        row,
        what: "outage, worst run",
        value: Math.max(...link),
        limit: 20,
        sense: "at most",
        unit: "ms",
      }),
    );
  }
  if (silent.length > 0) {
    const value = median(silent);
    bars.push(
      bar({ row: "all silent deaths", what: "outage, median", value, limit: 30, sense: "below", unit: "ms" }),
    );
  }
  return bars;
}

/** All bars, in the order of the rows. */
export function judge(rows: readonly Row[]): Bar[] {
  const ours = rows.filter((row) => row.system === "remediate");
  const calm = rows.filter((row) => row.system === "base").flatMap((row) => row.runs);
  const false_ = calm.reduce((sum, run) => sum + run.switches, 0);
  return [
    ...ours.flatMap((row) => rowBars(rows, row)),
    ...outageBars(ours),
    bar({
      row: "Base",
      what: "switches without a failure",
      value: false_,
      limit: 0,
      sense: "at most",
      unit: "",
    }),
  ];
}

/** How far a missed bar is from its limit, relative to it; a limit of zero counts as one. */
function miss(one: Bar): number {
  return Number.isNaN(one.value) ? Infinity : Math.abs(one.value - one.limit) / (one.limit || 1);
}

/** The missed bar that is furthest from its limit. */
export function worst(bars: readonly Bar[]): Bar | null {
  return bars.filter((one) => !one.ok).sort((a, b) => miss(b) - miss(a))[0] ?? null;
}

/** One sentence. */
export function verdict(rows: readonly Row[], bars: readonly Bar[]): string {
  const kept = (system: Row["system"]) => {
    const runs = rows.filter((row) => row.system === system).flatMap((row) => row.runs);
    const all = runs.reduce((sum, run) => sum + run.longFlows, 0);
    return `${all - runs.reduce((sum, run) => sum + run.longLost, 0)} of ${all} long flows`;
  };
  const share = (system: Row["system"]) => {
    const shares = rows.filter((row) => row.system === system && baseOf(rows, row.load)).map((row) =>
      shareOfBase(rows, row)
    );
    return `${(median(shares) * 100).toFixed(0)} % of the requests`;
  };
  const outage = median(
    rows.filter((row) => row.system === "remediate").map((r) => medianOf(r, (x) => x.outageMs)),
  );
  const missed = bars.filter((one) => !one.ok).length;
  return `When the primary died, Remediate kept ${kept("remediate")} and ${
    share("remediate")
  } with an outage of ` +
    `${outage.toFixed(1)} ms, the cold redundant box ${kept("simple")} and ${share("simple")}; ` +
    (missed === 0 ? `all ${bars.length} bars are met.` : `${missed} of ${bars.length} bars are missed.`);
}
