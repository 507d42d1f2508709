/** What became of flows after a switch, from what was seen of them on both sides. */
import assert from "node:assert/strict";
import { fateAlone, fateOfPair, seenSince } from "../../../appliance/failover/fate.ts";
import { MatchProofs, PROOF_AFTER_MS, proofText } from "../../../appliance/match_proofs.ts";
import { FakeBoard } from "../../support/fake_board.ts";
import { eventView } from "../ui/fake_node.ts";

const IN = 1, OUT = 2, BOTH = 3, RESET = 4, USED = 1;
const LEARNT = 4, BEFORE = 8;
const EQUAL = 1, DIFFERENT = 2, DROPPED = 3;
const SWITCHES = 7, SWITCH_NS = 9e9, FIRST_NS = 5e9;

Deno.test("a connection lives if both ways come out, is dead if one goes in and does not, else nobody knows", () => {
  const seen = (bits: number) => seenSince(32 * SWITCHES + bits, SWITCHES);
  const table: [number, number, boolean, string][] = [
    [0, 0, false, "idle"],
    [BOTH, BOTH, false, "carried"],
    [OUT, OUT, false, "carried"],
    [IN, 0, false, "lost"],
    [BOTH, IN, false, "lost"],
    [0, IN, false, "lost"],
    [IN, OUT, false, "idle"],
    [BOTH, BOTH, true, "carried"],
    [IN, OUT, true, "lost"],
    [BOTH, IN, true, "lost"],
    [0, 0, true, "idle"],
  ];
  for (const [up, down, reset, fate] of table) {
    assert.equal(fateOfPair(seen(up), seen(down), reset), fate, JSON.stringify({ up, down, reset }));
  }
  assert.deepEqual([0, IN, OUT, BOTH].map((bits) => fateAlone(seen(bits))), [
    "idle",
    "idle",
    "idle",
    "carried",
  ]);
  assert.deepEqual(seenSince(32 * (SWITCHES - 1) + LEARNT + BOTH, SWITCHES), {
    in: false,
    out: false,
    before: null,
  });
});

const address = (last: number) => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, last);

/** A connection with both sides in the same place. */
function connection(
  fake: FakeBoard,
  slot: number,
  of: { verdict?: number; up: number; down: number; flags?: number; firstNs?: number },
): void {
  const { verdict, up, down, flags = 0, firstNs = FIRST_NS } = of;
  const numbers = { proto: 6, first_ns: firstNs, flags: USED | flags, peer: slot };
  for (const side of [0, 1] as const) {
    fake.setFlow(side, slot, { addr: [address(slot), address(99)], port: [4000 + slot, 80], numbers });
    fake.setCarried(side, slot, SWITCHES, side === 0 ? up : down);
  }
  if (verdict !== undefined) fake.setTwins(1, slot, firstNs, verdict << 2);
}

function scene() {
  const fake = new FakeBoard().set("live.switches", SWITCHES).set("live.path", 1);
  const proofs = new MatchProofs();
  const event = eventView(1, { after: "redundant", monoUs: SWITCH_NS / 1000, cause: "link" });
  const at = (ms: number) => ({ monoNs: SWITCH_NS + ms * 1e6, wallMs: 1_700_000_000_000 + ms });
  return { fake, proofs, event, at };
}

Deno.test("a proof holds what was predicted against what lives, some seconds after a switch", () => {
  const { fake, proofs, event, at } = scene();
  connection(fake, 0, { verdict: EQUAL, up: BOTH, down: BOTH });
  connection(fake, 1, { verdict: EQUAL, up: IN, down: 0 });
  connection(fake, 2, { verdict: EQUAL, up: 0, down: 0 });
  connection(fake, 3, { verdict: DIFFERENT, up: BOTH, down: IN });
  connection(fake, 4, { verdict: DIFFERENT, up: IN, down: OUT, flags: RESET });
  connection(fake, 5, { up: BOTH, down: BOTH });
  connection(fake, 6, { verdict: EQUAL, up: BOTH, down: BOTH, firstNs: SWITCH_NS + 1000 });
  proofs.begin(fake.board, event, 0);
  assert.equal(proofs.look(fake.board, at(PROOF_AFTER_MS - 1)), null);
  const proof = proofs.look(fake.board, at(PROOF_AFTER_MS))!;
  assert.deepEqual(proof, {
    ...{
      box: "redundant",
      atMs: event.wallMs,
      cause: "link",
      afterMs: PROOF_AFTER_MS,
      known: 5,
      predicted: 3,
    },
    equal: { carried: 1, lost: 1, idle: 1 },
    different: { carried: 0, lost: 2, idle: 0 },
    dropped: { carried: 0, lost: 0, idle: 0 },
    unknown: { carried: 1, lost: 0, idle: 0 },
  });
  assert.equal(proofText(proof), "predicted 3 of 5 flows, 1 carried on, 3 lost, 1 idle");
  assert.equal(proofs.look(fake.board, at(PROOF_AFTER_MS + 100)), null);
  assert.equal(proofs.last, proof);
});

