/**
 * The rules as an eBPF program in C for the kernel's tc: parser and decisions stand in native/export_tc_*.c, the rules
 * and their expressions are generated behind them.
 *
 * Expressions are libpcap's own programs, turned into C instruction by instruction, so a match means what it means in
 * the plane. Pure: returns text; compiling and attaching are told at its head.
 */
import type { BpfInstruction, BpfProgram } from "./bpf.ts";
import {
  comment,
  COMMON_FIELDS,
  describeRule,
  type ExportInput,
  type ExportRule,
  type ExportTarget,
  forComment,
  mirrorsAny,
  type ReviewedRule,
  reviewRules,
} from "./export.ts";
import decidePart from "./native/export_tc_decide.c" with { type: "text" };
import parsePart from "./native/export_tc_parse.c" with { type: "text" };

export const EBPF: ExportTarget = {
  format: "ebpf",
  fields: {
    ...COMMON_FIELDS,
    firstBytesUp: null,
    firstBytesDown: null,
    turnBytesUp: null,
    turnBytesDown: null,
    turnBytesMax: null,
    plaintext: null,
    acks: null,
    sample: null,
    keepaliveMs: null,
    keepaliveWindow: null,
  },
};

const HOW = [
  "Mirror filter for tc, written by `remediate filter export --format ebpf`.",
  "",
  "Needs Linux 5.12 or later. Compile (Debian: clang, libbpf-dev), with the interface that leads to the standby:",
  "  clang -O2 -g -target bpf -I/usr/include/$(gcc -dumpmachine) \\",
  "    -DSTANDBY_IFINDEX=$(cat /sys/class/net/STANDBY/ifindex) -c filter.c -o filter.o",
  "Attach to the interface that faces outside (upstream or downstream):",
  "  tc qdisc add dev IF clsact",
  "  tc filter add dev IF ingress bpf direct-action obj filter.o sec ingress",
  "  tc filter add dev IF egress bpf direct-action obj filter.o sec egress",
  "Both share the pinned map /sys/fs/bpf/tc/globals/remediate_flows; remove it to forget all flows.",
  "",
];
const LIMITS = [
  "Decides as the plane does, but for these limits:",
  "- Only the first 252 bytes of a frame are looked at: a header further in has no flow, an expression that " +
  "reads further in rejects, a payload that begins further in counts as plain text.",
  "- Flows live in a hash that forgets roughly the least recently used, uncounted; processors that handle both " +
  "directions of a flow at once may miscount by a packet.",
  "- A keep-alive by the clock is due at once; the plane notices up to a second later.",
  "- Where the kernel has merged segments (GRO), one counts as one: `ethtool -K IF gro off` avoids it.",
  "- Frames that the kernel refuses before tc (a cut VLAN header) are not seen.",
  "- Tunnels are not looked into; no budget bounds the copies.",
  "- No failover: what is copied is copied always; a full standby loses copies in silence.",
  "- XDP cannot clone a frame, so there is no XDP form.",
];

/**
 * The C text.
 * @throws RangeError for a rule the target cannot express, or a program with an unknown instruction
 */
export function exportEbpf(input: ExportInput): string {
  const { rules, notes } = reviewRules(input, EBPF);
  const generated = rules.map(matcher).join("\n") + chooser(rules) + settings(rules);
  const head = comment([
    ...HOW,
    ...LIMITS,
    ...notes.map((note) => `- ${note}`),
    "",
    ...input.rules.map(describeRule),
  ]);
  return [head, constants(input, rules, generated), parsePart, decidePart, generated].join("\n");
}

