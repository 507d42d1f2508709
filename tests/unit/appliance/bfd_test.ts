/** BFD sessions: their keys in the configuration, their secrets, and their way onto the board and back. */
import assert from "node:assert/strict";
import { addressBytes, addressText, macBytes } from "../../../appliance/address.ts";
import { writeBfd } from "../../../appliance/bfd_command.ts";
import { keyOf, readBfdKeys } from "../../../appliance/bfd_keys.ts";
import { readBfd } from "../../../appliance/bfd_view.ts";
import { type Config, parseConfig } from "../../../appliance/config.ts";
import { readDetectors } from "../../../appliance/detector_view.ts";
import { BFD_DISCARD, BFD_STATE, DETECTOR, LIGHT } from "../../../filter/names.ts";
import { FakeBoard } from "../../support/fake_board.ts";

const ROLES = ["upstream", "downstream", "primary_in", "primary_out", "redundant_in", "redundant_out"];
const PORTS = `[ports]\n${ROLES.map((role, i) => `${role} = "af_packet:p${i}"`).join("\n")}\n`;
type Keys = Readonly<Record<string, string | number | boolean>>;
const GOOD: Keys = { name: "in", box: "primary", side: "up", peer: "10.1.0.1", local: "10.1.0.250" };

function parsed(...sessions: readonly Keys[]) {
  const table = (keys: Keys) =>
    `[[bfd]]\n${
      Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}`).join("\n")
    }\n`;
  return parseConfig(PORTS + sessions.map(table).join(""), "t.toml");
}

function good(...sessions: readonly Keys[]): Config {
  const { config, problems } = parsed(...sessions);
  assert.deepEqual(problems, []);
  return config!;
}

Deno.test("parseConfig() fills in what a BFD session leaves open", () => {
  const [session] = good(GOOD).bfd;
  assert.deepEqual(session, {
    name: "in",
    box: "primary",
    side: "up",
    peer: "10.1.0.1",
    local: "10.1.0.250",
    gateway: "10.1.0.1",
    mac: null,
    vlan: 0,
    multihop: false,
    passive: false,
    minTxMs: 50,
    minRxMs: 50,
    multiplier: 3,
    echoMs: 0,
    auth: "none",
    keyFile: null,
    keyId: 1,
  });
  assert.deepEqual(good().bfd, []);
});

const REFUSED: readonly (readonly [string, Keys, RegExp])[] = [
  ["a peer that is no address", { peer: "fw1" }, /bfd\[0\]\.peer is no address/],
  ["a group as peer", { peer: "224.0.0.1" }, /bfd\[0\]\.peer is no address of one host/],
  ["ends of two kinds", { local: "2001:db8::1" }, /bfd\[0\]\.local is of another kind than the peer/],
  ["one address for both ends", { local: "10.1.0.1" }, /bfd\[0\]\.local is the peer's address/],
  ["a gateway of another kind", { gateway: "fe80::1" }, /bfd\[0\]\.gateway is of another kind/],
  ["a MAC of a group", { mac: "01:00:5e:00:00:01" }, /bfd\[0\]\.mac is no address of one interface/],
  ["echoes over several hops", { multihop: true, echo_ms: 10 }, /bfd\[0\]\.echo_ms cannot be used/],
  ["authentication without a key", { auth: "sha1" }, /bfd\[0\]\.key_file is missing/],
  ["no time between packets", { min_tx_ms: 0 }, /bfd\[0\]\.min_tx_ms is too small/],
  ["a side that is none", { side: "in" }, /bfd\[0\]\.side is no choice/],
];

for (const [what, keys, expected] of REFUSED) {
  Deno.test(`parseConfig() refuses ${what}`, () => {
    const { problems } = parsed({ ...GOOD, ...keys });
    assert.deepEqual(problems.map(({ key, reason }) => expected.test(`${key} ${reason}`)), [true]);
  });
}

Deno.test("parseConfig() refuses two BFD sessions with one name, or between the same ends", () => {
  const reasons = (...sessions: readonly Keys[]) =>
    parsed(...sessions).problems.map(({ key, reason }) => `${key} ${reason}`);
  assert.deepEqual(reasons(GOOD, { ...GOOD, box: "redundant" }), [
    "bfd[1].name is the name of bfd[0] as well",
  ]);
  assert.deepEqual(reasons(GOOD, { ...GOOD, name: "b" }), ["bfd[1] is between the same ends as bfd[0]"]);
  assert.deepEqual(reasons(GOOD, { ...GOOD, name: "b", box: "redundant" }), []);
  const many = Array.from({ length: 17 }, (_, i) => ({ ...GOOD, name: `s${i}`, local: `10.1.1.${i + 1}` }));
  assert.deepEqual(reasons(...many), ["bfd are too many: 17"]);
});

Deno.test("parseConfig() warns of a session over several hops that anybody could end", () => {
  const { warnings } = parsed({ ...GOOD, multihop: true });
  assert.deepEqual(warnings.map(({ key }) => key), ["bfd[0].auth"]);
});

Deno.test("addressBytes() and addressText() undo each other, and refuse what is no address", () => {
  for (const text of ["10.1.0.250", "2001:db8::1", "fe80::1:2:0:3", "::1", "1:2:3:4:5:6:7:8"]) {
    assert.equal(addressText(addressBytes(text)!), text);
  }
  for (const text of ["", "10.1.0", "10.1.0.256", "2001:db8", "::ffff:10.1.0.1", "fe80::1%eth0", "a:b"]) {
    assert.equal(addressBytes(text), null, text);
  }
  assert.deepEqual([...macBytes("02:00:5e:10:00:Ff")!], [2, 0, 0x5e, 0x10, 0, 255]);
  assert.equal(macBytes("00:00:00:00:00:00"), null);
});

Deno.test("keyOf() takes a line or bytes in hexadecimal, and nothing longer than a digest", () => {
  assert.deepEqual(keyOf("swordfish\n"), new TextEncoder().encode("swordfish"));
  assert.deepEqual(keyOf("hex:00fF"), Uint8Array.of(0, 255));
  for (const text of ["", "\n", "two\nlines\n", "a".repeat(21), "hex:0", "hex:", `hex:${"00".repeat(21)}`]) {
    assert.equal(keyOf(text), null, JSON.stringify(text));
  }
  assert.equal(keyOf("a".repeat(20))!.length, 20);
});

Deno.test("readBfdKeys() refuses a file that others may read, and never says what is in it", async () => {
  const path = await Deno.makeTempFile();
  try {
    const { bfd } = good({ ...GOOD, auth: "sha1", key_file: path });
    await Deno.writeTextFile(path, "swordfish is too long for a key");
    for (
      const [mode, expected] of [[0o640, /others may read it \(mode 640\)/], [0o600, /not one line/]] as const
    ) {
      await Deno.chmod(path, mode);
      const said = (() => {
        try {
          readBfdKeys(bfd);
          return "nothing";
        } catch (error) {
          return (error as Error).message;
        }
      })();
      assert.match(said, expected);
      assert.equal(said.includes("swordfish"), false);
    }
    await Deno.writeTextFile(path, "swordfish\n");
    assert.equal(readBfdKeys(bfd).get("in")!.length, 9);
    assert.throws(
      () => readBfdKeys(good({ ...GOOD, auth: "sha1", key_file: `${path}.gone` }).bfd),
      /Cannot read/,
    );
  } finally {
    await Deno.remove(path);
  }
});

/** A board with these sessions on it, as the plane has taken them. */
function boardWith(...sessions: readonly Keys[]): FakeBoard {
  const fake = new FakeBoard();
  const { bfd } = good(...sessions);
  const words: number[] = [];
  const keys = new Map([["in", new TextEncoder().encode("swordfish")]]);
  const done = writeBfd(
    fake.board,
    (field, value) => {
      words.push(value);
      fake.set(field, value);
    },
    bfd,
    keys,
  );
  assert.deepEqual(words, [1, 2], "odd while it is written");
  return fake.set("live.bfd_done", done);
}

Deno.test("writeBfd() writes every key where the plane looks for it", () => {
  const keys = {
    vlan: 7,
    echo_ms: 20,
    auth: "meticulous-sha1",
    key_file: "/k",
    key_id: 9,
    mac: "02:00:00:00:00:09",
  };
  const { board } = boardWith(GOOD, { ...GOOD, name: "two", box: "redundant", side: "down", ...keys });
  const number = (field: string) => [0, 1].map((i) => board.number(`bfd_order.${field}`, i));
  assert.deepEqual(
    ["box", "side", "vlan", "min_tx_us", "multiplier", "echo_us", "auth", "key_id", "key_bytes"].map(number),
    [[0, 1], [0, 1], [0, 7], [50_000, 50_000], [3, 3], [0, 20_000], [0, 5], [1, 9], [9, 0]],
  );
  assert.equal(addressText(board.bytes("bfd_order.gateway", 1)), "10.1.0.1");
  assert.deepEqual([...board.bytes("bfd_order.mac", 1)], [2, 0, 0, 0, 0, 9, 0, 0]);
  assert.equal(board.number("command.bfd_count"), 2);
});

Deno.test("readBfd() shows a session with its ends, times and refusals, and none before the plane has them", () => {
  const fake = boardWith(GOOD).set("bfd.state", BFD_STATE.indexOf("up")).set("bfd.remote_diag", 1)
    .set("bfd.detect_us", 30_000).set("bfd.heard_ns", 2e9).set("bfd.light", LIGHT.indexOf("green"))
    .set("bfd_discard.packets", 4, BFD_DISCARD.indexOf("ttl"));
  const counts = new BigUint64Array(BFD_DISCARD.length);
  counts[BFD_DISCARD.indexOf("ttl")] = 3n;
  fake.setBytes("bfd.discard", new Uint8Array(counts.buffer));
  const { sessions, discards } = readBfd(fake.board, { monoNs: 2.005e9 });
  const [session] = sessions;
  const { peer, state, remoteDiagnostic, detectMs, heardMs, echoHeardMs, mac, light } = session!;
  assert.deepEqual(
    [peer, state, remoteDiagnostic, detectMs, heardMs, echoHeardMs, mac, light],
    ["10.1.0.1", "up", "control detection time expired", 30, 5, null, null, "green"],
  );
  assert.deepEqual(session!.discards, [{ name: "ttl", packets: 3, bytes: 0 }]);
  assert.deepEqual(discards, [{ name: "ttl", packets: 4, bytes: 0 }]);
  assert.deepEqual(readBfd(fake.set("live.bfd_done", 0).board, { monoNs: 3e9 }).sessions, []);
});

Deno.test("readDetectors() says of BFD which session it was and why", () => {
  const reason = (light: "green" | "yellow" | "red", state: string, diag: number, remote: number) => {
    const detail = BFD_STATE.findIndex((one) => one === state) << 8 | diag << 16 | remote << 24;
    const fake = boardWith(GOOD).set("detection.light", LIGHT.indexOf(light), DETECTOR.indexOf("bfd"))
      .set("detection.detail", detail >>> 0, DETECTOR.indexOf("bfd"));
    return readDetectors(fake.board, 0, { monoNs: 1 })[0]!.reason;
  };
  assert.equal(reason("green", "up", 0, 0), 'the session "in" is up');
  assert.equal(reason("red", "down", 1, 0), 'the session "in" is down: control detection time expired');
  const by = 'the session "in" is down: neighbour signaled session down, because of ';
  assert.equal(reason("red", "down", 3, 2), `${by}echo function failed`);
  assert.equal(reason("red", "down", 3, 30), `${by}diagnostic 30`);
  assert.match(reason("yellow", "down", 3, 1), /the node itself sent too late/);
  assert.match(reason("yellow", "down", 3, 7), /the peer has shut it down/);
});
