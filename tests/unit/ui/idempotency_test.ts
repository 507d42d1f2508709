/** Duty: answers that are kept under keys: how many, of how many bytes, for how long, and which are not. */
import assert from "node:assert/strict";
import { Idempotency, type Kept, keyFault } from "../../../ui/idempotency.ts";

const kept = (text: string, status = 200): Kept => ({ status, headers: [], text });

Deno.test("Idempotency keeps 256 answers for a day, the oldest go first", async () => {
  const store = new Idempotency();
  let worked = 0;
  const ask = (key: string, nowMs = 0) =>
    store.answer({ key, body: "", nowMs }, () => Promise.resolve(kept(String(++worked))));
  for (let turn = 0; turn < 300; turn++) await ask(`k${turn}`);
  assert.equal(store.size, 256);
  assert.deepEqual([(await ask("k299")).again, (await ask("k0")).again], [true, false]);
  assert.equal((await ask("k299", 86_400_001)).again, false);
  assert.equal(store.size, 1);
});

Deno.test("Idempotency bounds the bytes, and does not keep what failed by no fault of the request", async () => {
  const store = new Idempotency(), long = "x".repeat(1024 * 1024);
  const ask = (key: string, answer: Kept) =>
    store.answer({ key, body: "", nowMs: 0 }, () => Promise.resolve(answer));
  for (let turn = 0; turn < 20; turn++) await ask(`k${turn}`, kept(long));
  assert.ok(store.size <= 4);
  await ask("failed", kept("", 503));
  assert.equal((await ask("failed", kept("good"))).kept.text, "good");
  await assert.rejects(
    store.answer({ key: "thrown", body: "", nowMs: 0 }, () => Promise.reject(new Error("x"))),
  );
  assert.equal((await ask("thrown", kept("good"))).again, false);
});

Deno.test("Idempotency refuses when as many are under way, and drops none of those", async () => {
  const store = new Idempotency();
  const ends: (() => void)[] = [];
  const pending = Array.from(
    { length: 256 },
    (_, turn) =>
      store.answer(
        { key: `k${turn}`, body: "", nowMs: 0 },
        () => new Promise((done) => ends.push(() => done(kept("")))),
      ),
  );
  await assert.rejects(
    store.answer({ key: "one more", body: "", nowMs: 0 }, () => Promise.resolve(kept(""))),
    /Too many requests are under way/,
  );
  ends.forEach((end) => end());
  assert.equal((await Promise.all(pending)).length, 256);
});

Deno.test("keyFault() takes what is printable and short", () => {
  assert.equal(keyFault("8e03978e-40d5-43dd-bc93-6894a57f9324"), null);
  for (const key of ["", "a b", "ü", "x".repeat(129)]) assert.match(keyFault(key)!, /Idempotency-Key/);
});
