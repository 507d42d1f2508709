/** Status, flows and events as text: the whole picture, and what it leaves out. */
import assert from "node:assert/strict";
import { painter } from "../../../ui/paint.ts";
import { ratesBetween, renderEvents, renderStatus } from "../../../ui/text.ts";
import { renderFlows } from "../../../ui/text_flows.ts";
import { drawNode } from "../../../ui/picture.ts";
import type { WorkerView } from "../../../appliance/view.ts";
import { boxView, eventView, flowView, nodeStatus, NOW_MS, portView } from "./fake_node.ts";

const PLAIN = painter(false);

function picture(...more: Parameters<typeof nodeStatus>): string[] {
  return drawNode(nodeStatus(...more), PLAIN);
}

function shown(...more: Parameters<typeof nodeStatus>): string {
  return renderStatus(nodeStatus(...more), { paint: PLAIN, nowMs: NOW_MS });
}

Deno.test("drawNode() draws ports, boxes, links and who serves", () => {
  assert.deepEqual(picture(), [
    "           +------------------------- edge1 -------------------------+",
    " clients ==| upstream up                               up downstream |== servers",
    "           |  primary-in   primary-out   redundant-in  redundant-out |",
    "           |      up           up             up            up       |",
    "           +-------#------------#--------------:-------------:-------+",
    "                   #            #              :             :",
    "                   +[ primary ]=+              +.[redundant].+",
    "                   serving, green              standby, green",
  ]);
});

Deno.test("drawNode() shows a dead standby cut off, and its link", () => {
  const [primary, redundant] = nodeStatus().boxes;
  const ports = nodeStatus().ports.map((port) =>
    port.role === "redundant-out" ? { ...port, link: "down" as const } : port
  );
  const lines = picture({ boxes: [primary!, { ...redundant!, light: "red" }], ports });
  assert.equal(lines[3], "           |      up           up             up           DOWN      |");
  assert.equal(lines[4], "           +-------#------------#--------------|-------------|-------+");
  assert.equal(lines[7], "                   serving, green              out, red");
});

Deno.test("drawNode() shows traffic that passes by both boxes, and traffic that is blocked", () => {
  const boxes = nodeStatus().boxes.map((box) => ({ ...box, serving: false, light: "red" as const }));
  const wire = picture({ path: "wire", boxes });
  assert.equal(wire[1], " clients ==| upstream up ============================= up downstream |== servers");
  assert.equal(wire[7], "                   out, red                    out, red");
  const block = picture({ path: "block", boxes });
  assert.equal(block[1], " clients --| upstream up                               up downstream |-- servers");
  assert.equal(block[4], "           +-------|------------|--------------|-------------|-------+");
});

Deno.test("drawNode() lists further boxes below, and copies to the two while one of them serves", () => {
  const boxes = nodeStatus().boxes.map((box) => ({ ...box, serving: false }));
  const third = boxView("redundant-2", { serving: true });
  const away = boxView("redundant-3", { member: false, light: "yellow" });
  const lines = picture({ path: "redundant-2", boxes: [...boxes, third, away] });
  assert.equal(lines[4], "           +-------:------------:--------------:-------------:-------+");
  assert.deepEqual(lines.slice(8), [
    "                   redundant-2: serving, green",
    "                   redundant-3: away, yellow",
  ]);
});

Deno.test("drawNode() keeps its shape without a plane and with a long name", () => {
  const lines = picture({ ports: [], boxes: [], path: "block", name: "n".repeat(63) });
  for (const line of lines.slice(0, 5)) assert.ok(line.length <= 80, line);
  assert.equal(new Set([0, 2, 3, 4].map((index) => lines[index]!.length)).size, 1);
  assert.match(lines[1]!, /upstream \?/);
});

Deno.test("renderStatus() tells light, path, plane, boxes, mirror and counters that are not zero", () => {
  const text = shown();
  assert.match(text, /^edge1: green: the primary serves/);
  assert.match(text, /path +primary for 2 h 5 min, 1 switch so far/);
  assert.match(
    text,
    /plane +running for 3 h, pid 812, sleeping, 4\.12 % of a core, longest turn 120 us, no hugepages/,
  );
  assert.match(text, /redundant +green, standby: links up; 120 packets in, 110 out/);
  assert.match(text, /flows +1,234 upstream, 1,230 downstream; 262,144 places each/);
  assert.match(text, /mirror +2\.41 % of packets, 0\.80 % of bytes/);
  assert.match(text, /copies +handshake 300\n/);
  assert.match(text, /counters +arp answered 7\n/);
  assert.ok(!text.includes("tx full") && !text.includes("short ip") && !text.includes("losses"), text);
});

