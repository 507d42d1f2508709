/** Exports: nothing is dropped in silence, and what is written has the syntax of its target. */
import assert from "node:assert/strict";
import {
  comment,
  describeRule,
  type ExportInput,
  type ExportTarget,
  reviewRules,
} from "../../../filter/export.ts";
import { CLICK, exportClick } from "../../../filter/export_click.ts";
import { EBPF, exportEbpf } from "../../../filter/export_ebpf.ts";
import { exportP4, P4 } from "../../../filter/export_p4.ts";
import { parseExpression } from "../../../filter/expression.ts";
import { type FilterRule, filterRule, PRESETS } from "../../../filter/rule.ts";
import { clickProblems } from "../../support/click_check.ts";
import { p4Problems } from "../../support/p4_check.ts";

const AGES = { tcp_opening: 1000, tcp: 2000, tcp_closing: 3000, udp: 4000, icmp: 5000, other: 0 };
const EXPORTS: readonly (readonly [ExportTarget, (input: ExportInput) => string])[] = [
  [EBPF, exportEbpf],
  [CLICK, exportClick],
  [P4, exportP4],
];

/** Expressions are compiled by libpcap, which is not here; the tree is parsed from the text. */
function input(rules: readonly FilterRule[], partial = false): ExportInput {
  return { rules: rules.map((rule) => ({ rule, program: [] })), ages: AGES, flowsMax: 1000, partial };
}

/** Another value than "off", of the same type. */
function on(value: unknown): unknown {
  if (typeof value === "boolean") return !value;
  if (typeof value === "number") return value + 3;
  return typeof value === "string" ? "tcp" : ["something"];
}

const FIELDS = Object.keys(filterRule({ name: "x" })).filter((field) => field !== "name");

