/** Duty: `remediate state move|clone|merge|moves`, `scale-out`, `scale-in`, `migrate`. Pure but for the node it asks. */
import type {
  ApplicationView,
  Counts,
  LayerAnswer,
  MoveView,
  TransferView,
} from "../appliance/layer/contract.ts";
import { transferText } from "../appliance/layer/views.ts";
import type { Invocation } from "./arguments.ts";
import { type Terminal, toJson } from "./cli.ts";
import type { RemoteNode } from "./client.ts";
import { EXIT, type Exit } from "./commands.ts";
import { byteSize, count, duration, table, wallTime } from "./paint.ts";

const PATHS: Readonly<Record<string, string>> = {
  "state move": "state/move",
  "state clone": "state/clone",
  "state merge": "state/merge",
  "scale-out": "scale-out",
  "scale-in": "scale-in",
  "migrate": "migrate",
};

export const isLayerCommand = (name: string) => name === "state moves" || name in PATHS;

export async function layerCommand(
  node: RemoteNode,
  invocation: Invocation,
  terminal: Terminal,
): Promise<Exit> {
  const { command, options } = invocation;
  if (command.name === "state moves") {
    const moves = await node.moves();
    if (options.flag("json")) terminal.out(toJson({ moves }));
    else terminal.out(movesText(moves));
    return EXIT.ok;
  }
  const answer = await node.layer(PATHS[command.name]!, bodyOf(invocation));
  if (!answer.ok) {
    const what = command.name.replace(/^state (.+)$/, "$1 state");
    terminal.err(`Cannot ${what}: ${answer.text}\n`);
    return EXIT.failed;
  }
  if (options.flag("json")) terminal.out(toJson(answer.view));
  else terminal.out(answerText(command.name, answer));
  return EXIT.ok;
}

function bodyOf({ command, arguments: given, options }: Invocation): Record<string, string> {
  const [source = "", destination = "", fields] = given;
  const guarantee = command.options.some(({ name }) => name === "guarantee")
    ? options.text("guarantee")
    : null;
  return {
    source,
    destination,
    ...(fields !== undefined && { fields }),
    ...(guarantee !== null && { guarantee }),
  };
}

function answerText(command: string, { view }: LayerAnswer<object> & { ok: true }): string {
  if (command === "state move") return `${moveText(view as MoveView)}\n`;
  if (command === "state clone" || command === "state merge") return transferLines(view as TransferView);
  return (view as ApplicationView).lines.map((line) => `${line}\n`).join("");
}

const countsText = ({ records, bytes, held, reprocessed }: Counts) =>
  `${count(records)} records (${byteSize(bytes)}), ${count(held)} frames held, ${
    count(reprocessed)
  } reprocessed`;

export function moveText({ id, source, destination, fields, ageMs, counts, reason }: MoveView): string {
  const more = reason === "" ? "" : `; ${reason}`;
  return `moved ${fields} from ${source} to ${destination} in ${duration(ageMs)}: ${
    countsText(counts)
  }${more} (${id})`;
}

function transferLines(view: TransferView): string {
  const named = view.conflicts.map(({ key, reason }) => `  ${key}: ${reason}\n`).join("");
  const more = view.conflictsMore === 0 ? "" : `  and ${view.conflictsMore} more\n`;
  return `${view.source} into ${view.destination}: ${transferText(view)}\n${named}${more}`;
}

export function movesText(moves: readonly MoveView[]): string {
  if (moves.length === 0) return "No state was moved.\n";
  const rows = moves.map((move) => [
    move.id,
    wallTime(move.startedMs),
    move.end ?? (move.course === "back" ? `${move.step}, going back` : move.step),
    `${move.source} > ${move.destination}`,
    move.fields,
    duration(move.ageMs),
    count(move.counts.records),
    move.reason,
  ]);
  const head = ["MOVE", "BEGAN", "STEP", "BOXES", "FLOWS", "AGE", "RECORDS", "REASON"];
  return `${table([head, ...rows], [6]).join("\n")}\n`;
}
