/**
 * The rules as a P4_16 program for the v1model architecture: parser, decisions and registers stand in
 * native/export_v1model_*.p4, constants, expressions and settings are generated into it.
 *
 * Only the part of pcap-filter(7) in expression.ts can be expressed; another expression is refused. Pure: returns text.
 */
import {
  comment,
  COMMON_FIELDS,
  describeRule,
  type ExportInput,
  type ExportTarget,
  mirrorsAny,
  type ReviewedRule,
  reviewRules,
} from "./export.ts";
import { type Expression, type ExpressionProtocol, parseExpression, type Side } from "./expression.ts";
import control from "./native/export_v1model_control.p4" with { type: "text" };
import parser from "./native/export_v1model_parser.p4" with { type: "text" };

export const P4: ExportTarget = {
  format: "p4",
  fields: {
    ...COMMON_FIELDS,
    keepaliveMs:
      "one packet of the direction by the clock; an ACK that answers it goes by the clock of its own direction.",
  },
};

const INCLUDES = "#include <core.p4>\n#include <v1model.p4>\n";
const HEAD = [
  "Mirror filter for P4_16, architecture v1model, written by `remediate filter export --format p4`.",
  "",
  "To run it: fill the table `wiring` (ingress port -> egress port, whether the port faces outside, and the side),",
  "and point clone session MIRROR_SESSION at the port that leads to the standby.",
  "",
  "Decides as the plane does, but for these limits:",
  "- A flow has one place, chosen by an unkeyed CRC-32: flows that meet there forget each other, and an outsider " +
  "can make them meet.",
  "- IPv6 extension headers are not followed: such packets have a flow by address alone, and the last word on " +
  "fragments is the first header.",
  "- Lengths that contradict each other are not detected, nor are frames for link-local bridges.",
  "- Fragments are copied where any rule copies; tunnels are not looked into; no budget bounds the copies.",
  "- TCP options are not looked at; times are microseconds of the switch's clock.",
  "- Other rules need another program, and all flows begin anew.",
];

/**
 * The P4 text.
 * @throws RangeError for a rule the target cannot express, SyntaxError for an expression
 */
export function exportP4(input: ExportInput): string {
  const { rules, notes } = reviewRules(input, P4);
  const head = comment([...HEAD, ...notes.map((note) => `- ${note}`), "", ...input.rules.map(describeRule)]);
  const body = control.replace("@CHOOSE@", () => chooser(rules)).replace("@SETTINGS@", () => settings(rules));
  return [head, INCLUDES, constants(input, rules), parser, body].join("\n");
}

function constants(input: ExportInput, rules: readonly ReviewedRule[]): string {
  const slots = 2 ** Math.ceil(Math.log2(Math.max(input.flowsMax, 16)));
  const ages = Object.entries(input.ages).map(([age, ms]) =>
    `const bit<48> AGE_US_${age.toUpperCase()} = ${ms * 1000};\n`
  );
  return `const bit<32> SLOTS = ${slots};\nconst bit<32> HALVES = ${2 * slots};\n` +
    `const bit<32> MIRROR_SESSION = 1;\nconst bit<1> MIRROR_ANY = ${mirrorsAny(rules) ? 1 : 0};\n${
      ages.join("")
    }\n`;
}

function chooser(rules: readonly ReviewedRule[]): string {
  const tries = rules.map(({ rule }, i) =>
    `if (${condition(parseExpression(rule.match))}) {
            rule = ${i};
          } else `
  );
  return `          ${tries.join("")}{
            rule = NO_RULE;
          }`;
}

function settings(rules: readonly ReviewedRule[]): string {
  return rules.map(({ rule }, i) => {
    const given = rule.none ? [] : [
      rule.handshake && "handshake = 1;",
      rule.teardown && "teardown = 1;",
      rule.all && "all = 1;",
      rule.firstPackets > 0 && `first_packets = ${rule.firstPackets};`,
      rule.firstPayloadPackets > 0 && `first_payload_packets = ${rule.firstPayloadPackets};`,
      rule.firstBytes > 0 && `first_bytes = ${rule.firstBytes};`,
      rule.keepaliveMs > 0 && `keepalive_us = ${rule.keepaliveMs * 1000};`,
    ].filter((line) => line !== false);
    const lines = given.map((line) => `          ${line}\n`).join("");
    return `        if (rule == ${i}) {\n${lines}        }`;
  }).join("\n");
}

const PROTOCOLS: Readonly<Record<ExpressionProtocol, string>> = {
  ip: "meta.ipv6 == 0",
  ip6: "meta.ipv6 == 1",
  tcp: "meta.proto == PROTO_TCP",
  udp: "meta.proto == PROTO_UDP",
  sctp: "meta.proto == PROTO_SCTP",
  icmp: "(meta.ipv6 == 0 && meta.proto == PROTO_ICMP)",
  icmp6: "(meta.ipv6 == 1 && meta.proto == PROTO_ICMPV6)",
};

/** An expression as a condition of P4; operators are always in parentheses. */
function condition(expression: Expression): string {
  switch (expression.kind) {
    case "everything":
      return "true";
    case "not":
      return `!(${condition(expression.of)})`;
    case "and":
      return `(${condition(expression.left)} && ${condition(expression.right)})`;
    case "or":
      return `(${condition(expression.left)} || ${condition(expression.right)})`;
    case "protocol":
      return `(${PROTOCOLS[expression.protocol]})`;
    case "port": {
      const { protocol, first, last, side } = expression;
      const within = (field: string) =>
        first === last ? `${field} == ${first}` : `(${field} >= ${first} && ${field} <= ${last})`;
      const protocols = protocol === null ? ["tcp", "udp", "sctp"] as const : [protocol];
      const carried = protocols.map((name) => PROTOCOLS[name]).join(" || ");
      return `((${carried}) && ${ends(side, (end) => within(`meta.${end}_port`))})`;
    }
    case "address":
      return addressCondition(expression);
  }
}

function addressCondition({ side, bytes, bits }: Expression & { kind: "address" }): string {
  const isIpv4 = bytes.length === 4;
  const mapped = isIpv4 ? [...Array.from({ length: 10 }, () => 0), 0xff, 0xff, ...bytes] : [...bytes];
  const counted = isIpv4 ? 96 + bits : bits;
  const mask = mapped.map((_, i) => 0xff << Math.max(0, 8 - Math.max(0, counted - 8 * i)) & 0xff);
  const literal = (all: readonly number[]) =>
    `128w0x${all.map((b) => b.toString(16).padStart(2, "0")).join("")}`;
  const value = literal(mapped.map((byte, i) => byte & mask[i]!));
  const matches = ends(side, (end) => `(meta.${end} & ${literal(mask)}) == ${value}`);
  return `(meta.ipv6 == ${isIpv4 ? 0 : 1} && ${matches})`;
}

function ends(side: Side, of: (end: "source" | "destination") => string): string {
  if (side === "src") return of("source");
  if (side === "dst") return of("destination");
  return `(${of("source")} ${side === "both" ? "&&" : "||"} ${of("destination")})`;
}
