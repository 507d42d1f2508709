/** The command `replay`. The work is in appliance/replay.ts. */
import { type Difference, replayRecording, type ReplayReport } from "../appliance/replay.ts";
import { reasonOf } from "../drivers/reason.ts";
import { nativePath } from "../filter/dpdk.ts";
import { ReplayCore } from "../filter/replay_core.ts";
import type { Invocation } from "./arguments.ts";
import { type Terminal, toJson } from "./cli.ts";
import { EXIT, type Exit } from "./commands.ts";
import { wallTime } from "./paint.ts";

/** @throws Error with one sentence */
export async function replay(
  { arguments: [path], options }: Invocation,
  terminal: Terminal,
): Promise<Exit> {
  const file = await Deno.readFile(path!).catch((error) => {
    throw new Error(`Cannot read ${path}: ${reasonOf(error)}`, { cause: error });
  });
  using core = openCore();
  const report = decidedAgain(file, core, path!);
  terminal.out(options.flag("json") ? toJson(report) : renderReplay(report, options.flag("diff")));
  return report.identical ? EXIT.ok : EXIT.failed;
}

/** @throws Error that names the file, for what is no recording */
function decidedAgain(file: Uint8Array, core: ReplayCore, path: string): ReplayReport {
  try {
    return replayRecording(file, core);
  } catch (cause) {
    const reason = reasonOf(cause).replace(/^Cannot read recording: /, "");
    throw new Error(`Cannot read ${path}: ${reason}`, { cause });
  }
}

function openCore(): ReplayCore {
  const path = nativePath().replace(/[^/]*$/, "libremediate-filter.so");
  try {
    return new ReplayCore(path);
  } catch (cause) {
    throw new Error(`Cannot load the filter library ${path}: run ./scripts/setup, which builds it`, {
      cause,
    });
  }
}

/** `all`: every difference, else the first. */
export function renderReplay(report: ReplayReport, all: boolean): string {
  const { decisions, steps, judgements, switches, differences, different } = report;
  const told = decisions.same + decisions.other + decisions.impossible;
  const from = report.fromMs === null ? "" : `, ${wallTime(report.fromMs)} to ${wallTime(report.toMs!)}`;
  const shown = all ? differences : differences.slice(0, 1);
  return [
    `Recorded by ${report.node ?? "a node that is not named"}, version ${
      report.version ?? "unknown"
    }${from}.`,
    `Decisions on frames: ${decisions.same} of ${told} come out byte for byte the same.`,
    `Steps of the reflexes: ${steps.same} of ${steps.same + steps.other + steps.impossible}; ` +
    `${switches.withStep} of ${switches.told} switches told have theirs.`,
    `Judgements of control: ${judgements.same} of ${judgements.same + judgements.other}.`,
    ...untold(report),
    ...sealLines(report),
    ...shown.map(differenceText),
    ...(different > shown.length && different > 0 ? [`${different - shown.length} more differences.`] : []),
    report.identical ? "Identical." : "NOT identical.",
  ].join("\n") + "\n";
}

function untold({ decisions, steps }: ReplayReport): string[] {
  const lines: string[] = [];
  if (decisions.cut > 0) {
    lines.push(`${decisions.cut} decisions depended on bytes that were not kept: nothing is said of them.`);
  }
  if (decisions.no_rules > 0) {
    lines.push(
      `${decisions.no_rules} decisions went by rules that are not in the file: nothing is said of them.`,
    );
  }
  const other = decisions.other_layout + steps.other_layout;
  if (other > 0) {
    lines.push(`${other} records are of another version, which has to replay them: nothing is said of them.`);
  }
  return lines;
}

function sealLines({ seals }: ReplayReport): string[] {
  const lines = seals.broken === null
    ? [`The file is as it was written, by ${seals.seals} seals.`]
    : [`THE FILE WAS CHANGED between byte ${seals.broken.from} and byte ${seals.broken.to}.`];
  if (seals.unsealedBytes > 0) lines.push(`Its last ${seals.unsealedBytes} bytes have no seal.`);
  if (seals.cut !== null) lines.push(`What follows cannot be read: ${seals.cut}.`);
  return lines;
}

function differenceText({ what, packet, byte, timeMs, recorded, replayed }: Difference): string {
  const place = packet === null ? `${what} at byte ${byte}` : `packet ${packet}`;
  return `${place}, ${wallTime(timeMs)}: recorded "${recorded}", replayed "${replayed}"`;
}
