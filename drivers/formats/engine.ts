/**
 * Duty: read lines by a format. Compiled once, then one look for a cheap word, one regular expression, one splitting.
 *
 * Nothing that a line says can make it throw, and nothing becomes an entry of which an address, a port or a protocol is
 * wrong: a line is read whole or refused with the value that is wrong. The work for a person, how far a line went along
 * with which rule, is done apart (`explainLine()`), because it costs more than reading.
 */
import { canonicalAddress, FLOW_STATES, type FlowState, type FlowTuple, mirrored } from "../flow_value.ts";
import type { Entry, EntryEvent, Reading } from "./entry.ts";
import {
  type Condition,
  type Format,
  referencesIn,
  type Rule,
  type Value,
  type ValueName,
} from "./format.ts";
import { splitColumns, splitJson, splitPairs, type Values } from "./split.ts";
import { progressOf } from "./template.ts";

export interface LineReader {
  readonly format: Format;
  read(line: string): Reading;
}

/** A line under way: what its patterns found, and its split values once somebody asks for them. */
interface Line {
  readonly text: string;
  readonly head: readonly (string | undefined)[] | null;
  readonly match: readonly (string | undefined)[] | null;
  split: Values | null;
}

/** A value of a line, or a text with such values, made ready. */
type Get = (line: Line) => string | undefined;
/** By its name: where the format has it from is known before the first line. */
type Find = (name: string) => Get;
type Ask = readonly (readonly [Get, Condition])[];

interface Ready {
  readonly rule: Rule;
  /** Where the rule's word is and its pattern begins with it, the pattern is tried there alone. */
  readonly pattern: RegExp | null;
  readonly where: Ask;
  readonly except: Ask;
  readonly get: Readonly<Partial<Record<ValueName, Get>>>;
  readonly report: readonly (readonly [string, Get])[];
}

const PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  icmpv6: 58,
  icmp6: 58,
  "ipv6-icmp": 58,
  sctp: 132,
};
const [ICMP, ICMP6] = [1, 58];

/** How long state is worth keeping of which the line says nothing, by protocol: a little more than boxes keep it. */
const TIMEOUT_MS: Readonly<Record<number, number>> = { 1: 30_000, 6: 3_600_000, 17: 180_000, 58: 30_000 };
const TIMEOUT_OTHERS_MS = 600_000;
export const timeoutMsOf = (protocol: number) => TIMEOUT_MS[protocol] ?? TIMEOUT_OTHERS_MS;

/** What is wrong with a value of a line; thrown and caught in this file only. */
class Fault extends Error {}

function compileText(text: string, find: Find): Get {
  const names = referencesIn(text);
  const [only] = names;
  if (only === undefined) return () => text;
  if (text === `<${only}>`) return find(only);
  const parts = text.split(/<[A-Za-z_][\w.-]*>/);
  const gets = names.map(find);
  return (line) => {
    let made = parts[0]!;
    for (let n = 0; n < gets.length; n++) {
      const value = gets[n]!(line);
      if (value === undefined) return undefined;
      made += value + parts[n + 1]!;
    }
    return made;
  };
}

function compileValue(texts: Value, find: Find): Get {
  const ways = texts.map((text) => compileText(text, find));
  if (ways.length === 1) return ways[0]!;
  return (line) => {
    for (const way of ways) {
      const value = way(line);
      if (value !== undefined) return value;
    }
    return undefined;
  };
}

/** The values of a rule's lines by name: of its own pattern, of the head, else of the split line. */
function finder(rule: Rule, format: Format, split: (line: Line) => Values): Find {
  const absent = new Set(format.absent);
  const filter = (get: Get): Get =>
    absent.size === 0 ? get : (line) => {
      const value = get(line);
      return value === undefined || absent.has(value) ? undefined : value;
    };
  return (name) => {
    const own = (rule.match?.names.indexOf(name) ?? -1) + 1;
    if (own > 0) return filter((line) => line.match?.[own]);
    const common = (format.head?.names.indexOf(name) ?? -1) + 1;
    if (common > 0) return filter((line) => line.head?.[common]);
    return filter((line) => (line.split ??= split(line))(name));
  };
}

