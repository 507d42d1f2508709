/** BFD in C: SHA1, the codec against RFC 5880, 4.1, and the frames around its packets. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { addressBytes } from "../../../appliance/address.ts";
import { BFD_STATE } from "../../../filter/names.ts";
import { parsePacket } from "../../../filter/packet.ts";
import { Random } from "../../../filter/random.ts";
import { BfdLibrary } from "../../support/bfd.ts";
import { packetBytes, readPacket } from "../../support/bfd_packet.ts";
import { LIBRARY, run, TOP } from "./library.ts";

const SEED = Number(Deno.env.get("REMEDIATE_SEED") ?? 1);
const DISCR = 0x2a2a2a2a;

async function library(): Promise<BfdLibrary> {
  await run(`${TOP}/scripts/native`, ["filter"]);
  return new BfdLibrary(LIBRARY);
}

const hex = (bytes: Uint8Array) => bytes.toHex();
const ascii = (text: string) => new TextEncoder().encode(text);

Deno.test("bfd_sha1() gives the digests of FIPS 180-4's examples, and of any length", async () => {
  using bfd = await library();
  assert.equal(hex(bfd.sha1(ascii("abc"))), "a9993e364706816aba3e25717850c26c9cd0d89d");
  const two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  assert.equal(hex(bfd.sha1(ascii(two))), "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
  assert.equal(hex(bfd.sha1(ascii("a".repeat(1_000_000)))), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
  const random = new Random(SEED);
  for (let n = 0; n < 200; n++) {
    const bytes = Uint8Array.from({ length: n }, () => random.below(256));
    assert.equal(hex(bfd.sha1(bytes)), createHash("sha1").update(bytes).digest("hex"));
  }
});

/** The mandatory section as RFC 5880, 4.1 draws it, and what it says. */
const DRAWN = "21d80318" + "00000001" + "00000002" + "000f4240" + "00002710" + "00004e20";
const SAYS = [1, 3, 0b00110, 3, 1, 2, 1_000_000, 10_000, 20_000, 0, 0, 0];

Deno.test("bfd_parse() reads the fields of RFC 5880, 4.1", async () => {
  using bfd = await library();
  // Up, with F and C: 3 << 6 | 0x10 | 0x08.
  const { why, words } = bfd.parse(Uint8Array.fromHex(DRAWN));
  assert.equal(why, "taken");
  assert.deepEqual(words, SAYS);
});

const BROKEN: readonly (readonly [string, (bytes: Uint8Array) => Uint8Array, string])[] = [
  ["version 0", (b) => b.with(0, 0x01), "version"],
  ["version 2", (b) => b.with(0, 0x41), "version"],
  ["a length below the least", (b) => b.with(3, 23), "length"],
  ["a length beyond the payload", (b) => b.with(3, 25), "length"],
  ["a payload that is cut", (b) => b.slice(0, 23), "length"],
  ["authentication without room for it", (b) => b.with(1, b[1]! | 4), "length"],
  ["multiplier 0", (b) => b.with(2, 0), "multiplier"],
  ["the multipoint bit", (b) => b.with(1, b[1]! | 1), "multipoint"],
  ["no discriminator of its own", (b) => b.with(7, 0), "my_discriminator"],
  ["Up without our discriminator", (b) => b.with(11, 0), "state"],
  ["Init without our discriminator", (b) => b.with(11, 0).with(1, 0x80), "state"],
  ["Down without our discriminator", (b) => b.with(11, 0).with(1, 0x40), "taken"],
  ["AdminDown without our discriminator", (b) => b.with(11, 0).with(1, 0x00), "taken"],
  ["bytes behind its length", (b) => Uint8Array.from([...b, 1, 2, 3]), "taken"],
];

for (const [what, change, why] of BROKEN) {
  Deno.test(`bfd_parse() says ${why} of ${what}`, async () => {
    using bfd = await library();
    assert.equal(bfd.parse(change(Uint8Array.fromHex(DRAWN))).why, why);
  });
}

