/** What keeps a record from being carried. */
import assert from "node:assert/strict";
import { recordFault, type StateRecord, VALUE_BYTES_MAX } from "../../../drivers/record.ts";

const RECORD: StateRecord = {
  role: "supporting",
  partition: "flow",
  key: "tcp 10.1.0.11 40000 > 10.2.0.11 80",
  fields: { protocol: 6 },
  codec: "conntrack/1",
  value: Uint8Array.of(1),
  version: 1,
  ttlMs: null,
  merge: null,
  ended: false,
};

Deno.test("recordFault() names what keeps a record from being carried", () => {
  assert.equal(recordFault(RECORD), null);
  const cases: readonly [Partial<StateRecord>, RegExp][] = [
    [{ key: "" }, /key has 0 characters/],
    [{ key: "k".repeat(513) }, /key has 513 characters/],
    [{ codec: "conntrack" }, /codec is "conntrack"/],
    [{ value: new Uint8Array(VALUE_BYTES_MAX + 1) }, /more than 1048576/],
    [{ version: 0 }, /version is 0/],
    [{ version: NaN }, /version is NaN/],
    [{ ttlMs: 0 }, /time to live is 0 ms/],
    [{ merge: "sum" }, /supporting state, which is not merged/],
    [{ ended: true }, /ended and has a value/],
  ];
  for (const [change, wanted] of cases) assert.match(recordFault({ ...RECORD, ...change }) ?? "", wanted);
  assert.equal(recordFault({ ...RECORD, ended: true, value: new Uint8Array() }), null);
});
