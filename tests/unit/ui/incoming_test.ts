/** Duty: what comes in with a request, against what its route takes; and the sentences that refuse it. */
import assert from "node:assert/strict";
import { bodyOf, limitedText, queryOf } from "../../../ui/incoming.ts";
import { faultIn, members, nullable, type Schema } from "../../../appliance/schema.ts";

const refuses = (work: () => unknown, text: RegExp) => assert.throws(work, { message: text });

Deno.test("queryOf() reads what a route takes, fills in defaults, and wants what it needs", () => {
  const query = {
    limit: { type: "integer", minimum: 1, maximum: 9, default: 3 },
    on: { type: "boolean" },
    driver: { type: "string", pattern: "^[a-z]+$", description: "the name of a driver" },
  } as const;
  const wanted = { query, needs: ["driver"] };
  assert.deepEqual(queryOf("http://n/?driver=x&on=true", wanted), { driver: "x", on: true, limit: 3 });
  refuses(() => queryOf("http://n/", wanted), /^The parameter "driver" is missing$/);
  refuses(() => queryOf("http://n/?driver=X", wanted), /"driver" is "X"; accepted: the name of a driver$/);
  refuses(() => queryOf("http://n/?driver=x&limit=10", wanted), /accepted: an integer from 1 to 9$/);
  refuses(() => queryOf("http://n/?driver=x&limit=1e0", wanted), /"limit" is "1e0"/);
  refuses(() => queryOf("http://n/?toString=1", wanted), /no parameter "toString"/);
  refuses(() => queryOf("http://n/?driver=x&driver=y", wanted), /given twice/);
});

Deno.test("bodyOf() takes objects of known members alone", () => {
  const schema = members({ box: { type: "string", maxLength: 3, description: "a short name" } }, ["box"]);
  assert.deepEqual(bodyOf('{"box":"fw"}', schema), { box: "fw" });
  refuses(() => bodyOf('{"box":"firewall"}', schema), /^"box" is "firewall"; accepted: a short name$/);
  refuses(() => bodyOf("", schema), /^"box" is undefined/);
  refuses(() => bodyOf('{"box":"fw","x":1}', schema), /no member "x" in this body; there is box$/);
  refuses(() => bodyOf('{"__proto__":{}}', undefined), /no member "__proto__"/);
  assert.deepEqual(bodyOf("  "), {});
});

Deno.test("limitedText() stops at the bound, whatever the length is said to be", async () => {
  let pulled = 0;
  const body = new ReadableStream({
    pull: (controller) => {
      pulled++;
      controller.enqueue(new Uint8Array(1000));
    },
  });
  await assert.rejects(
    limitedText(new Request("http://n", { method: "POST", body }), 5000),
    /larger than 5000 bytes/,
  );
  assert.ok(pulled < 10, String(pulled));
});

Deno.test("faultIn() judges every kind of value, and names the place", () => {
  const list: Schema = { type: "array", items: members({ n: { type: "number" } }) };
  assert.equal(faultIn(list, [{ n: 1.5 }, {}]), null);
  assert.match(faultIn(list, [{ n: "1" }], "list")!, /^"list\[0\]\.n" is "1"; accepted: a number$/);
  assert.match(faultIn(list, {}, "list")!, /accepted: a list$/);
  assert.equal(faultIn(nullable({ type: "boolean" }), null), null);
  assert.match(faultIn(nullable({ type: "boolean" }), 0, "on")!, /accepted: true or false, or null$/);
  assert.match(faultIn({ type: "string", enum: ["a", "b"] }, "c", "x")!, /accepted: "a" or "b"$/);
});
