/** Duty: changes of the configuration: applied, confirmed, undone, and what is left when control ends in between. */
import assert from "node:assert/strict";
import { ConfigKeeper, recoverFile } from "../../../appliance/config_control.ts";
import {
  begin,
  confirm,
  found,
  NO_LEDGER,
  overdue,
  previous,
  undo,
} from "../../../appliance/config_ledger.ts";
import { ConfigStore, etagOf } from "../../../appliance/config_store.ts";
import { exampleConfig } from "../../../appliance/config_text.ts";
import type { ConfigAnswer } from "../../../appliance/view_config.ts";

const OLD = exampleConfig().replace(/^#preset = "nat"/m, 'preset = "nat"');
const NEW = OLD.replace(/^preset = "nat"/m, 'preset = "lb"');
const THIRD = OLD.replace(/^preset = "nat"/m, 'preset = "firewall"');
assert.notEqual(NEW, OLD);

class Place implements Disposable {
  readonly directory = Deno.makeTempDirSync();
  readonly file = `${this.directory}/remediate.toml`;
  readonly store = new ConfigStore(this.file, `${this.directory}/state/config`);
  /** Texts that the node took over. */
  readonly taken: string[] = [];
  readonly logged: string[] = [];
  refusal: string | null = null;
  nowMs = 1_000_000;
  #keepers: ConfigKeeper[] = [];

  constructor() {
    Deno.writeTextFileSync(this.file, OLD, { mode: 0o640 });
  }

  get text(): string {
    return Deno.readTextFileSync(this.file);
  }

  start(): ConfigKeeper {
    const keeper = new ConfigKeeper({
      store: this.store,
      text: this.text,
      matchFault: () => null,
      reload: () => {
        if (this.refusal !== null) return Promise.resolve({ ok: false, text: this.refusal });
        this.taken.push(this.text);
        return Promise.resolve({ ok: true, text: "in force" });
      },
      say: (_, text) => void this.logged.push(text),
      nowMs: () => this.nowMs,
    });
    this.#keepers.push(keeper);
    return keeper;
  }

  [Symbol.dispose](): void {
    for (const keeper of this.#keepers) keeper.close();
    Deno.removeSync(this.directory, { recursive: true });
  }
}

const WISH = { who: "ann", note: "try", etag: null, confirmS: 90 };

function good(answer: ConfigAnswer): Extract<ConfigAnswer, { ok: true }> {
  assert.ok(answer.ok, answer.text);
  return answer;
}

function refused(answer: ConfigAnswer, status: number): string {
  assert.ok(!answer.ok);
  assert.equal(answer.status, status, answer.text);
  return answer.text;
}

async function until(so: () => boolean): Promise<void> {
  for (let turn = 0; !so() && turn < 1_500; turn++) await new Promise((done) => setTimeout(done, 20));
  assert.ok(so());
}

Deno.test("ConfigKeeper puts a good configuration in force, and keeps it when it is confirmed", async () => {
  using place = new Place();
  const keeper = place.start();
  assert.equal(keeper.current().etag, etagOf(OLD));
  const { view } = good(await keeper.apply({ ...WISH, text: NEW, etag: etagOf(OLD) }));
  assert.deepEqual(view.pending, { id: 2, who: "ann", untilMs: place.nowMs + 90_000 });
  assert.deepEqual([place.text, place.taken], [NEW, [NEW]]);
  assert.equal((Deno.statSync(place.file).mode ?? 0) & 0o777, 0o640);
  good(keeper.confirm("ann"));
  place.nowMs += 1_000_000;
  await new Promise((done) => setTimeout(done, 400));
  assert.equal(place.text, NEW);
  assert.deepEqual(keeper.history().map(({ id, state }) => [id, state]), [[2, "confirmed"], [1, "start"]]);
  assert.match(keeper.version(2)!.diff, /-preset = "nat"\n\+preset = "lb"/);
  assert.match(refused(keeper.confirm("ann"), 409), /no configuration waits/);
});

Deno.test("ConfigKeeper brings the one before back by itself when nobody confirms", async () => {
  using place = new Place();
  const keeper = place.start();
  good(await keeper.apply({ ...WISH, text: NEW }));
  place.nowMs += 89_999;
  await new Promise((done) => setTimeout(done, 400));
  assert.equal(place.text, NEW);
  place.nowMs += 1;
  assert.match(refused(keeper.confirm("ann"), 409), /is over/);
  await until(() => place.text === OLD);
  await until(() => keeper.current().pending === null);
  assert.deepEqual(place.taken, [NEW, OLD]);
  assert.equal(keeper.current().etag, etagOf(OLD));
  assert.equal(keeper.history()[0]!.state, "undone");
  assert.match(
    place.logged.at(-1)!,
    /undone, because nobody confirmed it in time: 1 is in the file and in force/,
  );
});

Deno.test("ConfigKeeper goes on with one that waits in the next control, which has the rest of its time", async () => {
  using place = new Place();
  good(await place.start().apply({ ...WISH, text: NEW }));
  place.start().close();
  const next = place.start();
  assert.equal(next.current().pending?.id, 2);
  assert.equal(recoverFile(place.store, place.nowMs), null);
  place.nowMs += 90_000;
  await until(() => place.text === OLD);
});

Deno.test("recoverFile() puts the file back where the time was over before a control came", async () => {
  using place = new Place();
  const first = place.start();
  good(await first.apply({ ...WISH, text: NEW }));
  first.close();
  place.nowMs += 90_001;
  assert.equal(recoverFile(place.store, place.nowMs)?.text, OLD);
  assert.equal(place.text, OLD);
  const next = place.start();
  assert.deepEqual([next.current().pending, next.current().id], [null, 1]);
  assert.equal(recoverFile(place.store, place.nowMs), null);
});

Deno.test("ConfigKeeper leaves one alone that was changed by hand while it waited", async () => {
  using place = new Place();
  const first = place.start();
  good(await first.apply({ ...WISH, text: NEW }));
  first.close();
  Deno.writeTextFileSync(place.file, THIRD);
  place.nowMs += 90_001;
  assert.equal(recoverFile(place.store, place.nowMs), null);
  const next = place.start();
  assert.equal(next.current().pending, null);
  assert.deepEqual(next.history().map(({ state }) => state), ["start", "undone", "start"]);
  assert.equal(place.text, THIRD);
});

Deno.test("ConfigKeeper keeps the old state whatever is wrong with the new one", async () => {
  using place = new Place();
  const keeper = place.start();
  const before = keeper.current();
  const bad = await keeper.apply({ ...WISH, text: NEW.replace(/^preset = "lb"/m, 'preset = "lbb"') });
  assert.match(refused(bad, 422), /filter\.preset is no choice: did you mean "lb"\?/);
  assert.ok(!bad.ok && bad.problems?.[0]?.line! > 1);
  assert.match(refused(await keeper.apply({ ...WISH, text: NEW, etag: "other" }), 412), /not "other"/);
  place.refusal = "ports.upstream cannot change while the node runs";
  assert.match(refused(await keeper.apply({ ...WISH, text: NEW }), 422), /cannot change/);
  place.refusal = null;
  assert.equal(place.text, OLD);
  assert.deepEqual({ ...keeper.current(), id: 0 }, { ...before, id: 0 });
  const answer = await keeper.apply({ ...WISH, text: OLD });
  assert.match(good(answer).text, /already/);
});

Deno.test("ConfigKeeper takes one change at a time, and none while another waits", async () => {
  using place = new Place();
  const keeper = place.start();
  const [one, two] = await Promise.all([
    keeper.apply({ ...WISH, text: NEW }),
    keeper.apply({ ...WISH, text: THIRD }),
  ]);
  good(one);
  assert.match(refused(two, 409), /under way/);
  assert.match(
    refused(await keeper.apply({ ...WISH, text: THIRD }), 409),
    /2 waits: confirm it or roll it back/,
  );
  assert.match((await keeper.reload("bob")).text, /2 waits/);
  good(await keeper.rollback({ id: null, who: "ann", confirmS: 90 }));
  assert.deepEqual([place.text, keeper.current().pending], [OLD, null]);
});

Deno.test("ConfigKeeper goes back to any that is kept, and knows what was reloaded by hand", async () => {
  using place = new Place();
  const keeper = place.start();
  Deno.writeTextFileSync(place.file, NEW);
  assert.ok((await keeper.reload("bob")).ok);
  good(await keeper.apply({ ...WISH, text: THIRD, confirmS: 0 }));
  good(await keeper.rollback({ id: null, who: "ann", confirmS: 0 }));
  assert.equal(place.text, NEW);
  good(await keeper.rollback({ id: 1, who: "ann", confirmS: 0 }));
  assert.equal(place.text, OLD);
  refused(await keeper.rollback({ id: 99, who: "ann", confirmS: 0 }), 404);
  assert.deepEqual(keeper.history().map(({ note }) => note), [
    "back to 1",
    "back to 2",
    "try",
    "reloaded by hand",
    "found at the start",
  ]);
});

Deno.test("a ledger is bounded, and keeps what it needs", () => {
  const at = (etag: string) => ({ etag, who: "ann", note: "", atMs: 5000 });
  let ledger = found(NO_LEDGER, at("a"));
  for (let turn = 0; turn < 200; turn++) ledger = begin(ledger, at(`b${turn}`), 0);
  assert.equal(ledger.versions.length, 50);
  const waits = begin(ledger, at("c"), 60);
  assert.deepEqual([overdue(waits, 64_999), overdue(waits, 65_000), overdue(waits, 4000)], [
    false,
    true,
    true,
  ]);
  assert.equal(undo(waits, waits.pending!.before).current, ledger.current);
  assert.equal(confirm(waits).pending, null);
  assert.equal(previous(undo(waits, ledger.current)), ledger.current - 1);
  assert.equal(found(ledger, at("b199")), ledger);
});
