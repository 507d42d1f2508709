/**
 * Duty: from the options of `far` to the four ports of a far end.
 *
 * Pure. What the options may be stands in commands_far.ts; what a channel's settings may be in config_remote.ts.
 */
import { isPort, parsePort } from "../appliance/config_ports.ts";
import { addressFault } from "../appliance/config_remote.ts";
import type { FarOptions } from "../appliance/far_process.ts";
import type { Options } from "./arguments.ts";

const PORT_MAX = 65_535;

/** @returns what to run, or one sentence that says what is wrong */
export function farOptions(options: Options): FarOptions | string {
  const [listen, inside, outside, key] = ["listen", "in", "out", "key"].map((name) => options.text(name));
  if (!listen || !inside || !outside || !key) {
    return "Cannot run the far end: --listen, --in, --out and --key are needed";
  }
  const fault = addressFault(listen, true);
  if (fault !== null) return `Cannot read option --listen: it ${fault}`;
  const [, address = "", port = ""] = /^(.*):(\d+)$/.exec(listen) ?? [];
  if (Number(port) >= PORT_MAX) {
    return `Cannot read option --listen: the server side would be on port ${Number(port) + 1}`;
  }
  if (/[,\s]/.test(key)) return `Cannot read option --key: "${key}" holds a comma or a space`;
  if (inside === outside) return `Cannot run the far end: --in and --out are both ${inside}`;
  for (const [name, text] of [["in", inside], ["out", outside]] as const) {
    const found = parsePort(`af_packet:${text}`);
    if (!isPort(found)) return `Cannot read option --${name}: it ${found.reason}`;
  }
  const settings = [
    `key=${key}`,
    ...["silence-ms", "wait-ms", "reorder-us", "ring-mib"].map((name) =>
      `${name.replace("-", "_")}=${options.number(name)}`
    ),
    ...(options.given("mtu") ? [`mtu=${options.number("mtu")}`] : []),
    `encrypt=${options.flag("encrypt") ? "yes" : "no"}`,
  ].join(",");
  const channel = (number: number) => `listen:${address}:${number},${settings}`;
  return {
    specs: [
      channel(Number(port)),
      channel(Number(port) + 1),
      `af_packet:${inside}`,
      `af_packet:${outside}`,
    ],
    frameBytesMax: options.number("frame-bytes-max"),
    memoryMib: options.number("memory-mib"),
    core: options.given("core") ? options.number("core") : null,
    spinUs: options.number("spin-us"),
    board: options.text("board")!,
  };
}
