/** The suite for all drivers, where a box can be stood in for; what each kind says of itself. */
import { CLICK, CLICK_CODEC } from "../../../drivers/click.ts";
import { CONNTRACK, ConntrackDriver } from "../../../drivers/conntrack.ts";
import { CONNTRACK_CODEC, encodeFlow } from "../../../drivers/conntrack_value.ts";
import { fieldsOf, keyOf } from "../../../drivers/netlink/flow.ts";
import type { StateRecord } from "../../../drivers/record.ts";
import { openPrads, PRADS } from "../../../drivers/prads.ts";
import { DRIVER_KINDS } from "../../../drivers/registry.ts";
import { openSyslog, SYSLOG } from "../../../drivers/syslog/driver.ts";
import { CONTEXT, driverConformance, settingsAreTold } from "../../support/driver_conformance.ts";
import { FakeClick } from "../../support/fake_click.ts";
import { FakeConntrack } from "../../support/fake_conntrack.ts";
import { flowBy } from "../../support/flows.ts";
import { logLines } from "../../support/log_fixtures.ts";
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

/** A router with one table of routes; it goes with its driver. */
async function openRouter() {
  const routes = new Map<string, string>();
  const fake = new FakeClick({
    "rt.table": { read: () => [...routes.values()].map((one) => `${one}\n`).join("") },
    "rt.set": { write: (text) => (routes.set(text.split(" ")[0]!, text), null) },
    "rt.remove": { write: (text) => routes.delete(text) ? null : "no such route" },
  });
  const handlers = "routes role=supporting read=rt.table write=rt.set remove=rt.remove each=line";
  const driver = await CLICK.open({ address: `tcp:127.0.0.1:${fake.port}`, handlers }, CONTEXT);
  const close = driver.close.bind(driver);
  driver.close = async () => {
    await close();
    await fake.close().catch(() => {});
  };
  return driver;
}

const route = (network: string): StateRecord => ({
  ...{ role: "supporting", partition: "shared", key: `routes ${network}`, fields: {}, codec: CLICK_CODEC },
  ...{ value: new TextEncoder().encode(`${network} 10.0.0.1 1`), version: 1, ttlMs: null, merge: null },
  ended: false,
});

driverConformance("click", {
  kind: CLICK,
  open: openRouter,
  samples: [route("10.1.0.0/16"), route("10.2.0.0/16"), route("10.3.0.0/16")],
});

let assets: string[] = [];
const asset = (number: number) => `10.0.0.${number},0,80,6,SERVER,[http:nginx],1,1591780863`;

driverConformance("prads", {
  kind: PRADS,
  open: () => {
    assets = [asset(1), asset(2)];
    return openPrads({ poll_ms: 50 }, CONTEXT, () => Promise.resolve(assets.splice(0)));
  },
  samples: [],
  stir: (round) => Promise.resolve(assets.push(asset(10 + round))),
});

const lines = logLines("haproxy");
let portOfLog = 0;

driverConformance("syslog", {
  kind: SYSLOG,
  open: async () => {
    const driver = await openSyslog({ listen: "127.0.0.1:0", transport: "udp", format: "haproxy" }, CONTEXT);
    portOfLog = driver.address!.port;
    return driver;
  },
  samples: [],
  stir: async (round) => {
    const sender = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    const line = new TextEncoder().encode(lines[round % lines.length]);
    await sender.send(line, { transport: "udp", hostname: "127.0.0.1", port: portOfLog });
    sender.close();
  },
});
