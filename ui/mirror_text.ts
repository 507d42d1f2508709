/**
 * What the commands on captures print.
 *
 * Pure: reports in, text out.
 */
import type { ExplainedFlow, Line } from "../appliance/mirror_explain.ts";
import type { Amount, Totals } from "../appliance/mirror_pass.ts";
import type { Explanation, MirrorReport } from "../appliance/mirror_run.ts";
import { type Candidate, front, knee, withinBudget } from "../appliance/mirror_tune.ts";
import { byteSize, count, percent, table } from "./paint.ts";

const BAR_CELLS = 24;
const PERCENT = 100;

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

/** "[#####     ]  42 %  1.2 GiB"; without a total only the amount. */
export function progressBar(doneBytes: number, totalBytes: number): string {
  if (totalBytes === 0) return byteSize(doneBytes);
  const part = Math.min(1, doneBytes / totalBytes);
  const full = Math.round(part * BAR_CELLS);
  const bar = "#".repeat(full) + " ".repeat(BAR_CELLS - full);
  return `[${bar}] ${String(Math.floor(part * PERCENT)).padStart(3)} %  ${byteSize(doneBytes)}`;
}

function amountRow(name: string, amount: Amount, all: Amount): string[] {
  const shares = [ratio(amount.packets, all.packets), ratio(amount.bytes, all.bytes)].map(percent);
  return [name, count(amount.packets), byteSize(amount.bytes), shares[0]!, shares[1]!];
}

function rowsOf(amounts: ReadonlyMap<string, Amount>, all: Amount): string[][] {
  return [...amounts].sort(([, a], [, b]) => b.bytes - a.bytes).map(([name, amount]) =>
    amountRow(`  ${name.replaceAll("_", " ")}`, amount, all)
  );
}

/** What `remediate mirror` found: amounts by reason and by rule, of all frames. */
export function renderMirror({ totals, cut, evicted }: MirrorReport): string {
  const { all, mirrored } = totals;
  const lines = table([
    ["", "packets", "bytes", "of packets", "of bytes"],
    amountRow("read", all, all),
    amountRow("mirrored", mirrored, all),
    ["by reason"],
    ...rowsOf(totals.why, all),
    ["by rule"],
    ...rowsOf(totals.rule, all),
    ...(totals.shed.size === 0 ? [] : [["left out by the budget"], ...rowsOf(totals.shed, all)]),
    ["frames without a flow"],
    ...rowsOf(new Map([...totals.parse].filter(([parse]) => parse !== "flow")), all),
  ], [1, 2, 3, 4]);
  if (evicted > 0) lines.push("", `${count(evicted)} flows gave their place in the table to new ones`);
  if (cut !== null) lines.push("", `The capture is not whole: ${cut}`);
  return `${lines.join("\n")}\n`;
}

export function mirrorJson({ totals, cut, evicted }: MirrorReport): unknown {
  return { ...totalsJson(totals), cut, evicted };
}

function totalsJson({ all, mirrored, why, rule, shed, parse }: Totals) {
  return {
    all,
    mirrored,
    byReason: Object.fromEntries(why),
    byRule: Object.fromEntries(rule),
    byShed: Object.fromEntries(shed),
    byKind: Object.fromEntries(parse),
  };
}

/** What `remediate mirror explain` found. */
export function renderExplanation(explanation: Explanation): string {
  const { flows, flowsLeftOut, cut } = explanation;
  const blocks = flows.map(flowBlock);
  if (flows.length === 0) blocks.push("No flow of the capture is like that.");
  if (flowsLeftOut) blocks.push("There are more flows; --limit shows more, --flow those that matter.");
  if (cut !== null) blocks.push(`The capture is not whole: ${cut}`);
  return `${blocks.join("\n\n")}\n`;
}

function flowBlock(flow: ExplainedFlow): string {
  const rule = flow.rule === null ? "" : `, rule ${flow.rule}`;
  const head =
    `${flow.flow}${rule}: ${count(flow.mirroredPackets)} of ${count(flow.packets)} packets mirrored, ` +
    `${byteSize(flow.mirroredBytes)} of ${byteSize(flow.bytes)}`;
  const lines = table(flow.lines.map(lineCells), [0, 1]);
  if (flow.omitted > 0) lines.push(`and ${count(flow.omitted)} more packets`);
  return [head, ...lines.map((line) => `  ${line}`)].join("\n");
}

function lineCells(line: Line): string[] {
  const span = line.packets === 1 ? `#${line.first}` : `#${line.first}-${line.last}`;
  const many = line.packets === 1 ? "" : ` (${count(line.packets)})`;
  const verdict = line.why === "none" ? "left out" : line.why;
  return [`${span}${many}`, `${line.atS.toFixed(3)} s`, line.forward ? ">" : "<", verdict, line.text];
}

export function explanationJson({ flows, flowsLeftOut, cut, totals }: Explanation): unknown {
  return { ...totalsJson(totals), flows, flowsLeftOut, cut };
}

export interface Tuned {
  readonly candidates: readonly Candidate[];
  /** Part of bytes. */
  readonly budget: number;
  /** What `kept` counts, for the heading. */
  readonly counts: string;
}

/** What `remediate mirror tune` found: the curve, its knee and the best rule within the budget. */
export function renderTuning({ candidates, budget, counts }: Tuned): string {
  const [best, bend] = [withinBudget(candidates, budget), knee(candidates)];
  const rows = front(candidates).map((candidate) => {
    const marks = [candidate === bend ? "knee" : "", candidate === best ? "best within budget" : ""];
    const shares = [candidate.byteShare, candidate.packetShare, candidate.kept].map(percent);
    return [candidate.rule.name, ...shares, marks.filter((mark) => mark !== "").join(", ")];
  });
  const lines = table([["rule", "of bytes", "of packets", `${counts} kept`, ""], ...rows], [1, 2, 3]);
  const beaten = candidates.length - rows.length;
  lines.push(
    "",
    `${beaten} of ${candidates.length} rules of the grid cost as much and keep less, and are left out.`,
  );
  if (best) lines.push(`Within ${percent(budget)} of bytes:`, "", ruleToml(best), "");
  else lines.push(`No rule of the grid stays within ${percent(budget)} of bytes.`);
  return `${lines.join("\n").trimEnd()}\n`;
}

/** The rule as it stands in a configuration. */
export function ruleToml({ rule }: Pick<Candidate, "rule">): string {
  const lines = ["[[filter.rules]]", `name = "${rule.name}"`];
  for (const [key, value] of Object.entries(rule)) {
    if (key === "name" || key === "match" || value === 0 || value === false) continue;
    if (key === "keepaliveMs") lines.push(`keepalive_s = ${Number(value) / 1000}`);
    else lines.push(`${key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)} = ${value}`);
  }
  return lines.join("\n");
}

export function tuningJson({ candidates, budget, counts }: Tuned): unknown {
  const name = (candidate: Candidate | undefined) => candidate?.rule.name ?? null;
  const best = name(withinBudget(candidates, budget));
  return {
    counts,
    budget,
    best,
    knee: name(knee(candidates)),
    front: front(candidates).map(name),
    candidates,
  };
}
