/** Network cards that the kernel has given away, from a directory as /sys has it: its links need the right to make any. */
import assert from "node:assert/strict";
import { type Nic, readGiven } from "../../../appliance/setup/nics.ts";

const DRIVEN: Nic = {
  ...{ name: "eth0", index: 1, driver: "vfio-pci", device: "0000:06:00.0", mac: "02:00:00:00:00:01" },
  ...{ link: true, mbit: 1000, rxPackets: 0, neighbour: null, taken: null },
};

Deno.test("readGiven() finds network cards that the kernel does not drive, and no others", async () => {
  const sys = await Deno.makeTempDir();
  try {
    const device = async (address: string, kind: string, driver: string | null) => {
      await Deno.mkdir(`${sys}/${address}`);
      await Deno.writeTextFile(`${sys}/${address}/class`, `${kind}\n`);
      if (driver !== null) await Deno.symlink(`/drivers/${driver}`, `${sys}/${address}/driver`);
    };
    await device("0000:05:00.0", "0x020000", "vfio-pci");
    await device("0000:05:00.1", "0x020000", null);
    await device("0000:05:00.2", "0x020000", "igb");
    await device("0000:05:00.3", "0x010601", "vfio-pci");
    await device("0000:06:00.0", "0x020000", "vfio-pci");
    const given = readGiven(sys, [DRIVEN]);
    assert.deepEqual(
      given.map(({ name, driver, index, link }) => [name, driver, index, link]).sort(),
      [["0000:05:00.0", "vfio-pci", 0, null], ["0000:05:00.1", "none", 0, null]],
    );
    assert.deepEqual(readGiven(`${sys}/none`, []), []);
  } finally {
    await Deno.remove(sys, { recursive: true });
  }
});
