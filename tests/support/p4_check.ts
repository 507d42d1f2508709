/**
 * Duty: judge the syntax of a P4_16 program as far as our exports use it.
 *
 * Brackets balance, statements end, every name is a keyword, a name of core.p4 or v1model.p4, or declared in the
 * program, every state that is gone to exists, and every field is one of the header or structure it is read from.
 */
const KEYWORDS =
  `action actions apply bit bool const control default default_action else error exit extern false
  header if in inout key out package parser register return select size state struct switch table transition true
  typedef varbit`.split(/\s+/);
const ARCHITECTURE =
  `packet_in packet_out standard_metadata_t V1Switch main extract emit verify next last isValid read
  write hash HashAlgorithm crc32 clone CloneType I2E mark_to_drop HeaderTooShort NoError accept reject exact atomic
  ingress_port egress_spec ingress_global_timestamp parser_error include core p4 v1model _`.split(/\s+/);
const PAIRS: Readonly<Record<string, string>> = { ")": "(", "]": "[", "}": "{" };

/** What is wrong, one sentence each. */
export function p4Problems(text: string): string[] {
  const plain = text.replace(/\/\*[\s\S]*?\*\//g, " ").replace(/\/\/.*$/gm, " ").replace(
    /^#include <[\w.]+>$/gm,
    "",
  );
  const tokens =
    plain.match(/\d+w(?:0x[0-9a-fA-F]+|\d+)|0x[0-9a-fA-F]+|\d+|[A-Za-z_]\w*|&&|\|\||\+\+|[<>=!]=|<<|\S/g) ??
      [];
  return [
    ...brackets(tokens),
    ...names(plain, tokens),
    ...states(plain),
    ...fields(plain),
    ...statements(plain),
  ];
}

function brackets(tokens: readonly string[]): string[] {
  const open: string[] = [];
  for (const token of tokens) {
    if ("([{".includes(token)) open.push(token);
    const pair = PAIRS[token];
    if (pair !== undefined && open.pop() !== pair) return [`"${token}" closes nothing`];
  }
  return open.map((token) => `"${token}" is never closed`);
}

/** Names that a declaration introduces. */
function declared(plain: string): Set<string> {
  const patterns = [
    /\b(?:header|struct|parser|control|state|action|table)\s+(\w+)/g,
    /\bbit<\d+>\s+(\w+)/g,
    /\bvarbit<\d+>\s+(\w+)/g,
    /\bregister<bit<\d+>>\(\w+\)\s+(\w+)/g,
    /\b(?:in|out|inout)\s+\w+\s+(\w+)/g,
    /\bpacket_(?:in|out)\s+(\w+)/g,
    /^\s+\w+_t(?:\[\d+\])?\s+(\w+);$/gm,
  ];
  return new Set(patterns.flatMap((pattern) => [...plain.matchAll(pattern)].map((found) => found[1]!)));
}

function names(plain: string, tokens: readonly string[]): string[] {
  const known = new Set([...KEYWORDS, ...ARCHITECTURE, ...declared(plain)]);
  const unknown = tokens.filter((token) => /^[A-Za-z_]/.test(token) && !known.has(token));
  const odd = tokens.filter((token) => /^[@$"'`\\#?]/.test(token) && token !== "@");
  return [...new Set([...unknown, ...odd])].map((token) => `${token} is not declared`);
}

function states(plain: string): string[] {
  const there = new Set([...plain.matchAll(/\bstate (\w+)/g)].map((found) => found[1]!));
  const direct = [...plain.matchAll(/transition (\w+);/g)].map((found) => found[1]!);
  const selected = [...plain.matchAll(/transition select[^{]*\{([^}]*)\}/g)].flatMap((found) =>
    [...found[1]!.matchAll(/: (\w+);/g)].map((one) => one[1]!)
  );
  const wanted = new Set([...direct, ...selected]);
  return [
    ...[...wanted].filter((name) => !there.has(name) && name !== "accept" && name !== "reject")
      .map((name) => `there is no state ${name}`),
    ...[...there].filter((name) => !wanted.has(name) && name !== "start").map((name) =>
      `nothing leads to state ${name}`
    ),
  ];
}

/** Fields of each header and structure by its name. */
function structures(plain: string): Map<string, Map<string, string>> {
  return new Map(
    [...plain.matchAll(/\b(?:header|struct) (\w+) \{([^}]*)\}/g)].map(([, name, body]) => [
      name!,
      new Map([...body!.matchAll(/([\w<>]+)(?:\[\d+\])? (\w+);/g)].map((found) => [found[2]!, found[1]!])),
    ]),
  );
}

function fields(plain: string): string[] {
  const all = structures(plain);
  const metadata = all.get("metadata_t") ?? new Map<string, string>();
  const headers = all.get("headers_t") ?? new Map<string, string>();
  const wrong = [...plain.matchAll(/\bmeta\.(\w+)/g)].filter((found) => !metadata.has(found[1]!)).map((f) =>
    f[0]
  );
  for (const [text, name, , field] of plain.matchAll(/\bhdr\.(\w+)(\.last)?(?:\.(\w+))?/g)) {
    const type = headers.get(name!);
    const inner = field === undefined || ["isValid", "next", "last"].includes(field);
    if (type === undefined || !(inner || all.get(type)?.has(field!))) wrong.push(text);
  }
  return [...new Set(wrong)].map((text) => `${text} is no field`);
}

/** A line that assigns or calls ends with a semicolon, goes on in the next, or opens a block. */
function statements(plain: string): string[] {
  return plain.split("\n").map((line) => line.trim()).filter((line) => / = |^\w+(\.\w+)*\(.*\)$/.test(line))
    .filter((line) => !/[;{},(]$/.test(line)).map((line) => `"${line}" does not end`);
}
