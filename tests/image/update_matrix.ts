/**
 * Updates as machines see them: QEMU, a disk that lasts, bundles good and bad, a power that is cut. Each case ends in a node
 * that forwards frames and in a report that is true. Whole starts take minutes each without virtualisation, so the gate
 * leaves this out: `deno task test:update` runs it, REMEDIATE_UPDATE names cases by a part of their name.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import type { UpdateOutcome, UpdateReport } from "../../appliance/update/contract.ts";
import {
  type BundleName,
  BUNDLES,
  makeUpdateDisk,
  type UpdateDisk,
} from "../../scripts/image/update_disk.ts";
import type { Slots } from "../../scripts/image/update_frames.ts";
import { UpdateMachine } from "../../scripts/image/update_machine.ts";
import { run } from "../../scripts/image/run.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const HOME = `${TOP}/.cache/test/update`;
const WANTED = Deno.env.get("REMEDIATE_UPDATE") ?? "all";
/** A guest that shares two processors with a dozen others was seen to take ten minutes. */
const START_MS_MAX = 1_800_000;
const FIRST_PORT = 24_100;

/** Ports of the kernel, for a plane that owns its cards never sleeps, and there is no processor to spare. */
const CONFIG = `[node]
name = "update"
state_directory = "/data/state"
[ports]
upstream = "af_packet:enp0s16"
downstream = "af_packet:enp0s17"
primary_in = "af_packet:enp0s18"
primary_out = "af_packet:enp0s19"
redundant_in = "null"
redundant_out = "null"
[plane]
hugepages = "off"
memory_mib = 64
flows_max = 1024
[filter]
preset = "nat"
[failover]
silence_ms = 2000
stall_ms = 1000
[api]
listen = "0.0.0.0:8443"
`;

let made: Promise<UpdateDisk> | undefined;

/** REMEDIATE_UPDATE_DISK names what an earlier run made, in place of making it anew. */
const MADE = Deno.env.get("REMEDIATE_UPDATE_DISK");

async function make(): Promise<UpdateDisk> {
  await Deno.mkdir(HOME, { recursive: true });
  if (MADE !== undefined) return JSON.parse(await Deno.readTextFile(MADE));
  const config = `${HOME}/remediate.toml`, image = `${HOME}/remediate.img`;
  await Deno.writeTextFile(config, CONFIG);
  await run([
    ...[Deno.execPath(), "run", "-A", "--no-check", `${TOP}/scripts/image.ts`, "--raw"],
    ...["--config", config, "--output", image],
  ]);
  const disk = await makeUpdateDisk({ cache: `${TOP}/.cache/image`, image, config, directory: HOME });
  await Deno.writeTextFile(`${HOME}/made.json`, JSON.stringify(disk));
  return disk;
}

/** What a case does with a machine at rest in slot A. */
interface Case {
  readonly name: string;
  readonly work: (on: On) => Promise<void>;
  /** Not a block is free on its data partition. @default false */
  readonly full?: boolean;
}

/** A machine, and what is asked of it again and again. */
class On {
  constructor(readonly machine: UpdateMachine, readonly disk: UpdateDisk) {}

  /** @returns the sentence of its refusal, or its report's */
  async install(name: BundleName, force = false): Promise<{ status: number; text: string }> {
    const body = { file: `${name}.raucb`, digest: this.disk.digests[name], force };
    const answer = await this.machine.ask<UpdateReport & { detail?: string }>(
      ...["POST", "/api/v1/update/install", body] as const,
    );
    return { status: answer?.status ?? 0, text: answer?.body.detail ?? answer?.body.reason ?? "" };
  }

  /** It has to be taken. */
  async installed(name: BundleName): Promise<void> {
    const { status, text } = await this.install(name);
    assert.equal(status, 200, text);
  }

  async order(name: "restart" | "rollback"): Promise<void> {
    const answer = await this.machine.ask("POST", `/api/v1/update/${name}`);
    // A machine that restarts may take its answer with it.
    if (name === "rollback") assert.equal(answer?.status, 200);
  }

  until(what: string, wanted: (view: Slots) => boolean): Promise<Slots> {
    return this.machine.until(what, START_MS_MAX, async () => {
      const view = await this.machine.slots();
      return view !== null && wanted(view) ? view : null;
    });
  }

  /** Forwards, runs that version out of a good slot, and reports last what was meant. */
  async well(version: string | null, outcome: UpdateOutcome | null): Promise<Slots> {
    const view = await this.until(`version ${version} at rest`, ({ slots, reports }) => {
      const now = slots.find(({ booted }) => booted);
      return now?.state === "good" && (version === null || now.version === version) &&
        (outcome === null || reports.at(-1)?.outcome === outcome);
    });
    await this.machine.until("a forwarded frame", START_MS_MAX, () => this.machine.forwards());
    return view;
  }

