/**
 * The exported eBPF program decides as the core: every action, on generated traffic and on every capture, with the reason
 * of each copy.
 *
 * It runs here in user space under sanitizers, with export_host.c for a kernel, so clocks are the frames' own. That the
 * kernel takes it and runs it is tested in the lab (export_ebpf_test.ts).
 */
import assert from "node:assert/strict";
import type { FrameInput } from "../../../filter/core.ts";
import { exportEbpf } from "../../../filter/export_ebpf.ts";
import type { AgesMs } from "../../../filter/model.ts";
import { generateTraffic } from "../../../filter/generate.ts";
import { WHY } from "../../../filter/names.ts";
import { type CompiledRule, PRESETS } from "../../../filter/rule.ts";
import { AGES, captureFolder, captures, compile, mixedRules, openCore, run, TOP } from "./library.ts";

const SLOTS = 2 ** 18;
const HEAD_BYTES = 16;

/**
 * Each frame comes in a tick of the plane's clock of its own, at its start: within a tick the plane puts a keep-alive off,
 * which the program does not. Times in rules and ages are stretched to match.
 */
const TICK_NS = 1n << 30n;
const STRETCH = 20;

function stretched(rules: readonly CompiledRule[]): CompiledRule[] {
  return rules.map(({ rule, program }) => ({
    rule: { ...rule, keepaliveMs: rule.keepaliveMs * STRETCH },
    program,
  }));
}

function inTicks(frames: readonly FrameInput[]): FrameInput[] {
  return frames.map((frame, i) => ({ ...frame, timeNs: BigInt(i + 1) * TICK_NS }));
}

const AGES_MS = Object.fromEntries(
  Object.entries(AGES).map(([age, ms]) => [age, ms * STRETCH * 5]),
) as unknown as AgesMs;

/** The program with these rules, built for as long as it is used. */
class Exported implements AsyncDisposable {
  private constructor(readonly folder: string) {}

  static async build(rules: readonly CompiledRule[]): Promise<Exported> {
    const folder = await Deno.makeTempDir({ prefix: "remediate-export-" });
    const here = `${TOP}/tests/native/filter`;
    await Deno.writeTextFile(
      `${folder}/filter.c`,
      exportEbpf({ rules, ages: AGES_MS, flowsMax: SLOTS, partial: false }),
    );
    await run("gcc", [
      ...[
        "-std=gnu11",
        "-O1",
        "-g",
        "-Wall",
        "-Werror",
        "-Wno-unused-label",
        "-Wno-misleading-indentation",
        "-Wno-unknown-pragmas",
      ],
      ...["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
      ...["-DSTANDBY_IFINDEX=7", `-DEXPORTED="${folder}/filter.c"`, `-I${here}/export_host`],
      ...[`${here}/export_host.c`, "-o", `${folder}/host`],
    ]);
    return new Exported(folder);
  }

  /** Why each frame is copied. */
  async decide(frames: readonly FrameInput[]): Promise<string[]> {
    const child = new Deno.Command(`${this.folder}/host`, { stdin: "piped", stdout: "piped" }).spawn();
    const writing = this.#feed(child.stdin, frames);
    const { success, stdout } = await child.output();
    await writing;
    assert.ok(success, "the program ended well");
    return [...new TextDecoder().decode(stdout)].map((letter) => WHY[letter.charCodeAt(0) - 97]!);
  }

  async #feed(stdin: WritableStream<Uint8Array>, frames: readonly FrameInput[]): Promise<void> {
    const writer = stdin.getWriter();
    for (const { timeNs, bytes, observed } of frames) {
      const record = new Uint8Array(HEAD_BYTES + bytes.length);
      const view = new DataView(record.buffer);
      view.setBigUint64(0, timeNs, true);
      view.setUint32(8, bytes.length, true);
      view.setUint32(12, observed ? 1 : 0, true);
      record.set(bytes, HEAD_BYTES);
      await writer.write(record);
    }
    await writer.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** What the plane does: the core's verdict, and neighbour traffic goes across without one. */
async function byTheCore(rules: readonly CompiledRule[], frames: readonly FrameInput[]): Promise<string[]> {
  using core = await openCore(SLOTS);
  core.setRules(rules, AGES_MS);
  const whys: string[] = [];
  for (let at = 0; at < frames.length; at += 10_000) {
    const some = frames.slice(at, at + 10_000);
    core.decide(some).forEach(({ parse, why }, i) => {
      whys.push(parse === "neighbour" && !some[i]!.observed ? "neighbour" : why);
    });
  }
  return whys;
}

/** Compares all, and gives how often each reason was seen. */
async function compare(given: readonly CompiledRule[], from: readonly FrameInput[], where: string) {
  const [rules, frames] = [stretched(given), inTicks(from)];
  await using exported = await Exported.build(rules);
  const [actual, expected] = [await exported.decide(frames), await byTheCore(rules, frames)];
  assert.equal(actual.length, frames.length, where);
  const seen = new Map<string, number>();
  expected.forEach((why, i) => {
    assert.equal(actual[i], why, `${where}, frame ${i}: ${frames[i]!.bytes.subarray(0, 120).toHex()}`);
    seen.set(why, (seen.get(why) ?? 0) + 1);
  });
  return seen;
}

const COPIES = WHY.filter((why) => why !== "none");

Deno.test("exportEbpf() gives the core's reason for every frame of generated traffic, for every action", async () => {
  const seen = new Set<string>();
  for (const [number, rules] of mixedRules().entries()) {
    const traffic = generateTraffic(29 + number);
    const frames = Array.from({ length: 40_000 }, () => traffic.next().value);
    for (const why of (await compare(rules, frames, `rules ${number}`)).keys()) seen.add(why);
  }
  assert.deepEqual(COPIES.filter((why) => !seen.has(why)), []);
});

const folder = captureFolder();

Deno.test({
  name: `exportEbpf() gives the core's reason for every frame of the captures${
    folder ? "" : " (needs the captures)"
  }`,
  ignore: folder === undefined,
  fn: async () => {
    const frames: FrameInput[] = [];
    for await (const capture of captures(folder!)) {
      for (const frame of capture.frames) if (frame.bytes.length <= 9014) frames.push(frame);
    }
    // `lb` copies what `nat` does, and `none` nothing.
    const presets = (["nat", "firewall", "ids", "ids-full"] as const).map((name) =>
      compile(...PRESETS[name])
    );
    const seen = new Set<string>();
    for (const [number, rules] of [...mixedRules(), ...presets].entries()) {
      for (const why of (await compare(rules, frames, `rules ${number}`)).keys()) seen.add(why);
    }
    assert.ok(frames.length > 50_000, `${frames.length} frames`);
    assert.deepEqual(COPIES.filter((why) => !seen.has(why)), []);
  },
});