function ready(rule: Rule, format: Format, split: (line: Line) => Values): Ready {
  const { contains, match } = rule;
  const find = finder(rule, format, split);
  const begins = contains !== null && match !== null &&
    match.pieces.map(({ shown }) => shown).join("").startsWith(contains);
  return {
    rule,
    pattern: match === null ? null : begins ? new RegExp(match.pattern.source, "y") : match.pattern,
    where: [...rule.where].map(([name, condition]) => [find(name), condition]),
    except: [...rule.except].map(([name, condition]) => [find(name), condition]),
    get: Object.fromEntries(
      Object.entries(rule.values).map(([key, value]) => [key, compileValue(value, find)]),
    ),
    report: [...rule.report].map(([name, value]) => [name, compileValue(value, find)]),
  };
}

/** Names that a format asks of a split line. */
function wantedNames({ rules }: Format): Set<string> {
  const names = rules.flatMap(({ where, except, values, report }) => [
    ...where.keys(),
    ...except.keys(),
    ...[...Object.values(values), ...report.values()].flatMap((value) => (value ?? []).flatMap(referencesIn)),
  ]);
  // The second of a name is found where the first is looked for.
  return new Set(names.map((name) => name.replace(/\.2$/, "")));
}

function fits(value: string | undefined, condition: Condition): boolean {
  if (typeof condition === "boolean") return (value !== undefined) === condition;
  return condition.includes(value ?? "");
}

/** What the rule's pattern finds; false: the line does not fit it. */
function matchOf({ rule, pattern }: Ready, text: string): Line["match"] | false {
  const at = rule.contains === null ? 0 : text.indexOf(rule.contains);
  if (at < 0) return false;
  if (pattern === null) return null;
  pattern.lastIndex = at;
  return pattern.exec(text) ?? false;
}

function holdAll(ask: Ask, line: Line): boolean {
  for (const [get, condition] of ask) if (!fits(get(line), condition)) return false;
  return true;
}

class Reader implements LineReader {
  readonly #rules: readonly Ready[];
  readonly #wanted: ReadonlySet<string>;
  readonly #columns: ReadonlyMap<string, number>;

  constructor(readonly format: Format) {
    this.#wanted = wantedNames(format);
    const asked = format.columns.map((name, index) => [name, index] as const);
    this.#columns = new Map(asked.filter(([name]) => this.#wanted.has(name)));
    this.#rules = format.rules.map((rule) => ready(rule, format, ({ text }) => this.#split(text)));
  }

  read(text: string): Reading {
    const head = this.format.head === null ? null : this.format.head.pattern.exec(text);
    if (head === null && this.format.head !== null) return { kind: "unknown" };
    let split: Values | null = null;
    for (const one of this.#rules) {
      const match = matchOf(one, text);
      if (match === false) continue;
      const line: Line = { text, head, match, split };
      const fitting = holdAll(one.where, line) &&
        (one.except.length === 0 || !one.except.some(([get, condition]) => fits(get(line), condition)));
      if (fitting) return judge(one, line);
      split = line.split;
    }
    return { kind: "unknown" };
  }

