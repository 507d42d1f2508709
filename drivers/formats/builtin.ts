/** The formats that come with the product: files of the kind a user may write, by name. */
import ciscoAsa from "./cisco-asa.toml" with { type: "text" };
import conntrack from "./conntrack.toml" with { type: "text" };
import fortinet from "./fortinet.toml" with { type: "text" };
import haproxy from "./haproxy.toml" with { type: "text" };
import juniperSrx from "./juniper-srx.toml" with { type: "text" };
import netfilterLog from "./netfilter-log.toml" with { type: "text" };
import paloAlto from "./palo-alto.toml" with { type: "text" };
import suricataEve from "./suricata-eve.toml" with { type: "text" };
import ulogdFlow from "./ulogd-flow.toml" with { type: "text" };
import { describeFormatProblem, type Format, parseFormat } from "./format.ts";

/** Texts of the files, by the name of the format. */
export const BUILTIN_FORMATS: Readonly<Record<string, string>> = {
  "cisco-asa": ciscoAsa,
  conntrack,
  fortinet,
  haproxy,
  "juniper-srx": juniperSrx,
  "netfilter-log": netfilterLog,
  "palo-alto": paloAlto,
  "suricata-eve": suricataEve,
  "ulogd-flow": ulogdFlow,
};

/** @throws RangeError for a name that is none of theirs */
export function builtinFormat(name: string): Format {
  const text = BUILTIN_FORMATS[name];
  if (text === undefined) throw new RangeError(`Cannot find the format "${name}": there is ${BUILTIN_NAMES}`);
  return goodFormat(text, `${name}.toml`);
}
const BUILTIN_NAMES = Object.keys(BUILTIN_FORMATS).join(", ");

/** @throws SyntaxError that names every problem of the file, one a line */
export function goodFormat(text: string, file: string): Format {
  const format = parseFormat(text, file);
  if (!("rules" in format)) {
    throw new SyntaxError(`Cannot use the format ${file}:\n${format.map(describeFormatProblem).join("\n")}`);
  }
  return format;
}