Deno.test("renderStatus() tells which worker of the plane has what, on which CPU, and queues where there are several", () => {
  const worker: WorkerView = {
    cpu: 2,
    ports: ["upstream", "primary-in", "redundant-in"],
    queue: 0,
    polling: "busy",
    share: 0.31,
    loopMaxUs: 80,
    rxPackets: 1200,
    txPackets: 1190,
  };
  const other: WorkerView = { ...worker, cpu: null, ports: ["downstream"], polling: "sleep" };
  const text = (...workers: WorkerView[]) => shown({ plane: { ...nodeStatus().plane, workers } });
  assert.match(text(worker), /cores +CPU 2: all ports; polling, 31.0 %; 1,200 packets in, 1,190 out\n/);
  assert.match(text(worker, other), /cores +CPU 2: upstream primary-in redundant-in; polling/);
  assert.match(text(worker, other), /\n +any CPU: downstream; sleeping/);
  assert.match(
    text(worker, { ...other, queue: 1 }),
    /redundant-in, queue 0; .*\n +any CPU: downstream, queue 1; /,
  );
});

Deno.test("renderStatus() shows losses of ports, restarts, staleness and a plane that failed", () => {
  const ports = [portView("upstream", { txFull: 3, rxMissed: 1000 })];
  assert.match(shown({ ports }), /losses +upstream did not take 3, upstream missed 1,000\n/);
  assert.match(shown({ plane: { ...nodeStatus().plane, restarts: 2 } }), /restarted 2 times/);
  assert.match(
    shown({ freshMs: 3400 }),
    /control has not seen the plane for 3 s: what stands here is history/,
  );
  const plane = {
    ...nodeStatus().plane,
    state: "failed" as const,
    error: "Cannot open eth1: no such device",
  };
  assert.match(shown({ plane }), /plane +failed: Cannot open eth1: no such device/);
  assert.match(shown({ lastSwitch: eventView(4) }), /last +2026-01-31 12:00:00\.000 +switch: event 4\n/);
});

Deno.test("renderStatus() shows rates where there are two readings, else totals", () => {
  assert.match(shown(), /upstream +af_packet:upst +up +977 KiB +1,000 +2\.9 MiB +2,000\n/);
  const later = nodeStatus({ ports: [portView("upstream", { rxPackets: 1500, rxBytes: 1_250_000 })] });
  const rates = ratesBetween(nodeStatus(), later, 500);
  const text = renderStatus(later, { paint: PLAIN, nowMs: NOW_MS, rates });
  assert.match(text, /upstream +af_packet:upst +up +4\.0 Mbit\/s +1,000\/s +0 bit\/s +0\/s\n/);
});

Deno.test("ratesBetween() knows no rate across two planes, and none below zero", () => {
  const other = nodeStatus({ plane: { ...nodeStatus().plane, startedMs: NOW_MS } });
  assert.equal(ratesBetween(nodeStatus(), other, 500), null);
  assert.equal(ratesBetween(nodeStatus(), nodeStatus(), 0), null);
  const less = nodeStatus({ ports: [portView("upstream", { rxPackets: 1 })] });
  assert.equal(ratesBetween(nodeStatus(), less, 500)?.get("upstream")?.rxPackets, 0);
});

Deno.test("renderStatus() paints only when asked to", () => {
  // deno-lint-ignore no-control-regex
  assert.ok(!/\x1b/.test(shown()));
  const painted = renderStatus(nodeStatus({ light: "red" }), { paint: painter(true), nowMs: NOW_MS });
  assert.ok(painted.includes("\x1b[31mred\x1b[0m"));
});

Deno.test("renderFlows() and renderEvents() say it when there are none", () => {
  assert.equal(renderFlows([]), "No flows.\n");
  assert.equal(renderEvents([]), "No events.\n");
});

