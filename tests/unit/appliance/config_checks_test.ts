/** Keys against each other: what the second pass refuses, warns of, and leaves alone. */
import assert from "node:assert/strict";
import { type Config, configuredRoles, parseConfig, type Parsed } from "../../../appliance/config.ts";
import { addedRoles, planeFixed } from "../../../appliance/config_fixed.ts";
import { flowSlots } from "../../../appliance/config_checks.ts";

const ROLES = ["upstream", "downstream", "primary_in", "primary_out", "redundant_in", "redundant_out"];

function parsed(more: string, ports: Record<string, string> = {}): Parsed {
  const lines = ROLES.map((role, index) => `${role} = "${ports[role] ?? `af_packet:p${index}`}"`);
  return parseConfig(`[ports]\n${lines.join("\n")}\n${more}`, "t.toml");
}

function reasons(more: string, ports: Record<string, string> = {}): string[] {
  return parsed(more, ports).problems.map((problem) => `${problem.key} ${problem.reason}`);
}

function warnings(more: string): string[] {
  return parsed(more).warnings.map((problem) => `${problem.key} ${problem.reason}`);
}

function good(more: string): Config {
  const { config, problems } = parsed(more);
  assert.deepEqual(problems, []);
  return config!;
}

Deno.test("parseConfig() refuses one port in two roles, however it is written", () => {
  assert.deepEqual(reasons("", { upstream: "0000:0A:00.1", downstream: "0000:0a:00.1" }), [
    "ports.downstream holds PCI device 0000:0a:00.1, which is already ports.upstream",
  ]);
  assert.deepEqual(reasons("", { primary_in: "af_xdp:x", redundant_in: "af_packet:x" }), [
    "ports.redundant_in holds interface x, which is already ports.primary_in",
  ]);
  assert.deepEqual(
    reasons("", { primary_in: "memif:/a,role=client", redundant_in: "memif:/a,role=server" }),
    [
      "ports.redundant_in holds socket /a, which is already ports.primary_in",
    ],
  );
  assert.equal(reasons("", { primary_in: "pcap:/a", redundant_in: "pcap:/a" }).length, 1);
});

const box = (i: number, more = "") =>
  `[[redundant]]\nin = "af_packet:f${i}"\nout = "af_packet:g${i}"\n${more}\n`;

Deno.test("parseConfig() gives boxes names and ranks, and further ones ports by their place", () => {
  assert.deepEqual(good("").boxes, [
    { box: "primary", name: "primary", rank: 0, weight: 100 },
    { box: "redundant", name: "redundant", rank: 100, weight: 100 },
  ]);
  const config = good(box(0, 'name = "fw-c"') + box(1, "order = 7"));
  assert.deepEqual(config.boxes.slice(2), [
    { box: "redundant-2", name: "fw-c", rank: 200, weight: 100 },
    { box: "redundant-3", name: "redundant-3", rank: 7, weight: 100 },
  ]);
  assert.deepEqual(configuredRoles(config).slice(6).map((role) => [role, config.ports[role]!.spec]), [
    ["redundant-2-in", "af_packet:f0"],
    ["redundant-2-out", "af_packet:g0"],
    ["redundant-3-in", "af_packet:f1"],
    ["redundant-3-out", "af_packet:g1"],
  ]);
});

Deno.test("parseConfig() refuses boxes too many, names that are taken, and ports that are", () => {
  assert.deepEqual(reasons(box(0) + box(1) + box(2)), ["redundant are too many: 3"]);
  assert.deepEqual(reasons(box(0, 'name = "a"') + box(1, 'name = "a"')), [
    "redundant[1].name is the name of redundant[0] as well",
  ]);
  assert.deepEqual(reasons(box(0, 'name = "redundant"')), [
    "redundant[0].name is the name of a box by its place",
  ]);
  assert.deepEqual(reasons(box(0, 'name = "redundant-2"')), []);
  assert.deepEqual(reasons('[[redundant]]\nin = "af_packet:p2"\nout = "af_packet:g"\n'), [
    "redundant[0].in holds interface p2, which is already ports.primary_in",
  ]);
  assert.deepEqual(reasons('[[redundant]]\nin = "af_packet:x"\n'), ["redundant[0].out is missing"]);
  assert.match(
    reasons('[[redundant]]\nin = "gen:flows=0"\nout = "null"\n[plane]\ncores = 4\n')[0]!,
    /^redundant\[0\].in has one/,
  );
});

