/** What the launcher carries: its order, its trailer, and names that cannot be carried. */
import assert from "node:assert/strict";
import { pack, TRAILER_BYTES } from "../../../scripts/build/payload.ts";
import { rightsText } from "../../../scripts/build/rights.ts";
import { COMMANDS } from "../../../ui/commands.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const file = (name: string, text: string) => ({ name, executable: false, bytes: bytes(text) });

Deno.test("pack() does not depend on the order of files", () => {
  const files = [file("b", "two"), file("a", "one"), file("lib/c", "three")];
  assert.deepEqual(pack(bytes("launcher"), files), pack(bytes("launcher"), files.toReversed()));
  assert.notEqual(pack(bytes(""), files).digest, pack(bytes(""), files.slice(1)).digest);
});

Deno.test("pack() tells in its trailer where the payload lies", () => {
  const { parts, digest } = pack(bytes("launcher"), [file("a", "one")]);
  const whole = parts.reduce((sum, part) => sum + part.length, 0);
  const trailer = parts.at(-1)!;
  const view = new DataView(trailer.buffer);
  assert.equal(trailer.length, TRAILER_BYTES);
  assert.equal(new TextDecoder().decode(trailer.subarray(0, 64)), digest);
  assert.equal(Number(view.getBigUint64(64, true)), 8);
  assert.equal(Number(view.getBigUint64(72, true)), whole - 8 - TRAILER_BYTES);
});

Deno.test("pack() refuses a name twice, an empty one, and one too long", () => {
  assert.throws(() => pack(bytes(""), [file("a", ""), file("a", "")]), /Cannot carry a twice/);
  assert.throws(() => pack(bytes(""), [file("", "")]), /has 0 bytes/);
  assert.throws(() => pack(bytes(""), [file("n".repeat(112), "")]), /has 112 bytes/);
});

Deno.test("rightsText() names commands that there are, the usual one first", () => {
  const words = rightsText().trimEnd().split("\n").map((line) => line.split(" ")[0]!);
  assert.equal(words[0], "*");
  const known = new Set(COMMANDS.map(({ name }) => name.split(" ")[0]!));
  for (const word of words.slice(1)) assert.ok(known.has(word), word);
});
