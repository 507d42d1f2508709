/** Syslog: headers of two RFCs and of vendors, framing however it is cut, settings, the queue, and who watches. */
import assert from "node:assert/strict";
import type { DriverEvent } from "../../../drivers/driver.ts";
import { builtinFormat } from "../../../drivers/formats/builtin.ts";
import { compileFormat } from "../../../drivers/formats/engine.ts";
import { Tracker } from "../../../drivers/formats/tracker.ts";
import { Framing } from "../../../drivers/syslog/framing.ts";
import { Intake, type IntakeMeans } from "../../../drivers/syslog/intake.ts";
import { parseSyslog, structuredValues, SYSLOG_FAULTS } from "../../../drivers/syslog/message.ts";
import { maySend, readSettings, settingsProblem, SYSLOG_SETTINGS } from "../../../drivers/syslog/settings.ts";
import { Watchers } from "../../../drivers/syslog/watchers.ts";
import { seeded } from "../../support/log_fixtures.ts";

function parts(line: string) {
  const message = parseSyslog(line);
  if (typeof message === "string") return message;
  const { priority, timestamp, host, app, text } = message;
  return [priority, timestamp, host, app, text];
}

Deno.test("parseSyslog() reads the examples of RFC 5424, structured data included", () => {
  assert.deepEqual(
    parts(
      "<34>1 2003-10-11T22:14:15.003Z mymachine.example su - ID47 - \uFEFF'su root' failed on /dev/pts/8",
    ),
    [34, "2003-10-11T22:14:15.003Z", "mymachine.example", "su", "ID47 'su root' failed on /dev/pts/8"],
  );
  const message = parseSyslog(
    '<165>1 2003-10-11T22:14:15.003-07:00 192.0.2.1 evntslog 8710 - [exampleSDID@32473 iut="3" eventSource="App \\"x\\" \\]"]' +
      '[examplePriority@32473 class="high"]',
  );
  assert.ok(typeof message !== "string");
  assert.deepEqual(Object.fromEntries(structuredValues(message.structured)), {
    "exampleSDID@32473.iut": "3",
    "exampleSDID@32473.eventSource": 'App "x" ]',
    "examplePriority@32473.class": "high",
  });
  assert.equal(parts("<34>1 2003-10-11T22:14:15 host app - - -")[4], "");
});

Deno.test("parseSyslog() reads RFC 3164 and what vendors make of it", () => {
  const cases: readonly [string, unknown][] = [
    ["<34>Oct 11 22:14:15 mymachine su: 'su root' failed", [
      34,
      "Oct 11 22:14:15",
      "mymachine",
      "su",
      "su: 'su root' failed",
    ]],
    ["<34>Oct  1 22:14:15 kernel: IN=eth0", [34, "Oct  1 22:14:15", null, "kernel", "kernel: IN=eth0"]],
    ["<166>%ASA-6-302013: Built", [166, null, null, null, "%ASA-6-302013: Built"]],
    ["<166>:%ASA-6-302013: Built", [166, null, null, null, "%ASA-6-302013: Built"]],
    ["<166>Jul 09 2022 12:00:00: %ASA-6-1: x", [166, "Jul 09 2022 12:00:00", null, null, "%ASA-6-1: x"]],
    ["<166>Jul 09 2022 12:00:00 fw01 : %ASA-6-1: x", [
      166,
      "Jul 09 2022 12:00:00",
      "fw01",
      null,
      "%ASA-6-1: x",
    ]],
    ["<189>29: *Mar  1 01:00:00.003: %SYS-5-CONFIG: x", [
      189,
      "Mar  1 01:00:00.003",
      null,
      null,
      "%SYS-5-CONFIG: x",
    ]],
    ["<14>2022-07-09T12:00:00.5+02:00 host app[1]: x", [
      14,
      "2022-07-09T12:00:00.5+02:00",
      "host",
      "app",
      "app[1]: x",
    ]],
    ["<189>date=2022-11-02 time=13:37:42 a=b", [189, null, null, null, "date=2022-11-02 time=13:37:42 a=b"]],
    ["<14>Nov 30 16:09:08 PA-220 1,2018/11/30", [14, "Nov 30 16:09:08", "PA-220", null, "1,2018/11/30"]],
    ["Oct 11 22:14:15 fe80::1 app: x", [null, "Oct 11 22:14:15", "fe80::1", "app", "app: x"]],
    ["no header at all", [null, null, null, null, "no header at all"]],
  ];
  for (const [line, expected] of cases) assert.deepEqual(parts(line), expected, line);
});

Deno.test("parseSyslog() names what it does not take", () => {
  const cases: readonly [string, string][] = [
    ["", "empty"],
    ["   ", "empty"],
    ["<192>x", "bad_priority"],
    ["<>x", "bad_priority"],
    ["<1", "bad_priority"],
    ["<1234>x", "bad_priority"],
    ["<34>1 yesterday host app - - - x", "bad_header"],
    ["<34>1 - host app -", "bad_header"],
    ['<34>1 - h a - - [id x="1" y]', "bad_structured_data"],
    ['<34>1 - h a - - [id x="1"', "bad_structured_data"],
    ['<34>1 - h a - - [id x="1"]y', "bad_structured_data"],
    ["<34>x\u0007y", "bad_text"],
    ["<34>x\0", "bad_text"],
  ];
  for (const [line, fault] of cases) assert.equal(parseSyslog(line), fault, line);
});

