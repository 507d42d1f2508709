/**
 * The key table as text: the commented example file, and the page docs/configuration.md.
 *
 * Pure. Both are only another form of config_keys.ts, so neither can be out of date.
 */
import { acceptedForm, type Key, type Keys } from "./config_key.ts";
import { type Section, SECTIONS } from "./config_keys.ts";
import { PORT_FORM } from "./config_ports.ts";
import { KIND_KEYS } from "./config_text_drivers.ts";
import { wrap } from "../filter/lines.ts";

const EXAMPLE_WIDTH = 98;
/** As `deno fmt` wraps prose in this tree, so that the page is as formatted as the rest. */
const PAGE_WIDTH = 110;

/** A complete file: what must be set stands, what may be set is commented out with its default. */
export function exampleConfig(): string {
  const lines = [
    "# Configuration of Remediate. `remediate check` tells every problem with it at once.",
    "# What is commented out is the default, or an example where it has none.",
  ];
  for (const section of SECTIONS) {
    const form = section.path === "ports" ? ` ${accepted(PORT_FORM)}` : "";
    lines.push("", ...comment(section.help + form));
    lines.push(section.list || section.named ? `#${headOf(section)}` : headOf(section));
    for (const [name, key] of Object.entries(section.keys)) lines.push(...exampleKey(section, name, key));
    for (const { kind, keys } of section.named ? KIND_KEYS : []) {
      if (Object.keys(keys).length > 0) lines.push("", ...comment(`Of kind "${kind}":`));
      for (const [name, key] of Object.entries(keys)) lines.push(...exampleKey(section, name, key));
    }
  }
  return lines.join("\n").replaceAll("`", "") + "\n";
}

function headOf({ path, list, named }: Section): string {
  if (named) return `[${path}.NAME]`;
  return list ? `[[${path}]]` : `[${path}]`;
}

function exampleKey(section: Section, name: string, key: Key): string[] {
  const form = acceptedForm(key);
  const help = form === PORT_FORM ? key.help : `${key.help} ${accepted(form)}`;
  const absent = key.absent === undefined ? [] : comment(`Without it: ${key.absent}.`);
  const off = section.list || section.named || !key.required;
  return ["", ...comment(help), ...absent, `${off ? "#" : ""}${name} = ${exampleValue(key)}`];
}

/** docs/configuration.md. */
export function configurationPage(): string {
  const lines = [
    "# Configuration",
    "",
    ...prose(
      "One TOML file, `/etc/remediate/remediate.toml` unless `--config` names another. This page is " +
        "generated from the table of keys, `appliance/config_keys.ts`, by `./scripts/deno run -A scripts/docs.ts`.",
    ),
    "",
    ...item("`remediate config example` prints a commented file with every key and its default."),
    ...item(
      "`remediate check` tells every problem at once: its line, its key, what was found and what is accepted. " +
        "A key that is not on this page is a problem. The exit code is 2.",
    ),
    ...item(
      "`remediate reload` makes a running node take over the changed file; with any problem the old one stays " +
        "in force.",
    ),
    "",
    ...prose(
      "Names carry their unit last: `_ms`, `_us`, `_s`, `_mib`, `_bytes`. Only the six ports are required:",
    ),
    "",
    "```toml",
    ...smallest(),
    "```",
    "",
    "## How a port is written",
    "",
    ...PORT_FORMS.flatMap(item),
  ];
  for (const section of SECTIONS) lines.push("", ...sectionPage(section));
  return lines.join("\n") + "\n";
}

const PORT_FORMS = [
  "`0000:03:00.0`: a network card by its PCI address, taken from the kernel (bind it to `vfio-pci` first).",
  "`af_xdp:IF`: an interface of the kernel, through AF_XDP.",
  "`af_packet:IF`: an interface of the kernel, through packet sockets: slower, and works everywhere.",
  "`memif:SOCKET`: shared memory with another process. `SOCKET` is an absolute path, or `@NAME` for an " +
  "abstract socket; `,role=server` listens, `,role=client` (the default) connects.",
  "`tap:NAME`: an interface of this name, made by the plane.",
  "`pcap:FILE`: receives the frames of a capture file; what is sent is dropped. `pcap:rx=FILE,tx=FILE` writes " +
  "it to another.",
  "`gen:flows=100000,sizes=imix,kinds=mix,new=2,fin=2,zipf=1,seed=1,cold=0,rate=0`: makes its own traffic and " +
  "drops what is sent, for the demo, benches and trials; every setting may be left out. `sizes` is bytes of a frame " +
  "or `imix`, `kinds` is `tcp` (the default) or `mix` (with UDP, IPv6 and VLAN), `new` and `fin` are percent of " +
  "the frames that open or close a flow, `rate` is frames a second (0: as many as it can), and `flows=0` makes " +
  "none at all. TCP checksums are left out.",
  "`remote:ADDRESS:PORT,key=FILE`: a port of a box that stands elsewhere, beside a far end (`remediate far`), reached " +
  "by UDP. `FILE` holds the key that both ends share, 16 to 256 bytes. More settings, each behind a comma: " +
  "`local=ADDRESS` to send from; `silence_ms=200`, after which a silent far end is a lost link; `wait_ms=100`, how " +
  "long what is missing may hold up what is behind it (0: nothing is sent again); `reorder_us=500`, how late a " +
  "datagram may be before it is asked for; `ring_mib=8`, what is kept to be sent again; `mtu=1500` of the way, if " +
  "the route does not say it; `encrypt=yes`. Both ends must agree on `encrypt`.",
  "`null`: receives nothing, drops what is sent. Several roles may have it, and `gen`.",
];

function smallest(): string[] {
  const ports = SECTIONS.find(({ path }) => path === "ports");
  return [
    "[ports]",
    ...Object.entries(ports?.keys ?? {}).map(([name, key]) => `${name} = ${exampleValue(key)}`),
  ];
}

function sectionPage(section: Section): string[] {
  const kinds = section.named
    ? KIND_KEYS.flatMap(({ kind, summary, keys }) => [
      "",
      `### \`kind = "${kind}"\``,
      "",
      ...prose(`${summary}.`),
      "",
      ...keyItems(keys),
    ])
    : [];
  return [
    `## \`${headOf(section)}\``,
    "",
    ...prose(section.help),
    "",
    ...keyItems(section.keys),
    ...kinds,
  ];
}

function keyItems(keys: Keys): string[] {
  return Object.entries(keys).flatMap(([name, key]) => {
    const form = acceptedForm(key) === PORT_FORM ? "a port, as above" : acceptedForm(key);
    return item(`\`${name}\` (${defaultText(key)}): ${key.help} ${accepted(form)}`);
  });
}

function defaultText(key: Key): string {
  if (key.required) return "required";
  return key.default === null ? `default: ${key.absent ?? "none"}` : `default \`${tomlValue(key.default)}\``;
}

function exampleValue(key: Key): string {
  if (key.default !== null) return tomlValue(key.default);
  const example = key.example ?? "";
  return key.type === "text" || key.type === "choice" ? JSON.stringify(example) : example;
}

function tomlValue(value: string | number | boolean): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

function accepted(form: string): string {
  return `Accepted: ${form}.`;
}

function comment(text: string): string[] {
  return wrap(text, { width: EXAMPLE_WIDTH, first: "# " });
}

function prose(text: string): string[] {
  return wrap(text, { width: PAGE_WIDTH });
}

function item(text: string): string[] {
  return wrap(text, { width: PAGE_WIDTH, first: "- ", rest: "  " });
}
