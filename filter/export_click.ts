/**
 * The rules as a configuration of the Click modular router, from its stock elements.
 *
 * Click has no flow that remembers its rule: AggregateIPFlows numbers flows and tells directions, a chain of
 * AggregateFirst lets the first packets of each through, IPClassifier sees flags. What cannot be made of these is
 * refused. Pure: returns text.
 */
import {
  comment,
  describeRule,
  type ExportInput,
  type ExportRule,
  type ExportTarget,
  mirrorsAny,
  reviewRules,
} from "./export.ts";
import { type Expression, parseExpression } from "./expression.ts";

/** Elements in a row; more is not a configuration a person would load. */
const CHAIN_MAX = 64;

export const CLICK: ExportTarget = {
  format: "click",
  fields: {
    match: "judged for every packet and not once per flow.",
    handshake: "SYN and SYN-ACK, and the first other ACK of each direction, whoever opened.",
    teardown: "FIN and RST; the ACK that follows a FIN is not copied.",
    all: null,
    none: null,
    firstPackets: null,
    seed: "making connections known after a switch is the node's work; Click only copies.",
  },
};

const HEAD = [
  "Mirror filter for Click, written by `remediate filter export --format click`.",
  "",
  "  click FILE OUTSIDE=eth0 BOX=eth1 STANDBY=eth2",
  "For one side of the box: run it once for upstream and once for downstream.",
  "",
  "Decides as the plane does, but for these limits:",
  "- Only IPv4 without VLAN tags has flows; other frames than ARP are forwarded and not copied.",
  "- Only TCP and UDP have flows; of other protocols every packet is copied where any rule copies.",
  "- A flow that was forgotten begins anew; the table is not bounded.",
  "- Copies lose the link's padding.",
];

/**
 * The Click text.
 * @throws RangeError for a rule the target cannot express, SyntaxError for an expression
 */
export function exportClick(input: ExportInput): string {
  const { rules, notes } = reviewRules(input, CLICK);
  const copying = mirrorsAny(rules);
  const head = comment([...HEAD, ...notes.map((note) => `- ${note}`), "", ...input.rules.map(describeRule)]);
  const seconds = (ms: number) => (ms === 0 ? 2 ** 31 - 1 : Math.max(1, Math.ceil(ms / 1000)));
  const patterns = rules.map(({ rule }) => pattern(parseExpression(rule.match), rule));
  const open = !patterns.includes("-");
  const sinks = rules.map(({ rule }, i) => branch(rule, i));
  const { tcp, tcp_closing, udp } = input.ages;
  const times = [
    `TCP_TIMEOUT ${seconds(tcp)}`,
    `TCP_DONE_TIMEOUT ${seconds(tcp_closing)}`,
    `UDP_TIMEOUT ${seconds(udp)}`,
  ];
  const other = copying ? "copy" : "Discard";
  return `${head}
define($OUTSIDE eth0, $BOX eth1, $STANDBY eth2);

// Both directions pass; what comes from outside is decided upon, what comes from the box is only forwarded.
outside :: FromDevice($OUTSIDE, SNIFFER false, PROMISC true);
box :: FromDevice($BOX, SNIFFER false, PROMISC true);
to_box :: Queue(1000) -> ToDevice($BOX);
to_outside :: Queue(1000) -> ToDevice($OUTSIDE);
copy :: Queue(1000) -> ToDevice($STANDBY);
outside_tee :: Tee(2);
outside -> outside_tee;
outside_tee[0] -> to_box;
box -> to_outside;

kind :: Classifier(12/0806, 12/0800, -);
outside_tee[1] -> kind;
kind[0] -> copy;
kind[2] -> Discard;

fragments :: IPClassifier(ip frag, -);
flows :: AggregateIPFlows(${times.join(", ")});
kind[1] -> CheckIPHeader(14, CHECKSUM false) -> fragments;
fragments[0] -> ${other};
fragments[1] -> flows;
flows[1] -> ${other};

rules :: IPClassifier(${[...patterns, ...(open ? ["-"] : [])].join(", ")});
flows[0] -> rules;
${sinks.join("")}${open ? `rules[${rules.length}] -> Discard;\n` : ""}`;
}

