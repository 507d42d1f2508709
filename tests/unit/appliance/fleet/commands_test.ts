/** Commands on a node: each is carried out once or never, whenever the agent is ended. */
import assert from "node:assert/strict";
import {
  type BookLine,
  bookLine,
  CommandBook,
  compactBook,
  readBook,
} from "../../../../appliance/fleet/book.ts";
import { Commander } from "../../../../appliance/fleet/commander.ts";
import type { Executors } from "../../../../appliance/fleet/contract.ts";
import type { CommandKind } from "../../../../appliance/fleet/kinds.ts";
import type { Message } from "../../../../appliance/fleet/messages.ts";
import { settle } from "../../../support/fleet.ts";

function command(number: number, kind: CommandKind = "drill", expiresMs = 1000): Message<"command"> {
  return { type: "command", number, kind, arguments: {}, expiresMs };
}

/** An agent's disk, and agents that are ended at will. */
class Disk {
  text = "";
  results: Message<"result">[] = [];
  effects: number[] = [];
  /** Lines that it takes before the agent is ended. */
  room = Infinity;

  start(executors: Executors = {}): Commander {
    const write = (line: BookLine) => {
      if (this.room-- <= 0) throw new Error("ended");
      this.text += bookLine(line);
    };
    const drill: Executors["drill"] = (_, { number }) => {
      this.effects.push(number);
      return Promise.resolve({ outcome: "done", text: "ok" });
    };
    return new Commander({
      book: new CommandBook(readBook(this.text), write),
      executors: { drill, ...executors },
      nowMs: () => 0,
      aheadMs: () => 0,
      told: (result) => void this.results.push(result),
      progress: () => {},
      send: () => Promise.resolve(0),
      say: () => {},
    });
  }
}

Deno.test("a command that is given twice is done once, and its result told twice", async () => {
  const disk = new Disk(), agent = disk.start();
  agent.give(command(1));
  await agent.close().then(() => {});
  const after = disk.start();
  after.give(command(1));
  await settle(0);
  assert.deepEqual(disk.effects, [1]);
  assert.equal(disk.results.every(({ command, outcome }) => command === 1 && outcome === "done"), true);
});

Deno.test("an agent that is ended after any line does a command once or never, and always tells what became of it", async () => {
  for (let room = 0; room < 6; room++) {
    const disk = new Disk();
    disk.room = room;
    const agent = disk.start();
    agent.give(command(1));
    await settle(0);
    disk.room = Infinity;
    disk.results = [];
    const after = disk.start(); // the same disk, a fresh process
    after.give(command(1)); // the controller has no result, so it asks again
    await settle(0);
    assert.equal(disk.effects.length <= 1, true, `after ${room} lines: ${disk.effects}`);
    const outcomes = new Set(disk.results.map(({ outcome }) => outcome));
    assert.equal(outcomes.size, 1, `after ${room} lines`);
    assert.equal(outcomes.has("done") ? disk.effects.length : 0, outcomes.has("done") ? 1 : 0);
    if (outcomes.has("interrupted")) assert.equal(room, 2, "begun, and not ended");
  }
});

Deno.test("a number below the highest that is not kept any more is never done", async () => {
  const disk = new Disk();
  for (let number = 1; number <= 300; number++) {
    const result = {
      type: "result",
      command: number,
      outcome: "done",
      text: "",
      data: {},
      bytes: null,
    } as const;
    const lines: BookLine[] = [
      { is: "taken", command: command(number) },
      { is: "begun", number },
      { is: "ended", result },
      { is: "settled", number },
    ];
    disk.text += lines.map(bookLine).join("");
  }
  disk.text = compactBook(disk.text);
  const agent = disk.start();
  agent.give(command(1));
  agent.give(command(301));
  await settle(0);
  assert.deepEqual(disk.effects, [301]);
  assert.deepEqual(disk.results.map(({ outcome }) => outcome), ["interrupted", "done"]);
});

Deno.test("compactBook() changes nothing but the length", () => {
  const lines: BookLine[] = [
    { is: "taken", command: command(1) },
    { is: "begun", number: 1 },
    { is: "taken", command: command(2) },
  ];
  const text = lines.map(bookLine).join(""), compact = compactBook(text);
  assert.equal(compactBook(compact), compact);
  const taken = (from: string) => new CommandBook(readBook(from), () => {});
  for (const number of [1, 2]) assert.deepEqual(taken(compact).take(command(number)), { is: "known" });
  assert.deepEqual(taken(compact).recover().map((one) => one.number), [2]);
  assert.deepEqual(
    taken(`${compact}{"is":"begun","numb`).recover().map((one) => one.number),
    [2],
    "a cut line",
  );
});

Deno.test("a command whose time is over is not begun; one without an executor is refused", async () => {
  const disk = new Disk(), agent = disk.start();
  agent.give(command(1, "drill", -1));
  agent.give(command(2, "support"));
  await settle(0);
  assert.deepEqual(disk.effects, []);
  assert.deepEqual(disk.results.map(({ outcome }) => outcome), ["expired", "refused"]);
});

Deno.test("commands come one after the other, but for those beside", async () => {
  const disk = new Disk(), order: string[] = [];
  let release = () => {};
  const agent = disk.start({
    "update.offer": async () => {
      order.push("offer begins");
      await new Promise<void>((done) => release = done);
      order.push("offer ends");
      return { outcome: "failed", text: "cancelled" };
    },
    "update.cancel": () => {
      order.push("cancel");
      release();
      return Promise.resolve({ outcome: "done", text: "" });
    },
    "support": () => {
      order.push("support");
      return Promise.resolve({ outcome: "done", text: "" });
    },
  });
  agent.give(command(1, "update.offer"));
  agent.give(command(2, "support"));
  await settle(0);
  agent.give(command(3, "update.cancel"));
  await settle(0);
  assert.deepEqual(order, ["offer begins", "cancel", "offer ends", "support"]);
  assert.equal(agent.busy, 0);
});

Deno.test("an executor that throws has failed, with its reason", async () => {
  const disk = new Disk();
  const agent = disk.start({ support: () => Promise.reject(new Error("the disk is full")) });
  agent.give(command(1, "support"));
  await settle(0);
  assert.deepEqual(disk.results.map(({ outcome, text }) => [outcome, text]), [[
    "failed",
    "the disk is full",
  ]]);
});
