/**
 * The suite for all drivers against real boxes: a table of nftables, stick tables of HAProxy, a switch of Open vSwitch, and
 * a tap between one and its controller.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { DriverKind, Settings, StateDriver } from "../../drivers/driver.ts";
import { HAPROXY, HAPROXY_CODEC } from "../../drivers/haproxy.ts";
import { NFTABLES, NFTABLES_CODEC } from "../../drivers/nftables.ts";
import { output } from "../../drivers/openflow/actions.ts";
import { OPENFLOW } from "../../drivers/openflow/insert.ts";
import { OPENFLOW_TAP } from "../../drivers/openflow/tap.ts";
import type { FlowMod } from "../../drivers/openflow/messages.ts";
import { GROUP_ANY, NO_BUFFER, PORT } from "../../drivers/openflow/names.ts";
import { pieceRecord } from "../../drivers/openflow/records.ts";
import type { StateRecord } from "../../drivers/record.ts";
import { Lab } from "../../scripts/lab/engine.ts";
import { sweep } from "../../scripts/lab/registry.ts";
import { hotReplica } from "../../scripts/lab/topology.ts";
import { conforms } from "../support/driver_conformance.ts";
import { DummySwitch } from "../support/dummy_switch.ts";
import {
  freePort,
  missingController,
  openSwitch,
  openTap,
  PORTS,
  TestController,
} from "../support/openflow_lab.ts";
import { openDriver } from "../support/state_lab.ts";
import { missingSwitch } from "../support/switch_lab.ts";

const GARBAGE = Uint8Array.of(1, 2, 3);
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/** A record of state that all flows share. */
function shared(codec: string, key: string, value: unknown, fields: StateRecord["fields"] = {}): StateRecord {
  return {
    ...{ role: "supporting", partition: "shared", key, fields, codec, value: json(value) },
    ...{ version: 1, ttlMs: null, merge: null, ended: false },
  };
}

/** Opens the driver once the box answers. */
async function opens(kind: DriverKind, settings: Settings): Promise<StateDriver> {
  for (let tries = 0;; tries++) {
    try {
      return await openDriver(kind, settings);
    } catch (error) {
      if (tries === 100) throw error;
      await delay(50);
    }
  }
}

Deno.test("nftables keeps the contract of drivers, with a real table", async (t) => {
  await sweep();
  await using lab = await Lab.up(hotReplica({ clients: 1, servers: 1 }));
  const nft = (text: string) => lab.exec("primary", ["nft", "-f", "-"], { stdin: text });
  await nft(
    "table inet guard {\n set blocked { type ipv4_addr; flags timeout; }\n map server { type ipv4_addr : ipv4_addr; }\n}\n",
  );
  const element = (set: string, key: string, more = {}) =>
    shared(NFTABLES_CODEC, `inet guard ${set} ${key}`, { set, key, ...more });
  await conforms(t, {
    kind: NFTABLES,
    open: async () => {
      await nft("flush set inet guard blocked\nflush map inet guard server\n");
      return await openDriver(NFTABLES, { namespace: lab.ns("primary"), table: "guard", poll_ms: 50 });
    },
    samples: [
      element("blocked", "10.0.0.1"),
      element("blocked", "10.0.0.2", { timeoutS: 600, expiresS: 500 }),
      element("server", "10.0.0.3", { data: "10.2.0.1" }),
    ],
    garbage: GARBAGE,
    stir: (round) => nft(`add element inet guard blocked { 10.0.1.${round} }\n`),
  });
});

const haproxyConfig = (socket: string) =>
  `global
  stats socket ${socket} mode 600 level admin
defaults
  mode tcp
  timeout connect 2s
  timeout client 2s
  timeout server 2s
backend clients
  stick-table type ip size 1k expire 10m store gpc0,conn_cnt
`;

