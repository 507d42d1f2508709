/** Numbers as people read them. */
import assert from "node:assert/strict";
import { bitRate, byteSize, count, duration, painter, percent, table, wallTime } from "../../../ui/paint.ts";

Deno.test("duration() shows the two largest units", () => {
  const pairs: [number, string][] = [
    [0, "0 us"],
    [0.85, "850 us"],
    [0.9999, "1 ms"],
    [1.25, "1.3 ms"],
    [12.4, "12 ms"],
    [999.9, "1 s"],
    [59_999, "59 s"],
    [125_000, "2 min 5 s"],
    [7_380_000, "2 h 3 min"],
    [3_600_000, "1 h"],
    [273_600_000, "3 d 4 h"],
  ];
  for (const [ms, text] of pairs) assert.equal(duration(ms), text);
});

Deno.test("bitRate() and byteSize() never show a thousand of a smaller unit", () => {
  assert.equal(bitRate(0), "0 bit/s");
  assert.equal(bitRate(999.6), "1.0 kbit/s");
  assert.equal(bitRate(12_345_678), "12.3 Mbit/s");
  assert.equal(bitRate(1.234e11), "123 Gbit/s");
  assert.equal(byteSize(1023), "1023 B");
  assert.equal(byteSize(1536), "1.5 KiB");
  assert.equal(byteSize(96 * 2 ** 20), "96.0 MiB");
});

Deno.test("count() groups digits and percent() keeps small shares visible", () => {
  assert.equal(count(0), "0");
  assert.equal(count(999), "999");
  assert.equal(count(1234567), "1,234,567");
  assert.equal(percent(0), "0 %");
  assert.equal(percent(0.0381), "3.81 %");
  assert.equal(percent(1), "100.0 %");
  assert.equal(wallTime(Date.UTC(2026, 0, 31, 12, 0, 0, 123)), "2026-01-31 12:00:00.123");
});

Deno.test("painter() without colours leaves text as it is", () => {
  assert.equal(painter(false).light("red", "x"), "x");
  assert.equal(painter(false).bold("x"), "x");
  assert.equal(painter(true).light("red", "x"), "\x1b[31mx\x1b[0m");
});

Deno.test("table() aligns columns and ends lines without blanks", () => {
  assert.deepEqual(table([["a", "1", "x"], ["bbb", "20", ""]], [1]), ["a     1  x", "bbb  20"]);
});
