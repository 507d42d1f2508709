/** Header field lists: what holds what, and how they are written and read. */
import assert from "node:assert/strict";
import { ALL, fieldsText, type HeaderFields, holds, parseFields } from "../../../drivers/fields.ts";

const FLOW: HeaderFields = {
  protocol: 6,
  source: "10.1.0.11",
  sourcePort: 40_000,
  destination: "10.2.0.11",
  destinationPort: 80,
};

Deno.test("holds() compares protocol, prefixes and ranges", () => {
  const cases: readonly [string, boolean][] = [
    ["all", true],
    ["tcp", true],
    ["udp", false],
    ["tcp 10.1.0.0/16", true],
    ["tcp 10.1.0.0/29", false],
    ["* 10.1.0.11 39000-40000 > 10.2.0.0/24 80", true],
    ["* * 40001-41000", false],
    ["* * * > 10.2.0.12", false],
    ["* ::/0", true],
    ["* 2001:db8::/32", false],
  ];
  for (const [text, wanted] of cases) assert.equal(holds(parseFields(text), FLOW), wanted, text);
});

Deno.test("holds() asks of a wide list that the other is as wide", () => {
  assert.ok(!holds(FLOW, ALL));
  assert.ok(holds(parseFields("tcp 10.0.0.0/8 1-100"), parseFields("tcp 10.1.0.0/16 5-100")));
  assert.ok(!holds(parseFields("tcp 10.0.0.0/8 1-100"), parseFields("tcp 10.1.0.0/16 5-101")));
});

Deno.test("parseFields() reads what fieldsText() writes", () => {
  for (const fields of [FLOW, ALL, parseFields("sctp 2001:db8::/32 7-9 > * 80"), { protocol: 99 }]) {
    assert.deepEqual(parseFields(fieldsText(fields)), fields, fieldsText(fields));
  }
});

Deno.test("parseFields() names the word it cannot read", () => {
  const cases: readonly [string, RegExp][] = [
    ["tpc", /"tpc" is no protocol/],
    ["tcp 10.1.0.300", /"10.1.0.300" is no address/],
    ["tcp 10.0.0.0/33", /"10.0.0.0\/33" is no address/],
    ["tcp * 70000", /"70000" is no port/],
    ["tcp * 9-8", /"9-8" is no port/],
    ["tcp a b c", /too many words/],
    ["tcp > * * *", /too many words/],
    ["tcp > * > *", /too many words/],
  ];
  for (const [text, wanted] of cases) assert.throws(() => parseFields(text), wanted, text);
});