Deno.test(`bfd_parse() agrees with the model on 100,000 packets with flipped bits (seed ${SEED})`, async () => {
  using bfd = await library();
  const random = new Random(SEED);
  const seen = new Map<string, number>();
  for (let i = 0; i < 100_000; i++) {
    const key = { type: random.pick([4, 5]), keyId: 1, sequence: random.u32(), key: "k" };
    const bytes = packetBytes({
      state: random.pick(BFD_STATE),
      multiplier: random.pick([0, 3]),
      myDiscr: random.pick([0, 1, DISCR]),
      yourDiscr: random.pick([0, DISCR]),
      auth: random.chance(0.5) ? key : null,
    });
    for (let flips = random.below(4); flips > 0; flips--) {
      bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
    }
    const given = bytes.slice(0, random.chance(0.1) ? random.below(bytes.length + 1) : bytes.length);
    const { why, words } = bfd.parse(given);
    const read = readPacket(given);
    seen.set(why, (seen.get(why) ?? 0) + 1);
    if (typeof read === "string") assert.equal(why, read);
    else {
      assert.equal(why, "taken");
      assert.deepEqual(words.slice(3, 9), [
        read.multiplier,
        read.myDiscr,
        read.yourDiscr,
        read.desiredTxUs,
        read.requiredRxUs,
        read.requiredEchoUs,
      ]);
      assert.equal(words[11], read.auth?.sequence ?? 0);
    }
  }
  assert.equal(seen.size, 7, [...seen.keys()].join());
});

const MAC = { us: [2, 0, 0, 0, 9, 1], peer: [2, 0, 0, 0, 1, 1] };

function wayOf(from: string, to: string, vlan = 0) {
  return {
    fromMac: MAC.us,
    toMac: MAC.peer,
    vlan,
    from: addressBytes(from)!,
    to: addressBytes(to)!,
    fromPort: 50_000,
    toPort: 3784,
    ttl: 255,
  };
}

for (const [from, to] of [["10.1.0.250", "10.1.0.1"], ["2001:db8::250", "2001:db8::1"]] as const) {
  for (const vlan of [0, 100]) {
    Deno.test(`frames from ${from}${vlan ? " in a VLAN" : ""} are what the parser and their reader say`, async () => {
      using bfd = await library();
      const way = wayOf(from, to, vlan);
      const payload = packetBytes({});
      const udp = bfd.build("udp", way, payload);
      const packet = parsePacket(udp);
      assert.equal(packet.verdict, "flow");
      assert.deepEqual([...packet.flow!.port].sort(), [3784, 50_000].sort());
      assert.equal(bfd.frame(udp), "udp");
      for (const what of ["ask", "tell"] as const) {
        const frame = bfd.build(what, way, payload);
        assert.equal(bfd.frame(frame), what);
        assert.equal(parsePacket(frame).verdict, "neighbour");
      }
      // Every single bit of IP and UDP is under a checksum, or changes what the frame is for.
      const start = vlan ? 18 : 14;
      for (let i = start; i < udp.length; i++) {
        const kind = bfd.frame(udp.with(i, udp[i]! ^ 0x10));
        if (from.includes(".") || i >= start + 40) assert.notEqual(kind, "udp", `byte ${i}`);
      }
      for (let n = 0; n < udp.length; n++) assert.notEqual(bfd.frame(udp.slice(0, n)), "udp");
    });
  }
}

Deno.test("IPv6 frames with addresses that stand for IPv4 are nobody's", async () => {
  using bfd = await library();
  const payload = packetBytes({});
  const good = bfd.build("udp", wayOf("2001:db8::250", "2001:db8::1"), payload);
  const mapped = addressBytes("10.1.0.1")!;
  for (const at of [14 + 8, 14 + 24]) {
    const frame = good.slice();
    frame.set(mapped, at);
    assert.equal(bfd.frame(frame), "broken");
  }
});
