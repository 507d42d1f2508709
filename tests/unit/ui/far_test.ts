/** The far end: its options, what it tells, and how channels look in `status`. */
import assert from "node:assert/strict";
import { tellFar } from "../../../appliance/far_view.ts";
import type { ChannelView } from "../../../appliance/view.ts";
import { parseArguments } from "../../../ui/arguments.ts";
import { farOptions } from "../../../ui/far.ts";
import { painter } from "../../../ui/paint.ts";
import { channelLines, shortSpec } from "../../../ui/text_channels.ts";
import { FakeBoard } from "../../support/fake_board.ts";
import { portView } from "./fake_node.ts";

const GOOD = ["--listen", "192.0.2.7:4790", "--in", "eth1", "--out", "eth2", "--key", "/etc/key"];

function options(...words: string[]) {
  const parsed = parseArguments(["far", ...words]);
  if (!("options" in parsed)) throw new TypeError(`Cannot parse ${words.join(" ")}`);
  return farOptions(parsed.options);
}

Deno.test("farOptions() makes four ports: a channel for each side, and the box's own", () => {
  const found = options(...GOOD, "--encrypt", "--wait-ms", "50");
  if (typeof found === "string") throw new TypeError(found);
  const settings = "key=/etc/key,silence_ms=200,wait_ms=50,reorder_us=500,ring_mib=8,encrypt=yes";
  assert.deepEqual(found.specs, [
    `listen:192.0.2.7:4790,${settings}`,
    `listen:192.0.2.7:4791,${settings}`,
    "af_packet:eth1",
    "af_packet:eth2",
  ]);
});

Deno.test("farOptions() says in one sentence what is missing or wrong", () => {
  const changed = (name: string, value: string) => {
    const at = GOOD.indexOf(name);
    return options(...GOOD.slice(0, at + 1), value, ...GOOD.slice(at + 2));
  };
  assert.match(String(options(...GOOD.slice(2))), /--listen, --in, --out and --key are needed/);
  assert.match(String(changed("--listen", "far:4790")), /^Cannot read option --listen: it has "far:4790"/);
  assert.match(String(changed("--listen", "192.0.2.7:65535")), /server side would be on port 65536/);
  assert.match(String(changed("--out", "eth1")), /--in and --out are both eth1/);
  assert.match(String(changed("--in", "a b")), /^Cannot read option --in: it names no possible interface/);
  assert.match(String(changed("--key", "/a,b")), /holds a comma/);
});

Deno.test("tellFar() tells of links and sessions when they change, and of losses as a sum", () => {
  const fake = new FakeBoard(), board = fake.board;
  const tell = tellFar();
  assert.deepEqual(tell(board), []);
  fake.set("header.state", 2);
  fake.set("port.link", 1, 2);
  const first = tell(board);
  assert.deepEqual(first.slice(0, 2), ["client side: the box's link is up", "client side: no node"]);
  assert.deepEqual(tell(board), []);
  fake.set("channel.open", 1, 0);
  fake.set("port.taken", 1, 3);
  fake.set("channel.lost", 7, 1);
  fake.set("header.state", 3);
  assert.deepEqual(tell(board), [
    "client side: the node is there",
    "server side: the node took the box's link down",
    "server side: 7 units lost on the way here so far",
  ]);
});

const CHANNEL: ChannelView = {
  ...{
    open: true,
    sessions: 1,
    roundTripUs: 12_345,
    unitBytes: 1_424,
    sent: 100,
    sentAgain: 5,
    gone: 0,
    shed: 0,
  },
  ...{
    received: 90,
    asked: 4,
    recovered: 3,
    lost: 1,
    farLost: 2,
    beyond: 0,
    repeated: 0,
    torn: 0,
    refused: 0,
  },
};

Deno.test("channelLines() is a table of remote ports, and nothing where there are none", () => {
  assert.deepEqual(channelLines([portView("upstream")], painter(false)), []);
  const [gap, head, line] = channelLines([portView("redundant-in", { channel: CHANNEL })], painter(false));
  assert.equal(gap, "");
  assert.match(head!, /^CHANNEL +IS +ROUND +ONE PACKET +SENT +AGAIN +LOST +CAME +LATE +LOST$/);
  assert.match(line!, /^redundant-in +open +12\.3 ms +1424 B +100 +5 +2 +90 +3 +1$/);
});

Deno.test("shortSpec() leaves the settings of a remote port out", () => {
  assert.equal(shortSpec("remote:192.0.2.7:4790,key=/etc/key"), "remote:192.0.2.7:4790");
  assert.equal(shortSpec("pcap:rx=/a,tx=/b"), "pcap:rx=/a,tx=/b");
});
