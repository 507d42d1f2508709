/**
 * A tap between Open vSwitch and the controller that comes with it, and a second Open vSwitch that is given what the first
 * has: both hold the same, whoever is started again meanwhile, and traffic that is moved meets its entries.
 */
import assert from "node:assert/strict";
import { sleep } from "../../scripts/lab/process.ts";
import { freePort, missingController, openTap, TapLab, TestController } from "../support/openflow_lab.ts";
import type { DummySwitch } from "../support/dummy_switch.ts";
import { makeCertificates, missingSwitch } from "../support/switch_lab.ts";

const missing = missingSwitch() || missingController();
const HOSTS = [[1, 2], [2, 1], [1, 2], [2, 3], [3, 1], [1, 3], [3, 2]] as const;

function test(claim: string, fn: () => Promise<void>): void {
  Deno.test({ name: `${claim}${missing && ` (needs ${missing})`}`, ignore: missing !== "", fn });
}

function frame(from: number, to: number, port: number): string {
  const eth = `eth(src=02:00:00:00:00:0${from},dst=02:00:00:00:00:0${to})`;
  const ip = `eth_type(0x0800),ipv4(src=10.1.0.${from},dst=10.1.0.${to},proto=6,tos=0,ttl=64,frag=no)`;
  return `in_port(${from}),${eth},${ip},tcp(src=${port + from},dst=${port + to}),tcp_flags(syn)`;
}

/** Everybody talks with everybody; the learning switch makes entries of it. */
async function talk(to: DummySwitch, port: number): Promise<void> {
  for (const [from, host] of HOSTS) {
    await to.receive(`p${from}`, frame(from, host, port));
    await sleep(20);
  }
}

/** Everybody talks until both switches have so many entries: who is asked at a bad moment gives none. */
async function learnt(lab: TapLab, port: number, linesMin: number): Promise<string[]> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline;) {
    await talk(lab.a, port);
    const lines = await lab.agree("flows", linesMin, 3_000).catch(() => null);
    if (lines !== null) return lines;
  }
  return await lab.agree("flows", linesMin);
}

async function withController(
  version: string,
  fn: (lab: TapLab, controller: TestController) => Promise<void>,
) {
  const port = freePort();
  await using lab = await TapLab.up(`tcp:127.0.0.1:${port}`, { survey: "A", survey_ms: 500 });
  const controller = new TestController(port, ["-O", version], lab.a.directory);
  try {
    controller.start();
    await lab.until("the controller", () => (lab.tap.counters()["messages"] ?? 0) > 3);
    await fn(lab, controller);
  } finally {
    await controller.stop();
  }
}

for (const version of ["OpenFlow10", "OpenFlow13"]) {
  test(`${version}: what the controller gives one switch, the other has too`, () =>
    withController(version, async (lab) => {
      const flows = await learnt(lab, 1000, 4);
      assert.ok(
        flows.some((line) => /tcp.*nw_src=10\.1\.0\.1,.*actions=output:2/.test(line)),
        flows.join("\n"),
      );
      const { malformed, untranslated, unreadable_streams, other_version } = lab.tap.counters();
      assert.deepEqual({ malformed, untranslated, unreadable_streams, other_version }, {
        ...{ malformed: 0, untranslated: 0, unreadable_streams: 0, other_version: 0 },
      });
      assert.equal(lab.moved.refused, 0, lab.moved.reasons.join("\n"));
    }));
}

test("controller, tap and switch are started again, one after the other, and both switches agree", () =>
  withController("OpenFlow10", async (lab, controller) => {
    await learnt(lab, 1000, 4);
    await controller.stop();
    controller.start();
    await lab.until("the controller again", () => (lab.tap.counters()["connections"] ?? 0) > 1);
    await lab.until("a channel", () => lab.tap.counters()["connected"] === 1);
    const before = await learnt(lab, 2000, 4);
    await lab.stopTap();
    await lab.startTap();
    await lab.until("the switch again", () => lab.tap.counters()["connected"] === 1);
    const after = await learnt(lab, 3000, before.length + 4);
    assert.ok(after.length > before.length);
    await lab.a.restart();
    await lab.until(
      "the ends of what the switch forgot",
      async () => (await lab.agree("flows", 0)).length < after.length,
    );
    await lab.until("the switch again", () => lab.tap.counters()["connected"] === 1);
    await learnt(lab, 4000, 4);
    await lab.b.restart();
    await lab.agree("flows", 4);
    assert.ok((lab.replica.counters()["put_again"] ?? 0) > 0);
  }));

test("traffic that is moved meets its entries: the controller is not asked again", () =>
  withController("OpenFlow10", async (lab, controller) => {
    const listen = `tcp:127.0.0.1:${freePort()}`;
    const second = await openTap({ listen, controller: `tcp:127.0.0.1:${controller.port}` });
    try {
      await lab.b.configure(["set-controller", "br0", listen, `ptcp:${lab.b.port}:127.0.0.1`]);
      await lab.until("the replica's channel", () => (second.counters()["messages"] ?? 0) > 3);
      await talk(lab.a, 1000);
      await learnt(lab, 1000, 4);
      const asked = second.counters()["packet_ins"];
      await talk(lab.b, 1000);
      assert.equal(second.counters()["packet_ins"], asked, "known flows");
      await lab.b.receive("p1", frame(1, 2, 9000));
      await lab.until(
        "a question for what is new",
        () => (second.counters()["packet_ins"] ?? 0) > (asked ?? 0),
      );
    } finally {
      await second.close();
    }
  }));

test("TLS on both sides of the tap: the switch and the controller each prove themselves", async () => {
  const directory = await Deno.makeTempDir({ prefix: "remediate-tap-" });
  const certificates = await makeCertificates(directory);
  const port = freePort();
  const { ca, node } = certificates;
  const tls = { ca, certificate: node.certificate, key: node.key };
  await using lab = await TapLab.up(`tls:127.0.0.1:${port}`, tls);
  const other = certificates.switch;
  const proof = ["-p", other.key, "-c", other.certificate, "-C", ca];
  const controller = new TestController(port, ["-O", "OpenFlow13", ...proof], lab.a.directory, "pssl");
  try {
    controller.start();
    await lab.a.configure(["set-ssl", other.key, other.certificate, ca]);
    await lab.a.configure(["set-controller", "br0", `ssl:127.0.0.1:${lab.tapPort}`]);
    await lab.until("the controller", () => (lab.tap.counters()["messages"] ?? 0) > 3);
    await learnt(lab, 1000, 4);
    await lab.a.configure(["set-ssl", certificates.foreign.key, certificates.foreign.certificate, ca]);
    await lab.stopTap(); // which ends the channel that proved itself before
    await lab.startTap();
    await lab.until("a switch that is turned away", () => /turned away/.test(lab.said.join("\n")));
  } finally {
    await controller.stop();
    await Deno.remove(directory, { recursive: true });
  }
});
