/** Places of keys in all the ways TOML writes them. */
import assert from "node:assert/strict";
import { joinKey, placeKeys } from "../../../filter/toml_places.ts";

function line(text: string, path: string): number | undefined {
  return placeKeys(text).get(path)?.line;
}

Deno.test("placeKeys() finds keys of tables, dotted keys and keys outside of tables", () => {
  const text = 'top = 1\n\n# [not.a.table]\n[a]\n  b = 2 # [c]\nc.d = 3\n[a.e]\nf = "x"\n';
  assert.equal(line(text, "top"), 1);
  assert.equal(line(text, "a"), 4);
  assert.deepEqual(placeKeys(text).get("a.b"), { line: 5, column: 3 });
  assert.equal(line(text, "a.c"), 6);
  assert.equal(line(text, "a.c.d"), 6);
  assert.equal(line(text, "a.e.f"), 8);
  assert.equal(line(text, "not.a.table"), undefined);
  assert.equal(line(text, "c"), undefined);
});

Deno.test("placeKeys() numbers arrays of tables, and tables inside of them", () => {
  const text = "[[r]]\nn = 1\n[[r]]\nn = 2\n[r.sub]\nk = 3\n[[r.list]]\nz = 4\n[[r]]\n[[r.list]]\nz = 5\n";
  assert.equal(line(text, "r[0].n"), 2);
  assert.equal(line(text, "r[1].n"), 4);
  assert.equal(line(text, "r[1].sub.k"), 6);
  assert.equal(line(text, "r[1].list[0].z"), 8);
  assert.equal(line(text, "r[2].list[0].z"), 11);
  assert.equal(line(text, "r[2]"), 9);
});

Deno.test("placeKeys() looks into inline tables and arrays over several lines", () => {
  const text =
    't = { a = 1, b.c = "}", d = { e = [1,\n 2] } }\nl = [ # ]\n  { x = 1 },\n  { x = 2 },\n]\nafter = 1\n';
  assert.equal(line(text, "t.a"), 1);
  assert.equal(line(text, "t.b.c"), 1);
  assert.equal(line(text, "t.d.e[1]"), 2);
  assert.equal(line(text, "l[1].x"), 5);
  assert.equal(line(text, "after"), 7);
});

Deno.test("placeKeys() is not misled by strings", () => {
  const text =
    'a = """\n[b]\nc = 1\\""" """"\nd = \'[e]\'\nf = \'\'\'\ng = 1\n\'\'\'\n"h i" = "\\"#"\nj = 1\n';
  assert.equal(line(text, "b"), undefined);
  assert.equal(line(text, "d"), 4);
  assert.equal(line(text, "g"), undefined);
  assert.equal(line(text, '"h i"'), 8);
  assert.equal(line(text, "j"), 9);
});

Deno.test("placeKeys() ends on every text, however broken", () => {
  let state = 7;
  const alphabet = "[]{}=,.\"'#\n\\ ab1";
  for (let turn = 0; turn < 3000; turn++) {
    let text = "";
    for (let index = 0; index < 24; index++) {
      state = (state * 1103515245 + 12345) % 2147483648;
      text += alphabet[Math.floor(state / 65536) % alphabet.length];
    }
    for (const place of placeKeys(text).values()) assert.ok(place.line >= 1 && place.column >= 1, text);
  }
});

Deno.test("placeKeys() counts lines that end in CR LF", () => {
  assert.equal(line("[a]\r\nb = 1\r\n\r\nc = 2\r\n", "a.c"), 4);
});

Deno.test("joinKey() quotes what is no bare key", () => {
  assert.equal(joinKey("", "a"), "a");
  assert.equal(joinKey("a", "b.c"), 'a."b.c"');
});