Deno.test("planeFixed() and addedRoles() tell a box that came from one that changed", () => {
  const before = good(""), after = good(box(0)), other = good(box(1));
  assert.deepEqual(addedRoles(before, after), ["redundant-2-in", "redundant-2-out"]);
  assert.deepEqual(planeFixed(before, after), ["redundant[0].in", "redundant[0].out"]);
  assert.deepEqual([addedRoles(after, other), planeFixed(after, other)], [[], [
    "redundant[0].in",
    "redundant[0].out",
  ]]);
  assert.deepEqual([addedRoles(after, before), planeFixed(after, good(box(0, "order = 7")))], [[], []]);
});

Deno.test("parseConfig() lets several roles be null", () => {
  const all = Object.fromEntries(ROLES.map((role) => [role, "null"]));
  assert.deepEqual(reasons("", all), []);
});

Deno.test("parseConfig() refuses a silence that a stall of the node would pass for", () => {
  assert.match(
    reasons("[failover]\nsilence_ms = 4\n")[0]!,
    /^failover.silence_ms is shorter than failover.stall_ms/,
  );
  assert.deepEqual(reasons("[failover]\nsilence_ms = 5\n"), []);
  assert.deepEqual(reasons("[failover]\nsilence_ms = 0\n"), []);
});

Deno.test("parseConfig() refuses a failback that nothing could carry out", () => {
  assert.equal(reasons('[failover]\nautomatic = false\nfailback = "automatic"\n').length, 1);
  const early = '[failover]\nfailback = "automatic"\nfailback_after_s = 1\nhold_up_ms = 3000\n';
  assert.match(reasons(early)[0]!, /^failover.failback_after_s is shorter than failover.hold_up_ms/);
  assert.match(warnings("[failover]\nfailback_after_s = 5\n")[0]!, /has no effect/);
  assert.match(warnings('[failover]\nfailback_window = "22:00-02:00"\n')[0]!, /has no effect/);
  assert.match(reasons('[failover]\nfailback_window = "2-4"\n')[0]!, /failback_window is no span of a day/);
});

Deno.test("parseConfig() keeps directories and sockets apart", () => {
  assert.equal(reasons('[node]\nruntime_directory = "/var/lib/remediate"\n').length, 1);
  assert.equal(reasons('[api]\nsocket = "/run/remediate"\n').length, 1);
  const text = '[api]\nsocket = "/run/m.sock"\n';
  assert.match(reasons(text, { upstream: "memif:/run/m.sock" })[0]!, /holds the socket of the API/);
});

Deno.test("parseConfig() keeps no ring of captured frames by default, and none without a buffer", () => {
  const { stateDirectory } = good("").node;
  assert.deepEqual(good("").capture, {
    ...{ bufferMib: 4, snapBytes: 128, ringMib: 0 },
    directory: `${stateDirectory}/capture`,
  });
  assert.equal(good('[capture]\ndirectory = "/data/c"\nring_mib = 64\n').capture.directory, "/data/c");
  assert.deepEqual(reasons("[capture]\nbuffer_mib = 0\n"), []);
  assert.match(reasons("[capture]\nbuffer_mib = 0\nring_mib = 64\n")[0]!, /^capture\.ring_mib needs frames/);
});

Deno.test("parseConfig() puts rules of the file ahead of those of the preset", () => {
  const config = good('[filter]\npreset = "lb"\n[[filter.rules]]\nname = "a"\nmatch = "udp"\nall = true\n');
  assert.equal(config.filter.rules[0]!.name, "a");
  assert.ok(config.filter.rules.length > 1);
  assert.equal(config.filter.rules[0]!.seed, false);
  assert.deepEqual(good('[filter]\npreset = "none"\n').filter.rules.map((rule) => rule.none), [true]);
});

Deno.test("parseConfig() lets a rule override its base preset, keep-alive in milliseconds", () => {
  const base = '[[filter.rules]]\nname = "a"\nmatch = "tcp"\npreset = "nat"\n';
  const inherited = good(base).filter.rules[0]!;
  const changed = good(`${base}teardown = ${!inherited.teardown}\nkeepalive_s = 7\nfirst_bytes = 9\n`);
  assert.deepEqual(changed.filter.rules[0], {
    ...inherited,
    teardown: !inherited.teardown,
    keepaliveMs: 7000,
    firstBytesUp: 9,
    firstBytesDown: 9,
  });
  assert.equal(inherited.match, "tcp");
  assert.equal(inherited.handshake, true);
});

Deno.test("parseConfig() refuses rules that share a name, contradict themselves or are too many", () => {
  const rule = (name: string, more: string) => `[[filter.rules]]\nname = "${name}"\nmatch = "tcp"\n${more}\n`;
  assert.match(
    reasons(rule("a", "all = true") + rule("a", "all = true"))[0]!,
    /^filter.rules\[1\].name is the name of/,
  );
  assert.match(reasons(rule("a", "none = true\nfirst_packets = 2"))[0]!, /first_packets contradicts none/);
  const many = Array.from({ length: 17 }, (_, index) => rule(`r${index}`, "all = true")).join("");
  assert.match(reasons(many)[0]!, /^filter.rules are too many: 17/);
});

