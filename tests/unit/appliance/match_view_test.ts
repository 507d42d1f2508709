/** The match of a standby, and the verdicts on a flow, from a board. */
import assert from "node:assert/strict";
import { readFlows } from "../../../appliance/flow_view.ts";
import { readMatch } from "../../../appliance/match_view.ts";
import { FakeBoard } from "../../support/fake_board.ts";

const NOW = { monoNs: 5e9, wallMs: 1_700_000_000_000 };
const FIRST_NS = 1_234_567_890;
const EQUAL = 1, DIFFERENT = 2, DROPPED = 3;
const v4 = (...last: number[]) => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...last);
const of = (box: number, verdict: number) => verdict << (2 * box);

function paired(): FakeBoard {
  const fake = new FakeBoard();
  const numbers = { proto: 6, first_ns: FIRST_NS };
  fake.setFlow(0, 3, {
    addr: [v4(10, 1, 0, 11), v4(10, 9, 0, 1)],
    port: [40_000, 80],
    numbers: { ...numbers, peer: 5 },
  });
  fake.setFlow(1, 5, {
    addr: [v4(10, 2, 0, 1), v4(10, 9, 0, 1)],
    port: [61_000, 80],
    numbers: { ...numbers, peer: 3 },
  });
  return fake;
}

Deno.test("the match is the share of what was compared; the rest is said to be unknown", () => {
  // By box, then TCP, UDP, others.
  const fake = new FakeBoard().set("match.equal", 84, 3).set("match.equal", 6, 4);
  fake.set("match.different", 9, 3).set("match.followed", 6, 3).set("match.dropped", 1, 5);
  assert.deepEqual(readMatch(fake.set("live.flows", 110).board, 1), {
    equal: 90,
    different: 9,
    followed: 6,
    dropped: 1,
    unknown: 10,
    share: 0.96,
    classes: {
      tcp: { equal: 84, different: 9, followed: 6, dropped: 0 },
      udp: { equal: 6, different: 0, followed: 0, dropped: 0 },
      other: { equal: 0, different: 0, followed: 0, dropped: 1 },
    },
  });
  assert.deepEqual(readMatch(fake.board, 2).share, null);
  // Counted in rounds, so that flows may be fewer by now.
  assert.equal(readMatch(fake.set("live.flows", 90).board, 1).unknown, 0);
});

Deno.test("both halves of a connection tell what each standby made of it", () => {
  const fake = paired().setTwins(1, 5, FIRST_NS, of(1, EQUAL) | of(2, DROPPED));
  const expected = [
    { box: "redundant", verdict: "equal", binding: "" },
    { box: "redundant-2", verdict: "dropped", binding: "" },
  ];
  for (const flow of readFlows(fake.board, { limit: 2 }, NOW)) assert.deepEqual(flow.standbys, expected);
});

Deno.test("a verdict on the flow that was at this place before is none", () => {
  const fake = paired().setTwins(1, 5, FIRST_NS - 1000, of(1, EQUAL));
  for (const flow of readFlows(fake.board, { limit: 2 }, NOW)) assert.deepEqual(flow.standbys, []);
});

Deno.test("what a standby made otherwise is shown with its own binding while that is known", () => {
  const fake = paired().setTwins(1, 5, FIRST_NS, of(1, DIFFERENT));
  const made = () => readFlows(fake.board, { limit: 1, unlike: true }, NOW)[0]!.standbys;
  assert.deepEqual(made(), [{ box: "redundant", verdict: "different", binding: "" }]);
  const ends = [v4(10, 2, 0, 1), v4(10, 9, 0, 1)];
  const ports = new Uint8Array(new Uint16Array([7000, 80]).buffer);
  fake.set("live.unlike_sequence", 6).set("unlike.sequence", 6, 2).set("unlike.slot", 5, 2).set(
    "unlike.side",
    1,
    2,
  );
  fake.set("unlike.box", 1, 2).setBytes("unlike.port", ports, 2);
  fake.setBytes("unlike.addr", ends.flatMap((end) => [...end]), 2);
  assert.deepEqual(made(), [{
    box: "redundant",
    verdict: "different",
    binding: "10.2.0.1:7000 - 10.9.0.1:80",
  }]);
});

Deno.test("unlike leaves out what all standbys made alike, and what was not compared", () => {
  const fake = paired();
  fake.setFlow(0, 7, { addr: [v4(10, 1, 0, 12), v4(10, 9, 0, 1)], numbers: { proto: 17 } });
  assert.equal(readFlows(fake.board, { limit: 9, unlike: true }, NOW).length, 0);
  fake.setTwins(1, 5, FIRST_NS, of(1, EQUAL));
  assert.equal(readFlows(fake.board, { limit: 9, unlike: true }, NOW).length, 0);
  fake.setTwins(1, 5, FIRST_NS, of(1, DROPPED));
  assert.equal(readFlows(fake.board, { limit: 9, unlike: true }, NOW).length, 2);
});
