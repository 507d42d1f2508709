/** `filter export`: the program, to a file or to standard output. An edge. */
import type { Config } from "../appliance/config.ts";
import { reasonOf } from "../drivers/reason.ts";
import { EXPORT_FORMATS } from "../filter/export.ts";
import { compileFilter } from "../filter/pcap_filter.ts";
import type { Invocation } from "./arguments.ts";
import type { Terminal } from "./cli.ts";
import { EXIT, type Exit } from "./commands.ts";
import { exportFilter } from "./export.ts";

/** @throws Error with one sentence: a rule that cannot be expressed, a file that cannot be written */
export async function writeExport(
  config: Config,
  { options }: Invocation,
  terminal: Terminal,
): Promise<Exit> {
  const format = EXPORT_FORMATS.find((name) => name === options.text("format")) ?? "ebpf";
  const text = exportFilter(config, { format, partial: options.flag("partial"), compile: compileFilter });
  const file = options.text("output");
  if (file === null) terminal.out(text);
  else {
    await Deno.writeTextFile(file, text).catch((error) => {
      throw new Error(`Cannot write ${file}: ${reasonOf(error)}`, { cause: error });
    });
  }
  return EXIT.ok;
}
