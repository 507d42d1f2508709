/** Header fields in the board's form, and which rules are worth keeping. */
import assert from "node:assert/strict";
import { trimmed } from "../../../appliance/layer/steering.ts";
import { decodeFields, encodeFields } from "../../../appliance/steering_board.ts";
import { fieldsText, parseFields } from "../../../drivers/fields.ts";

Deno.test("decodeFields() gives back what encodeFields() was given", () => {
  for (
    const text of [
      "tcp 10.1.0.0/16 1024-65535 > 10.2.0.11 80",
      "* 10.1.0.11 * > * *",
      "udp * 53 > 2001:db8:0:0:0:0:0:0/32 *",
      "17 * * > 0.0.0.0/0 0-1023",
      "* * * > * *",
    ]
  ) {
    const fields = parseFields(text);
    assert.equal(fieldsText(decodeFields(encodeFields(fields))), fieldsText(fields));
  }
  assert.throws(() => encodeFields({ source: "10.1.0.0/33" }), /Cannot steer by "10\.1\.0\.0\/33"/);
});

Deno.test("trimmed() takes away rules that only pin flows to the serving box, and no exception from another rule", () => {
  const rule = (id: string, text: string, box: string) => ({ id, fields: parseFields(text), box });
  const all = [
    rule("pins", "udp", "primary"),
    rule("leads", "tcp 10.1.0.0/16", "redundant"),
    rule("excepts", "tcp 10.1.2.0/24", "primary"),
    rule("apart", "tcp 10.9.0.0/16", "primary"),
  ];
  assert.deepEqual(trimmed(all, "primary").map(({ id }) => id), ["leads", "excepts"]);
  assert.deepEqual(trimmed(all, "redundant").map(({ id }) => id), ["pins", "excepts", "apart"]);
  assert.deepEqual(trimmed(all, null), all);
});