  /** The power is cut as soon as the install has come that far. */
  async cutAt(percent: number): Promise<void> {
    const done = this.install("good").catch(() => null);
    await this.until(
      `${percent} % of the install`,
      ({ installing, slots }) =>
        (installing?.percent ?? 0) >= percent || slots.some(({ state }) => state === "trial"),
    );
    await this.machine.cut();
    await done;
  }
}

const FIRST = "0.1.0";
const REFUSALS: readonly [BundleName, RegExp][] = [
  ["stranger", /verif|signature|issuer|self.signed/i],
  ["expired", /expired/i],
  ["board", /another-board/],
  ["truncated", /signature|bundle|size/i],
  ["old", /older than/],
];

const CASES: readonly Case[] = [
  {
    name: "bad signature, ended certificate, wrong board, truncated, too old: refused, and nothing changes",
    work: async (on) => {
      for (const [name, reason] of REFUSALS) {
        const { status, text } = await on.install(name);
        assert.equal(status, 409, name);
        assert.match(text, reason, name);
        const view = await on.well(FIRST, "refused");
        assert.equal(view.slots.find((slot) => slot.name === "B")?.state, "empty", name);
      }
    },
  },
  ...[1, 30, 60, 90, 100].map((percent): Case => ({
    name: `power cut at ${percent} % of an install`,
    work: async (on) => {
      await on.cutAt(percent);
      // It may have been whole already; then it is tried and proves itself. The judgement on the start tells how it ended.
      const view = await on.until(
        "rest, and a report of how the install ended",
        ({ slots, reports }) =>
          slots.some(({ booted, state }) => booted && state === "good") &&
          reports.some(({ outcome }) => outcome === "refused" || outcome === "good"),
      );
      const version = view.slots.find(({ booted }) => booted)?.version;
      assert.equal(view.reports.at(-1)?.outcome, version === FIRST ? "refused" : "good");
      await on.well(version ?? null, null);
    },
  })),
  {
    name: "a slot that panics falls back after three starts",
    work: async (on) => {
      await on.installed("panics");
      const before = on.machine.starts;
      await on.order("restart");
      const view = await on.well(FIRST, "fell-back");
      assert.equal(on.machine.starts - before, 4);
      assert.deepEqual(view.badVersions, [BUNDLES.panics]);
      assert.equal((await on.install("panics")).status, 409);
    },
  },
  {
    name: "a slot that fails its gate falls back at once, and says why",
    work: async (on) => {
      await on.installed("gate");
      await on.order("restart");
      const view = await on.well(FIRST, "fell-back");
      assert.match(view.reports.at(-1)!.reason, /control does not answer/);
    },
  },
  {
    name: "a good update",
    work: async (on) => {
      await on.installed("good");
      await on.machine.until(
        "a forwarded frame beside the install",
        START_MS_MAX,
        () => on.machine.forwards(),
      );
      await on.order("restart");
      await on.well(BUNDLES.good, "good");
    },
  },
  {
    name: "two good updates in a row, then back by hand",
    work: async (on) => {
      for (const name of ["good", "next"] as const) {
        await on.installed(name);
        await on.order("restart");
        await on.well(BUNDLES[name], "good");
      }
      await on.order("rollback");
      await on.order("restart");
      await on.well(BUNDLES.good, null);
    },
  },
  {
    name: "a full data partition refuses and forwards",
    full: true,
    work: async (on) => {
      const { status, text } = await on.install("good");
      assert.equal(status, 409);
      assert.match(text, /no space left/i);
      // Nor does it take a bundle in.
      const bundle = `${HOME}/sent`;
      await run(["dd", "if=/dev/urandom", `of=${bundle}`, "bs=1M", "count=8", "status=none"]);
      const { token, firstPort } = on.machine.files;
      const send = ["curl", "-sk", "-T", bundle, "-H", `authorization: Bearer ${token}`, "-H", "expect:"];
      const said = await run([...send, `https://127.0.0.1:${firstPort}/api/v1/update/bundle`]);
      assert.match(said, /no space left/i);
      const { slots } = await on.well(FIRST, null);
      assert.equal(slots.find((slot) => slot.name === "B")?.state, "empty");
    },
  },
];

async function runCase({ name, work, full = false }: Case): Promise<void> {
  const disk = await (made ??= make());
  const copy = `${HOME}/case.img`;
  await run(["cp", "--sparse=always", "--reflink=auto", full ? disk.full : disk.disk, copy]);
  const files = { disk: copy, directory: HOME, firstPort: FIRST_PORT, token: disk.token };
  const machine = new UpdateMachine(files), on = new On(machine, disk);
  const startedMs = performance.now();
  try {
    await on.well(FIRST, null);
    await work(on);
    const load = (await Deno.readTextFile("/proc/loadavg")).split(" ")[0];
    const seconds = Math.round((performance.now() - startedMs) / 1000);
    console.log(JSON.stringify({ case: name, starts: machine.starts, seconds, load: Number(load) }));
  } finally {
    await machine.cut();
    await Deno.remove(copy).catch(() => {});
  }
}

for (const one of CASES) {
  if (WANTED === "all" || one.name.includes(WANTED)) Deno.test(one.name, () => runCase(one));
}
