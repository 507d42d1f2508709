/** Duty: `remediate vnf list|status|start|stop`. Pure but for the node it asks. */
import type { VnfView } from "../appliance/vnf/contract.ts";
import type { Invocation } from "./arguments.ts";
import { type Terminal, toJson } from "./cli.ts";
import type { RemoteNode } from "./client.ts";
import { EXIT, type Exit } from "./commands.ts";
import { duration, table } from "./paint.ts";

export async function vnfCommand(
  node: RemoteNode,
  invocation: Invocation,
  terminal: Terminal,
): Promise<Exit> {
  const { command, options, arguments: [name = ""] } = invocation;
  const isJson = options.flag("json");
  if (command.name === "vnf start" || command.name === "vnf stop") {
    const verb = command.name === "vnf start" ? "start" : "stop";
    const answer = await node.vnf(verb, name);
    if (!answer.ok) {
      terminal.err(`Cannot ${verb} ${name}: ${answer.text}\n`);
      return EXIT.failed;
    }
    terminal.out(isJson ? toJson(answer.view) : `${lineOf(answer.view)}\n`);
    return EXIT.ok;
  }
  const all = await node.vnfs();
  if (command.name === "vnf list") {
    terminal.out(isJson ? toJson({ vnfs: all }) : vnfsText(all, terminal.now()));
    return EXIT.ok;
  }
  const one = all.find((vnf) => vnf.name === name);
  if (one === undefined) {
    terminal.err(`Cannot show ${name}: there is ${all.map((vnf) => vnf.name).join(", ") || "no VNF"}\n`);
    return EXIT.failed;
  }
  terminal.out(isJson ? toJson(one) : `${lineOf(one)}\n`);
  return one.wanted && one.phase !== "up" ? EXIT.degraded : EXIT.ok;
}

function lineOf({ name, box, phase, pid, reason }: VnfView): string {
  const process = pid === null ? "" : `, process ${pid}`, why = reason === "" ? "" : `: ${reason}`;
  return `${name} (${box}) is ${phase}${process}${why}`;
}

export function vnfsText(vnfs: readonly VnfView[], nowMs: number): string {
  if (vnfs.length === 0) return "There is no VNF: none stands in the configuration as [[vnf]].\n";
  const rows = vnfs.map(({ name, box, phase, wanted, pid, sinceMs, restarts, reason }) => [
    name,
    box,
    wanted || phase === "stopped" ? phase : `${phase}, not wanted`,
    duration(Math.max(0, nowMs - sinceMs)),
    pid === null ? "-" : String(pid),
    String(restarts),
    reason,
  ]);
  return `${
    table([["VNF", "BOX", "STATE", "FOR", "PID", "RESTARTS", "REASON"], ...rows], [4, 5]).join("\n")
  }\n`;
}
