/**
 * Which disks are not overwritten, and why.
 */
import assert from "node:assert/strict";
import { type DiskFacts, diskFaults, parseLsblk } from "../../../scripts/flash/judge.ts";

const RULES = { imageBytes: 1_400_000_000, bytesMax: 4e12 };
const STICK: DiskFacts = {
  ...{ path: "/dev/sdb", kind: "disk", bytes: 16_000_000_000, readOnly: false, model: "Stick" },
  ...{ used: [], holdsRoot: false, holders: [] },
};

Deno.test("diskFaults() takes a disk, a loop device and a file that are large enough", () => {
  for (const kind of ["disk", "loop", "file"]) assert.deepEqual(diskFaults({ ...STICK, kind }, RULES), []);
});

Deno.test("diskFaults() names every reason against a disk", () => {
  const cases: [Partial<DiskFacts>, RegExp][] = [
    [{ kind: null }, /there is no such disk/],
    [{ kind: "part" }, /it is a partition/],
    [{ kind: "rom" }, /it is a rom/],
    [{ holdsRoot: true }, /the running system is on it/],
    [{ used: [{ device: "/dev/sdb1", place: "/media/x" }] }, /\/dev\/sdb1 is in use at \/media\/x/],
    [{ holders: ["/dev/mapper/vg-a"] }, /\/dev\/mapper\/vg-a is made of it/],
    [{ readOnly: true }, /it is read-only/],
    [{ bytes: 1_000_000_000 }, /it has 1000000000 bytes, and the image needs 1400000000/],
    [{ bytes: 8e12 }, /--any-size takes it/],
  ];
  for (const [what, said] of cases) {
    const faults = diskFaults({ ...STICK, ...what }, RULES);
    assert.equal(faults.length, 1, faults.join("; "));
    assert.match(faults[0]!, said);
  }
});

Deno.test("parseLsblk() finds what lies on parts of a disk", () => {
  const found = parseLsblk(
    JSON.stringify({
      blockdevices: [{
        ...{ path: "/dev/sda", type: "disk", size: 500, ro: false, model: "SSD", mountpoints: [null] },
        children: [
          { path: "/dev/sda1", type: "part", size: 100, ro: false, model: null, mountpoints: ["/boot/efi"] },
          {
            ...{ path: "/dev/sda2", type: "part", size: 400, ro: false, model: null, mountpoints: [null] },
            children: [
              {
                path: "/dev/mapper/root",
                type: "crypt",
                size: 400,
                ro: false,
                model: null,
                mountpoints: ["/"],
              },
            ],
          },
        ],
      }],
    }),
    "/dev/sda",
  );
  assert.deepEqual(found.used, [
    { device: "/dev/sda1", place: "/boot/efi" },
    { device: "/dev/mapper/root", place: "/" },
  ]);
  assert.deepEqual([found.holdsRoot, found.holders, found.bytes], [true, ["/dev/mapper/root"], 500]);
  assert.equal(parseLsblk('{"blockdevices":[]}', "/dev/x").kind, null);
});
