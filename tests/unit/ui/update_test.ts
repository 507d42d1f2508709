/** Updates over the API, on the page and on the command line. */
import assert from "node:assert/strict";
import { absentUpdater } from "../../../appliance/update/absent.ts";
import { makeApi } from "../../../ui/api.ts";
import { makePages } from "../../../ui/page/pages.tsx";
import { updateText } from "../../../ui/update_text.ts";
import { ADMIN_VISITOR, pageMeans } from "../../support/page_means.ts";
import { DIGEST, fakeDesk, VIEW } from "../../support/update_desk.ts";
import { fakeNode } from "./fake_node.ts";

Deno.test("the API takes a bundle in as a stream, installs it, and refuses in the updater's words", async () => {
  const { desk, calls } = fakeDesk(), api = makeApi(fakeNode(), { update: desk });
  const ask = async (method: string, path: string, body?: BodyInit) => {
    const response = await api.request(`/api/v1/update${path}`, { method, ...(body && { body }) });
    return { status: response.status, body: await response.json() };
  };
  assert.deepEqual((await ask("GET", "")).body, VIEW);
  // Far above the bound of bodies that are read into memory.
  const sent = await ask("PUT", "/bundle", new Uint8Array(100_000));
  assert.deepEqual(sent.body, { path: "/data/update/sent.raucb", digest: DIGEST, bytes: 100_000 });
  assert.equal((await ask("POST", "/install", JSON.stringify({ digest: DIGEST }))).body.outcome, "installed");
  const named = { digest: DIGEST, file: "bad.raucb", force: true };
  const refused = await ask("POST", "/install", JSON.stringify(named));
  assert.deepEqual([refused.status, refused.body.detail], [
    409,
    "Cannot install /data/update/bad.raucb: it is bad",
  ]);
  for (const file of ["../etc/shadow", "x.txt", "/data/x.raucb"]) {
    assert.equal((await ask("POST", "/install", JSON.stringify({ digest: DIGEST, file }))).status, 400, file);
  }
  assert.equal((await ask("POST", "/install", JSON.stringify({ digest: "x" }))).status, 400);
  assert.equal((await ask("POST", "/restart")).status, 200);
  assert.equal((await ask("POST", "/rollback")).body.detail, "Cannot roll back: slot B is empty");
  assert.deepEqual(calls, [
    "take 100000",
    "install /data/update/sent.raucb abab false",
    "install /data/update/bad.raucb abab true",
    "restart",
  ]);
});

Deno.test("the API says where there is no image, and where another stage has updates", async () => {
  const { desk } = fakeDesk(),
    none = { ...desk, updater: absentUpdater("there is no /run/x"), present: false };
  const response = await makeApi(fakeNode(), { update: none }).request("/api/v1/update");
  assert.equal(response.status, 404);
  assert.match(
    (await response.json()).detail,
    /does not run from an appliance image \(there is no \/run\/x\)/,
  );
  assert.equal((await makeApi(fakeNode()).request("/api/v1/update")).status, 503);
});

Deno.test("the page shows slots and reports to all, and orders to admins alone", async () => {
  const { desk, calls } = fakeDesk();
  const control = fakeNode();
  const pages = makePages(control, { ...pageMeans({ control }), update: desk.updater });
  try {
    const get = async (role: "viewer" | "admin") =>
      await (await pages.handle(new Request("http://node/update"), { ...ADMIN_VISITOR, role })).text();
    const admin = await get("admin"), viewer = await get("viewer");
    for (const page of [admin, viewer]) {
      assert.match(page, /trial, 2 starts left/);
      assert.match(page, /1\.1\.0&lt;b&gt;/);
      assert.match(page, /control does not answer/);
      assert.match(page, /1\.2\.0 is being installed: 40 %/);
    }
    assert.match(admin, /data-bundle/);
    assert.doesNotMatch(viewer, /data-bundle|\/update\/restart/);
    const post = async (name: string, role: "operator" | "admin") => {
      const headers = { "content-type": "application/x-www-form-urlencoded" };
      const request = new Request(`http://node/update/${name}`, {
        method: "POST",
        headers,
        body: "csrf=t0ken",
      });
      const response = await pages.handle(request, { ...ADMIN_VISITOR, role });
      return { status: response.status, text: await response.text() };
    };
    assert.equal((await post("restart", "operator")).status, 403);
    assert.match((await post("restart", "admin")).text, /The machine restarts/);
    assert.match((await post("rollback", "admin")).text, /Cannot roll back: slot B is empty/);
    assert.deepEqual(calls, ["restart"]);
  } finally {
    pages.close();
  }
});

Deno.test("updateText() shows slots, progress, what failed and the last reports", () => {
  const text = updateText(VIEW);
  assert.match(text, /^A +good +1\.0\.0 +runs/m);
  assert.match(text, /^B +trial, 2 starts left/m);
  assert.match(text, /Being installed: 1\.2\.0, 40 %/);
  assert.match(text, /Failed here before: 0\.9\.0/);
  assert.match(text, /0\.9\.0 fell-back: control does not answer/);
});
