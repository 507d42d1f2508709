/** Every page that changes anything, against strangers, lower roles, forged and broken forms: derived from the pages themselves. */
import assert from "node:assert/strict";
import { ACTIONS } from "../../../ui/page/actions.ts";
import { makePages } from "../../../ui/page/pages.tsx";
import { ACCESS_ROLES, type AccessRole, allows, type Visitor } from "../../../ui/session.ts";
import { ADMIN_VISITOR, pageMeans } from "../../support/page_means.ts";
import { fakeDesk } from "../../support/update_desk.ts";
import { fakeNode } from "./fake_node.ts";

/** Who may, by path. What the pages answer and what stands here are the same paths. */
const POSTS: Readonly<Record<string, AccessRole>> = {
  ...Object.fromEntries(Object.entries(ACTIONS).map(([name, { role }]) => [`/act/${name}`, role])),
  ...Object.fromEntries(
    ["check", "apply", "confirm", "rollback"].map((name) => [`/config/${name}`, "admin"] as const),
  ),
  ...Object.fromEntries(
    ["add", "remove", "preset", "tuned"].map((name) => [`/filter/${name}`, "admin"] as const),
  ),
  ...{ "/filter/explain": "operator", "/filter/tune": "operator" },
  ...Object.fromEntries(
    ["users/add", "users/role", "users/password", "users/remove", "tokens/add", "tokens/revoke"]
      .map((name) => [`/${name}`, "admin"] as const),
  ),
  ...{ "/update/restart": "admin", "/update/rollback": "admin" },
};
/** Of the way in and out, which no role guards. */
const OPEN = ["/login", "/logout"];
const OVERSIZE_BYTES = 9 * 1024 * 1024;

function open() {
  const node = fakeNode(), { desk, calls } = fakeDesk();
  const means = pageMeans({
    ...{ control: node, update: desk.updater },
    explain: () => Promise.reject(new Error("nobody is to ask")),
    tune: () => Promise.reject(new Error("nobody is to ask")),
  });
  const pages = makePages(node, means), before = means.config.text;
  const post = async (path: string, visitor: Visitor | null, body: BodyInit, headers = {}) => {
    const request = new Request(`http://node${path}`, { method: "POST", body, headers });
    const response = await pages.handle(request, visitor);
    await response.body?.cancel();
    return response.status;
  };
  const untouched = () => {
    assert.deepEqual([node.calls, calls, means.config.text === before], [[], [], true]);
    assert.deepEqual([means.people!.users().length, means.people!.tokens().length], [1, 1]);
  };
  return { pages, post, untouched };
}

const form = (fields: Record<string, string>) => new URLSearchParams(fields);

Deno.test("every page that takes a form is known to this test, with the role it needs", () => {
  const { pages } = open();
  const named: Readonly<Record<string, readonly string[]>> = {
    "/act/:name": Object.keys(ACTIONS).map((name) => `/act/${name}`),
    "/update/:order": ["/update/restart", "/update/rollback"],
  };
  const there = pages.routes.filter(({ method }) => method === "POST").flatMap(({ path }) =>
    named[path] ?? [path]
  );
  assert.deepEqual([...new Set(there)].sort(), [...Object.keys(POSTS), ...OPEN].sort());
  pages.close();
});

Deno.test("no form of a stranger, of a lower role, without the session's word or of another site does anything", async () => {
  const { pages, post, untouched } = open(), meant = form({ csrf: ADMIN_VISITOR.csrf! });
  for (const [path, needed] of Object.entries(POSTS)) {
    assert.equal(await post(path, null, meant), 303, path);
    for (const role of ACCESS_ROLES.filter((one) => !allows(one, needed))) {
      assert.equal(await post(path, { ...ADMIN_VISITOR, role }, meant), 403, `${path} as ${role}`);
    }
    for (const forged of [form({}), form({ csrf: "" }), form({ csrf: "other" })]) {
      assert.equal(await post(path, ADMIN_VISITOR, forged), 403, path);
    }
    assert.equal(await post(path, ADMIN_VISITOR, meant, { "sec-fetch-site": "cross-site" }), 403, path);
  }
  untouched();
  pages.close();
});

Deno.test("no form that is too long, broken or no form at all does anything", async () => {
  const { pages, post, untouched } = open(), { csrf } = ADMIN_VISITOR;
  const type = "application/x-www-form-urlencoded";
  for (const path of Object.keys(POSTS)) {
    const long = `csrf=${csrf}&x=${"x".repeat(OVERSIZE_BYTES)}`;
    assert.equal(await post(path, ADMIN_VISITOR, long, { "content-type": type }), 413, path);
    for (
      const [kind, body] of [["application/json", "{}"], ["text/plain", "csrf=x"], [
        "multipart/form-data",
        "x",
      ]]
    ) {
      assert.equal(await post(path, ADMIN_VISITOR, body!, { "content-type": kind! }), 400, `${path} ${kind}`);
    }
    const twice = `csrf=${csrf}&name=a&name=b`, many = `csrf=${csrf}&${"a=1&".repeat(65)}`;
    for (const body of [twice, many]) {
      assert.equal(await post(path, ADMIN_VISITOR, body, { "content-type": type }), 400, path);
    }
  }
  untouched();
  pages.close();
});
