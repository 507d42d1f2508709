/** The pages as markup: nothing that others say becomes markup, nothing is done that was not meant, nothing comes from elsewhere. */
import assert from "node:assert/strict";
import { ASSETS } from "../../../ui/page/assets.ts";
import { ACTIONS } from "../../../ui/page/actions.ts";
import type { PageMeans } from "../../../ui/page/means.ts";
import type { AuditEntry } from "../../../ui/route.ts";
import { makePages } from "../../../ui/page/pages.tsx";
import { ACCESS_ROLES, type Visitor } from "../../../ui/session.ts";
import { ADMIN_VISITOR, CONFIG_TEXT, pageMeans } from "../../support/page_means.ts";
import {
  boxView,
  eventView,
  type FakeNode,
  fakeNode,
  flowView,
  MATCH_REPORT,
  nodeStatus,
  NOW_MS,
} from "./fake_node.ts";

const PATHS = [
  "/",
  "/boxes",
  "/flows",
  "/events",
  "/filter",
  "/config",
  "/logs",
  "/doctor",
  "/setup",
] as const;
/** Of all script together, compressed. */
const SCRIPT_BYTES_MAX = 60 * 1024;

interface Asked {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

interface Question {
  readonly visitor?: Visitor | null;
  readonly form?: Readonly<Record<string, string>>;
  readonly headers?: Record<string, string>;
  readonly means?: Partial<PageMeans>;
}

async function ask(node: FakeNode, path: string, question: Question = {}): Promise<Asked> {
  const { visitor = ADMIN_VISITOR, form, headers = {}, means = {} } = question;
  const pages = makePages(node, pageMeans({ control: node, now: () => NOW_MS, ...means }));
  const request = new Request(`http://node${path}`, {
    headers,
    ...(form && { method: "POST", body: new URLSearchParams(form) }),
  });
  const response = await pages.handle(request, visitor);
  return { status: response.status, text: await response.text(), headers: response.headers };
}

const meant = { csrf: ADMIN_VISITOR.csrf! };

/** A node all of whose words are hostile. */
function hostileNode(): FakeNode {
  const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>'&`;
  const node = fakeNode();
  const reason = { reason: evil, name: evil };
  const detector = { detector: "link" as const, light: "green" as const, reason: evil, sinceMs: 1, ageMs: 1 };
  node.view = nodeStatus({
    name: evil,
    reason: evil,
    light: "yellow",
    boxes: [
      boxView("primary", { serving: true, ...reason, detectors: [detector] }),
      boxView("redundant", { ...reason, match: MATCH_REPORT.standbys[0]!.now }),
    ],
    checks: [{
      ...{ name: evil, box: "primary", kind: "http", target: evil, light: "off", reason: evil },
      ...{ ageMs: null, asked: 0, failed: 0, excused: 0 },
    }],
    lastSwitch: eventView(1, { text: evil }),
    mirror: { ...nodeStatus().mirror, rules: [{ name: evil, packets: 1, bytes: 1 }] },
  });
  node.flows = () => [flowView({ outer: evil, inner: evil, rule: evil, binding: evil })];
  node.events = () => [eventView(1, { text: evil, before: evil, after: evil })];
  return node;
}

Deno.test("pages show hostile words as words", async () => {
  const node = hostileNode();
  for (const path of [...PATHS, `/flows?search=${encodeURIComponent('"><script>alert(1)</script>')}`]) {
    const { status, text } = await ask(node, path);
    assert.equal(status, 200, `${path}: ${text.slice(0, 300)}`);
    assert.doesNotMatch(text, /<script>|<img/, path);
    // What stands between quotes cannot leave them: they are all of ours.
    assert.doesNotMatch(text.replace(/"[^"]*"/g, '""'), /<[^>]*\s(on\w+|src=x)/i, path);
    assert.ok(text.includes("&lt;script&gt;alert(1)&lt;/script&gt;"), path);
  }
});

Deno.test("pages load nothing from elsewhere and have neither script nor style in their markup", async () => {
  for (const path of [...PATHS, "/act/switchover"]) {
    const { text, headers } = await ask(fakeNode(), path);
    const policy = headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
    assert.doesNotMatch(text, /(src|href|action)="(https?:)?\/\//, path);
    assert.doesNotMatch(text, /<style|\sstyle=|<script(?![^>]*\ssrc=)/, path);
    assert.equal(headers.get("cache-control"), "no-store");
  }
});

Deno.test("all script together stays below its bound", async () => {
  let bytes = 0;
  for (const name of Object.keys(ASSETS).filter((name) => name.endsWith(".js"))) {
    const packed = new Blob([ASSETS[name]!.text]).stream().pipeThrough(new CompressionStream("gzip"));
    bytes += (await new Response(packed).arrayBuffer()).byteLength;
  }
  assert.ok(bytes > 1000 && bytes <= SCRIPT_BYTES_MAX, `${bytes} bytes`);
});

Deno.test("an asset is given by its name alone, and not again while it is the same", async () => {
  const first = await ask(fakeNode(), "/assets/page.js");
  assert.match(first.headers.get("content-type") ?? "", /javascript/);
  const etag = first.headers.get("etag")!;
  assert.equal(
    (await ask(fakeNode(), "/assets/page.js", { headers: { "if-none-match": etag } })).status,
    304,
  );
  for (const path of ["/assets/none.js", "/assets/constructor", "/assets/..%2f..%2fmod.ts"]) {
    assert.equal((await ask(fakeNode(), path)).status, 404, path);
  }
});

Deno.test("an action asks and does nothing, and is done when it is meant", async () => {
  const node = fakeNode();
  const asked = await ask(node, "/act/switchover?box=redundant");
  assert.match(asked.text, /All traffic moves to redundant at once/);
  assert.deepEqual(node.calls.filter((call) => call.startsWith("switchover")), []);
  const done = await ask(node, "/act/switchover", { form: { ...meant, box: "redundant", force: "true" } });
  assert.match(done.text, /traffic goes by the redundant box/);
  assert.deepEqual(node.calls.filter((call) => call.startsWith("switchover")), [
    'switchover {"force":true,"box":"redundant"}',
  ]);
});

Deno.test("an action is refused without the token, with a wrong one, from another site, and with strange fields", async () => {
  const refused: readonly [Question, number][] = [
    [{ form: { box: "redundant" } }, 403],
    [{ form: { csrf: "guess" } }, 403],
    [{ form: meant, headers: { "sec-fetch-site": "cross-site" } }, 403],
    [{ form: { ...meant, box: "nobody" } }, 400],
    [{ form: { ...meant, path: "wire" } }, 400],
    [{ form: { ...meant, force: "perhaps" } }, 400],
    [{ form: { ...meant, box: "x".repeat(9000) } }, 413],
  ];
  for (const [question, status] of refused) {
    const node = fakeNode();
    const answer = await ask(node, "/act/switchover", question);
    assert.equal(answer.status, status, `${JSON.stringify(question).slice(0, 200)}: ${answer.text}`);
    assert.deepEqual(node.calls.filter((call) => call !== "status"), []);
  }
});

Deno.test("every action is refused to a role below its own, and offered to none of them", async () => {
  for (const [name, { role }] of Object.entries(ACTIONS)) {
    for (const other of ACCESS_ROLES.slice(0, ACCESS_ROLES.indexOf(role))) {
      const node = fakeNode(), visitor = { ...ADMIN_VISITOR, role: other };
      assert.equal((await ask(node, `/act/${name}`, { visitor })).status, 403);
      assert.equal((await ask(node, `/act/${name}`, { visitor, form: meant })).status, 403);
      assert.deepEqual(node.calls.filter((call) => call !== "status"), []);
      for (const path of ["/", "/boxes", "/logs"]) {
        assert.doesNotMatch((await ask(node, path, { visitor })).text, new RegExp(`"/act/${name}[?"]`));
      }
    }
  }
});

Deno.test("every attempt to change something is told, with what came of it", async () => {
  const told: AuditEntry[] = [];
  const means = { audit: (entry: AuditEntry) => void told.push(entry), address: () => "192.0.2.7" };
  const node = fakeNode();
  await ask(node, "/act/failback", { means });
  await ask(node, "/act/failback", { means, form: { ...meant, force: "true" } });
  node.result = { ok: false, path: "primary", text: "the primary is not alive", tookUs: null };
  await ask(node, "/act/failback", { means, form: meant });
  await ask(node, "/act/failback", { means, form: { csrf: "guess" } });
  await ask(node, "/config/check", { means, form: { ...meant, text: CONFIG_TEXT } });
  await ask(node, "/config/apply", { means, form: { ...meant, text: "secret = 1", etag: "old" } });
  const common = { who: "ada", from: "192.0.2.7", what: "POST /act/failback" };
  assert.deepEqual(told, [
    { ...common, result: 200, detail: '{"force":"true"}' },
    { ...common, result: 409, detail: "{}" },
    { ...common, result: 403 },
    { ...common, what: "POST /config/apply", result: 409 },
  ]);
});

Deno.test("who is nobody sees the login and nothing else", async () => {
  for (const path of [...PATHS, "/live", "/live.json", "/act/switchover"]) {
    const answer = await ask(fakeNode(), path, { visitor: null });
    assert.deepEqual([answer.status, answer.headers.get("location")], [303, "/login"], path);
  }
  assert.equal((await ask(fakeNode(), "/act/switchover", { visitor: null, form: {} })).status, 303);
  const refused = await ask(fakeNode(), "/login", {
    visitor: null,
    form: { name: "ada", password: "wrong" },
  });
  assert.equal(refused.status, 401);
  assert.match(refused.text, /Name and password do not fit/);
  assert.doesNotMatch(refused.text, /wrong/);
  const entered = await ask(fakeNode(), "/login", {
    visitor: null,
    form: { name: "ada", password: "correct" },
  });
  assert.deepEqual([entered.status, entered.headers.get("location")], [303, "/"]);
  assert.match(entered.headers.get("set-cookie") ?? "", /^session=ada; HttpOnly/);
});

Deno.test("the configuration is for admins, and a change of it needs the text it was made from", async () => {
  for (const role of ["viewer", "operator"] as const) {
    const visitor = { ...ADMIN_VISITOR, role };
    assert.equal((await ask(fakeNode(), "/config", { visitor })).status, 403);
    assert.equal(
      (await ask(fakeNode(), "/config/apply", { visitor, form: { ...meant, text: "", etag: "" } })).status,
      403,
    );
  }
  const stale = await ask(fakeNode(), "/config/apply", {
    form: { ...meant, text: CONFIG_TEXT, etag: "old" },
  });
  assert.match(stale.text, /it was changed meanwhile/);
});

Deno.test("a rule of the form comes back as a change of the configuration, with its problems", async () => {
  const good = await ask(fakeNode(), "/filter/add", {
    form: { ...meant, name: "dns", match: "udp port 53", all: "true" },
  });
  assert.match(
    good.text,
    /<div class="diff-in"><span class="hidden">added: <\/span>\+name = &quot;dns&quot;<\/div>/,
  );
  assert.match(good.text, /Apply this change/);
  const bad = await ask(fakeNode(), "/filter/add", { form: { ...meant, name: "no name" } });
  assert.match(bad.text, /filter\.rules\[1\]\.name/);
  assert.doesNotMatch(bad.text, /Apply this change/);
});

Deno.test("a capture that cannot be read is told in one sentence", async () => {
  const explain = () => Promise.reject(new Error("Cannot read the capture: it is no capture"));
  const form = new FormData();
  form.set("csrf", meant.csrf);
  form.set("capture", new File(["no capture"], "x.pcap"));
  const pages = makePages(fakeNode(), pageMeans({ control: fakeNode(), explain }));
  const response = await pages.handle(
    new Request("http://node/filter/explain", { method: "POST", body: form }),
    ADMIN_VISITOR,
  );
  assert.equal(response.status, 400);
  assert.match(await response.text(), /Cannot read the capture: it is no capture/);
});
