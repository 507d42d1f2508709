/** Duty: slots and reports of updates as text for people. Pure. */
import type { UpdateReport, UpdateView } from "../appliance/update/contract.ts";
import { table, wallTime } from "./paint.ts";

const REPORTS_SHOWN = 10;

export function updateText({ slots, installing, reports, badVersions }: UpdateView): string {
  const rows = slots.map(({ name, state, version, triesLeft, booted, digest }) => [
    name,
    state === "trial" ? `trial, ${triesLeft} starts left` : state,
    version ?? "-",
    booted ? "runs" : "",
    digest?.slice(0, 16) ?? "",
  ]);
  const parts = [table([["SLOT", "STATE", "VERSION", "", "BUNDLE"], ...rows], []).join("\n")];
  if (installing !== null) {
    parts.push(`Being installed: ${installing.version ?? "a bundle"}, ${installing.percent} %`);
  }
  if (badVersions.length > 0) parts.push(`Failed here before: ${badVersions.join(", ")}`);
  if (reports.length > 0) parts.push(reports.slice(-REPORTS_SHOWN).map(reportText).join("\n"));
  return `${parts.join("\n\n")}\n`;
}

export function reportText({ atMs, version, outcome, reason }: UpdateReport): string {
  return `${wallTime(atMs)}  ${version ?? "a bundle"} ${outcome}: ${reason}`;
}