Deno.test("parseSyslog() never throws, whatever comes", () => {
  const random = seeded(11);
  const words = [
    "<34>",
    "1 ",
    "2003-10-11T22:14:15Z ",
    '[a b="',
    '"]',
    "Oct 11 22:14:15 ",
    "host ",
    "- ",
    "\\",
    "\u2028",
    "%",
  ];
  for (let n = 0; n < 20_000; n++) {
    let line = "";
    for (let count = random() * 12; count > 0; count--) {
      line += random() < 0.8
        ? words[Math.floor(random() * words.length)]
        : String.fromCharCode(random() * 300);
    }
    const message = parseSyslog(line);
    if (typeof message === "string") assert.ok(SYSLOG_FAULTS.includes(message));
    else assert.ok(message.priority === null || message.priority <= 191);
  }
});

const bytes = (text: string) => new TextEncoder().encode(text);

function framed(stream: Uint8Array, cuts: () => number, max = 100) {
  const framing = new Framing(max);
  const messages: string[] = [], faults: string[] = [];
  for (let at = 0; at < stream.length;) {
    const size = Math.max(1, Math.floor(cuts()));
    const out = framing.push(stream.subarray(at, at + size));
    messages.push(...out.messages.map((one) => new TextDecoder().decode(one)));
    faults.push(...out.faults);
    assert.ok(framing.heldBytes <= max + 8 + size, "what is held is bounded");
    at += size;
  }
  faults.push(...framing.end().faults);
  return { messages, faults };
}

Deno.test("Framing finds the same messages however the stream is cut, counted or in lines", () => {
  const random = seeded(5);
  for (let round = 0; round < 300; round++) {
    const messages = Array.from(
      { length: 1 + Math.floor(random() * 20) },
      (_, n) => `<34>message ${n} ü`.repeat(1 + n % 3),
    );
    const counted = bytes(messages.map((one) => `${bytes(one).length} ${one}`).join(""));
    const lines = bytes(messages.map((one) => one + ["\n", "\r\n", "\0"][round % 3]).join(""));
    for (const stream of [counted, lines]) {
      assert.deepEqual(framed(stream, () => 1 + random() * 40), { messages, faults: [] });
    }
  }
});

Deno.test("Framing tells a count from a date, and a lost count from a message", () => {
  const all = () => 1000;
  assert.deepEqual(framed(bytes("2022-07-09 host x\n2022 y\n"), all).messages, [
    "2022-07-09 host x",
    "2022 y",
  ]);
  assert.deepEqual(framed(bytes("5 <34>x\n6 <34>yz"), all).messages, ["<34>x", "<34>yz"]);
  assert.deepEqual(framed(bytes("5 <34>xjunk"), all), { messages: ["<34>x"], faults: ["framing_lost"] });
  assert.deepEqual(framed(bytes("5 <34>x999999 <34>"), all), { messages: ["<34>x"], faults: ["too_long"] });
  const framing = new Framing(100);
  framing.push(bytes("5 <34>xjunk"));
  assert.ok(framing.lost);
  assert.deepEqual(framing.push(bytes("5 <34>x")), { messages: [], faults: [] });
});

Deno.test("Framing drops a line that is too long, goes on behind it, and drops what was cut off", () => {
  const stream = bytes(`<1>a\n${"x".repeat(350)}\n<1>b\n<1>cut`);
  for (const size of [1, 7, 120, 1000]) {
    const { messages, faults } = framed(stream, () => size);
    assert.deepEqual([messages, faults], [["<1>a", "<1>b"], ["too_long", "cut_off"]], `pieces of ${size}`);
  }
});

Deno.test("settingsProblem() wants certificates or senders beyond loopback", () => {
  const tls = { certificate: "/c", key: "/k", ca: "/a" };
  const problem = (given: Record<string, string>) => settingsProblem({ format: "conntrack", ...given });
  assert.equal(problem({}), null);
  assert.equal(problem({ listen: "[::1]:514", transport: "tcp" }), null);
  for (const listen of ["0.0.0.0:514", "10.0.0.1:514", "[::]:514", "[2001:db8::1]:514"]) {
    assert.match(problem({ listen })!.reason, /anybody there could write state/);
    assert.equal(problem({ listen, senders: "10.0.0.7, 2001:db8::/64" }), null);
    assert.equal(problem({ listen, transport: "tls", ...tls }), null);
  }
  assert.deepEqual(problem({ transport: "tls", certificate: "/c" })?.key, "transport");
});

