/**
 * The commands `recorder status`, `recorder save`, `recorder on`, `recorder off`. Pure but for the node it asks.
 */
import type { RecorderStatus } from "../appliance/view.ts";
import type { Invocation } from "./arguments.ts";
import type { CaptureSink } from "./capture.ts";
import { type Terminal, toJson } from "./cli.ts";
import type { RemoteNode } from "./client.ts";
import { EXIT, type Exit } from "./commands.ts";
import { byteSize, wallTime } from "./paint.ts";

/** What `recorder save` needs beside a node; as of captures. */
export interface SaveMeans {
  readonly stop: AbortSignal;
  /** Why a file must not go there, as a sentence; null: it may. */
  readonly refusal: (path: string) => string | null;
  /** @throws Error with one sentence */
  readonly open: (path: string) => Promise<CaptureSink>;
}

export async function recorder(
  node: RemoteNode,
  invocation: Invocation,
  terminal: Terminal,
  means: SaveMeans,
): Promise<Exit> {
  const { command, options } = invocation;
  if (command.name === "recorder save") return await save(node, invocation, terminal, means);
  if (command.name === "recorder status") {
    const status = await node.recorder();
    terminal.out(options.flag("json") ? toJson(status) : renderRecorder(status));
    return EXIT.ok;
  }
  const answer = await node.setRecorder(command.name === "recorder on");
  if (answer.ok) terminal.out(`${answer.text}\n`);
  else terminal.err(`Cannot turn the recorder on: ${answer.text}\n`);
  return answer.ok ? EXIT.ok : EXIT.failed;
}

async function save(
  node: RemoteNode,
  { options, arguments: [file] }: Invocation,
  terminal: Terminal,
  means: SaveMeans,
): Promise<Exit> {
  const refuse = (text: string) => {
    terminal.err(`${text}\n`);
    return EXIT.input;
  };
  if (options.given("last") && options.given("around")) {
    return refuse("Cannot use --last with --around: they name two times");
  }
  const refusal = means.refusal(file!);
  if (refusal !== null) return refuse(refusal);
  const query = new URLSearchParams();
  if (options.given("last")) query.set("last_s", String(options.number("last") * 60));
  else query.set("around_s", String(options.number("around")));
  // Asked first: a file that is there must not be emptied for a node that has nothing to say.
  const pieces = await node.capture("recorded", query, means.stop);
  const sink = await means.open(file!);
  let bytes = 0;
  try {
    for await (const piece of pieces) {
      if (!await sink.write(piece)) break;
      bytes += piece.length;
    }
  } finally {
    sink.close();
    terminal.err(`${byteSize(bytes)} written\n`);
  }
  return EXIT.ok;
}

export function renderRecorder(status: RecorderStatus): string {
  if (status.bytesMax === 0) return "There is no recorder (recorder.mib = 0).\n";
  const since = status.oldestMs === null ? "nothing yet" : `back to ${wallTime(status.oldestMs)}`;
  return [
    `The recorder is ${status.on ? "on" : "off"}: ${byteSize(status.bytes)} of ${
      byteSize(status.bytesMax)
    } in ` +
    `${status.files} files in ${status.directory}, ${since}, at most ${status.hoursMax} h.`,
    `${status.decisions} records since control started, ${status.missed} lost on the way; ` +
    `${status.shed} left out since the plane started, above ${status.rateMax} a second.`,
    ...(status.failing === null ? [] : [`Nothing can be written at the moment: ${status.failing}`]),
  ].join("\n") + "\n";
}
