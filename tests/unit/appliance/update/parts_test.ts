/** The smaller rules of updates: versions, the gate, configurations by slot, RAUC's questions, FAT, reports kept. */
import assert from "node:assert/strict";
import { absentUpdater } from "../../../../appliance/update/absent.ts";
import { answerRauc } from "../../../../appliance/update/backend.ts";
import { armed, FRESH } from "../../../../appliance/update/boot_state.ts";
import { versionIn } from "../../../../appliance/update/device.ts";
import { findFile, readFileText } from "../../../../appliance/update/fat.ts";
import {
  begun,
  type GateFacts,
  gateFaults,
  gateRules,
  judged,
  NOTHING_BEFORE,
} from "../../../../appliance/update/gate.ts";
import { candidateIn, percentIn, reasonIn } from "../../../../appliance/update/installer.ts";
import { parseSlots } from "../../../../appliance/update/machine.ts";
import {
  memoryText,
  NO_MEMORY,
  parseMemory,
  withBad,
  withReport,
} from "../../../../appliance/update/memory.ts";
import { chooseSettings } from "../../../../appliance/update/settings.ts";
import { candidateFault, compareVersions } from "../../../../appliance/update/versions.ts";

Deno.test("compareVersions() orders as semantic versioning does", () => {
  const rising = [
    "0.9.0",
    "1.0.0-1",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-beta",
    "1.0.0",
    "1.0.10",
    "1.2.0",
  ];
  for (const [i, one] of rising.entries()) {
    for (const [j, two] of rising.entries()) {
      assert.equal(Math.sign(compareVersions(one, two)), Math.sign(i - j), `${one} and ${two}`);
    }
  }
  assert.throws(() => compareVersions("1.0", "1.0.0"), /version "1\.0": it is none like 1\.2\.3/);
});

Deno.test("candidateFault() takes no wrong board even by force, and what is old or bad only by force", () => {
  const judge = { running: "1.0.0", compatible: "x", badVersions: ["1.1.0"], force: false };
  assert.equal(candidateFault({ version: "1.2.0", compatible: "x" }, judge), null);
  assert.equal(candidateFault({ version: "1.0.0", compatible: "x" }, judge), null);
  for (const version of ["1.1.0", "0.9.0"]) {
    assert.match(candidateFault({ version, compatible: "x" }, judge)!, /--force/);
    assert.equal(candidateFault({ version, compatible: "x" }, { ...judge, force: true }), null);
  }
  assert.match(
    candidateFault({ version: "2.0.0", compatible: "y" }, { ...judge, force: true })!,
    /board "y"/,
  );
});

const WELL: GateFacts = {
  configured: true,
  configProblems: [],
  node: { plane: "running", freshMs: 10, path: "primary", links: ["upstream"], peers: ["fw-a"] },
};

Deno.test("gateFaults() wants what the version before did, and no more", () => {
  const before = { configured: true, forwarded: true, links: ["upstream"], peers: ["fw-a"] };
  assert.deepEqual(gateFaults(WELL, before), []);
  const node = WELL.node!;
  const cases: readonly [GateFacts, RegExp][] = [
    [{ ...WELL, configured: false }, /configuration of the version before is not there/],
    [{ ...WELL, configProblems: ["x:1: bad", "x:2: bad"] }, /does not load: x:1: bad and 1 more/],
    [{ ...WELL, node: null }, /control does not answer/],
    [{ ...WELL, node: { ...node, plane: "failed" } }, /the plane is failed/],
    [{ ...WELL, node: { ...node, freshMs: 9000 } }, /has not turned for 9000 ms/],
    [{ ...WELL, node: { ...node, path: "block" } }, /traffic is blocked/],
    [{ ...WELL, node: { ...node, links: [] } }, /no link at upstream/],
    [{ ...WELL, node: { ...node, peers: [] } }, /fw-a cannot be reached/],
  ];
  for (const [facts, reason] of cases) assert.match(gateFaults(facts, before).join(), reason);
  const idle = { ...WELL, node: { ...node, path: "block", links: [], peers: [] } };
  assert.deepEqual(gateFaults(idle, NOTHING_BEFORE), [], "what was broken before is no fault");
  assert.deepEqual(gateFaults({ configured: false, configProblems: [], node: null }, NOTHING_BEFORE), []);
});

