/**
 * From what somebody chose to a configuration: which interface is which port, what the boxes are, how to prove the wiring.
 *
 * Pure. What the text has already is kept as it stands: a machine comes with its own name, directories and address.
 */
import { parse } from "smol-toml";
import { parseIpAddress } from "../../filter/ip_address.ts";
import { type Preset, PRESETS } from "../../filter/rule.ts";
import { describeProblem, parseConfig, type Parsed } from "../config.ts";
import { ALL_ROLES, type Role, ROLES } from "../view.ts";
import { type Nic, PCI } from "./nics.ts";

/** How the plane gets at a port that the kernel drives now. */
export const WAYS = ["af_packet", "af_xdp", "pci"] as const;
export type Way = typeof WAYS[number];

/** Further redundant boxes: in the order in which they may be there. */
export const FURTHER = [
  ["redundant-2-in", "redundant-2-out"],
  ["redundant-3-in", "redundant-3-out"],
] as const;

export interface Choice {
  readonly way: Way;
  /** Names of interfaces. Of further boxes both ports or none. */
  readonly ports: Readonly<Partial<Record<Role, string>>>;
  readonly preset: Preset;
  /** Of a probe through the boxes: an address of its own on the client side, one on the server side. Null: none. */
  readonly probe: { readonly from: string; readonly to: string } | null;
}

export type Plan =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly faults: readonly string[] };

/** Is this the configuration of a machine that has not been told yet what is plugged in where? */
export function isFresh(text: string): boolean {
  try {
    return parse(text).ports === undefined;
  } catch {
    return false; // what is wrong with it is told by the check
  }
}

/** Judge a base by what it would be with ports that are none. */
export function parseBase(text: string, file: string): Parsed {
  const ports = ROLES.map((role) => `${role.replace("-", "_")} = "null"`);
  return parseConfig(`${text.trimEnd()}\n\n[ports]\n${ports.join("\n")}\n`, file);
}

/** Fields of a form: a role each, way, preset, probe_from, probe_to. */
export function choiceOf(fields: Readonly<Record<string, string>>): Choice {
  const way = WAYS.find((known) => known === fields.way) ?? "af_packet";
  const ports = Object.fromEntries(ALL_ROLES.flatMap((role) => fields[role] ? [[role, fields[role]]] : []));
  const preset = Object.hasOwn(PRESETS, fields.preset ?? "") ? fields.preset as Preset : "nat";
  const from = fields.probe_from?.trim() ?? "", to = fields.probe_to?.trim() ?? "";
  return { way, ports, preset, probe: from === "" && to === "" ? null : { from, to } };
}

export function planConfig(base: string, choice: Choice, nics: readonly Nic[]): Plan {
  const has = parse(base), further = furtherOf(choice);
  const faults = [...furtherFaults(choice), ...portFaults(choice, nics), ...probeFaults(choice)];
  if (further.length > 0 && has.redundant !== undefined) {
    faults.push(`${further[0]![0]}: the configuration has [[redundant]] already`);
  }
  if (faults.length > 0) return { ok: false, faults };
  const spec = (role: Role) =>
    `"${specOf(nics.find(({ name }) => name === choice.ports[role])!, choice.way)}"`;
  const parts = [
    base.trimEnd(),
    ["[ports]", ...ROLES.map((role) => `${role.replace("-", "_")} = ${spec(role)}`)].join("\n"),
    ...further.map(([inside, outside]) => `[[redundant]]\nin = ${spec(inside)}\nout = ${spec(outside)}`),
    has.filter === undefined ? `[filter]\npreset = "${choice.preset}"` : "",
    has.failover === undefined ? "[failover]\nlearning_first = true" : "",
    choice.probe === null ? "" : probeText(choice.probe),
  ];
  const text = `${parts.filter((part) => part !== "").join("\n\n")}\n`;
  const { problems } = parseConfig(text, "the configuration");
  return problems.length === 0 ? { ok: true, text } : { ok: false, faults: problems.map(describeProblem) };
}

function probeText({ from, to }: NonNullable<Choice["probe"]>): string {
  return `[[probe]]\nname = "wiring"\nkind = "icmp"\nexpect = "answered"\ndirection = "up"\nfrom = "${from}"\nto = "${to}"`;
}

/** A port as the configuration writes it; null: it has none of this kind. */
function specOf({ name, index, device }: Nic, way: Way): string | null {
  if (index > 0 && way !== "pci") return `${way}:${name}`;
  return PCI.test(device) ? device : null;
}

/** Pairs of which anything was chosen. */
function furtherOf({ ports }: Choice): (typeof FURTHER)[number][] {
  return FURTHER.filter((pair) => pair.some((role) => ports[role] !== undefined));
}

function furtherFaults(choice: Choice): string[] {
  const pairs = furtherOf(choice);
  return pairs.length === 1 && pairs[0] !== FURTHER[0]
    ? [`${pairs[0]![0]}: choose the ports of redundant-2 first`]
    : [];
}

function portFaults(choice: Choice, nics: readonly Nic[]): string[] {
  const users = new Map<string, Role>();
  return [...ROLES, ...furtherOf(choice).flat()].flatMap((role) => {
    const name = choice.ports[role], fault = portFault(role, choice, nics);
    if (fault !== null || name === undefined) return [`${role}: ${fault}`];
    const other = users.get(name);
    if (other !== undefined) return [`${role}: ${name} is ${other} already`];
    users.set(name, role);
    return [];
  });
}

function portFault(role: Role, { ports, way }: Choice, nics: readonly Nic[]): string | null {
  const name = ports[role], nic = nics.find((one) => one.name === name);
  if (name === undefined) return "choose an interface";
  if (nic === undefined) return `there is no interface "${name.slice(0, 20)}"`;
  if (nic.taken !== null) return `${name} is not free: ${nic.taken}`;
  return specOf(nic, way) === null ? `${name} has no PCI address: take ports in another way` : null;
}

function probeFaults({ probe }: Choice): string[] {
  if (probe === null) return [];
  return (["from", "to"] as const).flatMap((end) =>
    parseIpAddress(probe[end]) === null ? [`probe: "${probe[end].slice(0, 50)}" is no address`] : []
  );
}
