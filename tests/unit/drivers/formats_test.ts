/** Formats: what they make of vendors' lines, what a broken line may never become, and what is wrong with a file. */
import assert from "node:assert/strict";
import { BUILTIN_FORMATS, builtinFormat, goodFormat } from "../../../drivers/formats/builtin.ts";
import { compileFormat, explainLine } from "../../../drivers/formats/engine.ts";
import type { Reading } from "../../../drivers/formats/entry.ts";
import { describeFormatProblem, parseFormat } from "../../../drivers/formats/format.ts";
import { compileTemplate, progressOf } from "../../../drivers/formats/template.ts";
import { Tracker } from "../../../drivers/formats/tracker.ts";
import { recordFault } from "../../../drivers/record.ts";
import { parseSyslog } from "../../../drivers/syslog/message.ts";
import { logLines, seeded } from "../../support/log_fixtures.ts";

const text = (line: string) => {
  const message = parseSyslog(line);
  return typeof message === "string" ? null : message.text;
};

function problems(file: string): string[] {
  const format = parseFormat(file, "mine.toml");
  return "rules" in format ? [] : format.map(describeFormatProblem);
}

/** Every number and address of an entry, as text. */
function atoms(value: unknown): string[] {
  if (typeof value === "number" || typeof value === "string") return [String(value)];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(atoms) : [];
}

/** No number of an entry is out of the range that its name has. */
function soundness(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  for (const [key, one] of Object.entries(value)) {
    const most = /Port$/.test(key) ? 65_535 : key === "protocol" ? 255 : null;
    if (most !== null) assert.ok(Number.isInteger(one) && one >= 0 && one <= most, `${key} ${one}`);
    soundness(one);
  }
}

for (const name of Object.keys(BUILTIN_FORMATS)) {
  Deno.test(`format ${name} never makes of a cut line what the line does not say`, () => {
    const reader = compileFormat(builtinFormat(name));
    for (const line of logLines(name)) {
      const whole = text(line)!;
      const told = reader.read(whole);
      const known = new Set(told.kind === "entry" ? atoms(told.entry) : []);
      for (let length = 0; length < whole.length; length++) {
        const cut = reader.read(whole.slice(0, length));
        // The last number of a line may be cut where nothing has to follow it; then it is shorter, and that is all.
        if (cut.kind !== "entry" || told.kind !== "entry" || cut.entry.event !== told.entry.event) continue;
        const strange = atoms(cut.entry).filter((atom) => !known.has(atom));
        const last = /(\d+)$/.exec(whole.slice(0, length))?.[1];
        const said = (atom: string) => whole.includes(atom) || last !== undefined && atom.endsWith(last);
        assert.ok(strange.every(said), `${whole.slice(0, length)}: ${strange}`);
      }
    }
  });

  Deno.test(`format ${name} reads mangled lines without throwing, and what it makes of them can be carried`, () => {
    const random = seeded(7);
    const reader = compileFormat(builtinFormat(name));
    const lines = logLines(name);
    const bytes = ' 0123456789.:/=[]<>(){}",abcXYZ-\\\u00e9\u2028';
    const seen = new Set<Reading["kind"]>();
    const tracker = new Tracker(50);
    for (let n = 0; n < 3000; n++) {
      const letters = [...lines[Math.floor(random() * lines.length)]!];
      for (let change = 0; change <= random() * 6; change++) {
        const at = Math.floor(random() * letters.length);
        const letter = bytes[Math.floor(random() * bytes.length)]!;
        letters.splice(at, random() < 0.5 ? 1 : 0, ...(random() < 0.7 ? [letter] : []));
      }
      const line = text(letters.join(""));
      if (line === null) continue;
      const reading = reader.read(line);
      seen.add(reading.kind);
      if (reading.kind === "entry") {
        soundness(reading.entry);
        const record = tracker.take(reading.entry, n);
        assert.equal(record === null ? null : recordFault(record), null);
      }
      if (n % 50 === 0) explainLine(reader, line);
    }
    assert.ok(seen.has("entry"));
  });
}

Deno.test("compileTemplate() finds values, optional parts and choices anywhere in a line", () => {
  const { pattern, names } = compileTemplate(
    "Built <way:(in|out)> <id:integer>{ to <_:interface>:<to:ip>/<port:port>} << {{",
  );
  assert.deepEqual(names, ["way", "id", "to", "port"]);
  const found = (line: string) => pattern.exec(line)?.slice(1);
  assert.deepEqual(found("x Built out 12 to NP Identity:10.0.0.1/22 < {"), ["out", "12", "10.0.0.1", "22"]);
  assert.deepEqual(found("Built in   7 < {"), ["in", "7", undefined, undefined]);
  assert.equal(found("Built up 7 < {"), undefined);
});

