/** Network addresses between text and bytes. */
import assert from "node:assert/strict";
import {
  addressBytes,
  addressFault,
  addressText,
  hostBytes,
  hostText,
  macBytes,
} from "../../../appliance/address.ts";
import { endpointOf } from "../../../appliance/config_keys_api.ts";

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
    const bytes = addressBytes(text)!;
    assert.equal(bytes.toHex(), hex);
    assert.equal(addressBytes(addressText(bytes))?.toHex(), hex);
    assert.equal(hostText(hostBytes(text)!), addressText(bytes));
  });
}

Deno.test("IPv4 takes four bytes in a packet, and a prefix on the board", () => {
  assert.deepEqual(hostBytes("10.1.0.250"), [10, 1, 0, 250]);
  assert.equal(hostText([10, 1, 0, 250]), "10.1.0.250");
  assert.equal(addressBytes("10.1.0.250")?.toHex(), "00000000000000000000ffff0a0100fa");
});

Deno.test("addressBytes() refuses everything else, IPv4 in the clothes of IPv6 too", () => {
  const bad = [
    "",
    "10.1.0",
    "10.1.0.256",
    "1.2.3.4.5",
    "::1::",
    "fe80::1%eth0",
    "host",
    ":",
    "12345::",
    "10.1",
  ];
  for (const text of [...bad, "::ffff:10.1.0.2"]) assert.equal(addressBytes(text), null, text);
});

Deno.test("addressFault() wants one host, macBytes() one card", () => {
  assert.equal(addressFault("10.1.0.2"), null);
  for (const text of ["0.0.0.0", "224.0.0.1", "ff02::1", "::"]) assert.match(addressFault(text)!, /one host/);
  assert.deepEqual([...macBytes("02:00:00:00:00:1f")!], [2, 0, 0, 0, 0, 31]);
  for (const text of ["01:00:5e:00:00:01", "00:00:00:00:00:00", "02:00:00:00:00", "x"]) {
    assert.equal(macBytes(text), null, text);
  }
});

Deno.test("endpointOf() takes one address with a port, and the addresses that mean all", () => {
  for (const text of ["192.0.2.10:8443", "0.0.0.0:8443", "[::]:8443", "[2001:db8::1]:1"]) {
    assert.ok(endpointOf(text) !== null, text);
  }
  for (
    const text of ["0.0.0.1:8443", "224.0.0.1:1", "[ff02::1]:1", "192.0.2.10", "host:1", "192.0.2.10:70000"]
  ) {
    assert.equal(endpointOf(text), null, text);
  }
});