Deno.test("renderFlows() has a line per flow, with both directions added up", () => {
  const text = renderFlows([flowView(), flowView({ vlan: 7, rule: "", binding: "192.0.2.1:1024" })]);
  const [head, first, second] = text.split("\n");
  assert.match(head!, /^SIDE +PROTO +OUTER +INNER +AGE +IDLE +PACKETS +BYTES +COPIED +RULE +BINDING$/);
  assert.match(
    first!,
    /^upstream +tcp +10\.1\.0\.11:40112 +10\.2\.0\.11:80 +tcp +12 ms +30 +20\.5 KiB +5 +nat +-$/,
  );
  assert.match(second!, /tcp vlan 7 .* - +192\.0\.2\.1:1024$/);
});

Deno.test("renderFlows() says why a binding cannot be inferred", () => {
  const text = renderFlows([flowView({ unsure: "its opening was not seen" })]);
  assert.match(text, / cannot be inferred: its opening was not seen$/m);
});

Deno.test("renderFlows() says what standbys made of flows, where they were compared", () => {
  const redundant = (verdict: "equal" | "different" | "dropped", binding = "") => ({
    standbys: [{ box: "redundant", verdict, binding }] as const,
  });
  const text = renderFlows([
    flowView(redundant("equal")),
    flowView(redundant("different", "10.2.0.1:7000 - 10.2.0.11:80")),
    flowView(redundant("dropped")),
    flowView(),
  ]);
  const last = text.trimEnd().split("\n").map((line) => line.split(/ {2,}/).at(-1));
  assert.deepEqual(last, [
    "STANDBY",
    "redundant: same",
    "redundant: 10.2.0.1:7000 - 10.2.0.11:80",
    "redundant: dropped it",
    "-",
  ]);
});

Deno.test("renderEvents() has a line per event, in the order given", () => {
  assert.equal(
    renderEvents([eventView(1), eventView(2, { kind: "link" })]),
    "2026-01-31 12:00:00.000  switch: event 1\n2026-01-31 12:00:00.000  link: event 2\n",
  );
});

Deno.test("renderStatus() tells of each external switch what it holds, since when, and who is behind it", () => {
  const one = {
    name: "edge",
    address: "connect tcp:192.0.2.7:6653",
    datapath: "00000000000000aa",
    software: "x",
    light: "green",
    reason: "primary serves; holds what it should",
    connectedMs: NOW_MS - 60_000,
    verifiedMs: NOW_MS - 400,
    serving: "primary",
    groups: 16,
    flows: 28,
    repairs: 2,
    delivered: [{ name: "primary", packets: 1200, bytes: 1 }, { name: "redundant", packets: 0, bytes: 0 }],
    ports: [],
  } as const;
  const text = shown({
    external: [one, { ...one, name: "far", light: "red", reason: "refused", connectedMs: null }],
  });
  const lines = text.split("\n").filter((line) => /edge|far|192\.0/.test(line)).slice(-4).map((line) =>
    line.trim()
  );
  assert.deepEqual(lines, [
    "switches   edge: green, primary serves; holds what it should",
    "connect tcp:192.0.2.7:6653, datapath 00000000000000aa; connected for 1 min; 16 groups and 28 flows read back 400 ms ago; " +
    "repaired 2 times; packets to primary 1,200",
    "far: red, refused",
    "connect tcp:192.0.2.7:6653",
  ]);
  assert.doesNotMatch(shown(), /switches /);
});

Deno.test("renderStatus() tells checks and points of a box, and why it is suppressed", () => {
  const untilMs = NOW_MS + 600_000;
  const primary = boxView("primary", { damping: { points: 2310, suppressed: true, untilMs } });
  const check = {
    name: "web",
    box: "primary",
    kind: "tcp",
    target: "192.0.2.1 port 80",
    light: "red",
    reason: "web: the connection is refused",
    ageMs: 10,
    asked: 20,
    failed: 5,
    excused: 2,
  } as const;
  const status = nodeStatus({ boxes: [primary, boxView("redundant")], checks: [check] });
  const text = renderStatus(status, { paint: PLAIN, nowMs: NOW_MS });
  assert.match(text, /checks: web red \(2 excused\)/);
  assert.match(text, /suppressed for another 10 min.*2,310 points/);
  assert.doesNotMatch(shown(), /points|checks/);
});
