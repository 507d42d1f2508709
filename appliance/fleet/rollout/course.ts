/**
 * Duty: one node's way through a roll-out: what it shows, the time and its answers, to the next step.
 *
 * It goes by what the node shows, not by messages: one that was lost changes nothing, one that comes twice neither. Only the
 * slot that was started and called itself good ends it well. Reports are told apart by the node's own clock.
 */
import type { UpdateReport } from "../../update/contract.ts";
import {
  type Answer,
  type Course,
  type CourseStep,
  type FleetNode,
  type Health,
  type OfferKind,
  type RolloutOrder,
} from "./contract.ts";
import { runsGood } from "./ready.ts";

const RANK: Readonly<Record<Health, number>> = { green: 0, yellow: 1, red: 2, unknown: 3 };

export function offerId({ rollout, node, attempt }: Course, kind: OfferKind): string {
  return `${rollout}/${node}/${attempt}/${kind}`;
}

/** The offer that is open in this step. */
export function openOffer({ step }: Course): OfferKind | null {
  return step === "installing" ? "install" : step === "restarting" ? "restart" : null;
}

export function youngestReportMs(node: FleetNode): number {
  return node.update?.reports.reduce((most, { atMs }) => Math.max(most, atMs), 0) ?? 0;
}

function to(course: Course, step: CourseStep, nowMs: number, reason: string): Course {
  return { ...course, step, sinceMs: nowMs, reason };
}

/** What the node has reported of this bundle since the offer. */
function reported(course: Course, node: FleetNode, digest: string): UpdateReport | undefined {
  return node.update?.reports.findLast((report) => report.digest === digest && report.atMs > course.reportMs);
}

/** The same course where nothing has changed. */
export function stepCourse(
  course: Course,
  order: RolloutOrder,
  node: FleetNode | undefined,
  nowMs: number,
): Course {
  if (course.step === "good" || course.step === "failed") return course;
  if (node === undefined) return to(course, "failed", nowMs, "the node was taken out of the fleet");
  const report = reported(course, node, order.bundle.digest);
  if (report?.outcome === "fell-back") return to(course, "failed", nowMs, `fell back: ${report.reason}`);
  if (report?.outcome === "refused") return to(course, "failed", nowMs, `refused: ${report.reason}`);
  if (course.step === "observing") return observe(course, order, node, nowMs);
  if (runsGood(node, order.bundle.digest)) {
    return to(course, "observing", nowMs, "the new slot calls itself good");
  }
  if (course.step === "installing" && report?.outcome === "installed") {
    return to(course, "installed", nowMs, "waits for its restart");
  }
  return late(course, order, nowMs);
}

/** What waits for its restart is nobody's fault: it has no deadline. */
function late(course: Course, order: RolloutOrder, nowMs: number): Course {
  if (course.step === "installed" || nowMs - course.sinceMs < order.deadlineMs) return course;
  const what = course.step === "installing" ? "installed" : "restarted into a good slot";
  return to(
    course,
    "failed",
    nowMs,
    `late: not ${what} within ${Math.round(order.deadlineMs / 1000)} s`,
  );
}

/** A node that is gone for a moment is waited for, until the deadline: it may say worse things, or none. */
function observe(course: Course, order: RolloutOrder, node: FleetNode, nowMs: number): Course {
  const ageMs = nowMs - course.sinceMs;
  if (!node.connected) {
    return ageMs < order.observeMs + order.deadlineMs
      ? course
      : to(course, "failed", nowMs, "late: not heard of since the new slot called itself good");
  }
  if (ageMs < order.observeMs) return course;
  if (!runsGood(node, order.bundle.digest)) {
    return to(course, "failed", nowMs, "fell back: it runs something else again");
  }
  if (RANK[node.health] > RANK[course.healthBefore]) {
    return to(course, "failed", nowMs, `worse: it was ${course.healthBefore} and is ${node.health}`);
  }
  return to(course, "good", nowMs, "good");
}

/** What the node said of an offer: a refusal ends the course; that it will be done changes nothing. */
export function hearAnswer(course: Course, { id, ok, reason }: Answer, nowMs: number): Course {
  const kind = openOffer(course);
  if (ok || kind === null || id !== offerId(course, kind)) return course;
  return to(course, "failed", nowMs, `refused: ${reason}`);
}
