/** The names in filter/names.ts are those of native/abi.h. */
import assert from "node:assert/strict";
import * as names from "../../../filter/names.ts";

const native = (name: string) =>
  Deno.readTextFile(new URL(`../../../filter/native/${name}`, import.meta.url));
const header = await native("abi_words.h") + await native("abi_bfd.h") + await native("abi_steer.h") +
  await native("abi.h") +
  await native("abi_capture.h");
const bare = header.replace(/\/\*[\s\S]*?\*\//g, "");

/** Members of an enum in order, without prefix and without the count at the end, in lower case. */
function enumOf(name: string): string[] {
  const body = new RegExp(`enum ${name} \\{([^}]*)\\}`).exec(bare)?.[1];
  assert.ok(body, `abi.h has enum ${name}`);
  const members = body.split(",").map((member) => member.trim()).filter((member) => member !== "");
  assert.ok(
    members.every((member) => /^RM_[A-Z0-9_]+$/.test(member)),
    `enum ${name} counts from 0 without gaps`,
  );
  return members.map((member) => member.slice(3).toLowerCase());
}

function constant(name: string): number {
  const value = new RegExp(`#define ${name} (0x[0-9a-f]+|[0-9]+)u?\\b`).exec(bare)?.[1];
  assert.ok(value, `abi.h defines ${name}`);
  return Number(value);
}

/** [enum, prefix of its members, its count or "" where it has none, names in TypeScript] */
const TABLE: readonly (readonly [string, string, string, readonly string[]])[] = [
  ["rm_role", "", "roles", names.ROLE.map((role) => role.replaceAll("-", "_"))],
  ["rm_side", "side_", "sides", names.SIDE],
  ["rm_box", "", "boxes", names.BOX.map((box) => box.replace("-", "_"))],
  ["rm_path", "path_", "paths", names.PATH.map((path) => path.replace("-", "_"))],
  ["rm_state", "state_", "", names.STATE],
  ["rm_poll", "poll_", "", names.POLL],
  ["rm_detector", "detector_", "detectors", names.DETECTOR],
  ["rm_light", "light_", "lights", names.LIGHT],
  ["rm_event_kind", "event_", "event_kinds", names.EVENT_KIND],
  ["rm_cause", "cause_", "causes", names.CAUSE],
  ["rm_propagate", "propagate_", "propagates", names.PROPAGATE],
  ["rm_bypass", "bypass_", "bypasses", names.BYPASS],
  ["rm_why", "why_", "whys", names.WHY],
  ["rm_nature", "nature_", "natures", names.NATURE],
  ["rm_parse", "parse_", "parses", names.PARSE],
  ["rm_counter", "count_", "counters", names.COUNTER],
  ["rm_witness_kind", "witness_", "witnesses", names.WITNESS],
  ["rm_step_kind", "step_", "step_kinds", names.STEP],
  ["rm_tap", "tap_", "taps", names.TAP],
  ["rm_probe_kind", "probe_", "probe_kinds", names.PROBE_KIND],
  ["rm_probe_expect", "probe_", "probe_expects", names.PROBE_EXPECT],
  ["rm_probe_reason", "probe_", "probe_reasons", names.PROBE_REASON],
  ["rm_grey_reason", "grey_", "grey_reasons", names.GREY_REASON],
  ["rm_match_class", "match_", "match_classes", names.MATCH_CLASS],
  ["rm_age", "age_", "ages", names.AGE],
  ["rm_bfd_state", "bfd_", "bfd_states", names.BFD_STATE],
  ["rm_bfd_diag", "bfd_diag_", "bfd_diags", names.BFD_DIAG],
  ["rm_bfd_discard", "bfd_", "bfd_discards", names.BFD_DISCARD],
  ["rm_steer_phase", "steer_", "steer_phases", names.STEER_PHASE],
  ["rm_steer_state", "steered_", "steered_states", names.STEER_STATE],
];

for (const [name, prefix, count, ours] of TABLE) {
  Deno.test(`names.ts has the members of enum ${name}, in its order`, () => {
    assert.deepEqual([...ours.map((word) => prefix + word), ...(count === "" ? [] : [count])], enumOf(name));
  });
}

Deno.test("names.ts covers every enum of abi.h", () => {
  assert.deepEqual(
    [...bare.matchAll(/enum (rm_\w+) \{/g)].map(([, name]) => name),
    TABLE.map(([name]) => name),
  );
});

Deno.test("names.ts has the flags, limits and numbers of abi.h", () => {
  const prefixed = [["RM_HALF_", names.HALF_FLAG], ["RM_FLOW_", names.FLOW_FLAG], [
    "RM_",
    names.LIMIT,
  ]] as const;
  for (const [prefix, values] of prefixed) {
    for (const [name, value] of Object.entries(values)) {
      assert.equal(constant(prefix + name.toUpperCase()), value, name);
    }
  }
  const flags = [...bare.matchAll(/#define RM_(?:HALF|FLOW)_\w+ \d+u/g)].length;
  assert.equal(flags, Object.keys(names.HALF_FLAG).length + Object.keys(names.FLOW_FLAG).length);
  assert.equal(constant("RM_ABI_VERSION"), names.ABI_VERSION);
  assert.equal(constant("RM_NO_FLOW"), names.NO_FLOW);
  assert.match(bare, new RegExp(`sizeof\\(struct rm_flow\\) == ${names.FLOW_BYTES}\\b`));
  assert.equal(constant("RM_CAPTURE_MAGIC"), names.CAPTURE_MAGIC);
});
