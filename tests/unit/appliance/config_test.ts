/** The configuration as a whole: what a good file becomes, and that bad ones tell everything at once. */
import assert from "node:assert/strict";
import { describeProblem, parseConfig, type Parsed, type Problem } from "../../../appliance/config.ts";

const FIXTURES = new URL("../../fixtures/config/", import.meta.url);
const PORTS = `[ports]
upstream = "af_packet:up"
downstream = "af_packet:down"
primary_in = "af_packet:pin"
primary_out = "af_packet:pout"
redundant_in = "af_packet:rin"
redundant_out = "af_packet:rout"
`;

function fixture(name: string): Parsed {
  return parseConfig(Deno.readTextFileSync(new URL(name, FIXTURES)), name);
}

/** What is wrong with good ports and `more`. Lines count from the first of `more`. */
function problemsOf(more: string): Problem[] {
  return parseConfig(PORTS + more, "t.toml").problems.map((problem) => ({
    ...problem,
    line: problem.line === null ? null : problem.line - 7,
  }));
}

function only(problems: readonly Problem[]): Problem {
  assert.equal(problems.length, 1, problems.map(describeProblem).join("\n"));
  return problems[0]!;
}

Deno.test("parseConfig() fills in every default when only the ports are given", () => {
  const { config, problems, warnings } = fixture("minimal.toml");
  assert.deepEqual(problems, []);
  assert.deepEqual(warnings, []);
  assert.ok(config);
  assert.equal(config.node.name, "remediate");
  assert.equal(config.api.socket, "/run/remediate/control.sock");
  assert.equal(config.ports["primary-in"].target, "pin");
  assert.deepEqual(config.plane, {
    core: null,
    cores: 1,
    hugepages: "auto",
    memoryMib: 256,
    flowsMax: 131072,
    frameBytesMax: 9216,
    spinUs: 50,
    flowSlots: 262144,
  });
  assert.deepEqual(config.failover, {
    automatic: true,
    learningFirst: false,
    silenceMs: 20,
    silenceMsMin: 6,
    silenceMsMax: 0,
    silenceLearnS: 60,
    silencePackets: 8,
    holdUpMs: 3000,
    drainMs: 5,
    pauseMs: 20,
    stallMs: 5,
    deadPolicy: "forward",
    choose: "order",
    failback: "manual",
    failbackAfterS: 60,
    failbackWindow: null,
    votes: {
      needed: 1,
      probe: 1,
      bfd: 1,
      grey: 1,
      check: 1,
      probeStaleMs: 3000,
      bfdStaleMs: 3000,
      greyStaleMs: 5000,
      checkStaleMs: 5000,
      lastBox: "proven",
    },
    damping: { halfLifeS: 900, suppressAbove: 2000, reuseBelow: 750, suppressSMax: 3600 },
    holdRingMs: null,
    guardMs: 1000,
    fixup: true,
    announce: "auto",
    propagateLink: "off",
    bypass: "off",
  });
  assert.equal(config.filter.ages.tcpOpeningS, 120);
});

Deno.test("parseConfig() tells ten different mistakes as ten problems, each with key, line and form", () => {
  const { config, problems } = fixture("ten_mistakes.toml");
  assert.equal(config, undefined);
  assert.deepEqual(problems.map((problem) => [problem.line, problem.key, problem.found]), [
    [3, "node.name", '"edge 1"'],
    [5, "ports.redundant_out", null],
    [7, "ports.downstream", '"eth2"'],
    [8, "ports.primary_in", '"af_xdp:eth1"'],
    [10, "ports.redundant_in", '"memif:/run/a.sock,role=boss"'],
    [13, "plane.memory_mib", '"256"'],
    [14, "plane.spin_us", "2000000"],
    [17, "filter.preset", '"firewal"'],
    [22, "filter.rules[0].all", "true"],
    [26, "failover.silence", "10"],
  ]);
  for (const problem of problems) {
    const clear = problem.accepted !== null || problem.reason.includes("did you mean");
    assert.ok(clear, `nothing says what would be right: ${describeProblem(problem)}`);
  }
});

Deno.test("parseConfig() gives line and column of what is not TOML", () => {
  const problem = only(parseConfig("[node]\nname = = 1\n", "t.toml").problems);
  assert.equal(describeProblem(problem), "t.toml:2:8: Cannot read TOML: invalid value");
  assert.equal(only(parseConfig("a = 1\na = 2\n", "t.toml").problems).line, 2);
});

Deno.test("parseConfig() of an empty text misses the six ports and nothing else", () => {
  const { problems } = parseConfig("", "t.toml");
  assert.equal(problems.length, 6);
  for (const problem of problems) assert.equal(problem.reason, "is missing");
  assert.equal(problems[0]!.line, null);
});

