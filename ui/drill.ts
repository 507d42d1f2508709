/** `remediate drill`: runs one, lists those before, checks a report. Pure but for the node it asks. */
import { type DrillReport, reportFault } from "../appliance/drill_report.ts";
import type { DrillSummary } from "../appliance/view.ts";
import type { Options } from "./arguments.ts";
import { type Terminal, toJson } from "./cli.ts";
import type { RemoteNode } from "./client.ts";
import { EXIT, type Exit } from "./commands.ts";
import { type Painter, painter, table, wallTime } from "./paint.ts";

/** `drill`, or `drill list`. */
export function drills(
  command: string,
  node: RemoteNode,
  options: Options,
  terminal: Terminal,
): Promise<Exit> {
  return command === "drill" ? drill(node, options, terminal) : drillList(node, options, terminal);
}

async function drill(node: RemoteNode, options: Options, terminal: Terminal): Promise<Exit> {
  const answer = await node.drill(options.text("box"));
  if (!answer.ok) {
    terminal.err(`Cannot drill: ${answer.text}\n`);
    return EXIT.failed;
  }
  const { report } = answer.signed;
  terminal.out(options.flag("json") ? toJson(answer.signed) : drillText(report, painter(terminal.colours)));
  return report.ok ? EXIT.ok : EXIT.failed;
}

async function drillList(node: RemoteNode, options: Options, terminal: Terminal): Promise<Exit> {
  const drills = await node.drills();
  if (options.flag("json")) terminal.out(toJson(drills));
  else if (drills.length === 0) terminal.out("There was no drill yet.\n");
  else for (const one of drills) terminal.out(`${summaryText(one)}\n`);
  return EXIT.ok;
}

/** `text`: of the report's file. */
export async function drillVerify(text: string, options: Options, terminal: Terminal): Promise<Exit> {
  const fault = await reportFault(text, options.text("key"));
  if (fault === null) terminal.out("The report is as the node signed it.\n");
  else terminal.err(`Cannot trust the report: ${fault}\n`);
  return fault === null ? EXIT.ok : EXIT.failed;
}

export function summaryText({ startedMs, box, ok, text }: DrillSummary): string {
  return `${wallTime(startedMs)}  ${box}: ${ok ? "good" : "failed"}: ${text}`;
}

export function drillText(report: DrillReport, paint: Painter): string {
  const light = report.ok ? "green" : "red";
  const head = `${
    paint.light(light, report.ok ? "good" : "failed")
  }: drill of the ${report.box}: ${report.text}\n`;
  const rows = report.canaries.map(({ name, ok, text, binding, tookMs }) => [
    ok ? "ok" : "FAIL",
    name,
    binding === null ? "-" : `${binding[0]} > ${binding[1]}`,
    `${tookMs.toFixed(1)} ms`,
    text,
  ]);
  const { inPackets, outPackets } = report.shadow;
  const shadow =
    `meanwhile ${inPackets} packets of the mirror went into it and ${outPackets} came out, held back\n`;
  return head + (rows.length === 0 ? "" : `${table(rows, []).join("\n")}\n`) + shadow;
}
