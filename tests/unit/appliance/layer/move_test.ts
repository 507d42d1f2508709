/** The machine of a move by itself: every phase with every fault, and what a journal makes of it after a crash. */
import assert from "node:assert/strict";
import { compactIntents, entryLine, readIntents } from "../../../../appliance/layer/intents.ts";
import {
  advance,
  beginMove,
  type Entry,
  markKey,
  type MoveEvent,
  type MoveOrder,
  type MoveState,
  type Phase,
  resumeMove,
  stepOf,
  STEPS,
  todo,
} from "../../../../appliance/layer/move.ts";

const ORDER: MoveOrder = {
  id: "m1",
  source: "a",
  destination: "b",
  fields: { protocol: 6 },
  guarantee: "loss-free",
  roles: ["supporting"],
};

/** What each phase ends with where all goes well. */
const GOOD: Readonly<Record<Phase, MoveEvent>> = {
  "begin": { kind: "begun", clean: true },
  "read": { kind: "read", last: true, counts: { records: 0 } },
  "send": { kind: "done" },
  "insert": { kind: "done", counts: { taken: 2 } },
  "hold": { kind: "done", counts: { held: 5 } },
  "catch-up": { kind: "caught", replayed: 0 },
  "route": { kind: "routed", ok: true },
  "look": { kind: "seen", sight: { routed: true, hold: "intact" } },
  "delete": { kind: "done", counts: { deleted: 2 } },
  "cancel": { kind: "done" },
  "undo": { kind: "done" },
  "finish": { kind: "done" },
};

/** All states of a good move with a batch in each pass, and what was written before each. */
function goodMove(order: MoveOrder = ORDER): { states: MoveState[]; entries: Entry[][] } {
  const states: MoveState[] = [], entries: Entry[][] = [], written = new Set<string>();
  const journal: Entry[] = [];
  let state = beginMove(order, 100), batches = 0;
  for (let now = 101; state.end === null; now++) {
    const { write } = todo(state, written, now)!;
    if (write !== null) {
      journal.push(write);
      written.add(markKey(write));
    }
    states.push(state);
    entries.push([...journal]);
    const first = state.phase === "read" && batches++ % 2 === 0;
    const read: MoveEvent = { kind: "read", last: false, counts: { records: 2, bytes: 20 } };
    state = advance(state, first ? read : GOOD[state.phase], now);
  }
  states.push(state);
  return { states, entries };
}

Deno.test("advance() leads a move through the eight steps in their order", () => {
  const { states } = goodMove();
  const steps = states.map(stepOf).filter((step, i, all) => step !== all[i - 1]);
  // Get, send, insert go round: once with a batch, once to find that there is no more.
  assert.deepEqual(steps, ["op", "get", "send", "insert", "get", ...STEPS.slice(4)]);
  const last = states.at(-1)!;
  assert.equal(last.end, "moved");
  assert.deepEqual([last.counts.records, last.counts.taken, last.counts.held], [2, 4, 5]);
  assert.deepEqual([last.counts.bytes, last.counts.deleted], [40, 2]);
});

Deno.test("advance() holds no frame where nothing is guaranteed", () => {
  const phases = goodMove({ ...ORDER, guarantee: "none" }).states.map(({ phase }) => phase);
  assert.ok(!phases.includes("hold") && !phases.includes("catch-up"), phases.join(" "));
});

/** Feeds failures until the move ends; answers whatever else is asked as if it went well. */
function failing(state: MoveState, phase: Phase): { end: MoveState; fails: number } {
  let fails = 0, now = 1000;
  while (state.end === null && now < 2000) {
    const bad = state.phase === phase && fails < 100;
    if (bad) fails++;
    const more = state.phase === "read" && (phase === "send" || phase === "insert");
    const good: MoveEvent = more ? { kind: "read", last: false, counts: { records: 2 } } : GOOD[state.phase];
    state = advance(state, bad ? { kind: "failed", reason: "it is broken" } : good, now++);
  }
  return { end: state, fails };
}

Deno.test("advance() goes back where a party stays broken before the route, and on behind it", () => {
  for (const state of goodMove().states) {
    if (state.end !== null || state.phase === "route" || state.phase === "finish") continue;
    const { end, fails } = failing(state, state.phase);
    assert.equal(end.end, state.phase === "delete" ? "moved" : "back", state.phase);
    assert.match(end.reason, /it is broken/, state.phase);
    assert.ok(fails <= 13, `${state.phase} was tried ${fails} times`);
  }
});

