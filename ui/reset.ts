/** The command `reset`: arguments in, exit code out. */
import type { Invocation } from "./arguments.ts";
import type { Terminal } from "./cli.ts";
import type { RemoteNode } from "./client.ts";
import { EXIT, type Exit } from "./commands.ts";

export async function resetNode(
  node: RemoteNode,
  { options }: Invocation,
  terminal: Terminal,
): Promise<Exit> {
  if (!options.flag("factory")) {
    terminal.err("Cannot reset the node: --factory says that it is meant\n");
    return EXIT.input;
  }
  const body = { factory: true, configuration: options.flag("with-configuration") };
  const { status, body: answer } = await node.ask("POST", "/api/v1/reset", { body });
  if (status >= 400) {
    terminal.err(`Cannot reset the node: ${answer.detail ?? `HTTP ${status}`}\n`);
    return EXIT.failed;
  }
  terminal.out(`${answer.said}\n`);
  return EXIT.ok;
}
