/**
 * Duty: how a roll-out goes as a whole, by its numbers: whether to halt, whether the next stage begins. Pure.
 *
 * Failures are counted against what has ended, but at least against a small sample, or the whole stage where it is smaller:
 * the first failure in a stage of a thousand says little, that of the one canary everything.
 */
import type { Census, Rollout } from "./contract.ts";

const SAMPLE_MIN = 20;

/** Of the stages up to the current one; those that failed stay counted until a person goes on. */
function sum(rollout: Rollout, censuses: readonly Census[], name: keyof Census): number {
  return censuses.slice(0, rollout.stage + 1).reduce((total, census) => total + census[name], 0);
}

/** Null: it may go on. */
export function haltReason(rollout: Rollout, censuses: readonly Census[]): string | null {
  const { order, stage } = rollout, { size, good, failed } = censuses[stage]!;
  const fresh = sum(rollout, censuses, "fresh");
  const ended = Math.max(good + failed, Math.min(SAMPLE_MIN, size), 1);
  if (fresh <= 0 || fresh * 100 <= order.haltPercent * ended) return null;
  const of = `${fresh} of ${good + failed} that ended`;
  return `${of} in stage "${order.stages[stage]!.name}" failed, the limit is ${order.haltPercent} %`;
}

/** What the current stage waits for. */
export function stageWait(rollout: Rollout, censuses: readonly Census[], nowMs: number): string {
  const { order, stage, throughMs } = rollout, { size, good, failed, left, underWay } = censuses[stage]!;
  const name = order.stages[stage]!.name, of = size - left;
  if (throughMs !== null) {
    const leftMs = Math.max(0, throughMs + order.soakMs - nowMs);
    return `stage "${name}" is through; the next begins in ${Math.ceil(leftMs / 1000)} s`;
  }
  if (of === 0) return `stage "${name}": nobody in it can take the bundle, so nothing proves it`;
  const need = Math.ceil(order.quorumPercent * of / 100);
  const stuck = underWay === 0 && good + failed >= of && good < need
    ? "; a person must allow those that failed"
    : "";
  return `stage "${name}": ${good} of ${of} good, ${underWay} under way, ${failed} failed, ${need} needed${stuck}`;
}

/** A stage in which nobody can take the bundle proves nothing: it counts as through only where an earlier one has. */
function isProved(rollout: Rollout, censuses: readonly Census[]): boolean {
  const { size, good, left } = censuses[rollout.stage]!, of = size - left;
  return of === 0
    ? sum(rollout, censuses, "good") > 0
    : good > 0 && good * 100 >= rollout.order.quorumPercent * of;
}

/** The same where nothing changes. */
export function endsStage(rollout: Rollout, censuses: readonly Census[], nowMs: number): Rollout {
  const { order, stage, throughMs } = rollout;
  const last = stage === order.stages.length - 1;
  if (last) {
    if (sum(rollout, censuses, "underWay") + sum(rollout, censuses, "waiting") > 0) return rollout;
    const failed = sum(rollout, censuses, "failed"), total = sum(rollout, censuses, "good");
    return {
      ...rollout,
      phase: "done",
      reason: `done: ${total} good, ${failed} failed, ${sum(rollout, censuses, "left")} left as they are`,
    };
  }
  if (!isProved(rollout, censuses)) return throughMs === null ? rollout : { ...rollout, throughMs: null };
  if (throughMs === null) return { ...rollout, throughMs: nowMs };
  if (nowMs - throughMs < order.soakMs) return rollout;
  const name = order.stages[stage + 1]!.name;
  return { ...rollout, stage: stage + 1, throughMs: null, reason: `stage "${name}" begins` };
}
