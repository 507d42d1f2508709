/** Duty: metrics are what Prometheus reads: by its own parser, with the names that dashboards count on. */
import assert from "node:assert/strict";
import { makeApi } from "../../../ui/api.ts";
import { metricsText } from "../../../ui/metrics.ts";
import { boxView, fakeNode, flowView, nodeStatus, portView } from "./fake_node.ts";

const REQUIRED = [
  "remediate_node_info",
  "remediate_node_light",
  "remediate_path",
  "remediate_status_age_seconds",
  "remediate_switches_total",
  "remediate_flows",
  "remediate_plane_running",
  "remediate_plane_restarts_total",
  "remediate_plane_cpu_ratio",
  "remediate_plane_loop_max_seconds",
  "remediate_port_up",
  "remediate_port_received_packets_total",
  "remediate_port_received_bytes_total",
  "remediate_port_sent_packets_total",
  "remediate_port_sent_bytes_total",
  "remediate_port_refused_packets_total",
  "remediate_port_missed_packets_total",
  "remediate_box_light",
  "remediate_box_serving",
  "remediate_box_member",
  "remediate_box_detector_light",
  "remediate_match_ratio",
  "remediate_match_alarm",
  "remediate_mirror_ratio",
  "remediate_mirror_shed_packets_total",
  "remediate_plane_events_total",
] as const;

const NONE = { equal: 9, different: 1, followed: 0, dropped: 0 };
const STATUS = nodeStatus({
  name: 'edge "1"\\\n',
  boxes: [
    boxView("primary", {
      serving: true,
      detectors: [{ detector: "link", light: "green", reason: "up", sinceMs: 1, ageMs: 1 }],
    }),
    boxView("redundant", {
      light: "yellow",
      match: { ...NONE, unknown: 2, share: 0.9, alarm: true, classes: { tcp: NONE, udp: NONE, other: NONE } },
    }),
  ],
});

Deno.test("metricsText() has every name that is counted on, with base units and states as values", () => {
  const text = metricsText(STATUS);
  for (const name of REQUIRED) assert.match(text, new RegExp(`^${name}(\\{| )`, "m"), name);
  assert.match(text, /^remediate_box_light\{box="redundant"\} 1$/m);
  assert.match(text, /^remediate_path 0$/m);
  assert.match(text, /^remediate_match_ratio\{box="redundant"\} 0\.9$/m);
  assert.match(text, /^remediate_plane_loop_max_seconds 0\.00012$/m);
  assert.match(text, /^remediate_node_info\{name="edge \\"1\\"\\\\\\n",version="0\.1\.0"\} 1$/m);
  assert.match(text, /\n# EOF\n$/);
  const labels = new Set([...text.matchAll(/[{,](\w+)="/g)].map(([, label]) => label));
  const few = [
    "name",
    "version",
    "side",
    "port",
    "box",
    "detector",
    "verdict",
    "why",
    "rule",
    "counter",
    "kind",
  ];
  for (const label of labels) assert.ok(few.includes(label!), label);
  assert.ok(!text.includes(flowView().outer.split(":")[0]!));
});

Deno.test("metricsText() grows with the parts of a node and with nothing else", () => {
  const lines = (status: typeof STATUS) => metricsText(status).split("\n").length;
  const more = nodeStatus({
    ...STATUS,
    flows: { upstream: 1e6, downstream: 1e6, slots: 1e6 },
    switches: 1e6,
  });
  assert.equal(lines(more), lines(STATUS));
  const port = nodeStatus({ ...STATUS, ports: [...STATUS.ports, portView("redundant-2-in")] });
  assert.equal(lines(port) - lines(STATUS), 10);
});

Deno.test("GET /metrics says its type", async () => {
  const response = await makeApi(fakeNode()).request("/metrics");
  assert.match(response.headers.get("content-type")!, /^application\/openmetrics-text; version=1\.0\.0/);
  assert.match(await response.text(), /# EOF\n$/);
});
