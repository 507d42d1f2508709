/** Duty: who may come in: accounts, back-off, sessions, tokens, the one-time code, and what is kept of them. */
import assert from "node:assert/strict";
import { Access, type AccessOptions, COOKIE } from "../../../ui/access/access.ts";
import {
  type Accounts,
  isDenied,
  NO_ACCOUNTS,
  readAccounts,
  writeAccounts,
} from "../../../ui/access/accounts.ts";
import { LoginLimiter, network } from "../../../ui/access/limiter.ts";
import { hashPassword, isPassword, oneTimeCode } from "../../../ui/access/secrets.ts";
import { IDLE_MS, LIFE_MS, Sessions } from "../../../ui/access/sessions.ts";
import { loadAccounts, saveAccounts } from "../../../ui/access/store.ts";
import { openSite, PASSWORD } from "../../support/listener.ts";

Deno.test("LoginLimiter lets a few tries pass, then waits twice as long each time, up to a bound", () => {
  const limiter = new LoginLimiter(), who = { address: "192.0.2.1", account: "ann" };
  const waits: number[] = [];
  let nowMs = 0;
  for (let turn = 0; turn < 40; turn++) {
    const waitMs = limiter.attempt(who, nowMs);
    waits.push(waitMs);
    nowMs += waitMs;
  }
  assert.deepEqual(waits.slice(0, 9), [0, 0, 0, 0, 0, 1000, 0, 2000, 0]);
  assert.equal(Math.max(...waits), 15 * 60_000);
  assert.equal(
    limiter.attempt({ ...who, address: "192.0.2.2" }, nowMs + 30_000),
    0,
    "others wait 30 s at most",
  );
});

Deno.test("LoginLimiter does not clear an address for one good account, and forgets in time", () => {
  const limiter = new LoginLimiter(), mallory = "2001:db8::1";
  for (let turn = 0; turn < 10; turn++) {
    assert.equal(limiter.attempt({ address: mallory, account: `user${turn}` }, 0), 0);
  }
  limiter.succeeded({ address: mallory, account: "user9" });
  assert.equal(limiter.attempt({ address: mallory, account: "root" }, 0), 0);
  assert.ok(limiter.attempt({ address: "2001:db8::ffff", account: "other" }, 0) > 0, "the same /64");
  assert.equal(limiter.attempt({ address: mallory, account: "root" }, 2 * 3600_000), 0);
  for (let turn = 0; turn < 10_000; turn++) {
    limiter.attempt({ address: `10.0.${turn}`, account: `${turn}` }, 0);
  }
  assert.ok(limiter.size <= 4096);
  assert.equal(network("::ffff:10.0.0.1"), "10.0.0.1");
  assert.equal(network("2001:db8::1"), "2001:db8:0:0");
});

Deno.test("Sessions end when they are idle, when they are old, and when there are too many", () => {
  const sessions = new Sessions(), csrf = "c";
  const begin = (digest: string, name: string, nowMs: number) =>
    sessions.begin(digest, { name, csrf, nowMs });
  begin("a", "ann", 0);
  assert.equal(sessions.use("a", IDLE_MS)?.name, "ann");
  assert.equal(sessions.use("a", 2 * IDLE_MS + 1), null);
  begin("b", "ann", 0);
  for (let ms = 0; ms <= LIFE_MS; ms += IDLE_MS) assert.ok(sessions.use("b", ms), String(ms));
  assert.equal(sessions.use("b", LIFE_MS + 1), null);
  begin("set-back", "ann", 5000);
  assert.equal(sessions.use("set-back", 4000), null);
  for (let turn = 0; turn < 1000; turn++) begin(`x${turn}`, `user${turn % 100}`, 0);
  assert.equal(sessions.size, 256);
  for (let turn = 0; turn < 50; turn++) begin(`y${turn}`, "bob", 0);
  assert.equal(
    Array.from({ length: 50 }, (_, turn) => sessions.use(`y${turn}`, 0)).filter(Boolean).length,
    16,
  );
  sessions.endAllOf("bob");
  assert.equal(sessions.use("y49", 0), null);
});

