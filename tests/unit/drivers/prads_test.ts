/** The driver of the log of PRADS: lines, assets, and a file that grows and begins anew. */
import assert from "node:assert/strict";
import { assetEntry, openPrads, readAsset } from "../../../drivers/prads.ts";
import { FileLines } from "../../../drivers/prads_file.ts";

const CONTEXT = { nowMs: () => 1_000 };
const never = new AbortController().signal;

Deno.test("readAsset() reads lines of PRADS, and keys name what was seen whole", () => {
  const line =
    "192.168.1.11,0,33779,6,SYN,[S44:64:1:60:M1460,S,T,N,W7:.:unknown:uptime:5680hrs],3,1591780863";
  const asset = readAsset(line)!;
  assert.deepEqual([asset.port, asset.info.length, asset.distance, asset.discoveredS], [
    33_779,
    51,
    3,
    1_591_780_863,
  ]);
  assert.deepEqual(assetEntry(asset).fields, { protocol: 6, source: "192.168.1.11" });
  const server = readAsset("10.0.0.2,4,53,17,SERVER,[domain:DNS SQR No Error],0,1591780863")!;
  assert.deepEqual(assetEntry(server).fields, { protocol: 17, destination: "10.0.0.2", destinationPort: 53 });
  const long = (end: string) => assetEntry({ ...asset, info: "x".repeat(600) + end }).key;
  assert.ok(long("a").length < 512 && long("a") !== long("b"));
  for (
    const bad of [
      "asset,vlan,port,proto,service,[service-info],distance,discovered",
      "",
      "1.2.3,0,1,6,SYN,[x],0,1",
      "10.0.0.1,0,99999,6,SYN,[x],0,1",
      "10.0.0.1,0,1,6,SYN,x,0,1",
    ]
  ) assert.equal(readAsset(bad), null);
});

Deno.test("prads: what is seen again is one record, what is too much is counted, and nothing is put", async () => {
  const log: string[][] = [
    [
      "asset,vlan,port,proto,service,[service-info],distance,discovered",
      "10.0.0.1,0,0,6,SYN,[a],0,1",
      "10.0.0.1,0,0,6,SYN,[a],0,2",
      "?",
    ],
    ["10.0.0.1,0,0,6,SYN,[b],0,3", "10.0.0.1,0,0,6,SYN,[c],0,4"],
  ];
  const one = await openPrads(
    { assets_max: 2, poll_ms: 50 },
    CONTEXT,
    () => Promise.resolve(log.shift() ?? []),
  );
  const records = await Array.fromAsync(one.get("reporting", {}, never));
  assert.deepEqual(records.map(({ key, merge }) => [key, merge]), [["10.0.0.1 0 6 0 SYN a", "union"], [
    "10.0.0.1 0 6 0 SYN b",
    "union",
  ]]);
  const { lines_read, lines_unread, assets_over } = one.counters();
  assert.deepEqual([lines_read, lines_unread, assets_over], [4, 1, 1]);
  assert.equal((await one.put([{ ...records[0]!, version: 9e15 }])).refused.length, 1);
});

Deno.test("FileLines reads on where it was, waits for the rest of a line, and begins anew in a new file", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const path = `${directory}/log`;
    const lines = new FileLines(path);
    await assert.rejects(lines.read());
    await Deno.writeTextFile(path, "one\ntw");
    assert.deepEqual(await lines.read(), ["one"]);
    await Deno.writeTextFile(path, "o\nthree\n", { append: true });
    assert.deepEqual(await lines.read(), ["two", "three"]);
    assert.deepEqual(await lines.read(), []);
    await Deno.writeTextFile(path, "four\n");
    assert.deepEqual(await lines.read(), ["four"], "it was emptied");
    await Deno.rename(path, `${path}.1`);
    await Deno.writeTextFile(path, "five, longer than what was there\n");
    assert.deepEqual(await lines.read(), ["five, longer than what was there"], "it is another one");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