Deno.test("an end that resets what was carried on has not lost it by the switch", () => {
  const { fake, proofs, event, at } = scene();
  connection(fake, 0, { verdict: EQUAL, up: BOTH, down: BOTH, flags: RESET });
  proofs.begin(fake.board, event, 0);
  assert.deepEqual(proofs.look(fake.board, at(PROOF_AFTER_MS))!.equal, { carried: 1, lost: 0, idle: 0 });
});

Deno.test("what a seed has told since the switch was foretold by nobody", () => {
  const { fake, proofs, event, at } = scene();
  connection(fake, 0, { verdict: EQUAL, up: BOTH, down: BOTH });
  // Not compared, and said to be dropped, before their seeds.
  for (const [slot, before] of [[1, 0], [2, DROPPED]] as const) {
    connection(fake, slot, { verdict: DIFFERENT, up: BOTH, down: BOTH });
    fake.setCarried(1, slot, SWITCHES, BOTH + LEARNT + BEFORE * before);
  }
  proofs.begin(fake.board, event, 0);
  const proof = proofs.look(fake.board, at(PROOF_AFTER_MS))!;
  assert.deepEqual([proof.known, proof.predicted], [2, 1]);
  assert.deepEqual([proof.equal.carried, proof.dropped.carried, proof.unknown.carried], [1, 1, 1]);
});

Deno.test("flows that were to be translated were to live, as many as still are there", () => {
  for (const [followed, predicted] of [[1, 2], [2, 3], [9, 3]] as const) {
    const { fake, proofs, event, at } = scene();
    connection(fake, 0, { verdict: EQUAL, up: BOTH, down: BOTH });
    connection(fake, 1, { verdict: DIFFERENT, up: BOTH, down: BOTH });
    connection(fake, 2, { verdict: DIFFERENT, up: IN, down: 0 });
    proofs.begin(fake.board, event, followed);
    const proof = proofs.look(fake.board, at(PROOF_AFTER_MS))!;
    assert.deepEqual([proof.known, proof.predicted], [3, predicted]);
    assert.match(proofText(proof), /2 carried on, 1 lost$/);
  }
});

Deno.test("a flow with one side only counts where it was compared and is answered", () => {
  const { fake, proofs, event, at } = scene();
  const numbers = { proto: 17, first_ns: FIRST_NS };
  const udp = { addr: [address(1), address(2)] as const, port: [5000, 53] as const, numbers };
  fake.setFlow(0, 1, udp).setCarried(0, 1, SWITCHES, BOTH);
  fake.setFlow(1, 2, udp).setTwins(1, 2, FIRST_NS, EQUAL << 2).setCarried(1, 2, SWITCHES, BOTH);
  proofs.begin(fake.board, event, 0);
  const proof = proofs.look(fake.board, at(PROOF_AFTER_MS))!;
  assert.deepEqual([proof.equal.carried, proof.unknown.carried], [1, 0]);
});

Deno.test("another switch, another plane, no box, or nothing compared: there is no proof", () => {
  for (const change of ["switch", "plane", "nothing", "wire"] as const) {
    const { fake, proofs, event, at } = scene();
    connection(fake, 0, { ...(change !== "nothing" && { verdict: EQUAL }), up: BOTH, down: BOTH });
    proofs.begin(fake.board, change === "wire" ? { ...event, after: "wire" } : event, 0);
    if (change === "switch") fake.set("live.switches", SWITCHES + 1);
    if (change === "plane") fake.set("header.boot", 12);
    assert.equal(proofs.look(fake.board, at(PROOF_AFTER_MS)), null, change);
    assert.equal(proofs.look(fake.board, at(2 * PROOF_AFTER_MS)), null, change);
  }
});