Deno.test("judged() is good only after it held, and bad only at the deadline", () => {
  const rules = { deadlineMs: 100, holdMs: 20 };
  let step = judged(begun(0), ["x"], 10, rules);
  assert.equal(step.verdict, "wait");
  step = judged(step.progress, [], 70, rules);
  assert.equal(step.verdict, "wait");
  assert.equal(judged(step.progress, ["x"], 89, rules).progress.goodSinceMs, null);
  assert.equal(judged(step.progress, [], 90, rules).verdict, "good");
  assert.deepEqual(judged(step.progress, ["y"], 100, rules).progress.faults, ["y"]);
  assert.equal(judged(step.progress, ["y"], 100, rules).verdict, "bad");
  assert.equal(gateRules("ro remediate.deadline=40 quiet").deadlineMs, 40_000);
  assert.equal(gateRules("ro quiet").deadlineMs, 300_000);
});

Deno.test("chooseSettings() keeps each slot's configuration, and goes back only where it must", () => {
  const accepts = (text: string) => !text.includes("new");
  const forward = chooseSettings({ current: "old", kept: null }, {
    booted: "B",
    last: "A",
    accepts: () => true,
  });
  assert.deepEqual(forward, { keepFor: "A", text: null, told: null });
  const back = chooseSettings({ current: "new", kept: "old" }, { booted: "A", last: "B", accepts });
  assert.equal(back.keepFor, "B");
  assert.equal(back.text, "old");
  assert.match(back.told!, /slot A had is in force again: this version cannot read that of slot B/);
  const readable = chooseSettings({ current: "mine", kept: "old" }, { booted: "A", last: "B", accepts });
  assert.equal(readable.text, null);
  const lost = chooseSettings({ current: null, kept: "old" }, { booted: "A", last: "A", accepts });
  assert.deepEqual([lost.keepFor, lost.text], [null, "old"]);
});

