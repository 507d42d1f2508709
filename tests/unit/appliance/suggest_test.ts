/** Did you mean: near words are offered, far ones are not. */
import assert from "node:assert/strict";
import { slips, suggest } from "../../../appliance/suggest.ts";

Deno.test("slips() counts what is missing, added, wrong or swapped", () => {
  assert.equal(slips("abc", "abc"), 0);
  assert.equal(slips("", "abc"), 3);
  assert.equal(slips("levle", "level"), 1);
  assert.equal(slips("kitten", "sitting"), 3);
  assert.equal(slips("ca", "abc"), 3);
});

Deno.test("suggest() forgives small slips, dashes and a missing unit", () => {
  const known = ["silence_ms", "silence_packets", "primary_in", "all"];
  assert.equal(suggest("silense_ms", known), "silence_ms");
  assert.equal(suggest("silence", known), "silence_ms");
  assert.equal(suggest("Primary-In", known), "primary_in");
  assert.equal(suggest("primary_in_ms", known), "primary_in");
});

Deno.test("suggest() keeps quiet when nothing is near", () => {
  assert.equal(suggest("colour", ["level", "format"]), null);
  assert.equal(suggest("x", ["all", "none"]), null);
  assert.equal(suggest("", ["all"]), null);
});
