/** A capture that is uploaded to a page, explained by the C core: as a page, with nothing left on disk. */
import assert from "node:assert/strict";
import { CaptureWriter } from "../../../appliance/mirror_files.ts";
import { bulkContent, bulkFlow } from "../../../scripts/bench/ids_bulk.ts";
import { explainCapture } from "../../../ui/page/explain.ts";
import { makePages } from "../../../ui/page/pages.tsx";
import { ADMIN_VISITOR, CONFIG_TEXT, pageMeans } from "../../support/page_means.ts";
import { fakeNode } from "../../unit/ui/fake_node.ts";

async function upload(
  capture: Uint8Array<ArrayBuffer>,
  preset: string,
): Promise<{ status: number; text: string }> {
  const node = fakeNode();
  const pages = makePages(
    node,
    pageMeans({ control: node, explain: (bytes, named) => explainCapture(bytes, named, () => CONFIG_TEXT) }),
  );
  const form = new FormData();
  form.set("csrf", ADMIN_VISITOR.csrf!);
  form.set("preset", preset);
  form.set("capture", new File([capture], "monday.pcap"));
  const request = new Request("http://node/filter/explain", { method: "POST", body: form });
  const response = await pages.handle(request, ADMIN_VISITOR);
  return { status: response.status, text: await response.text() };
}

const kept = () =>
  Array.from(Deno.readDirSync(Deno.env.get("TMPDIR") ?? "/tmp"), ({ name }) => name)
    .filter((name) => name.startsWith("remediate-explain-"));

Deno.test("a capture is explained on a page by the rules in force, or by a preset", async () => {
  const directory = await Deno.makeTempDir(), path = `${directory}/x.pcap`;
  try {
    await using writer = await CaptureWriter.create(path);
    await writer.write(bulkFlow(1, "http-download", 20_000, bulkContent()));
    await writer.close();
    const capture = await Deno.readFile(path);
    const byRules = await upload(capture, "");
    assert.equal(byRules.status, 200, byRules.text);
    assert.match(byRules.text, /monday\.pcap/);
    assert.match(byRules.text, /tcp 10\.0\.0\.1:20001 &gt; 198\.51\.100\.1:80/);
    assert.match(byRules.text, /rule nat/);
    assert.match(byRules.text, /it opens the connection/);
    assert.match((await upload(capture, "ids")).text, /rule ids/);
    assert.deepEqual(kept(), []);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("what is no capture is refused in a sentence that does not name a file of the node", async () => {
  const { status, text } = await upload(
    new TextEncoder().encode("this is no capture at all, whatever it is"),
    "",
  );
  assert.equal(status, 400);
  assert.match(text, /Cannot read the capture: /);
  assert.doesNotMatch(text, /remediate-explain|\/tmp/);
  assert.deepEqual(kept(), []);
});