Deno.test("compileTemplate() says what is no pattern", () => {
  for (
    const [template, reason] of [
      ["", /empty/],
      ["a <b", /no closing ">"/],
      ["a <b:color>", /no such type: word,/],
      ["a <b> <b>", /"b" twice/],
      ["{a <b>", /no closing brace/],
      ["<1>", /no <name>/],
    ] as const
  ) assert.throws(() => compileTemplate(template), reason);
});

Deno.test("progressOf() tells how far a line goes along", () => {
  const template = compileTemplate("from <a:ip> to <b:ip> port <c:port>");
  const { matched, wanted, at } = progressOf(template, "x from 10.0.0.1 to nowhere");
  assert.deepEqual([matched, wanted, at], ["from <a:ip> to ", "<b:ip>", 19]);
});

Deno.test("parseFormat() names file, line and key of everything that is wrong", () => {
  assert.deepEqual(
    problems(`name = "mine"
form = "regex"
colour = 3

[[rule]]
name = "a"
match = "a <b:color>"
event = "open"
protocol = "tcp"
source = "<x>"
destination = true

[[rule]]
name = "b"
event = "shut"
`),
    [
      "mine.toml:3: colour is no key here: name, summary, documentation, form, columns, absent, head, rule",
      'mine.toml:2: form is "regex", not one of text, pairs, csv, json',
      'mine.toml:7: rule[0].match is no pattern: "<b:color>" has no such type: word, name, integer, port, ip, ' +
      "interface, text, any, or (one|another)",
      "mine.toml:11: rule[0].destination is true, not text, a whole number or a list of texts",
      'mine.toml:15: rule[1].event is "shut", not one of open, update, refresh, close, ignore',
      'mine.toml:13: rule[1].protocol is missing: a rule with entry = "flow" needs it',
      'mine.toml:13: rule[1].source is missing: a rule with entry = "flow" needs it',
      'mine.toml:13: rule[1].destination is missing: a rule with entry = "flow" needs it',
      "mine.toml:10: rule[0].source names <x>, which no pattern or column gives",
    ],
  );
  assert.match(problems("a = [")[0]!, /^mine\.toml:\d+: is no TOML/);
  assert.deepEqual(problems('name = "x"'), ["mine.toml: rule is missing: a format needs [[rule]] tables"]);
  assert.throws(
    () => goodFormat("x", "mine.toml"),
    /Cannot use the format mine.toml:\nmine.toml:1: is no TOML/,
  );
});

Deno.test("a flow between two families of addresses is refused", () => {
  const reader = compileFormat(builtinFormat("conntrack"));
  const line = (...ends: string[]) =>
    `[NEW] udp 17 30 src=${ends[0]} dst=${ends[1]} sport=1 dport=2 src=${ends[2]} dst=${
      ends[3]
    } sport=2 dport=1`;
  const fault = (...ends: string[]) => {
    const reading = reader.read(line(...ends));
    return reading.kind === "refused" ? reading.fault : reading.kind;
  };
  assert.equal(fault("10.0.0.1", "10.0.0.2", "2001:db8::2", "2001:db8::1"), "entry", "a NAT64 is no mistake");
  assert.match(fault("10.0.0.1", "2001:db8::2", "10.0.0.2", "10.0.0.1"), /two families/);
  assert.match(fault("10.0.0.1", "10.0.0.2", "2001:db8::2", "10.0.0.1"), /two families/);
});

Deno.test("a format of one's own reads lines that no built-in one knows", () => {
  const reader = compileFormat(goodFormat(
    `name = "mine"
[[rule]]
name = "up"
match = "conn <id:integer> up <a:ip>:<ap:port> -> <b:ip>:<bp:port> via <n:ip>"
event = "open"
protocol = "udp"
source = "<a>"
source_port = "<ap>"
destination = "<b>"
destination_port = "<bp>"
nat_source = ["<m>", "<n>"]
session = "box-<id>"
timeout_s = 30
`.replace('["<m>", "<n>"]', '"<n>"'),
    "mine.toml",
  ));
  const reading = reader.read("conn 5 up 10.0.0.1:1000 -> 10.0.0.2:53 via 192.0.2.1");
  assert.ok(reading.kind === "entry" && reading.entry.what === "flow");
  assert.deepEqual(
    [reading.entry.session, reading.entry.reply?.destination, reading.entry.timeoutMs],
    ["box-5", "192.0.2.1", 30_000],
  );
});
