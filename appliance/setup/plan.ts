/**
 * From what somebody chose to a configuration: which interface is which port, what the boxes are, how to prove the wiring.
 *
 * Pure. What the text has already is kept as it stands: a machine comes with its own name, directories and address.
 */
import { parse } from "smol-toml";
import { parseIpAddress } from "../../filter/ip_address.ts";
import { type Preset, PRESETS } from "../../filter/rule.ts";
import { describeProblem, parseConfig, type Parsed } from "../config.ts";
import { type BaseRole, ROLES } from "../view.ts";
import type { Nic } from "./nics.ts";

export interface Choice {
  readonly ports: Readonly<Partial<Record<BaseRole, string>>>;
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

/** Fields of a form: a role each, preset, probe_from, probe_to. */
export function choiceOf(fields: Readonly<Record<string, string>>): Choice {
  const ports = Object.fromEntries(ROLES.flatMap((role) => fields[role] ? [[role, fields[role]]] : []));
  const preset = Object.hasOwn(PRESETS, fields.preset ?? "") ? fields.preset as Preset : "nat";
  const from = fields.probe_from?.trim() ?? "", to = fields.probe_to?.trim() ?? "";
  return { ports, preset, probe: from === "" && to === "" ? null : { from, to } };
}

export function planConfig(base: string, choice: Choice, nics: readonly Nic[]): Plan {
  const faults = [...portFaults(choice, nics), ...probeFaults(choice)];
  if (faults.length > 0) return { ok: false, faults };
  const has = parse(base);
  const parts = [
    base.trimEnd(),
    ["[ports]", ...ROLES.map((role) => `${role.replace("-", "_")} = "af_packet:${choice.ports[role]}"`)].join(
      "\n",
    ),
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

function portFaults({ ports }: Choice, nics: readonly Nic[]): string[] {
  const faults: string[] = [], users = new Map<string, BaseRole>();
  for (const role of ROLES) {
    const name = ports[role], nic = nics.find((one) => one.name === name);
    const other = name === undefined ? undefined : users.get(name);
    if (name === undefined) faults.push(`${role}: choose an interface`);
    else if (nic === undefined) faults.push(`${role}: there is no interface "${name.slice(0, 20)}"`);
    else if (nic.taken !== null) faults.push(`${role}: ${name} is not free: ${nic.taken}`);
    else if (other !== undefined) faults.push(`${role}: ${name} is ${other} already`);
    else users.set(name, role);
  }
  return faults;
}

function probeFaults({ probe }: Choice): string[] {
  if (probe === null) return [];
  return (["from", "to"] as const).flatMap((end) =>
    parseIpAddress(probe[end]) === null ? [`probe: "${probe[end].slice(0, 50)}" is no address`] : []
  );
}
