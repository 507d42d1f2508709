/** `arm` and `disarm`. */
import type { Invocation } from "./arguments.ts";
import type { Terminal } from "./cli.ts";
import type { RemoteNode } from "./client.ts";
import { EXIT, type Exit } from "./commands.ts";

export async function changeMode(
  node: RemoteNode,
  { command, options }: Invocation,
  terminal: Terminal,
): Promise<Exit> {
  const name = command.name === "arm" ? "arm" : "disarm";
  const result = await node.order(name, { force: name === "arm" && options.flag("force") });
  if (result.ok) terminal.out(`${result.text}\n`);
  else terminal.err(`Cannot ${name}: ${result.text}\n`);
  return result.ok ? EXIT.ok : EXIT.failed;
}
