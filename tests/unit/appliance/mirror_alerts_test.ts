/** Alerts out of an EVE log, and what is kept of them. */
import assert from "node:assert/strict";
import { keptShare, readEve, signaturesFrom } from "../../../appliance/mirror_alerts.ts";

const LOG = [
  '{"event_type":"alert","pcap_cnt":4,"alert":{"signature_id":7,"signature":"x \\"alert\\""}}',
  '{"event_type":"stats","stats":{"detect":{"alert":1}}}',
  '{"event_type":"alert","alert":{"signature_id":9}}',
  '{"event_type":"alert","pcap_cnt":8,"alert":{"signature_id":7}}',
].join("\n");

Deno.test("readEve() takes alerts, with their packets where they have one", () => {
  assert.deepEqual(readEve(LOG), [{ sid: 7, packet: 4 }, { sid: 9, packet: null }, { sid: 7, packet: 8 }]);
  assert.deepEqual(readEve(""), []);
});

Deno.test("readEve() passes over a last line that is cut, and refuses a broken one before it", () => {
  assert.equal(readEve(`${LOG}\n{"event_type":"alert","al`).length, 3);
  assert.throws(() => readEve(`{"alert"\n${LOG}`), /line 1 of the IDS's log/);
});

Deno.test("signaturesFrom() counts what has no packet to the end of the capture", () => {
  assert.deepEqual([...signaturesFrom(readEve(LOG), 5)].sort(), [7, 9]);
  assert.deepEqual([...signaturesFrom(readEve(LOG), 9)], [9]);
});

Deno.test("keptShare() counts a signature once, and is whole where there is none", () => {
  const whole = readEve(LOG);
  assert.equal(keptShare(whole, [{ sid: 7, packet: 1 }, { sid: 8, packet: 1 }]), 0.5);
  assert.equal(keptShare([], whole), 1);
});
