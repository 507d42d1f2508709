/**
 * Sizes of C: what counts as a function, where it starts and ends.
 */
import assert from "node:assert/strict";
import { blank, nativeFunctions, nativeProblems } from "../../../scripts/lint/native.ts";

const TEXT = `/* Duty. { */
#include <stdint.h>
#define LOOP(x) do { x; \\
  } while (0)

struct pair { int a, b; };
static const struct pair first = { 1, 2 };
static int table[] = { (1), 2 };
int declared(int a);

/* Says. } */
static int
sum(const struct pair *p)
{
  const char *s = "}{\\"}";
  if (p->a > '{') { return 1; }
  return p->a + p->b; // }
}
static void (*handler)(int) = 0;
__attribute__((noinline)) void one(void) { sum(&first); }
`;

Deno.test("nativeFunctions() finds definitions and nothing else", () => {
  assert.deepEqual(nativeFunctions(TEXT), [
    { name: "sum", line: 12, lines: 7 },
    { name: "one", line: 20, lines: 1 },
  ]);
});

Deno.test("blank() keeps every line break and blanks braces that do not count", () => {
  const plain = blank(TEXT);
  assert.equal(plain.split("\n").length, TEXT.split("\n").length);
  assert.equal(plain.length, TEXT.length);
  assert.equal([...plain].filter((letter) => letter === "{").length, 6);
  assert.equal([...plain].filter((letter) => letter === "}").length, 6);
});

Deno.test("nativeProblems() allows 60 lines of a function and 400 of a file, not one more", () => {
  const body = (lines: number) => `int f(void) {\n${"  g();\n".repeat(lines - 2)}}\n`;
  assert.deepEqual(nativeProblems("a.c", body(60)), []);
  assert.deepEqual(nativeProblems("a.c", `\n${body(61)}`), ["a.c:2 f() has 61 lines, the limit is 60"]);
  assert.deepEqual(nativeProblems("a.h", "int a;\n".repeat(400)), []);
  assert.deepEqual(nativeProblems("a.h", "int a;\n".repeat(401)), ["a.h has 401 lines, the limit is 400"]);
});