Deno.test("haproxy keeps the contract of drivers, with a real stick table", async (t) => {
  await sweep();
  await using lab = await Lab.up(hotReplica({ clients: 1, servers: 1 }));
  const [path, address] = [`${lab.directory}/haproxy.cfg`, `${lab.directory}/haproxy.sock`];
  await Deno.writeTextFile(path, haproxyConfig(address));
  lab.start("c1", ["haproxy", "-db", "-f", path]).unref();
  const settings = { address, poll_ms: 50 };
  const entry = (key: string, gpc0: number) =>
    shared(HAPROXY_CODEC, `clients ${key}`, { table: "clients", type: "ip", key, data: { gpc0 } }, {
      source: key,
    });
  await conforms(t, {
    kind: HAPROXY,
    open: async () => {
      const before = await opens(HAPROXY, settings);
      await before.del("supporting", {});
      await before.close();
      return await openDriver(HAPROXY, settings);
    },
    samples: [entry("10.0.0.1", 5), entry("10.0.0.2", 6), entry("10.0.0.3", 7)],
    garbage: GARBAGE,
    // Another hand on the same table: what a driver wrote itself it does not tell.
    stir: async (round) => {
      const other = await openDriver(HAPROXY, settings);
      await other.put([entry(`10.0.1.${round}`, 1)]);
      await other.close();
    },
  });
});

function flow(port: number): FlowMod {
  const field = (name: string, value: number) => ({ name, value: BigInt(value), mask: null });
  const match = [field("eth_type", 0x800), field("ip_proto", 6), field("ipv4_src", 0x0a01000b)];
  match.push(field("ipv4_dst", 0x0a01000c), field("tcp_src", 40_000), field("tcp_dst", port));
  return {
    ...{ kind: "flow-mod", command: 0, cookie: 0n, cookieMask: 0n, table: 0, priority: 5 },
    ...{ idleS: 0, hardS: 0, buffer: NO_BUFFER, outPort: PORT.any, outGroup: GROUP_ANY, flags: 0, match },
    instructions: [{ kind: "apply", actions: [output(1)] }],
  };
}

const missing = missingSwitch();

Deno.test({
  name: `openflow keeps the contract of drivers, with a real switch${missing && ` (needs ${missing})`}`,
  ignore: missing !== "",
  fn: async (t) => {
    await using ovs = await DummySwitch.up(PORTS);
    const settings = { address: `tcp:127.0.0.1:${ovs.port}`, poll_ms: 100 };
    const record = (port: number) =>
      pieceRecord({ body: flow(port), origin: 4, version: 1, ttlMs: null, ended: false }, []);
    await conforms(t, {
      kind: OPENFLOW,
      open: async () => {
        const before = await openSwitch(settings);
        await before.del("supporting", {});
        await before.close();
        return await openSwitch(settings);
      },
      samples: [record(80), record(81), record(82)],
      garbage: GARBAGE,
      stir: async (round) => {
        const other = await openSwitch(settings);
        await other.put([record(1000 + round)]);
        await other.close();
      },
    });
  },
});

/** What a host says to another, for the switch to ask its controller about. */
function frame(from: number, to: number): string {
  const ends = `eth(src=02:00:00:00:00:0${from},dst=02:00:00:00:00:0${to})`;
  const ip = `eth_type(0x0800),ipv4(src=10.1.0.${from},dst=10.1.0.${to},proto=6,tos=0,ttl=64,frag=no)`;
  return `in_port(${from}),${ends},${ip},tcp(src=${7000 + from},dst=${7000 + to}),tcp_flags(syn)`;
}

const lacking = missing || missingController();

Deno.test({
  name: `openflow-tap keeps the contract of drivers, between a switch and a controller${
    lacking && ` (needs ${lacking})`
  }`,
  ignore: lacking !== "",
  fn: async (t) => {
    await using ovs = await DummySwitch.up(PORTS);
    const [heard, controlled] = [freePort(), freePort()];
    const controller = new TestController(controlled, ["-O", "OpenFlow13"], ovs.directory);
    await ovs.configure(["set-controller", "br0", `tcp:127.0.0.1:${heard}`]);
    try {
      await conforms(t, {
        kind: OPENFLOW_TAP,
        open: async () => {
          await controller.stop();
          return await openTap({
            listen: `tcp:127.0.0.1:${heard}`,
            controller: `tcp:127.0.0.1:${controlled}`,
          });
        },
        samples: [],
        stir: async (round) => {
          if (round === 0) controller.start();
          for (const [from, to] of [[1, 2], [2, 1], [1, 2]] as const) {
            await ovs.receive(`p${from}`, frame(from, to));
          }
        },
      });
    } finally {
      await controller.stop();
    }
  },
});
