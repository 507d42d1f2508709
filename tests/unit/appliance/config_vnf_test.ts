/** Templates of VNFs in the configuration: what comes of good tables, and what every bad one is told. */
import assert from "node:assert/strict";
import { parseConfig } from "../../../appliance/config.ts";
import { stageText } from "../../../appliance/stages.ts";

const PORTS = ["upstream", "downstream", "primary_in", "primary_out", "redundant_in", "redundant_out"]
  .map((role) => `${role} = "null"`).join("\n");

function parsed(...tables: string[]) {
  return parseConfig(`[ports]\n${PORTS}\n${tables.join("\n")}`, "t.toml");
}

const FW = '[[vnf]]\nname = "fw-b"\nwhere = "fw"\nstart = "nft -f b.nft"';

Deno.test("parseConfig() makes templates of VNFs, with defaults", () => {
  const { config, problems } = parsed(FW, "stays = false");
  assert.deepEqual(problems, []);
  const [fw] = config!.vnfs;
  assert.deepEqual([fw!.box, fw!.in, fw!.where, fw!.stays, fw!.health], [
    "redundant",
    "namespace",
    "fw",
    false,
    null,
  ]);
  assert.deepEqual([fw!.restartMs, fw!.restartMsMax, fw!.autostart], [500, 30_000, true]);
  assert.deepEqual(parsed().config!.vnfs, []);
});

Deno.test("parseConfig() tells every problem of VNFs at once", () => {
  const { problems } = parsed(
    FW,
    FW,
    '[[vnf]]\nname = "a b"\nstart = ""\nin = "unit"\nrestart_ms = 9000\nrestart_ms_max = 100\nstop_sm = 1',
  );
  const told = problems.map(({ key, reason }) => `${key} ${reason}`).join("\n");
  for (
    const wanted of [
      "vnf[1].name is that of vnf[0] as well",
      "vnf[2].name is no name of a VNF",
      "vnf[2].start is no command",
      "vnf[2].where is missing, and it is to run in a unit",
      "vnf[2].restart_ms_max is below restart_ms, 9000",
      'vnf[2].stop_sm is no key of [vnf]: did you mean "stop"?',
    ]
  ) assert.ok(told.includes(wanted), `${wanted}\n---\n${told}`);
});

Deno.test("stageText() leaves VNFs to the first stage", () => {
  const stage =
    `[[stage]]\nname = "ids"\nprimary_in = "null"\nprimary_out = "null"\nredundant_in = "null"\nredundant_out = "null"`;
  const text = `[ports]\n${PORTS}\n${FW}\n${stage}\n`;
  assert.match(stageText(text, null) ?? "", /fw-b/);
  assert.doesNotMatch(stageText(text, "ids") ?? "", /fw-b/);
});