Deno.test("parseConfig() refuses unknown keys and sections and offers the near one", () => {
  assert.match(only(problemsOf('[log]\nlevle = "info"\n')).reason, /did you mean "level"/);
  assert.match(only(problemsOf('[logs]\nlevel = "info"\n')).reason, /is no section: did you mean "log"/);
  assert.match(only(problemsOf("[log]\nfailback = 1\n")).reason, /it belongs in \[failover\]/);
  const strange = only(problemsOf("[log]\ncolour = 1\n"));
  assert.equal(strange.accepted, "one of level, format");
  assert.equal(strange.line, 2);
});

Deno.test("parseConfig() takes a power of two for plane.cores, and more than two only with ports that have queues", () => {
  assert.deepEqual(problemsOf("[plane]\ncores = 16\n"), []);
  assert.match(only(problemsOf("[plane]\ncores = 3\n")).reason, /is no power of two/);
  assert.match(only(problemsOf("[plane]\ncores = 32\n")).reason, /too large/);
  const tap = PORTS.replace(/^upstream = .*$/m, 'upstream = "tap:t"');
  assert.deepEqual(parseConfig(`${tap}[plane]\ncores = 2\n`, "t.toml").problems, []);
  const problem = only(parseConfig(`${tap}[plane]\ncores = 4\n`, "t.toml").problems);
  assert.deepEqual([problem.key, problem.found], ["ports.upstream", '"tap:t"']);
  assert.match(problem.reason, /has one receive queue, and plane.cores = 4 needs 2/);
});

Deno.test("parseConfig() judges each type by itself", () => {
  assert.match(only(problemsOf('[failover]\nsilence_ms = "20"\n')).reason, /leave out the quotes/);
  assert.match(only(problemsOf("[failover]\nsilence_ms = 20.0\n")).reason, /is a fraction, not an integer/);
  assert.match(only(problemsOf("[failover]\nsilence_ms = -1\n")).reason, /too small/);
  assert.match(only(problemsOf("[plane]\nmemory_mib = 9223372036854775807\n")).reason, /too large/);
  assert.match(only(problemsOf('[failover]\nautomatic = "true"\n')).reason, /leave out the quotes/);
  assert.match(only(problemsOf("[failover]\nautomatic = 1\n")).reason, /is an integer, not true or false/);
  assert.match(only(problemsOf("[log]\nlevel = 2024-01-01\n")).reason, /is a date, not a text/);
  assert.match(only(problemsOf("log = 1\n")).reason, /no key of \[ports\]/);
  assert.match(only(problemsOf("[node]\nname = []\n")).reason, /is an array, not a text/);
});

Deno.test("parseConfig() wants tables where tables belong", () => {
  const { problems } = parseConfig(`log = "info"\nfilter = { rules = 3, ages = [1] }\n${PORTS}`, "t.toml");
  assert.deepEqual(problems.map((problem) => [problem.line, problem.key, problem.accepted]), [
    [1, "log", "a table, [log]"],
    [2, "filter.rules", "tables, each headed [[filter.rules]]"],
    [2, "filter.ages", "a table, [filter.ages]"],
  ]);
});

Deno.test("parseConfig() takes 0 where 0 means off, and bounds where they are", () => {
  const good = parseConfig(`${PORTS}[failover]\nsilence_ms = 0\nhold_up_ms = 0\ndrain_ms = 0\n`, "t.toml");
  assert.deepEqual(good.problems, []);
  assert.equal(good.config?.failover.silenceMs, 0);
  assert.match(good.warnings[0]!.reason, /is off: a box that dies with its links up/);
  assert.equal(
    only(problemsOf("[failover]\nsilence_packets = 0\n")).accepted,
    "an integer from 2 to 1000000",
  );
  assert.equal(only(problemsOf("[failover]\nstall_ms = 0\n")).accepted, "an integer from 1 to 1000");
});

Deno.test("describeProblem() says place, key, reason, found and accepted in one line", () => {
  const { problems } = parseConfig(`${PORTS}[plane]\nspin_us = -5\n`, "t.toml");
  assert.equal(
    describeProblem(only(problems)),
    "t.toml:9: plane.spin_us is too small; found -5; accepted: an integer from 1 to 1000000, or 0 (sleeps at once)",
  );
});

Deno.test("parseConfig() says where the API would be even when the file is wrong", () => {
  const text = '[node]\nruntime_directory = "/run/other"\nnmae = "x"\n';
  assert.equal(parseConfig(text, "t.toml").socket, "/run/other/control.sock");
  assert.equal(parseConfig("= =", "t.toml").socket, undefined);
});
