/**
 * Duty: medians and ratios over runs. Pure.
 */
import type { Load, Row, Run } from "./rows.ts";

/** Median of numbers; the mean of the middle two for an even count. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Median over the runs of a row of one of its numbers. */
export function medianOf(row: Row, value: (run: Run) => number): number {
  return median(row.runs.map(value));
}

/** The row without a failure that a load is compared with. */
export function baseOf(rows: readonly Row[], load: Load): Row | undefined {
  return rows.find((row) =>
    row.system === "base" && row.load.object === load.object && row.load.connections === load.connections
  );
}

/** The row of the cold redundant box for the same load and failure. */
export function simpleOf(rows: readonly Row[], row: Row): Row | undefined {
  return rows.find((one) =>
    one.system === "simple" && one.failure === row.failure && one.load.object === row.load.object &&
    one.load.connections === row.load.connections
  );
}

/** Requests completed after the failure over those of Base, 0..1; NaN without a Base. */
export function shareOfBase(rows: readonly Row[], row: Row): number {
  const base = baseOf(rows, row.load);
  return base ? medianOf(row, (run) => run.requestsAfter) / medianOf(base, (run) => run.requestsAfter) : NaN;
}

/**
 * (ours - Base) / (Simple - Base), the measure of the paper: 0 is as good as no failure, 1 as bad as a cold box.
 * Null where Simple has no more trouble than Base, so that there is nothing to compare with.
 */
export function troubleRatio(rows: readonly Row[], row: Row, trouble: (run: Run) => number): number | null {
  const base = baseOf(rows, row.load), simple = simpleOf(rows, row);
  if (!base || !simple) return null;
  const zero = medianOf(base, trouble), worst = medianOf(simple, trouble) - zero;
  return worst > 0 ? (medianOf(row, trouble) - zero) / worst : null;
}
