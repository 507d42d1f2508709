/** `remediate bfd` as people read it. */
import assert from "node:assert/strict";
import type { BfdSessionView } from "../../../appliance/view.ts";
import { renderBfd } from "../../../ui/bfd.ts";
import { painter } from "../../../ui/paint.ts";

const SESSION: BfdSessionView = {
  name: "in",
  box: "primary",
  side: "up",
  peer: "10.1.0.1",
  local: "10.1.0.250",
  vlan: 0,
  multihop: false,
  light: "green",
  state: "up",
  remoteState: "up",
  diagnostic: "no diagnostic",
  remoteDiagnostic: "no diagnostic",
  mac: "02:00:00:00:01:01",
  localDiscriminator: 1,
  remoteDiscriminator: 2,
  txMs: 10,
  detectMs: 30,
  echoMs: 0,
  polling: false,
  demand: false,
  sinceMs: 60_000,
  heardMs: 4,
  echoHeardMs: null,
  ups: 1,
  downs: 0,
  sent: 6000,
  taken: 5990,
  echoesSent: 0,
  echoesBack: 0,
  echoesReturned: 0,
  late: 0,
  excusedMs: 0,
  discards: [],
};

const render = (...sessions: readonly BfdSessionView[]) =>
  renderBfd({ sessions, discards: [] }, painter(false));

Deno.test("renderBfd() tells a healthy session in five lines, and leaves out what means nothing", () => {
  const lines = render(SESSION).trimEnd().split("\n");
  assert.equal(lines.length, 5);
  assert.match(lines[0]!, /^in \(primary, up\): up for /);
  assert.match(lines[1]!, /10\.1\.0\.250 to 10\.1\.0\.1, at 02:00:00:00:01:01/);
  assert.match(lines[3]!, /sends every 10 ms, detects in 30 ms$/);
  assert.match(lines[4]!, /6,000 sent, 5,990 taken, the last 4 ms ago; up 1, down 0 times/);
});

Deno.test("renderBfd() tells echoes, the node's own faults and refusals where there are any", () => {
  const text = render({
    ...SESSION,
    state: "down",
    light: "red",
    mac: null,
    vlan: 7,
    multihop: true,
    heardMs: null,
    detectMs: 0,
    echoMs: 20,
    late: 2,
    demand: true,
    discards: [{ name: "auth_digest", packets: 9, bytes: 0 }],
  });
  for (
    const words of [
      /VLAN 7\): down/,
      /multihop, nobody answers for it yet/,
      /detects in not known yet, the peer wants no packets/,
      /none yet/,
      /every 20 ms, 0 sent/,
      /late 2 times/,
      /not taken +auth digest 9/,
    ]
  ) assert.match(text, words);
});

Deno.test("renderBfd() says that there are no sessions", () => {
  assert.equal(render(), "No BFD sessions.\n");
});
