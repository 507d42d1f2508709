/** Matches as text for people: now, the worst of late, what was proven, and why. Pure. */
import { compared, wouldLive } from "../appliance/failover/match.ts";
import { waitText } from "../appliance/failover/gate.ts";
import { proofText } from "../appliance/match_proofs.ts";
import {
  type DrillSummary,
  type FailbackView,
  MATCH_CLASSES,
  type MatchCounts,
  type MatchMinute,
  type MatchProof,
  type MatchReport,
  type StandbyMatch,
  type TableView,
} from "../appliance/view.ts";
import { count, duration, percent, table, wallTime } from "./paint.ts";

const CLASS_TEXT = { tcp: "TCP", udp: "UDP", other: "others" } as const;

/** "99.3 %, 298 of 300" */
function shareText(counts: MatchCounts): string {
  const known = compared(counts), live = wouldLive(counts);
  return known === 0 ? "-" : `${percent(live / known)}, ${count(live)} of ${count(known)}`;
}

/** "in 43 s", or what is waited for. */
export function failbackText({ atMs, wait }: FailbackView, nowMs: number): string {
  if (wait === null) return `in ${duration(Math.max(0, atMs - nowMs))}`;
  const until = wait.goesAtMs === null ? "" : `; goes on in ${duration(Math.max(0, wait.goesAtMs - nowMs))}`;
  return `waits: ${waitText(wait)}${until}`;
}

function worstText(minute: MatchMinute | null, nowMs: number): string {
  if (minute?.worst === null || minute === null) return "-";
  return `${shareText(minute.worst)}, ${duration(Math.max(0, nowMs - minute.startMs))} ago`;
}

/** "1,000 of 1,000 flows held, 12 better ones without a place" */
export function tableText({ held, room, missing }: TableView): string {
  const without = missing === 0 ? "" : `, ${count(missing)} better ones without a place`;
  return `${count(held)} of ${count(room)} flows held${without}`;
}

function standbyLines({ box, now, worstHour, worstDay, causes }: StandbyMatch, nowMs: number): string[] {
  const classes = MATCH_CLASSES.filter((name) => compared(now.classes[name]) > 0);
  const rows: string[][] = [
    ["now", shareText(now)],
    ["", `${count(now.different)} with another binding, ${count(now.followed)} of them translated`],
    ["", `${count(now.dropped)} dropped, ${count(now.unknown)} not compared`],
    ...classes.map((name) => [CLASS_TEXT[name], shareText(now.classes[name])]),
    ...(now.table ? [["table", tableText(now.table)]] : []),
    ["worst of the hour", worstText(worstHour, nowMs)],
    ["worst of the day", worstText(worstDay, nowMs)],
    ...causes.map(({ text }, i) => [i === 0 ? "likely" : "", text]),
  ];
  return [`${box}${now.alarm ? ": below the bar" : ""}`, ...table(rows, []).map((line) => `  ${line}`)];
}

function proofLines(failover: MatchProof | null, drill: DrillSummary | null, nowMs: number): string[] {
  const ago = (ms: number) => `${duration(Math.max(0, nowMs - ms))} ago`;
  const switched = failover === null
    ? "none was counted yet"
    : `${ago(failover.atMs)}, to ${failover.box} (${failover.cause}): ${proofText(failover)}`;
  const drilled = drill === null
    ? "none yet"
    : `${ago(drill.startedMs)}, ${drill.box} ${drill.ok ? "good" : "failed"}: ${drill.text}`;
  return table([["last failover", switched], ["last drill", drilled]], []);
}

function historyLines({ box, history }: StandbyMatch): string[] {
  if (history.length === 0) return [`${box}: no history yet`];
  const head = ["MINUTE", "BOX", "WORST", "AT ITS END", "OTHER BINDING", "DROPPED", "COPIES LOST"];
  const rows = history.map((minute) => [
    wallTime(minute.startMs),
    box,
    minute.worst === null ? "-" : shareText(minute.worst),
    shareText(minute.last),
    count(minute.last.different),
    count(minute.last.dropped),
    count(minute.lostCopies),
  ]);
  return table([head, ...rows], [4, 5, 6]);
}

export function renderMatch(report: MatchReport, nowMs: number, history: boolean): string {
  const { standbys, failover, drill, failback } = report;
  if (standbys.length === 0) return "No box stands by.\n";
  const lines = history
    ? standbys.flatMap(historyLines)
    : standbys.flatMap((standby) => [...standbyLines(standby, nowMs), ""]);
  if (!history) lines.push(...proofLines(failover, drill, nowMs));
  if (!history && failback !== null) lines.push(...table([["failback", failbackText(failback, nowMs)]], []));
  return lines.join("\n") + "\n";
}
