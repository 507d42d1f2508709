/** The hours in which traffic may go back by itself. */
import assert from "node:assert/strict";
import { opensAtMs, parseWindow } from "../../../appliance/failover/window.ts";

const at = (text: string) => new Date(`2026-03-10T${text}`).getTime();
const next = (text: string) => new Date(`2026-03-11T${text}`).getTime();

Deno.test("parseWindow() takes two different times of a day and nothing else", () => {
  assert.deepEqual(parseWindow("02:00-04:30"), { fromMin: 120, toMin: 270 });
  assert.deepEqual(parseWindow("23:15-00:00"), { fromMin: 1395, toMin: 0 });
  for (
    const text of ["", "02:00", "2:00-4:00", "24:00-01:00", "02:60-03:00", "02:00-02:00", "02:00-04:00 UTC"]
  ) {
    assert.equal(parseWindow(text), null, text);
  }
});

Deno.test("opensAtMs() is the moment itself inside the window, else its next beginning", () => {
  const night = parseWindow("02:00-04:30")!;
  assert.equal(opensAtMs(night, at("01:59:59")), at("02:00"));
  assert.equal(opensAtMs(night, at("02:00")), at("02:00"));
  assert.equal(opensAtMs(night, at("04:29:59.999")), at("04:29:59.999"));
  assert.equal(opensAtMs(night, at("04:30")), next("02:00"));
  const over = parseWindow("23:00-01:00")!;
  assert.equal(opensAtMs(over, at("00:30")), at("00:30"));
  assert.equal(opensAtMs(over, at("01:00")), at("23:00"));
  assert.equal(opensAtMs(over, at("23:30")), at("23:30"));
});
