/**
 * SCTP through real boxes: nftables that track associations, a NAT with random ports and a strict firewall that gets no copies. The
 * primary loses its links, all associations go on, and no end hears anything that the other did not say.
 *
 * The ends are made of packets, for this kernel has no SCTP of its own; its connection tracking knows it well, tags and checksum.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { type HotReplicaOptions } from "../../scripts/lab/topology.ts";
import { end, sleep } from "../../scripts/lab/process.ts";
import { parseAssociations } from "../../scripts/lab/reports.ts";
import { fail } from "../../scripts/lab/scenario.ts";
import { ASSOCIATION_PORT } from "../../scripts/lab/servers.ts";
import { MatchLab } from "../support/match_lab.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const COUNT = 10, EVERY_MS = 200;
/** It is ended when all was seen. */
const MS_MAX = 120_000;
/** What was sent in its last second has to be answered for an association to be alive. */
const AFTER_MS = 2_000;

interface Case {
  readonly topology: HotReplicaOptions;
  readonly rules: readonly string[];
  readonly cores: number;
  /** Of so many there are verdicts before the primary fails. */
  readonly compared: number;
}

async function failOver({ topology, rules, cores, compared }: Case) {
  const filter = ["[[filter.rules]]", 'name = "test"', ...rules];
  await using s = await MatchLab.up(topology, { top: TOP, preset: "none", rules: filter, cores });
  s.lab.start("s1", [s.built.associations, "serve", String(ASSOCIATION_PORT)]).unref();
  const words = ["talk", "10.2.0.11", ASSOCIATION_PORT, COUNT, EVERY_MS, MS_MAX].map(String);
  const [program, ...args] = s.lab.argv("c1", [s.built.associations, ...words]);
  const client = new Deno.Command(program!, { args, stdin: "null", stdout: "piped" }).spawn();
  try {
    const ask = () => s.api.flows({ limit: 100, side: "downstream", text: `:${ASSOCIATION_PORT}` });
    // Data has come back on each: four packets open an association.
    const flows = await s.until(ask, (all) => all.filter(({ packets }) => packets[1] > 4).length === COUNT);
    const { boxes } = await s.status(({ boxes }) => {
      const { equal, different, dropped } = boxes[1]!.match!;
      return equal + different + dropped === compared;
    });
    await fail(s.lab, s.built, "primary", "link-both");
    await s.status(({ path }) => path === "redundant");
    await sleep(AFTER_MS);
    const { counters } = await s.api.status();
    end(client, "SIGTERM");
    const { stdout } = await client.output();
    const counted = (name: string) => counters.find((counter) => counter.name === name)?.packets ?? 0;
    return {
      flows,
      match: boxes[1]!.match!,
      ends: parseAssociations(new TextDecoder().decode(stdout)),
      counted,
    };
  } finally {
    end(client, "SIGKILL");
  }
}

Deno.test("SCTP through NATs with random ports is compared, and translated after the failover", async () => {
  const { flows, match, ends, counted } = await failOver({
    topology: { kind: "nat", ports: "fully-random" },
    rules: ["first_packets = 5", "seed = true"],
    cores: 1,
    compared: COUNT,
  });
  assert.ok(flows.every(({ binding, unsure }) => unsure === "" && binding.includes(" - 10.1.0.11:300")));
  const { equal, different, followed } = match.classes.other;
  assert.deepEqual([equal + different, followed], [COUNT, different]);
  assert.deepEqual([ends.alive, ends.strange], [COUNT, 0]);
  assert.ok(counted("seed_swallowed") >= 2 * COUNT && counted("fixed_up") > 0);
});

Deno.test("SCTP lives through a failover to a strict firewall that has never heard of it", async () => {
  const { ends, counted } = await failOver({
    topology: { kind: "firewall" },
    rules: ["seed = true"],
    cores: 2,
    compared: 0,
  });
  assert.deepEqual([ends.alive, ends.strange], [COUNT, 0]);
  assert.ok(counted("seed_alike") >= COUNT && counted("seed_swallowed") >= 2 * COUNT);
});