Deno.test("hashPassword() tells passwords apart, never writes one, and takes no other form of hash", async () => {
  const hash = await hashPassword("naïve passphrase");
  assert.match(hash, /^scrypt\$15\$8\$3\$/);
  assert.ok(await isPassword(hash, "nai\u0308ve passphrase"), "however it was typed");
  assert.equal(await isPassword(hash, "naive passphrase"), false);
  assert.equal(await isPassword("md5$x", "x"), false);
  assert.match(oneTimeCode(), /^([a-z0-9]{4}-){3}[a-z0-9]{4}$/);
});

function access(more: Partial<AccessOptions> = {}): Access & { saved: Accounts[] } {
  const saved: Accounts[] = [];
  const made = new Access({
    accounts: NO_ACCOUNTS,
    save: (accounts) => void saved.push(accounts),
    code: null,
    used: () => {},
    listening: null,
    audit: () => {},
    nowMs: () => 1000,
    ...more,
  });
  return Object.assign(made, { saved });
}

Deno.test("Access makes the first admin by the code, once, and keeps no secret in the clear", async () => {
  let used = 0;
  const door = access({ code: "abcd-efgh", used: () => used++ });
  const first = (code: string) =>
    door.first({ code, name: "ann", password: "a long password", address: "192.0.2.1" });
  assert.ok(door.fresh);
  const wrong = await first("abcd-efgi");
  assert.ok(isDenied(wrong) && wrong.status === 401);
  const entered = await first(" ABCD-efgh ");
  assert.ok(!isDenied(entered));
  assert.equal(entered.visitor.role, "admin");
  assert.match(entered.cookie, /; Path=\/; Secure; HttpOnly; SameSite=Strict; Max-Age=43200$/);
  assert.deepEqual([used, door.fresh], [1, false]);
  const again = await first("abcd-efgh");
  assert.ok(isDenied(again) && again.status === 409);
  const kept = writeAccounts(door.saved.at(-1)!);
  assert.doesNotMatch(kept, /a long password|abcd/);
  assert.deepEqual(readAccounts(kept), door.saved.at(-1));
});

Deno.test("Access keeps the only admin, refuses weak passwords and odd names, and changes nothing that cannot be kept", async () => {
  let broken = false;
  const door = access({
    save: () => {
      if (broken) throw new Error("Cannot write access.json: disk full");
    },
  });
  const add = (name: string, password: string) => door.addUser({ name, password, role: "admin" });
  assert.equal((await add("../x", "a long password"))?.status, 400);
  assert.equal((await add("ann", "short"))?.status, 400);
  assert.equal(await add("ann", "a long password"), null);
  assert.equal((await add("ann", "a long password"))?.status, 409);
  assert.match(door.removeUser("ann")!.text, /only admin/);
  broken = true;
  await assert.rejects(add("bob", "a long password"), /disk full/);
  assert.deepEqual(door.users().map(({ name }) => name), ["ann"]);
});

Deno.test("tokens have a role and an end, and are gone when they are revoked", () => {
  let nowMs = 0;
  const door = access({ nowMs: () => nowMs });
  const made = door.addToken({ name: "prometheus", role: "viewer", days: 1 });
  assert.ok(!isDenied(made));
  const visit = (token: string) => door.visitorOf(new Headers({ authorization: `Bearer ${token}` }));
  assert.deepEqual(visit(made.token), { name: "token:prometheus", role: "viewer", csrf: null });
  assert.equal(visit(`${made.token.slice(0, -1)}${made.token.endsWith("A") ? "B" : "A"}`), null);
  assert.ok(!JSON.stringify(door.saved).includes(made.token.slice(17)));
  nowMs = 86_400_000;
  assert.equal(visit(made.token), null);
  nowMs = 0;
  assert.equal(door.revokeToken(made.id), null);
  assert.equal(visit(made.token), null);
  assert.equal(door.revokeToken(made.id)?.status, 404);
});

