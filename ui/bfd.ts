/** `remediate bfd`: the BFD sessions as text. Pure: the node and the terminal are handed in. */
import type { BfdSessionView, BfdView, CounterView } from "../appliance/view.ts";
import type { Options } from "./arguments.ts";
import { type Terminal, toJson } from "./cli.ts";
import type { RemoteNode } from "./client.ts";
import { EXIT, type Exit } from "./commands.ts";
import { count, duration, type Painter, painter, table } from "./paint.ts";

export async function showBfd(node: RemoteNode, options: Options, terminal: Terminal): Promise<Exit> {
  const { bfd } = await node.status();
  terminal.out(options.flag("json") ? toJson(bfd) : renderBfd(bfd, painter(terminal.colours)));
  return bfd.sessions.every(({ state }) => state === "up") ? EXIT.ok : EXIT.degraded;
}

export function renderBfd({ sessions, discards }: BfdView, paint: Painter): string {
  if (sessions.length === 0) return "No BFD sessions.\n";
  const lines = sessions.flatMap((session) => [...sessionLines(session, paint), ""]);
  const all = counters(discards);
  return [...lines, ...(all === "" ? [] : [`not taken, of all: ${all}`])].join("\n").trimEnd() + "\n";
}

function sessionLines(s: BfdSessionView, paint: Painter): string[] {
  const since = s.sinceMs === null ? "" : ` for ${duration(s.sinceMs)}`;
  const state = s.state.replace("_", " ");
  const told = s.light === "off" ? state : paint.light(s.light, state);
  const where = `${s.box}, ${s.side}${s.vlan === 0 ? "" : `, VLAN ${s.vlan}`}`;
  const way = `${s.local} to ${s.peer}${s.multihop ? ", multihop" : ""}`;
  const rows: [string, string][] = [
    ["  ends", `${way}, ${s.mac === null ? "nobody answers for it yet" : `at ${s.mac}`}`],
    ["  diagnostic", `${s.diagnostic}; peer is ${s.remoteState.replace("_", " ")}: ${s.remoteDiagnostic}`],
    ["  times", times(s)],
    ["  packets", packets(s)],
  ];
  if (s.echoMs > 0 || s.echoesReturned > 0) rows.push(["  echoes", echoes(s)]);
  if (s.late > 0 || s.excusedMs > 0) {
    const own = `late ${count(s.late)} times, stalls of ${duration(s.excusedMs)} not held against the peer`;
    rows.push(["  node itself", own]);
  }
  const discards = counters(s.discards);
  if (discards !== "") rows.push(["  not taken", discards]);
  return [`${paint.bold(s.name)} (${where}): ${told}${since}`, ...table(rows, [])];
}

function times(s: BfdSessionView): string {
  const detect = s.detectMs === 0 ? "not known yet" : duration(s.detectMs);
  const more = [s.polling ? "polling" : "", s.demand ? "the peer wants no packets" : ""].filter((w) =>
    w !== ""
  );
  return [`sends every ${duration(s.txMs)}`, `detects in ${detect}`, ...more].join(", ");
}

function packets(s: BfdSessionView): string {
  const heard = s.heardMs === null ? "none yet" : `the last ${duration(s.heardMs)} ago`;
  return `${count(s.sent)} sent, ${count(s.taken)} taken, ${heard}; up ${count(s.ups)}, down ${
    count(s.downs)
  } times`;
}

function echoes(s: BfdSessionView): string {
  const heard = s.echoHeardMs === null ? "" : `, the last ${duration(s.echoHeardMs)} ago`;
  const own = `${count(s.echoesSent)} sent, ${count(s.echoesBack)} back${heard}`;
  return `every ${duration(s.echoMs)}, ${own}; ${count(s.echoesReturned)} of the peer sent back`;
}

function counters(views: readonly CounterView[]): string {
  return views.map(({ name, packets }) => `${name.replaceAll("_", " ")} ${count(packets)}`).join(", ");
}