  #split(line: string): Values {
    switch (this.format.form) {
      case "pairs":
        return splitPairs(line, this.#wanted);
      case "csv":
        return splitColumns(line, this.#columns);
      case "json":
        return splitJson(line);
      case "text":
        return () => undefined;
    }
  }
}

function judge(one: Ready, line: Line): Reading {
  const { name, event } = one.rule;
  if (event === "ignore") return { kind: "ignored", rule: name };
  try {
    return { kind: "entry", rule: name, entry: entryOf(one, event, line) };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { kind: "refused", rule: name, fault: error.message };
  }
}

function needed({ get }: Ready, key: ValueName, line: Line): string {
  const value = get[key]?.(line);
  if (value === undefined || value === "") throw new Fault(`it has no ${key}`);
  return value;
}

function address(text: string, key: string): string {
  const found = canonicalAddress(text);
  if (found === null) throw new Fault(`its ${key} "${text.slice(0, 60)}" is no address`);
  return found;
}

function port(text: string | undefined, key: string): number {
  if (text === undefined) throw new Fault(`it has no ${key}`);
  const number = Number(text);
  if (/^\d{1,5}$/.test(text) && number <= 65_535) return number;
  throw new Fault(`its ${key} "${text.slice(0, 60)}" is no port`);
}

function protocolOf(text: string, source: string): number {
  const number = PROTOCOLS[text.toLowerCase()] ?? (/^\d{1,3}$/.test(text) ? Number(text) : NaN);
  if (!(number <= 255)) throw new Fault(`its protocol "${text.slice(0, 60)}" is none`);
  return number === ICMP && source.includes(":") ? ICMP6 : number;
}

const isIcmp = (protocol: number) => protocol === ICMP || protocol === ICMP6;
const hasPorts = (protocol: number) => [6, 17, 33, 132, 136].includes(protocol);

/** Ports of a pair of ends: of TCP and its like both, of ICMP twice the identifier, of others none. */
function ports(
  one: Ready,
  line: Line,
  at: { protocol: number; nat: boolean },
): readonly [number, number] {
  const { protocol, nat } = at;
  const { get } = one;
  if (isIcmp(protocol)) {
    const key = nat && get.nat_icmp_id !== undefined ? "nat_icmp_id" : "icmp_id";
    const id = port(get[key]?.(line) ?? (nat ? get.icmp_id?.(line) : undefined), key);
    return [id, id];
  }
  if (!hasPorts(protocol)) return [0, 0];
  const own = [get.source_port?.(line), get.destination_port?.(line)] as const;
  if (!nat) return [port(own[0], "source_port"), port(own[1], "destination_port")];
  return [
    port(get.nat_source_port?.(line) ?? own[0], "nat_source_port"),
    port(get.nat_destination_port?.(line) ?? own[1], "nat_destination_port"),
  ];
}

/** Both ends have addresses of one family. */
function sameFamily(tuple: FlowTuple): FlowTuple {
  if (tuple.source.includes(":") === tuple.destination.includes(":")) return tuple;
  throw new Fault(`its ${tuple.source} and ${tuple.destination} are of two families`);
}

function tuples(one: Ready, line: Line): readonly [FlowTuple, FlowTuple] {
  const source = address(needed(one, "source", line), "source");
  const destination = address(needed(one, "destination", line), "destination");
  const protocol = protocolOf(needed(one, "protocol", line), source);
  const [sourcePort, destinationPort] = ports(one, line, { protocol, nat: false });
  const original = sameFamily({ protocol, source, sourcePort, destination, destinationPort });
  const { nat_source, nat_destination, nat_source_port, nat_destination_port, nat_icmp_id } = one.get;
  if (!(nat_source ?? nat_destination ?? nat_source_port ?? nat_destination_port ?? nat_icmp_id)) {
    return [original, mirrored(original)];
  }
  const [first, second] = ports(one, line, { protocol, nat: true });
  const outside = sameFamily({
    protocol,
    source: address(nat_source?.(line) ?? source, "nat_source"),
    sourcePort: first,
    destination: address(nat_destination?.(line) ?? destination, "nat_destination"),
    destinationPort: second,
  });
  return [original, mirrored(outside)];
}

function seconds(one: Ready, line: Line): number | null {
  const text = one.get.timeout_s?.(line);
  if (text === undefined) return null;
  if (!/^\d{1,9}$/.test(text)) {
    throw new Fault(`its timeout_s "${text.slice(0, 60)}" is no number of seconds`);
  }
  return Math.max(1, Number(text)) * 1000;
}

function stateOf(one: Ready, line: Line): FlowState | null {
  const text = one.get.state?.(line)?.toLowerCase();
  return FLOW_STATES.find((state) => state === text) ?? null;
}

function flowEntry(one: Ready, event: EntryEvent, line: Line): Entry {
  const session = one.get.session?.(line) || null;
  const named = one.get.source !== undefined;
  if (!named && session === null) throw new Fault("it has no session");
  const [original, reply] = named ? tuples(one, line) : [null, null];
  const [state, timeoutMs] = [stateOf(one, line), seconds(one, line)];
  return { what: "flow", event, session, original, reply, state, timeoutMs };
}

function entryOf(one: Ready, event: EntryEvent, line: Line): Entry {
  const text = (key: ValueName) => needed(one, key, line);
  switch (one.rule.entry) {
    case "flow":
      return flowEntry(one, event, line);
    case "binding": {
      const source = address(text("source"), "source");
      const protocol = protocolOf(text("protocol"), source);
      const binding = {
        protocol,
        source,
        sourcePort: port(one.get.source_port?.(line), "source_port"),
        natSource: address(text("nat_source"), "nat_source"),
        natSourcePort: port(one.get.nat_source_port?.(line), "nat_source_port"),
      };
      return { what: "binding", event, binding, timeoutMs: seconds(one, line) };
    }
    case "choice": {
      const choice = {
        client: address(text("client"), "client"),
        place: text("place"),
        chosen: text("chosen"),
      };
      return { what: "choice", event, choice, timeoutMs: seconds(one, line) };
    }
    case "report": {
      const [original] = tuples(one, line);
      const told = one.report.map(([name, get]) => [name, get(line)] as const)
        .filter((pair): pair is readonly [string, string] => pair[1] !== undefined);
      return {
        what: "report",
        event,
        key: text("key").slice(0, 200),
        original,
        values: Object.fromEntries(
          told.map(([name, value]) => [name, /^\d{1,15}$/.test(value) ? Number(value) : value]),
        ),
        merge: one.rule.merge,
        timeoutMs: seconds(one, line),
      };
    }
  }
}

export function compileFormat(format: Format): LineReader {
  return new Reader(format);
}

/**
 * Why a line is not understood, for a person: which rule it comes nearest to, how far it goes along, what is wanted
 * there. Empty for one that is.
 */
export function explainLine(reader: LineReader, line: string): string {
  const reading = reader.read(line);
  if (reading.kind === "refused") return `rule "${reading.rule}" fits, but ${reading.fault}`;
  if (reading.kind !== "unknown") return "";
  const { head, rules } = reader.format;
  const heads = head === null ? null : progressOf(head, line);
  if (heads !== null && heads.wanted !== "") return farText("the head of the format", heads);
  const near = rules.filter(({ contains }) => contains === null || line.includes(contains));
  const patterns = near.flatMap((rule) =>
    rule.match === null ? [] : [{ rule, far: progressOf(rule.match, line) }]
  )
    .filter(({ far }) => far.wanted !== "").toSorted((a, b) => b.far.matched.length - a.far.matched.length);
  const [best] = patterns;
  if (best !== undefined && best.far.matched !== "") return farText(`rule "${best.rule.name}"`, best.far);
  const conditions = near.find(({ match, where }) => match === null && where.size > 0);
  if (conditions !== undefined) {
    const names = [...conditions.where.keys()].join(", ");
    return `no rule fits its values; rule "${conditions.name}" asks for ${names}`;
  }
  return "no rule of the format is for such a line";
}

const farText = (what: string, far: { matched: string; wanted: string; at: number }) =>
  `${what} fits up to character ${far.at} ("${far.matched.slice(-40)}"), then "${far.wanted}" is missing`;