Deno.test("each setting refuses what it is not, with a reason", () => {
  const { listen, senders, format, ca } = SYSLOG_SETTINGS;
  for (const wrong of ["", "5514", "host:5514", "10.0.0.1", "10.0.0.1:70000", "::1:514"]) {
    assert.ok(listen.fault(wrong) !== null, wrong);
  }
  assert.equal(listen.fault("[2001:db8::1]:0"), null);
  assert.match(senders.fault("10.0.0.0/8, 10.0.0.256")!, /"10.0.0.256"/);
  assert.match(format.fault("cisco")!, /cisco-asa, conntrack/);
  assert.deepEqual([format.fault("/etc/mine.toml"), ca.fault("relative")], [null, "is no absolute path"]);
});

Deno.test("maySend() holds peers against prefixes, IPv4 inside IPv6 too", () => {
  const senders = ["10.0.0.0/24", "2001:db8::7"];
  assert.deepEqual(
    ["10.0.0.9", "::ffff:10.0.0.9", "2001:db8:0::7", "10.0.1.9", "", "fe80::1%eth0"].map((peer) =>
      maySend(senders, peer)
    ),
    [true, true, true, false, false, false],
  );
  assert.ok(maySend([], "203.0.113.1"));
});

function intake(queueMax: number, more: Partial<IntakeMeans> = {}) {
  const turns: (() => void)[] = [];
  const keys: string[] = [];
  const made = new Intake({
    reader: compileFormat(builtinFormat("conntrack")),
    tracker: new Tracker(100_000),
    queueMax,
    nowMs: () => 1000,
    soon: (turn) => turns.push(turn),
    changed: ({ key }) => keys.push(key),
    drained: () => {},
    odd: () => {},
    ...more,
  });
  return { made, turns, keys };
}

const line = (port: number) =>
  `[NEW] tcp 6 120 SYN_SENT src=10.1.0.11 dst=10.2.0.11 sport=${port} dport=80 [UNREPLIED] ` +
  `src=10.2.0.11 dst=10.2.0.1 sport=80 dport=${port}`;

Deno.test("Intake reads in slices, in order, and drops by name what the queue has no room for", () => {
  const { made, turns, keys } = intake(300);
  for (let port = 1; port <= 350; port++) made.put(line(port));
  assert.deepEqual([turns.length, keys.length, made.busy], [1, 0, true]);
  turns.shift()!();
  assert.ok(keys.length > 0 && keys.length < 300, "other work has its turn");
  while (turns.length > 0) turns.shift()!();
  assert.deepEqual(keys, Array.from({ length: 300 }, (_, n) => `tcp 10.1.0.11 ${n + 1} > 10.2.0.11 80`));
  const { messages, entries, queue_dropped: dropped, waiting } = made.counters();
  assert.deepEqual([messages, entries, dropped, waiting, made.busy], [300, 300, 50, 0, false]);
});

Deno.test("Intake counts every message once, by what became of it", () => {
  const odd: string[] = [];
  const { made, turns } = intake(100, { odd: (what, text) => odd.push(`${what}: ${text}`) });
  for (
    const text of [
      line(1),
      "<999>x",
      "\u0007",
      "what is this",
      line(70_000),
      "igmp 2 5 src=1.2.3.4 dst=224.0.0.1 src=1.2.3.4 dst=1.2.3.4",
    ]
  ) {
    made.put(text);
  }
  while (turns.length > 0) turns.shift()!();
  const { messages, entries, bad_priority, bad_text, not_understood, refused, passed_over } = made.counters();
  assert.deepEqual([messages, entries, bad_priority, bad_text, not_understood, refused, passed_over], [
    6,
    1,
    1,
    1,
    1,
    1,
    1,
  ]);
  assert.deepEqual(odd, [
    "not_understood: what is this",
    'refused: rule "new" fits, but its source_port "70000" is no port',
  ]);
});

const event = (reason: string): DriverEvent => ({ kind: "gap", reason });
const reasons = async (events: AsyncIterable<DriverEvent>) => {
  const found: string[] = [];
  for await (const one of events) found.push(one.kind === "gap" ? one.reason : one.kind);
  return found;
};

Deno.test("Watchers tells everybody in order, and one that is too slow of a gap", async () => {
  const watchers = new Watchers(3);
  const stop = new AbortController();
  const [fast, slow] = [watchers.watch(stop.signal), watchers.watch(stop.signal)];
  const quick = fast[Symbol.asyncIterator]();
  const got: string[] = [];
  for (const reason of ["a", "b", "c", "d", "e"]) {
    watchers.tell(event(reason));
    const next = await quick.next();
    if (!next.done && next.value.kind === "gap") got.push(next.value.reason);
  }
  assert.deepEqual(got, ["a", "b", "c", "d", "e"]);
  stop.abort();
  assert.deepEqual(await reasons(slow), ["3 changes waited, and nobody took them", "d", "e"]);
  assert.equal(watchers.dropped, 3);
  watchers.tell(event("late"));
  assert.deepEqual(await reasons(watchers.watch(stop.signal)), []);
});

Deno.test("readSettings() fills in what is not said", () => {
  const { host, port, transport, senders, tls } = readSettings({ format: "conntrack", listen: "[::1]:99" });
  assert.deepEqual([host, port, transport, senders, tls], ["::1", 99, "udp", [], null]);
});