Deno.test("parseConfig() refuses what a rule cannot mean, with the reason", () => {
  const rule = (more: string) => `[[filter.rules]]\nname = "a"\nmatch = "tcp"\n${more}\n`;
  const table: readonly (readonly [string, RegExp | null])[] = [
    ["all = true\nsample = 5", /\.sample contradicts all = true/],
    ["turn_bytes_max = 100", /\.turn_bytes_max bounds turns, and the rule has none/],
    ["turn_bytes_up = 200\nturn_bytes_max = 100", /\.turn_bytes_max is less than one turn/],
    ["turn_bytes_down = 100\nturn_bytes_max = 100", null],
    ["handshake = true\nplaintext = true", /\.plaintext has nothing to end/],
    ["all = true\nplaintext = true", /\.plaintext contradicts all = true/],
    ["handshake = true\nacks = true", /\.acks has nothing to acknowledge/],
    ["first_packets = 5\nacks = true", null],
    ["keepalive_window = true", /\.keepalive_window needs the handshake/],
    ['preset = "nat"\nkeepalive_window = true', null],
    ['preset = "ids-full"\nturn_bytes_max = 400', /\.turn_bytes_max is less than one turn/],
    ['preset = "ids-full"\nturn_bytes_max = 0', null],
    ["none = true\nturn_bytes_up = 5", /\.turn_bytes_up contradicts none = true/],
    ["none = true\nkeepalive_window = true", /\.keepalive_window contradicts none = true/],
  ];
  for (const [more, reason] of table) {
    const found = reasons(rule(more));
    if (reason === null) assert.deepEqual(found, [], more);
    else assert.match(found[0] ?? "", reason, more);
  }
  assert.match(parsed(rule("sample = 1")).problems[0]!.reason, /is too small/);
});

Deno.test("parseConfig() turns the budget into bytes, and is without one by default", () => {
  const { filter } = good("[filter]\nbudget_mbit = 8\nbudget_pps = 900\ninner = true\n");
  assert.deepEqual([filter.budget, filter.inner], [
    { bytesPerSecond: 1_000_000, packetsPerSecond: 900 },
    true,
  ]);
  const { budget, inner } = good("").filter;
  assert.deepEqual([budget, inner], [{ bytesPerSecond: 0, packetsPerSecond: 0 }, false]);
});

Deno.test("parseConfig() opens tunnels for an IDS, unless told otherwise", () => {
  const inner = (lines: string) => good(`[filter]\n${lines}\n`).filter.inner;
  assert.deepEqual(
    ['preset = "ids"', 'preset = "ids-full"', 'preset = "firewall"', 'preset = "ids"\ninner = false'].map(
      inner,
    ),
    [true, true, false, false],
  );
});

Deno.test("parseConfig() lets a direction override first_bytes of both", () => {
  const [rule] =
    good('[[filter.rules]]\nname = "a"\npreset = "ids"\nfirst_bytes = 9\nfirst_bytes_up = 7\n').filter.rules;
  assert.deepEqual([rule!.firstBytesUp, rule!.firstBytesDown, rule!.plaintext], [7, 9, true]);
});

Deno.test("parseConfig() warns of rules without effect and of rules that are never reached", () => {
  assert.match(warnings('[[filter.rules]]\nname = "a"\nmatch = "tcp"\n')[0]!, /copies and seeds nothing/);
  const shadowed = '[[filter.rules]]\nname = "a"\nall = true\n[[filter.rules]]\nname = "b"\nall = true\n';
  assert.match(warnings(shadowed)[0]!, /^filter.rules\[1\] is never reached/);
  assert.deepEqual(warnings('[[filter.rules]]\nname = "a"\nmatch = "tcp"\nnone = true\n'), []);
});

Deno.test("flowSlots() is the next power of two at which the table is at most half full", () => {
  assert.equal(flowSlots(131072), 262144);
  assert.equal(flowSlots(131073), 524288);
  assert.equal(flowSlots(1024), 2048);
  assert.match(warnings("[plane]\nflows_max = 16777216\n")[0]!, /takes 12 GiB/);
});

Deno.test("parseConfig() refuses votes that nobody has", () => {
  const check = '[[check]]\nname = "a"\naddress = "192.0.2.1"\n';
  assert.deepEqual(reasons("[failover.votes]\nneeded = 1\n"), []);
  assert.match(
    reasons("[failover.votes]\nneeded = 2\n")[0]!,
    /^failover.votes.needed is never reached: no detector/,
  );
  assert.match(reasons(`[failover.votes]\nneeded = 2\n${check}`)[0]!, /never reached: check have 1 together/);
  assert.deepEqual(reasons(`[failover.votes]\nneeded = 2\ncheck = 2\n${check}`), []);
  assert.match(warnings("[failover.votes]\nbfd = 3\n")[0]!, /^failover.votes.bfd has no effect/);
});

