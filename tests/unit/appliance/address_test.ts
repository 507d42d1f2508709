/** IP addresses between text and bytes. */
import assert from "node:assert/strict";
import { addressBytes, addressText } from "../../../appliance/address.ts";

const SIXTEEN: readonly (readonly [string, string])[] = [
  ["::", "00000000000000000000000000000000"],
  ["::1", "00000000000000000000000000000001"],
  ["2001:db8::250", "20010db8000000000000000000000250"],
  ["2001:db8:0:1:1:1:1:1", "20010db8000000010001000100010001"],
  ["fe80::", "fe800000000000000000000000000000"],
  ["1:0:0:2::3", "00010000000000020000000000000003"],
];

for (const [text, hex] of SIXTEEN) {
  Deno.test(`addressBytes() and addressText() agree on ${text}`, () => {
    const bytes = addressBytes(text);
    assert.equal(Uint8Array.from(bytes!).toHex(), hex);
    assert.equal(addressBytes(addressText(bytes!))?.join(), bytes!.join());
  });
}

Deno.test("addressBytes() takes IPv4, alone and at the end of IPv6", () => {
  assert.deepEqual(addressBytes("10.1.0.250"), [10, 1, 0, 250]);
  assert.equal(addressText([10, 1, 0, 250]), "10.1.0.250");
  assert.deepEqual(addressBytes("::ffff:10.1.0.2")!.slice(10), [255, 255, 10, 1, 0, 2]);
});

Deno.test("addressBytes() refuses everything else", () => {
  const bad = [
    "",
    "10.1.0",
    "10.1.0.256",
    "010.1.0.1",
    "1.2.3.4.5",
    "::1::",
    "fe80::1%eth0",
    "host",
    ":",
    "12345::",
    "10.1",
  ];
  for (const text of bad) assert.equal(addressBytes(text), null, text);
});
