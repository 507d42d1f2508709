/** `support`: the archive by the command line, from the machine itself and from the node if it answers. An edge. */
import type { Config } from "../appliance/config.ts";
import { consult } from "../appliance/doctor.ts";
import { bundleName, supportBundle } from "../appliance/support/bundle.ts";
import { reasonOf } from "../drivers/reason.ts";
import type { Invocation } from "./arguments.ts";
import type { Terminal } from "./cli.ts";
import { connectNode } from "./client.ts";
import { EXIT, type Exit } from "./commands.ts";

export async function support(
  { config, path }: { readonly config: Config; readonly path: string },
  { options }: Invocation,
  terminal: Terminal,
): Promise<Exit> {
  const nowMs = terminal.now(), file = options.text("output") ?? bundleName(config.node.name, nowMs);
  const node = connectNode(config.api.socket);
  try {
    const bytes = await supportBundle({
      config,
      configPath: path,
      views: {
        "status.json": () => node.status(),
        "match.json": () => node.match({ history: true }),
        "probes.json": () => node.probes(),
        "drivers.json": async () => (await node.ask("GET", "/api/v1/drivers")).body,
        "captures.json": () => node.captureFiles(),
        "recorder.json": () => node.recorder(),
      },
      doctor: () => consult(config),
      nowMs,
    });
    await Deno.writeFile(file, bytes, { mode: 0o600 });
    terminal.out(`${file} is written, ${bytes.length} bytes\n`);
    return EXIT.ok;
  } catch (cause) {
    terminal.err(`Cannot write ${file}: ${reasonOf(cause)}\n`);
    return EXIT.failed;
  } finally {
    node.close();
  }
}