Deno.test("advance() asks what became of an order to route that had no answer", () => {
  const at = goodMove().states.find(({ phase }) => phase === "route")!;
  const asked = advance(at, { kind: "failed", reason: "no answer" }, 5);
  assert.equal(asked.phase, "look");
  const seen = (sight: { routed: boolean; hold: "none" | "intact" | "broken" } | null) =>
    advance(asked, { kind: "seen", sight }, 6).phase;
  assert.equal(seen({ routed: true, hold: "intact" }), "delete");
  assert.equal(seen({ routed: false, hold: "intact" }), "route");
  assert.equal(seen({ routed: false, hold: "broken" }), "cancel");
  assert.equal(seen({ routed: false, hold: "none" }), "cancel");
  // A new plane: its hold was whole when the order was written.
  assert.equal(seen(null), "route");
});

Deno.test("advance() holds anew when a hold broke, and gives up at the third", () => {
  let state = goodMove().states.find(({ phase }) => phase === "route")!;
  const rounds: string[] = [];
  for (let i = 0; state.end === null && i < 100; i++) {
    if (state.phase === "route") rounds.push(state.phase);
    state = advance(state, state.phase === "route" ? { kind: "routed", ok: false } : GOOD[state.phase], i);
  }
  assert.deepEqual([state.end, rounds.length], ["back", 3]);
  assert.match(state.reason, /hold broke/);
});

Deno.test("advance() goes back when the destination dies before it owns the flows, and saves what it can when the source does", () => {
  for (const state of goodMove().states) {
    const to = advance(state, { kind: "died", box: "destination" }, 9);
    const safe = state.end !== null || state.phase === "delete" || state.phase === "finish";
    assert.equal(to.course, safe ? "on" : "back", state.phase);
    const from = advance(state, { kind: "died", box: "source" }, 9);
    const copied = state.pass === 2 || ["hold", "route"].includes(state.phase);
    if (!safe) assert.equal(from.phase, copied ? "route" : "cancel", state.phase);
  }
});

Deno.test("a journal cut anywhere leads on or back, never to neither", () => {
  const { states, entries } = goodMove();
  entries.forEach((written, i) => {
    const text = written.map(entryLine).join("");
    const { open, unreadable } = readIntents(text);
    assert.equal(unreadable, 0);
    assert.equal(open.length, 1);
    const { state } = open[0]!, at = states[i]!;
    const wanted = at.phase === "route"
      ? "look"
      : at.phase === "delete" || at.phase === "finish"
      ? "delete"
      : "cancel";
    assert.equal(state.phase, wanted, `after ${at.phase}`);
    if (state.phase === "cancel") assert.equal(state.clean, written.some(({ mark }) => mark === "clean"));
    // Half of the last line counts as if it were not there.
    const lines = text.trimEnd().split("\n"), cut = lines.at(-1)!.slice(0, -3);
    assert.equal(
      readIntents([...lines.slice(0, -1), cut].join("\n")).open.length,
      written.length > 1 ? 1 : 0,
    );
  });
});

Deno.test("readIntents() keeps rules of moves that ended well and names damaged lines", () => {
  const moved = (id: string, fields: MoveOrder["fields"], end: "moved" | "back"): Entry[] => [
    { id, round: 0, mark: "op", atMs: 1, order: { ...ORDER, id, fields } },
    { id, round: 0, mark: "end", atMs: 2, end },
  ];
  const all = [
    ...moved("x", { protocol: 17 }, "moved"),
    ...moved("y", { protocol: 6 }, "back"),
    ...moved("z", {}, "moved"),
  ];
  const text = all.map(entryLine).join("");
  assert.deepEqual(readIntents(text).rules.map(({ id, box }) => `${id} ${box}`), ["z b"]);
  const compact = compactIntents(readIntents(text));
  assert.deepEqual(readIntents(compact), readIntents(text));
  assert.equal(readIntents(text.replace('"mark":"end"', '"mark":"eNd"')).unreadable, 1);
});

Deno.test("resumeMove() takes a broken hold for what it is", () => {
  const written: Entry[] = (["op", "clean", "route", "hold"] as const).map((mark, i) => ({
    id: "m1",
    round: mark === "hold" ? 1 : 0,
    mark,
    atMs: i,
    ...(mark === "op" && { order: ORDER }),
    ...(mark === "clean" && { clean: true }),
  }));
  // The route was not changed, and may not be before a second order says so.
  assert.equal(resumeMove(written)!.phase, "cancel");
  assert.equal(resumeMove(written.slice(0, 3))!.phase, "look");
  assert.equal(resumeMove([...written, { id: "m1", round: 1, mark: "end", atMs: 9 }]), null);
});