/** What follows output `index` of the rules. */
function branch(rule: ExportRule, index: number): string {
  const from = `rules[${index}]`;
  if (rule.none || (!rule.all && !rule.handshake && !rule.teardown && rule.firstPackets === 0)) {
    return `${from} -> Discard;\n`;
  }
  if (rule.all) return `${from} -> copy;\n`;
  if (rule.firstPackets > CHAIN_MAX) {
    throw new RangeError(
      `Cannot export to click: rule "${rule.name}" has firstPackets ${rule.firstPackets}, at most ${CHAIN_MAX} can be chained`,
    );
  }
  const name = `rule${index}`;
  const directions = [0, 1].map((dir) => direction(rule, `${name}_${dir}`, `${name}[${dir}]`)).join("");
  return `\n${name} :: PaintSwitch;\n${from} -> ${name};\n${directions}`;
}

/** The first packets of one direction; what is left goes on to the flags. */
function direction(rule: ExportRule, name: string, from: string): string {
  const rows: string[] = [];
  let last = from;
  // Of a protocol without SYN the first packet is the handshake.
  const packets = Math.max(rule.firstPackets, rule.handshake ? 1 : 0);
  for (let n = 0; n < packets; n++) {
    rows.push(
      `${name}_${n} :: AggregateFirst(NOTIFIER flows);\n${last} -> ${name}_${n};\n${name}_${n}[0] -> copy;\n`,
    );
    last = `${name}_${n}[1]`;
  }
  const flags = `${name}_flags`;
  const copies = [
    ...(rule.handshake ? ["tcp opt syn"] : []),
    ...(rule.teardown ? ["tcp opt fin", "tcp opt rst"] : []),
  ];
  const due = rule.handshake ? ["tcp opt ack"] : [];
  rows.push(`${flags} :: IPClassifier(${[...copies, ...due, "-"].join(", ")});\n${last} -> ${flags};\n`);
  copies.forEach((_, i) => rows.push(`${flags}[${i}] -> copy;\n`));
  if (rule.handshake) {
    rows.push(`${name}_ack :: AggregateFirst(NOTIFIER flows);\n${flags}[${copies.length}] -> ${name}_ack;\n`);
    rows.push(`${name}_ack[0] -> copy;\n${name}_ack[1] -> Discard;\n`);
  }
  rows.push(`${flags}[${copies.length + due.length}] -> Discard;\n`);
  return rows.join("");
}

/** An expression in the language of IPClassifier. */
function pattern(expression: Expression, rule: ExportRule): string {
  const refuse = (what: string) =>
    new SyntaxError(
      `Cannot export to click: rule "${rule.name}" matches on ${what}, for which Click has no flows`,
    );
  switch (expression.kind) {
    case "everything":
      return "-";
    case "not":
      return `not (${inner(expression.of, rule)})`;
    case "and":
    case "or":
      return `(${inner(expression.left, rule)}) ${expression.kind} (${inner(expression.right, rule)})`;
    case "protocol":
      if (expression.protocol === "ip6" || expression.protocol === "icmp6") throw refuse("IPv6");
      if (expression.protocol === "ip") return "true";
      return expression.protocol === "sctp" ? "ip proto 132" : `ip proto ${expression.protocol}`;
    case "port": {
      const { protocol, first, last } = expression;
      if (protocol === "sctp") throw refuse("ports of SCTP");
      const port = `${sideOf(expression, rule)}${protocol === null ? "" : `${protocol} `}port`;
      if (first === last) return `${port} ${first}`;
      if (sideOf(expression, rule) === "src and dst ") {
        return `(${port} >= ${first}) and (${port} <= ${last})`;
      }
      // Of one end: "either" must not be met by the one being high enough and the other low enough.
      const within = (end: string) => {
        const one = `${end} ${protocol === null ? "" : `${protocol} `}port`;
        return `((${one} >= ${first}) and (${one} <= ${last}))`;
      };
      return `${within("src")} or ${within("dst")}`;
    }
    case "address": {
      const { bytes, bits } = expression;
      if (bytes.length !== 4) throw refuse("IPv6");
      const what = bits === 32 ? `host ${bytes.join(".")}` : `net ${network(bytes, bits)}/${bits}`;
      return `${sideOf(expression, rule)}${what}`;
    }
  }
}

/** The same where "-" would not be understood. */
function inner(expression: Expression, rule: ExportRule): string {
  return expression.kind === "everything" ? "true" : pattern(expression, rule);
}

/** A rule of one direction would miss the other, for Click judges each packet. */
function sideOf({ side }: { readonly side: string }, rule: ExportRule): string {
  if (side === "either") return "";
  if (side === "both") return "src and dst ";
  throw new SyntaxError(
    `Cannot export to click: rule "${rule.name}" says ${side}, and Click would miss the flow's other direction`,
  );
}

function network(bytes: readonly number[], bits: number): string {
  return bytes.map((byte, i) => byte & (0xff << Math.max(0, 8 - Math.max(0, bits - 8 * i))) & 0xff).join(".");
}
