/** The suite for all drivers, where a box can be stood in for; what each kind says of itself. */
import { CONNTRACK, ConntrackDriver } from "../../../drivers/conntrack.ts";
import { CONNTRACK_CODEC, encodeFlow } from "../../../drivers/conntrack_value.ts";
import { fieldsOf, keyOf } from "../../../drivers/netlink/flow.ts";
import type { StateRecord } from "../../../drivers/record.ts";
import { DRIVER_KINDS } from "../../../drivers/registry.ts";
import { driverConformance, settingsAreTold } from "../../support/driver_conformance.ts";
import { FakeConntrack } from "../../support/fake_conntrack.ts";
import { flowBy } from "../../support/flows.ts";
import { Random } from "../../../filter/random.ts";

for (const kind of DRIVER_KINDS) {
  Deno.test(`${kind.kind}: what the kind says of itself is whole, among all kinds`, () =>
    settingsAreTold(kind));
}

const random = new Random(7);
const flows = Array.from({ length: 5 }, () => flowBy(random));
const samples = flows.map((flow): StateRecord => ({
  role: "supporting",
  partition: "flow",
  key: keyOf(flow),
  fields: fieldsOf(flow.original),
  codec: CONNTRACK_CODEC,
  value: encodeFlow(flow),
  version: 1,
  ttlMs: null,
  merge: null,
  ended: false,
}));

/** Who made the last driver, to change the box behind its back. */
let kernel = new FakeConntrack();

driverConformance("conntrack", {
  kind: CONNTRACK,
  open: () => {
    kernel = new FakeConntrack();
    return Promise.resolve(
      new ConntrackDriver({
        namespace: "",
        existing: "replace",
        liberal: false,
        bufferBytes: 1 << 20,
        refreshMs: 20_000,
        nowMs: () => 1_000,
        open: kernel.open,
      }),
    );
  },
  samples,
  garbage: Uint8Array.of(1, 2, 3),
  stir: () => Promise.resolve(kernel.add(flowBy(random))),
});
