/** Words into lines. */
import assert from "node:assert/strict";
import { wrap } from "../../../filter/lines.ts";

Deno.test("wrap() breaks between words, within the width, indents included", () => {
  assert.deepEqual(wrap("one two three", { width: 9, first: "- ", rest: "  " }), ["- one two", "  three"]);
  assert.deepEqual(wrap("one two", { width: 7 }), ["one two"]);
});

Deno.test("wrap() lets a word that is too long stand alone", () => {
  assert.deepEqual(wrap("a incomprehensible b", { width: 5 }), ["a", "incomprehensible", "b"]);
});
