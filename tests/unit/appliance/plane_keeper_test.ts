/** What is said of a plane that did not come up. */
import assert from "node:assert/strict";
import { startError } from "../../../appliance/plane_keeper.ts";

Deno.test("a plane that could not start is quoted, and not started again for that", () => {
  const { reason, unsaid } = startError(
    "EAL: a line of a library\nplane: Cannot open eth7: no such port\n",
    "with code 3",
  );
  assert.equal(reason, "Cannot open eth7: no such port");
  assert.equal(unsaid, false);
});

Deno.test("of one that ended without a sentence it is said how it ended, and what a library wrote last", () => {
  const crash = startError("Frame size (9216) > device max frame size (1518) for port_id 0\n", "by SIGSEGV");
  assert.equal(
    crash.reason,
    "Cannot start the plane: it ended by SIGSEGV; the last line of its log: Frame size (9216) > device max frame size (1518) for port_id 0",
  );
  assert.equal(crash.unsaid, true);
  assert.equal(startError("", "with code 0").reason, "Cannot start the plane: it ended with code 0");
});