Deno.test("answerRauc() gives a slot up before it is written, tries it when whole, and believes no foreign good", () => {
  const ask = (words: string, state = FRESH) => answerRauc(words.split(" "), state, "A");
  assert.equal(ask("get-primary").said, "a");
  assert.equal(ask("get-current").said, "a");
  assert.equal(ask("get-state b").said, "bad");
  assert.equal(ask("get-state b", armed(FRESH, "B")).said, "good");
  assert.deepEqual(ask("set-state b bad").state?.slots.B, { state: "empty", tries: 0 });
  assert.deepEqual(ask("set-primary b").state?.slots.B, { state: "trial", tries: 3 });
  assert.equal(ask("set-state b good").state, null);
  assert.throws(() => ask("set-state c bad"), /there are slots a and b/);
  assert.throws(() => ask("dance a"), /no word of RAUC's/);
});

Deno.test("RAUC's words are read: its reason, a bundle, progress", () => {
  assert.equal(
    reasonIn("x\nLastError: Failed signature verification\nInstalling failed"),
    "Failed signature verification",
  );
  assert.equal(
    reasonIn("rauc-Message: hi\nfailed to verify: certificate has expired"),
    "failed to verify: certificate has expired",
  );
  assert.equal(reasonIn(""), "it gave no reason");
  assert.deepEqual(candidateIn('note\n{"version":"1.0.0","compatible":"x"}'), {
    version: "1.0.0",
    compatible: "x",
  });
  assert.throws(() => candidateIn("{}"), /names no version/);
  assert.equal(percentIn(" 40% Copying image"), 40);
  assert.equal(percentIn("Installing `x` succeeded"), null);
});

Deno.test("memory: what is not whole is not believed, and lists have bounds", () => {
  const report = { atMs: 1, version: "1.0.0", digest: null, outcome: "good", reason: "x" } as const;
  let memory = NO_MEMORY;
  for (let i = 0; i < 99; i++) memory = withBad(withReport(memory, { ...report, atMs: i }), `1.0.${i}`);
  assert.equal(memory.reports.length, 50);
  assert.equal(memory.reports.at(-1)?.atMs, 98);
  assert.equal(memory.badVersions.length, 32);
  assert.deepEqual(parseMemory(memoryText(memory)), memory);
  for (const text of ["", "{", "[]", "{}", memoryText(memory).replace('"good"', '"fine"')]) {
    assert.equal(parseMemory(text), null);
  }
});

Deno.test("parseSlots() wants every word", () => {
  const text = "slot=b\ncompatible=x\nesp=/dev/vda2\nboot_a=/dev/vda3\nboot_b=/dev/vda4\n";
  assert.deepEqual(parseSlots(text), {
    ...{ booted: "B", compatible: "x", esp: "/dev/vda2" },
    boot: { A: "/dev/vda3", B: "/dev/vda4" },
  });
  for (const line of text.trim().split("\n")) assert.equal(parseSlots(text.replace(line, "")), null);
  assert.equal(parseSlots(text.replace("slot=b", "slot=c")), null);
});

Deno.test("absentUpdater() says what this machine is not", async () => {
  const updater = absentUpdater("there is no /run/x");
  await assert.rejects(
    updater.install("/tmp/a.raucb", { digest: "", force: false }),
    /Cannot install \/tmp\/a\.raucb: this machine does not run from an appliance image \(there is no \/run\/x\)/,
  );
  await assert.rejects(updater.view(), /no|not/);
});

/** A FAT32 of 512-byte clusters with remediate/state.1 (two clusters that are not neighbours) and a long name. */
function smallFat(): Uint8Array {
  const image = new Uint8Array(512 * 64), view = new DataView(image.buffer);
  view.setUint16(11, 512, true);
  image[13] = 1;
  view.setUint16(14, 2, true);
  image[16] = 1;
  view.setUint32(36, 2, true);
  view.setUint32(44, 2, true);
  view.setUint16(510, 0xaa55, true);
  const fat = (cluster: number, next: number) => view.setUint32(1024 + cluster * 4, next, true);
  const at = (cluster: number) => 2048 + (cluster - 2) * 512;
  const end = 0x0fff_ffff;
  const entry = (where: number, name: string, options: { kind: number; cluster: number; bytes: number }) => {
    image.set(new TextEncoder().encode(name), where);
    image[where + 11] = options.kind;
    view.setUint16(where + 26, options.cluster, true);
    view.setUint32(where + 28, options.bytes, true);
  };
  fat(2, end), fat(3, end), fat(4, 6), fat(6, end);
  const long = [..."remediate"];
  image[at(2)] = 0x41;
  image[at(2) + 11] = 0x0f;
  const places = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
  for (const [i, place] of places.entries()) {
    view.setUint16(
      at(2) + place,
      i < long.length ? long[i]!.charCodeAt(0) : i === long.length ? 0 : 0xffff,
      true,
    );
  }
  entry(at(2) + 32, "REMEDI~1   ", { kind: 0x10, cluster: 3, bytes: 0 });
  entry(at(3), "STATE   1  ", { kind: 0x20, cluster: 4, bytes: 700 });
  image.fill(65, at(4), at(4) + 512);
  image.fill(66, at(6), at(6) + 188);
  return image;
}

Deno.test("findFile() finds the sectors of a file, and readFileText() what is in them", async () => {
  const image = smallFat();
  const read = (offset: number, bytes: number) => Promise.resolve(image.slice(offset, offset + bytes));
  assert.deepEqual(await findFile(read, "remediate/state"), null);
  image.set(new TextEncoder().encode("STATE      "), 2048 + 512);
  assert.deepEqual(await findFile(read, "REMEDIATE/state"), [{ offset: 3072, bytes: 512 }, {
    offset: 4096,
    bytes: 188,
  }]);
  assert.equal(await readFileText(read, "remediate/state", 700), "A".repeat(512) + "B".repeat(188));
  await assert.rejects(readFileText(read, "remediate/state", 699), /it has 700 bytes/);
  assert.equal(await findFile(read, "remediate"), null);
  image[510] = 0;
  await assert.rejects(findFile(read, "x"), /it is no FAT32/);
});

Deno.test("versionIn() reads the boot loader's line", () => {
  assert.equal(versionIn('set slot_version="1.2.3"\nset slot_arguments="x"\n'), "1.2.3");
  assert.equal(versionIn("set slot_arguments=x\n"), null);
});