Deno.test("parseConfig() keeps the bounds of silence in order, and lets a default give way", () => {
  assert.deepEqual(reasons("[failover]\nsilence_ms = 5\n"), []);
  assert.deepEqual(reasons("[failover]\nstall_ms = 9\n"), []);
  assert.equal(good("").failover.silenceMsMin, 6);
  assert.equal(good("[failover]\nsilence_ms = 300\n").failover.silenceMsMin, 0, "taken at their word");
  assert.equal(good("[failover]\nsilence_ms = 300\nsilence_ms_min = 50\n").failover.silenceMsMin, 50);
  assert.match(reasons("[failover]\nsilence_ms_min = 5\n")[0]!, /is not longer than failover.stall_ms \(5\)/);
  assert.match(reasons("[failover]\nsilence_ms_min = 30\n")[0]!, /is longer than failover.silence_ms \(20\)/);
  assert.match(
    reasons("[failover]\nsilence_ms_max = 19\n")[0]!,
    /is shorter than failover.silence_ms \(20\)/,
  );
});

Deno.test("parseConfig() refuses damping that never begins or never ends", () => {
  assert.match(reasons("[failover.damping]\nreuse_below = 2000\n")[0]!, /is not below/);
  assert.match(reasons("[failover.damping]\nsuppress_s_max = 60\n")[0]!, /no box ever reaches/);
  assert.deepEqual(reasons("[failover.damping]\nsuppress_above = 0\nsuppress_s_max = 60\n"), []);
});

Deno.test("parseConfig() tells what each kind of check needs and cannot use", () => {
  const of = (text: string) => reasons(`[[check]]\nname = "a"\n${text}\n`);
  const address = 'address = "192.0.2.1"\n';
  assert.deepEqual(of(address), []);
  assert.match(of("")[0]!, /^check\[0\].address is missing: a check of kind "icmp" needs it/);
  assert.match(of(`${address}port = 1`)[0]!, /^check\[0\].port has no use in a check of kind "icmp"/);
  assert.match(of(`kind = "tcp"\n${address}`)[0]!, /port is missing/);
  assert.match(of(`kind = "neighbour"\n${address}`)[0]!, /interface is missing/);
  assert.match(of('kind = "http"\nurl = "http://192.0.2.1/"\ninterface = "m"')[0]!, /interface has no use/);
  assert.match(of('kind = "http"\nurl = "https://fw.example/"')[0]!, /holds a name in place of an address/);
  assert.match(of('kind = "http"\nurl = "ftp://192.0.2.1/"')[0]!, /neither http nor https/);
  assert.deepEqual(of('kind = "http"\nurl = "https://[2001:db8::1]:8443/x"'), []);
  for (const bad of ["fw.example", "192.0.2", "192.0.2.256", "::g", "1:2"]) {
    assert.match(of(`address = "${bad}"`)[0]!, /is no address/, bad);
  }
  assert.deepEqual(of('address = "2001:db8::1"'), []);
  assert.match(of(`${address}timeout_ms = 2000`)[0]!, /timeout_ms is longer than interval_ms/);
  assert.match(of(`${address}box = "redundant-2"`)[0]!, /is no box of this node/);
  const twice = `[[check]]\nname = "a"\n${address}`;
  assert.match(reasons(twice + twice)[0]!, /is the name of check\[0\] as well/);
});

Deno.test("parseConfig() refuses a bypass that dead_policy forbids, and warns of a hold ring shorter than silence", () => {
  assert.deepEqual(reasons('[failover]\ndead_policy = "block"\nbypass = "on_failure"\n'), [
    'failover.bypass would pass traffic around the boxes, which failover.dead_policy = "block" forbids',
  ]);
  assert.deepEqual(warnings("[failover]\nhold_ring_ms = 20\n"), [
    "failover.hold_ring_ms is not longer than failover.silence_ms (20): what a silent box swallowed first is lost",
  ]);
  assert.deepEqual(warnings("[failover]\nhold_ring_ms = 21\n"), []);
  assert.deepEqual(warnings("[failover]\nhold_ring_ms = 0\n"), []);
});

Deno.test("parseConfig() wants a silence for canaries through the box that serves", () => {
  const drill = '[drill]\nclient = "10.1.0.250"\nserver = "10.2.0.250"\ntwin = true\n';
  assert.deepEqual(reasons(drill), ["drill.twin is of silent canaries, and drill.idle_s is off"]);
  assert.equal(good(`${drill}idle_s = 60`).drill.twin, true);
});
