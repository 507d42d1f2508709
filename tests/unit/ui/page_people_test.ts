/** Users and tokens on a page: only for admins, by forms that are meant, with nothing of a password anywhere. */
import assert from "node:assert/strict";
import { makePages } from "../../../ui/page/pages.tsx";
import type { AuditEntry } from "../../../ui/route.ts";
import type { Visitor } from "../../../ui/session.ts";
import { ADMIN_VISITOR, pageMeans } from "../../support/page_means.ts";
import { fakeNode } from "./fake_node.ts";

const FORMS = [
  "/users/add",
  "/users/role",
  "/users/password",
  "/users/remove",
  "/tokens/add",
  "/tokens/revoke",
];
const SECRET = "a password of mine";

function open() {
  const audited: AuditEntry[] = [], control = fakeNode();
  const means = pageMeans({ control, audit: (entry) => audited.push(entry) });
  const pages = makePages(control, means);
  const post = async (
    path: string,
    fields: Record<string, string>,
    visitor: Visitor | null = ADMIN_VISITOR,
  ) => {
    const request = new Request(`http://n${path}`, { method: "POST", body: new URLSearchParams(fields) });
    const response = await pages.handle(request, visitor);
    return { status: response.status, text: await response.text() };
  };
  return { audited, means, post, pages, [Symbol.dispose]: () => pages.close() };
}

Deno.test("the page of users does what its forms say, and tells what is refused", async () => {
  using site = open();
  const csrf = ADMIN_VISITOR.csrf!;
  const add = { csrf, name: "bob", password: SECRET, role: "viewer" };
  assert.match((await site.post("/users/add", { ...add, password: "short" })).text, /12 characters or more/);
  assert.match((await site.post("/users/add", add)).text, /bob may come in as viewer/);
  await site.post("/users/role", { csrf, name: "bob", role: "operator" });
  assert.deepEqual(site.means.people!.users().map(({ name, role }) => `${name} ${role}`), [
    "ada admin",
    "bob operator",
  ]);
  assert.match(
    (await site.post("/users/password", { csrf, name: "nobody", password: SECRET })).text,
    /no user/,
  );
  assert.match(
    (await site.post("/tokens/add", { csrf, name: "ci", role: "viewer", days: "30" })).text,
    /rmt_t2_shown-once/,
  );
  assert.match(
    (await site.post("/tokens/add", { csrf, name: "ci", role: "viewer", days: "-1" })).text,
    /no number of days/,
  );
  const page = await (await site.pages.handle(new Request("http://n/users"), ADMIN_VISITOR)).text();
  assert.ok(!page.includes("shown-once") && page.includes("prometheus"));
  await site.post("/users/remove", { csrf, name: "bob" });
  await site.post("/tokens/revoke", { csrf, id: "t1" });
  assert.deepEqual(site.means.people!.tokens().map(({ id }) => id), ["t2"]);
  assert.ok(!JSON.stringify(site.audited).includes(SECRET));
  assert.deepEqual(site.audited.map(({ result }) => result), [409, 200, 200, 409, 200, 409, 200, 200]);
});

Deno.test("the forms of users are refused to strangers, to other roles and without the token, and change nothing", async () => {
  using site = open();
  const before = JSON.stringify([site.means.people!.users(), site.means.people!.tokens()]);
  const fields = { name: "ada", id: "t1", password: SECRET, role: "viewer", days: "1" };
  for (const path of FORMS) {
    assert.equal((await site.post(path, { ...fields, csrf: "t0ken" }, null)).status, 303, path);
    for (const role of ["viewer", "operator"] as const) {
      const visitor = { name: "eve", role, csrf: "t0ken" };
      assert.equal(
        (await site.post(path, { ...fields, csrf: "t0ken" }, visitor)).status,
        403,
        `${path} ${role}`,
      );
    }
    for (const csrf of ["", "t0ke", "t0ken "]) {
      assert.equal((await site.post(path, { ...fields, csrf })).status, 403, `${path} "${csrf}"`);
    }
    const long = await site.post(path, { ...fields, csrf: "t0ken", more: "x".repeat(9000) });
    assert.equal(long.status, 413, path);
  }
  const odd = await site.post("/users/role", { csrf: "t0ken", name: "ada", role: "root" });
  assert.equal(odd.status, 400);
  assert.equal(JSON.stringify([site.means.people!.users(), site.means.people!.tokens()]), before);
  const eve = { name: "eve", role: "operator", csrf: "t0ken" } as const;
  assert.equal((await site.pages.handle(new Request("http://n/users"), eve)).status, 403);
});