for (const [target, write] of EXPORTS) {
  for (const field of FIELDS) {
    Deno.test(`export to ${target.format} expresses or refuses ${field}, and never drops it`, () => {
      const plain = filterRule({ name: "plain", firstPackets: 1 });
      const used = { ...plain, name: "used", [field]: on(plain[field as keyof FilterRule]) } as FilterRule;
      if (target.fields[field] === undefined) {
        assert.throws(() => write(input([used])), {
          name: "RangeError",
          message: new RegExp(`^Cannot export to ${target.format}: rule "used" uses ${field}, which `),
        });
        assert.match(write(input([used], true)), new RegExp(`LEFT OUT: rule "used" uses ${field}\\.`));
        return;
      }
      const body = (text: string) => text.replace(/\/\*[\s\S]*?\*\//g, "");
      const [without, withIt] = [write(input([plain])), write(input([used]))];
      // A difference in meaning stands at the head; what means the same must show in the program.
      if (target.fields[field]) assert.ok(withIt.includes(`- ${field}:`));
      else if (!(target.format === "ebpf" && field === "match")) assert.notEqual(body(withIt), body(without));
    });
  }

  Deno.test(`export to ${target.format} refuses a field that it has never heard of`, () => {
    const strange = { ...filterRule({ name: "new" }), fieldOfTomorrow: 5 } as FilterRule;
    assert.throws(() => write(input([strange])), /rule "new" uses fieldOfTomorrow, which it cannot express/);
  });

  Deno.test(`export to ${target.format} lets no name or expression end a comment`, () => {
    const text = write(
      input([filterRule({ name: "a*/int evil;/*", match: "tcp port 80", firstPackets: 1 })]),
    );
    assert.ok(!text.replace(/\/\*[\s\S]*?\*\//g, "").includes("evil"));
  });
}

Deno.test("reviewRules() names every rule and field at once", () => {
  const rules = input([
    filterRule({ name: "one", firstBytes: 5 }),
    filterRule({ name: "two", keepaliveMs: 5, firstPayloadPackets: 2 }),
  ]);
  assert.throws(() => reviewRules(rules, CLICK), {
    message: 'Cannot export to click: rule "one" uses firstBytes, rule "two" uses firstPayloadPackets, ' +
      'rule "two" uses keepaliveMs, which it cannot express; --partial leaves that out and says so in the output',
  });
});

Deno.test("describeRule() says what a rule copies, and comment() keeps lines short", () => {
  const rule = filterRule({ name: "web", match: "tcp port 80", handshake: true, firstBytes: 300 });
  assert.equal(
    describeRule({ rule, program: [] }, 2),
    'rule 2 "web" on tcp port 80: handshake, firstBytes 300',
  );
  const lines = comment([`  - ${"word ".repeat(60).trim()}`]).trim().split("\n").slice(0, -1);
  assert.ok(lines.length > 2 && lines.every((line) => line.length <= 109 && line.slice(2).startsWith("  ")));
});

const MANY = [
  filterRule({ name: "a", match: "tcp port 80 or udp portrange 5000-5010", handshake: true, teardown: true }),
  filterRule({ name: "b", match: "not (host 10.1.0.3 or net 10.2.0.0/16) and icmp", all: true }),
  filterRule({ name: "c", match: "ip and src or dst port 53", none: true }),
  filterRule({ name: "d", match: "sctp", firstPackets: 4 }),
];

Deno.test("exportClick() writes declared elements whose every output leads somewhere", () => {
  assert.deepEqual(clickProblems(exportClick(input(MANY))), []);
  for (const rules of Object.values(PRESETS)) {
    assert.deepEqual(clickProblems(exportClick(input(rules, true))), []);
  }
});

Deno.test("clickProblems() finds what it looks for", () => {
  const good = exportClick(input(MANY));
  const broken: [string, RegExp][] = [
    [good.replace("kind[2] -> Discard;", ""), /output 2 of kind leads nowhere/],
    [good.replace("kind[0] -> copy", "kind[0] -> coppy"), /coppy is not declared/],
    [good.replace("AggregateIPFlows(", "AggregateFlows("), /AggregateFlows is no class/],
    [good.replace("Queue(1000)", "Queue(1000"), /not balanced/],
    [good.replace("outside -> outside_tee;", ""), /leads nowhere/],
  ];
  for (const [text, problem] of broken) assert.match(clickProblems(text).join("; "), problem);
});

Deno.test("exportClick() refuses what Click would judge otherwise", () => {
  const refuse = (rule: Partial<FilterRule>, message: RegExp) =>
    assert.throws(() => exportClick(input([filterRule({ name: "r", firstPackets: 1, ...rule })])), message);
  refuse({ match: "src port 80" }, /rule "r" says src, and Click would miss the flow's other direction/);
  refuse({ match: "ip6" }, /rule "r" matches on IPv6/);
  refuse({ match: "vlan" }, /"vlan" is not expressible here/);
  refuse({ firstPackets: 65 }, /firstPackets 65, at most 64/);
});

Deno.test("exportP4() writes a program whose names, states and fields are all there", () => {
  const more = filterRule({
    name: "e",
    match: "ip6 and (dst net 2001:db8::/33 or src host fe80::1) and not icmp6",
    firstBytes: 300,
    firstPayloadPackets: 2,
    keepaliveMs: 10,
  });
  const text = exportP4(input([...MANY, more]));
  assert.deepEqual(p4Problems(text), []);
  assert.ok(
    text.includes(
      "(meta.destination & 128w0xffffffff800000000000000000000000) == 128w0x20010db8000000000000000000000000",
    ),
  );
  assert.ok(text.includes("meta.source_port >= 5000 && meta.source_port <= 5010"));
  for (const rules of Object.values(PRESETS)) assert.deepEqual(p4Problems(exportP4(input(rules, true))), []);
});

Deno.test("p4Problems() finds what it looks for", () => {
  const good = exportP4(input(MANY));
  const broken: [string, RegExp][] = [
    [
      good.replace("parse_fragment;", "parse_fragmant;"),
      /no state parse_fragmant/,
    ],
    [good.replace("meta.vlan =", "meta.vlam ="), /meta\.vlam is no field/],
    [good.replace("hdr.tcp.syn", "hdr.tcp.sin"), /hdr\.tcp\.sin is no field/],
    [good.replace("rule = NO_RULE", "rule = NORULE"), /NORULE is not declared/],
    [good.replace("apply { }", "apply { "), /never closed|closes nothing/],
    [good.replace("rule = NO_RULE;", "rule = NO_RULE"), /does not end/],
  ];
  for (const [text, problem] of broken) assert.match(p4Problems(text).join("; "), problem);
});

Deno.test("exportEbpf() turns a program into C with every jump inside", () => {
  // ldh [12]; jeq #0x800, +1, +0; ret #0; ret #1
  const program = [
    { code: 0x28, jt: 0, jf: 0, k: 12 },
    { code: 0x15, jt: 1, jf: 0, k: 0x800 },
    { code: 0x06, jt: 0, jf: 0, k: 0 },
    { code: 0x06, jt: 0, jf: 0, k: 1 },
  ];
  const rule = filterRule({ name: "ip", match: "ip", firstBytes: 70_000, keepaliveMs: 250 });
  const text = exportEbpf({ ...input([]), rules: [{ rule, program }] });
  assert.match(
    text,
    /if \(!in_head\(h, 12u, 2\)\) return 0; a = get16\(h, 12u\);\n {2}if \(a == 2048u\) goto L3;\n/,
  );
  assert.match(
    text,
    /= \(struct rule\)\{\.first_bytes_up = 70000u, \.first_bytes_down = 70000u, \.keepalive_ns = 250000000ull\}; return 1;/,
  );
  assert.match(text, /#define AGE_NS_TCP_CLOSING 3000000000ull/);
  assert.match(text, /#define FLOWS_MAX 1000\n/);
});

Deno.test("parseExpression() binds and, or from left to right and refuses the rest by name", () => {
  const tcp = { kind: "protocol", protocol: "tcp" };
  const udp = { kind: "protocol", protocol: "udp" };
  const icmp = { kind: "protocol", protocol: "icmp" };
  assert.deepEqual(parseExpression("tcp or udp and icmp"), {
    kind: "and",
    left: { kind: "or", left: tcp, right: udp },
    right: icmp,
  });
  assert.deepEqual(parseExpression("! (tcp || udp)"), {
    kind: "not",
    of: { kind: "or", left: tcp, right: udp },
  });
  assert.deepEqual(parseExpression("  "), { kind: "everything" });
  const refused = [
    "vlan",
    "port http",
    "tcp[13] & 2 != 0",
    "len < 200",
    "host 10.1.0",
    "net 10.0.0.0/33",
    "(tcp",
  ];
  for (const text of [...refused, "tcp udp", "port 80 or 81", "icmp port 3", "port 70000", "host ::1::2"]) {
    assert.throws(() => parseExpression(text), SyntaxError, text);
  }
});
