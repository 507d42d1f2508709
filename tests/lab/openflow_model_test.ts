/**
 * Chance as a controller: entries, groups and meters come, change and go, some of them refused. What the tap believes is
 * what the real switch has, and the replica has the same. The seed is in the name of the test.
 */
import assert from "node:assert/strict";
import { type Action, output } from "../../drivers/openflow/actions.ts";
import { Channel } from "../../drivers/openflow/channel.ts";
import { NETWORK } from "../../drivers/openflow/link.ts";
import type { Field } from "../../drivers/openflow/match.ts";
import type { Body, FlowMod } from "../../drivers/openflow/messages.ts";
import { ALL_TABLES, GROUP_ALL, GROUP_ANY, NO_BUFFER, PORT } from "../../drivers/openflow/names.ts";
import { parseAddress } from "../../drivers/openflow/where.ts";
import { Random } from "../../filter/random.ts";
import { freePort, normal, TapLab } from "../support/openflow_lab.ts";
import { missingSwitch } from "../support/switch_lab.ts";

const missing = missingSwitch();
const ROUNDS = 12, ORDERS = 40;

const field = (name: string, value: number, mask: bigint | null = null): Field => ({
  name,
  value: BigInt(value),
  mask,
});

function match(random: Random): Field[] {
  const fields = [field("eth_type", 0x0800)];
  if (random.chance(0.3)) fields.unshift(field("in_port", 1 + random.below(3)));
  if (random.chance(0.7)) {
    fields.push(field("ip_proto", random.pick([6, 17])));
    if (random.chance(0.5)) fields.push(field("ipv4_src", 0x0a010000, 0xffff0000n));
    else fields.push(field("ipv4_src", 0x0a010000 + random.below(4)));
    if (random.chance(0.5)) {
      fields.push(field(fields.some(({ value }) => value === 17n) ? "udp_dst" : "tcp_dst", random.below(3)));
    }
  }
  return fields;
}

function flow(random: Random): FlowMod {
  const command = random.pick([0, 0, 0, 0, 1, 2, 3, 4, 4]);
  const actions: Action[] = random.chance(0.3)
    ? [{ kind: "group", group: 1 + random.below(4) }]
    : [output(1 + random.below(3))];
  const instructions = random.chance(0.2)
    ? [{ kind: "meter" as const, meter: 1 + random.below(3) }, { kind: "apply" as const, actions }]
    : [{ kind: "apply" as const, actions }];
  const isDelete = command > 2, wide = isDelete && random.chance(0.1);
  return {
    ...{ kind: "flow-mod", command, cookie: BigInt(random.below(3)), idleS: 0, hardS: 0, buffer: NO_BUFFER },
    cookieMask: command > 0 && random.chance(0.3) ? 0xffff_ffff_ffff_ffffn : 0n,
    ...{ table: isDelete && random.chance(0.3) ? ALL_TABLES : random.below(2), priority: random.below(3) },
    outPort: isDelete && random.chance(0.2) ? 1 : PORT.any,
    outGroup: isDelete && random.chance(0.1) ? 1 : GROUP_ANY,
    flags: random.pick([0, 1, 2]),
    match: wide ? [] : match(random),
    instructions: isDelete ? [] : instructions,
  };
}

function order(random: Random): Body {
  if (random.chance(0.75)) return flow(random);
  const command = random.pick([0, 0, 1, 2]);
  if (random.chance(0.5)) {
    const bands = command === 2
      ? []
      : [{ type: 1, rate: 100 + random.below(9), burst: 0, data: new Uint8Array(4) }];
    return { kind: "meter-mod", command, flags: 1, meter: 1 + random.below(3), bands };
  }
  const group = command === 2 && random.chance(0.1) ? GROUP_ALL : 1 + random.below(4);
  const next: Action = random.chance(0.2)
    ? { kind: "group", group: 1 + random.below(4) }
    : output(1 + random.below(3));
  const bucket = { weight: 0, watchPort: PORT.any, watchGroup: GROUP_ANY, actions: [next] };
  return { kind: "group-mod", command, type: 0, group, buckets: command === 2 ? [] : [bucket] };
}

/** A dump of flows, without counters that one has and the other has not; the model has no text of its own. */
async function tapCounts(lab: TapLab): Promise<Record<string, number>> {
  const counts: Record<string, number> = { flow: 0, group: 0, meter: 0 };
  for await (const { key } of lab.tap.get("supporting", {}, new AbortController().signal)) {
    counts[/(flow|group|meter) \d/.exec(key)![1]!]!++;
  }
  return counts;
}

for (const seed of [1, 2, 3]) {
  Deno.test({
    name: `seed ${seed}: whatever a controller does, tap, switch and replica agree${
      missing && ` (needs ${missing})`
    }`,
    ignore: missing !== "",
    fn: async () => {
      const random = new Random(seed);
      const where = { address: parseAddress(`tcp:127.0.0.1:${freePort()}`)!, tls: null };
      const nobody = { datapath: null, ready: () => {}, lost: () => {}, heard: () => {} };
      const controller = new Channel({ where, by: "listen", network: NETWORK, ...nobody });
      await using lab = await TapLab.up(`tcp:127.0.0.1:${where.address.port}`);
      try {
        await controller.ready();
        let refused = 0;
        for (let round = 0; round < ROUNDS; round++) {
          const answers = await controller.order(Array.from({ length: ORDERS }, () => order(random)));
          refused += answers.filter((one) => one !== null).length;
          for (const what of ["flows", "groups", "meters"]) await lab.agree(what, 0);
          const held = {
            flow: normal(await lab.a.dump("flows")).length,
            group: normal(await lab.a.dump("groups")).length,
            meter: (await lab.a.dump("meters")).match(/^meter=/gm)?.length ?? 0,
          };
          assert.deepEqual(await tapCounts(lab), held, `round ${round}`);
        }
        const { flow_mods = 0, refused_by_switch = 0, malformed } = lab.tap.counters();
        assert.ok(
          flow_mods > 200 && refused > 20 && refused_by_switch > 0,
          `${flow_mods} ${refused} ${refused_by_switch}`,
        );
        assert.equal(malformed, 0);
      } finally {
        controller.close();
      }
    },
  });
}