Deno.test("a person logs in, acts, is noted, and logs out, over the network", async () => {
  await using site = await openSite({ users: ["operator", "admin"] });
  const send = async (method: string, path: string, headers: Record<string, string>, body?: object) => {
    const response = await fetch(site.base + path, {
      method,
      headers,
      ...(body && { body: JSON.stringify(body) }),
    });
    return { status: response.status, headers: response.headers, body: await response.json() };
  };
  const login = await send("POST", "/api/v1/session", {}, { name: "operator", password: PASSWORD });
  assert.equal(login.status, 200);
  const [set] = login.headers.getSetCookie();
  assert.match(set!, new RegExp(`^${COOKIE}=[\\w-]{43}; Path=/; Secure; HttpOnly; SameSite=Strict`));
  const cookie = set!.split(";")[0]!, headers = { cookie, "x-csrf-token": login.body.csrf };
  assert.deepEqual((await send("GET", "/api/v1/session", { cookie })).body, login.body);
  assert.equal((await send("POST", "/api/v1/switchover", headers, { force: true })).status, 200);
  assert.equal((await send("POST", "/api/v1/users", headers, {})).status, 403);
  assert.equal((await send("DELETE", "/api/v1/session", headers)).status, 200);
  assert.equal((await send("GET", "/api/v1/session", { cookie })).status, 401);
  assert.deepEqual(site.audited.map(({ who, what, result, detail }) => [who, what, result, detail]), [
    ["operator", "login", 200, undefined],
    ["operator", "POST /api/v1/switchover", 200, '{"force":true}'],
    ["operator", "POST /api/v1/users", 403, undefined],
    ["operator", "DELETE /api/v1/session", 200, undefined],
  ]);
  assert.equal(site.audited[0]!.from, "127.0.0.1");
});

Deno.test("who knows the old password may choose another, and is logged out everywhere", async () => {
  await using site = await openSite({ users: ["viewer"] });
  const { cookie, csrf } = await site.enter("viewer");
  const change = async (old: string, password: string) => {
    const headers = { cookie, "x-csrf-token": csrf };
    const init = { method: "PUT", headers, body: JSON.stringify({ old, password }) };
    const response = await fetch(`${site.base}/api/v1/session/password`, init);
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await change("a wrong old one", "another password"), 401);
  assert.equal(await change(PASSWORD, "short"), 400);
  assert.equal(await change(PASSWORD, "another password"), 200);
  assert.equal(await change("another password", PASSWORD), 401);
  assert.ok(isDenied(await site.access.login({ name: "viewer", password: PASSWORD, address: "x" })));
  assert.ok(
    !isDenied(await site.access.login({ name: "viewer", password: "another password", address: "x" })),
  );
});

Deno.test("an action asked for twice under one key happens once, and another body is refused", async () => {
  await using site = await openSite({ users: [] });
  const ask = async (key: string, body: object, role: "operator" | "admin" = "operator") => {
    const headers = { authorization: `Bearer ${tokens[role]}`, "idempotency-key": key };
    const init = { method: "POST", headers, body: JSON.stringify(body) };
    const response = await fetch(`${site.base}/api/v1/switchover`, init);
    return [response.status, response.headers.get("idempotency-replayed"), await response.text()] as const;
  };
  const tokens = { operator: site.token("operator"), admin: site.token("admin") };
  const [one, two] = await Promise.all([ask("k1", {}), ask("k1", {})]);
  assert.deepEqual([one[0], two[0], one[2]], [200, 200, two[2]]);
  assert.deepEqual([one[1], two[1]].sort(), [null, "true"].sort());
  assert.equal((await ask("k1", { force: true }))[0], 422);
  assert.equal((await ask("a b", {}))[0], 400);
  assert.equal(site.node.calls.length, 1);
  await ask("k1", {}, "admin");
  await ask("k2", {});
  assert.equal(site.node.calls.length, 3);
});

Deno.test("saveAccounts() writes for root alone, and a broken file lets nobody become the first admin", () => {
  const directory = Deno.makeTempDirSync(), path = `${directory}/access.json`;
  try {
    assert.deepEqual(loadAccounts(path), NO_ACCOUNTS);
    saveAccounts(path, NO_ACCOUNTS);
    saveAccounts(path, NO_ACCOUNTS);
    assert.equal((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
    assert.deepEqual([...Deno.readDirSync(directory)].map(({ name }) => name), ["access.json"]);
    for (const text of ["", "{}", '{"version":1,"users":[{"name":"x"}],"tokens":[]}', '{"version":2}']) {
      Deno.writeTextFileSync(path, text);
      assert.throws(() => loadAccounts(path), /^Error: Cannot read .*access\.json: /);
    }
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});
