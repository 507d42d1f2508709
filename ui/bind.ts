/** Ports to the plane's drivers: the command and what it says. */
import { bindPorts } from "../appliance/bind_ports.ts";
import type { Config } from "../appliance/config.ts";
import type { Options } from "./arguments.ts";
import { type Terminal, toJson } from "./cli.ts";
import { EXIT, type Exit } from "./commands.ts";

export async function bind(config: Config, options: Options, terminal: Terminal): Promise<Exit> {
  const { moves, faults } = await bindPorts(config);
  if (options.flag("json")) terminal.out(toJson({ moves, faults }));
  else for (const { address, from, to } of moves) terminal.out(`${address}: ${from ?? "nothing"} -> ${to}\n`);
  for (const fault of faults) terminal.err(`${fault}\n`);
  return faults.length > 0 ? EXIT.failed : EXIT.ok;
}
