/** One packet that was pasted: how it may be written, and the capture that is made of it. */
import assert from "node:assert/strict";
import { readCapture } from "../../../filter/capture.ts";
import { captureOf, readPacket } from "../../../ui/page/packet_text.ts";

const HEX = "020000000202020000000101080045000014000000004011000a0a010001";

Deno.test("readPacket() reads digits as tcpdump, Wireshark and a log print them", () => {
  const wanted = Uint8Array.fromHex(HEX), pairs = HEX.match(/../g)!;
  const quads = HEX.match(/.{1,4}/g)!;
  const dump = [0, 8].map((at) => `\t0x00${at}0:  ${quads.slice(at, at + 8).join(" ")}`).join("\n");
  for (const text of [HEX, HEX.toUpperCase(), pairs.join(":"), pairs.join(" "), dump, `\n${HEX}\n`]) {
    assert.deepEqual(readPacket(text), wanted, text);
  }
});

Deno.test("readPacket() says what is wrong and where", () => {
  assert.equal(readPacket(`${HEX}g`), '"g" in the packet is no hexadecimal digit');
  assert.equal(readPacket(`${HEX}a`), `The packet has ${HEX.length + 1} digits: half a byte is missing`);
  assert.match(String(readPacket("0102")), /has 2 bytes; an Ethernet frame has 14 to 65535/);
  assert.match(String(readPacket("00".repeat(65_536))), /has 65536 bytes/);
});

Deno.test("captureOf() is a capture with this one frame", () => {
  const frame = Uint8Array.fromHex(HEX), [read, ...more] = readCapture(captureOf(frame));
  assert.deepEqual(more, []);
  assert.deepEqual([read?.bytes.toHex(), read?.wireLength, read?.link], [HEX, frame.length, 1]);
});