function constants(input: ExportInput, rules: readonly ReviewedRule[], generated: string): string {
  const ages = Object.entries(input.ages).map(([age, ms]) =>
    `#define AGE_NS_${age.toUpperCase()} ${BigInt(ms) * 1_000_000n}ull`
  );
  return [
    "#ifndef STANDBY_IFINDEX",
    '#error "give -DSTANDBY_IFINDEX=N: the index of the interface that leads to the standby"',
    "#endif",
    "#ifndef FLOWS",
    "#define FLOWS remediate_flows /* at most 15 letters */",
    "#endif",
    `#define FLOWS_MAX ${input.flowsMax}`,
    `#define MIRROR_ANY ${mirrorsAny(rules) ? 1 : 0}`,
    `#define RULES_DIGEST 0x${digest(generated).toString(16)}u /* flows choose anew under other rules */`,
    ...ages,
    "",
  ].join("\n");
}

/** FNV-1a: only has to differ when the rules do. */
function digest(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

function chooser(rules: readonly ReviewedRule[]): string {
  const tries = rules.map((_, i) => `  if (takes_${i}()) return ${i};\n`);
  return `\nstatic u32 choose_rule(void) {\n${tries.join("")}  return NO_RULE;\n}\n`;
}

type CField = readonly [name: string, value: number];

function flagsOf({ handshake, teardown, all, none, plaintext, acks, keepaliveWindow }: ExportRule): CField[] {
  const flags = { handshake, teardown, all, none, plaintext, acks, keepalive_window: keepaliveWindow };
  return Object.entries(flags).map(([name, value]) => [name, Number(value)]);
}

function numbersOf(rule: ExportRule): CField[] {
  return [
    ["first_packets", rule.firstPackets],
    ["first_payload_packets", rule.firstPayloadPackets],
    ["first_bytes_up", Math.max(rule.firstBytes, rule.firstBytesUp)],
    ["first_bytes_down", Math.max(rule.firstBytes, rule.firstBytesDown)],
    ["turn_bytes_up", rule.turnBytesUp],
    ["turn_bytes_down", rule.turnBytesDown],
    ["turn_bytes_max", rule.turnBytesMax],
    ["sample", rule.sample],
  ];
}

function settings(rules: readonly ReviewedRule[]): string {
  const cases = rules.map(({ rule }, i) => {
    const fields = [...flagsOf(rule), ...numbersOf(rule)].filter(([, value]) => value !== 0);
    const given = fields.map(([name, value]) => `.${name} = ${value}u`);
    if (rule.keepaliveMs > 0) given.push(`.keepalive_ns = ${BigInt(rule.keepaliveMs) * 1_000_000n}ull`);
    return `    case ${i}: *r = (struct rule){${given.join(", ") || "0"}}; return 1;\n`;
  });
  return `\nstatic int rule_at(u32 index, struct rule *r) {\n  switch (index) {\n${
    cases.join("")
  }  }\n  return 0;\n}\n`;
}

/** The expression of a rule as a C function that returns nonzero where it accepts the frame. */
function matcher({ rule, program }: ReviewedRule, index: number): string {
  const title = `/* ${
    forComment(`"${rule.name}": ${rule.match.trim() === "" ? "everything" : rule.match}`)
  } */\n`;
  const head = `${title}static __noinline u32 takes_${index}(void) {\n`;
  if (program.length === 0) return `${head}  return 1;\n}\n`;
  const words = new Set(
    program.filter(({ code }) => usesWord(code)).map(({ k }) => k),
  );
  const memory = [...words].sort((a, b) => a - b).map((k) => `, m${k} = 0`).join("");
  const targets = new Set(program.flatMap(jumps));
  const body = program.map((op, at) => {
    const label = targets.has(at) ? `L${at}:\n` : "";
    return `${label}  ${statement(op, at, program)}\n`;
  }).join("");
  return `${head}  const struct head *h = the_head();\n  u32 a = 0, x = 0${memory};\n` +
    `  (void)x;\n  if (!h) return 0;\n${body}  return 0;\n}\n`;
}

function usesWord(code: number): boolean {
  const kind = code & 7;
  return kind === 2 || kind === 3 || (kind < 2 && (code & 0xe0) === 0x60);
}

/** Where an instruction jumps to; to the next one it just goes on. */
function jumps({ code, jt, jf, k }: BpfInstruction, at: number): number[] {
  if ((code & 7) !== 5) return [];
  const skips = (code & 0xf0) === 0 ? [k] : [jt, jf];
  return skips.filter((skip) => skip > 0).map((skip) => at + 1 + skip);
}

function statement(op: BpfInstruction, at: number, program: BpfProgram): string {
  switch (op.code & 7) {
    case 0:
    case 1:
      return load(op);
    case 2:
    case 3:
      return op.k > 15 ? "return 0;" : `m${op.k} = ${(op.code & 7) === 2 ? "a" : "x"};`;
    case 4:
      return compute(op);
    case 5:
      return jump(op, at, program.length);
    case 6:
      return op.code & 0x10 ? "return a;" : `return ${op.k}u;`;
  }
  return op.code & 0x80 ? "a = x;" : "x = a;";
}

function load({ code, k }: BpfInstruction): string {
  const to = (code & 7) === 1 ? "x" : "a";
  const bytes = (code & 0x18) === 0 ? 4 : (code & 0x18) === 8 ? 2 : 1;
  const from = (place: string) =>
    `if (!in_head(h, ${place}, ${bytes})) return 0; a = get${bytes * 8}(h, ${place});`;
  switch (code & 0xe0) {
    case 0x00:
      return `${to} = ${k}u;`;
    case 0x20:
      return to === "x" ? "return 0;" : from(`${k}u`);
    case 0x40:
      return to === "x" ? "return 0;" : from(`(u64)x + ${k}u`);
    case 0x60:
      return k > 15 ? "return 0;" : `${to} = m${k};`;
    case 0x80:
      return `${to} = h->bytes;`;
    case 0xa0:
      return to === "a"
        ? "return 0;"
        : `if (!in_head(h, ${k}u, 1)) return 0; x = (get8(h, ${k}u) & 15) << 2;`;
  }
  return "return 0;";
}

const OPERATORS: Readonly<Record<number, string>> = {
  0x00: "+",
  0x10: "-",
  0x20: "*",
  0x30: "/",
  0x40: "|",
  0x50: "&",
  0x90: "%",
  0xa0: "^",
};

function compute({ code, k }: BpfInstruction): string {
  const kind = code & 0xf0;
  const byX = (code & 8) !== 0;
  const value = byX ? "x" : `${k}u`;
  if (kind === 0x80) return "a = 0u - a;";
  if (kind === 0x60 || kind === 0x70) {
    const shift = kind === 0x60 ? "<<" : ">>";
    if (byX) return `a = x < 32 ? a ${shift} (x & 31) : 0;`;
    return k < 32 ? `a ${shift}= ${k};` : "a = 0;";
  }
  const operator = OPERATORS[kind];
  if (operator === undefined) return "return 0;";
  if (operator !== "/" && operator !== "%") return `a ${operator}= ${value};`;
  if (!byX) return k === 0 ? "return 0;" : `a ${operator}= ${value};`;
  return `if (x == 0) return 0; a ${operator}= x;`;
}

const COMPARISONS: Readonly<Record<number, string>> = { 0x10: "==", 0x20: ">", 0x30: ">=", 0x40: "&" };

function jump(op: BpfInstruction, at: number, count: number): string {
  const to = (target: number) => target >= count ? "return 0;" : target === at + 1 ? "" : `goto L${target};`;
  const kind = op.code & 0xf0;
  if (kind === 0) return to(at + 1 + op.k) || ";";
  const comparison = COMPARISONS[kind];
  if (comparison === undefined) return "return 0;";
  const condition = `a ${comparison} ${op.code & 8 ? "x" : `${op.k}u`}`;
  const yes = to(at + 1 + op.jt);
  const no = to(at + 1 + op.jf);
  if (yes === "") return no === "" ? ";" : `if (!(${condition})) ${no}`;
  return `if (${condition}) ${yes}${no === "" ? "" : ` ${no}`}`;
}
