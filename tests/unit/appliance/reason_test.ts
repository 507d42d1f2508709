/** Reasons as people read them, from errors as the system and Deno word them. */
import assert from "node:assert/strict";
import { reasonOf } from "../../../drivers/reason.ts";

Deno.test("reasonOf() keeps what the system said, and neither its number nor its call", () => {
  const said = new Error("No space left on device (os error 28): writefile '/run/x'");
  assert.equal(reasonOf(said), "no space left on device");
  assert.equal(reasonOf(new Error("Permission denied (os error 13)")), "permission denied");
});

Deno.test("reasonOf() leaves any other message as it is, and takes what is no error", () => {
  assert.equal(reasonOf(new Error("Cannot read c.toml: 3 is no text")), "Cannot read c.toml: 3 is no text");
  assert.equal(reasonOf("because"), "because");
});
