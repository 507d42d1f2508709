/** A chain as configurations of its stages: who is joined to whom, what is common, what is a stage's own. */
import assert from "node:assert/strict";
import { type Config, configuredRoles, parseConfig } from "../../../appliance/config.ts";
import { stageNames, stageText } from "../../../appliance/stages.ts";

const ports = (letter: string) =>
  ["primary_in", "primary_out", "redundant_in", "redundant_out"].map((key, i) =>
    `${key} = "af_packet:${letter}${i}"`
  );
const table = (name: string, letter: string, more: readonly string[] = []) => [
  "[[stage]]",
  `name = "${name}"`,
  ...ports(letter),
  ...more,
];
const ALONE = ["[ports]", 'upstream = "af_packet:up"', 'downstream = "af_packet:down"', ...ports("a")];

function configOf(text: string, stage: string | null): Config {
  const { config, problems } = parseConfig(stageText(text, stage)!, "stage");
  assert.deepEqual(problems, []);
  return config!;
}

function problemsOf(lines: readonly string[]): string[] {
  return parseConfig(lines.join("\n"), "t.toml").problems.map(({ key, reason }) => `${key} ${reason}`);
}

const specs = (config: Config) => configuredRoles(config).map((role) => config.ports[role]!.spec);

Deno.test("stageText() is the text itself where there is one stage, and null for one there is not", () => {
  const text = `${ALONE.join("\n")}\n# as it stands\n`;
  assert.equal(stageText(text, null), text);
  assert.equal(stageText(text, "ids"), null);
  assert.deepEqual(stageNames(text), []);
});

Deno.test("stageText() joins each stage to the next, and gives it directories and processors of its own", () => {
  const text = [
    "[node]",
    'name = "edge"',
    'runtime_directory = "/run/x"',
    'state_directory = "/var/x"',
    ...ALONE,
    "[[redundant]]",
    'in = "af_packet:r0"',
    'out = "af_packet:r1"',
    ...table("ids", "b", ['preset = "ids"']),
    ...table("nat", "c"),
    "[plane]",
    "core = 2",
    "cores = 2",
    "[filter]",
    'preset = "firewall"',
    "budget_mbit = 7",
    "[capture]",
    'directory = "/data/c"',
    "[api]",
    'socket = "/run/api.sock"',
  ].join("\n");
  const whole = parseConfig(text, "t.toml").config!;
  assert.deepEqual([whole.stages, stageNames(text)], [["ids", "nat"], ["ids", "nat"]]);
  const [first, ids, nat] = [null, "ids", "nat"].map((stage) => configOf(text, stage)) as [
    Config,
    Config,
    Config,
  ];
  const a = ["af_packet:a0", "af_packet:a1", "af_packet:a2", "af_packet:a3", "af_packet:r0", "af_packet:r1"];
  assert.deepEqual(specs(first), ["af_packet:up", "memif:@/run/x/1,role=server", ...a]);
  assert.deepEqual(specs(ids).slice(0, 3), [
    "memif:@/run/x/1,role=client",
    "memif:@/run/x/2,role=server",
    "af_packet:b0",
  ]);
  assert.deepEqual(specs(nat).slice(0, 3), ["memif:@/run/x/2,role=client", "af_packet:down", "af_packet:c0"]);
  assert.deepEqual([first, ids, nat].map(({ node }) => node.name), ["edge", "edge-ids", "edge-nat"]);
  assert.deepEqual([first, ids].map(({ api }) => api.socket), ["/run/api.sock", "/run/x/ids/control.sock"]);
  assert.deepEqual([ids.node.stateDirectory, ids.capture.directory], ["/var/x/ids", "/data/c/ids"]);
  assert.deepEqual([first, ids, nat].map(({ plane }) => plane.core), [2, 4, 6]);
  assert.deepEqual([first, ids, nat].map(({ filter }) => filter.preset), ["firewall", "ids", "firewall"]);
  assert.deepEqual([first, ids].map(({ filter }) => filter.budget.bytesPerSecond), [875_000, 875_000]);
  assert.deepEqual([first, ids, nat].map(({ stages, boxes }) => [stages.length, boxes.length]), [[0, 3], [
    0,
    2,
  ], [0, 2]]);
});

Deno.test("parseConfig() refuses stages of one name, too many of them, ports that are taken, and more than two cores", () => {
  assert.deepEqual(problemsOf([...ALONE, ...table("x", "b"), ...table("x", "c")]), [
    "stage[1].name is the name of stage[0] as well",
  ]);
  assert.deepEqual(problemsOf([...ALONE, ...table("capture", "b")]), [
    "stage[0].name is a directory of the node's own",
  ]);
  assert.deepEqual(problemsOf([...ALONE, ...["b", "c", "d", "e", "f"].flatMap((l) => table(l, l))]), [
    "stage are too many: 5",
  ]);
  assert.match(
    problemsOf([...ALONE, ...table("x", "a")])[0]!,
    /^stage\[0\].primary_in holds interface a0, which is already/,
  );
  assert.deepEqual(problemsOf([...ALONE, ...table("x", "b"), "[plane]", "cores = 4"]), [
    "plane.cores is more than 2, and stages are joined by ports with one queue",
  ]);
});
