/** Duty: metrics by the parser of Prometheus' own client library for Python (python3-prometheus-client). */
import assert from "node:assert/strict";
import { metricsText } from "../../../ui/metrics.ts";
import { nodeStatus } from "../../unit/ui/fake_node.ts";

const PYTHON = "/usr/bin/python3";
const PARSE = `
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
for family in parse(sys.stdin.read()):
    assert family.documentation and family.name.startswith("remediate_"), family
    print(family.type, family.name, family.unit or "-", len(family.samples))
`;

async function python(text: string): Promise<{ code: number; out: string; err: string }> {
  const child = new Deno.Command(PYTHON, {
    args: ["-c", PARSE],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: decode(stdout), err: decode(stderr) };
}

Deno.test("metricsText() is read whole by the parser of Prometheus, which refuses what is wrong", async () => {
  const text = metricsText(nodeStatus({ name: 'a "b"\\\n' }));
  const { code, out, err } = await python(text);
  assert.equal(code, 0, err);
  const families = out.trim().split("\n").map((line) => line.split(" "));
  assert.equal(families.length, text.split("\n").filter((line) => line.startsWith("# TYPE ")).length);
  assert.ok(out.includes("counter remediate_port_received_bytes bytes 6\n"));
  assert.ok(out.includes("info remediate_node - 1\n"));
  const wrong = await python(
    text.replace("# UNIT remediate_plane_cpu_ratio ratio", "# UNIT remediate_plane_cpu_ratio s"),
  );
  assert.notEqual(wrong.code, 0);
});
