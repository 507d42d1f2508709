/** Files of ours as other programs see them: every packet, its time, its comment, its interface. */
import assert from "node:assert/strict";
import { captureHead, encodeCounts, encodeMark } from "../../../appliance/capture_encode.ts";
import { ROLES } from "../../../appliance/view.ts";
import { joinBytes, pcapngPacket } from "../../../filter/pcapng.ts";
import { CLIENT4, packet, SERVER4 } from "../../support/cast.ts";
import { run } from "./library.ts";

const TIME_NS = 1_769_860_800_123_456_789n;
const PACKETS = 3;

function file(): Uint8Array {
  const specs = Object.fromEntries(ROLES.map((role) => [role, "null"])) as Record<
    typeof ROLES[number],
    string
  >;
  const whole = packet([CLIENT4, SERVER4], 17, new Uint8Array(200).fill(7));
  const parts = Array.from({ length: PACKETS }, (_, i) =>
    pcapngPacket({
      ...{
        port: 4 + i % 2,
        timeNs: TIME_NS + BigInt(i),
        bytes: whole.subarray(0, 96),
        wireLength: whole.length,
      },
      ...{ direction: "out", comment: `mirrored: all, rule r${i}` },
    }));
  const mark = {
    monoNs: 0n,
    timeNs: TIME_NS + 9n,
    text: `switch: ${"from primary to redundant ".repeat(9)}`,
  };
  return joinBytes([
    captureHead({ ...{ node: "edge1", version: "0.1.0", filter: "udp", snapBytes: 96 }, specs }),
    ...parts,
    encodeMark(mark, 96),
    encodeCounts(TIME_NS + 10n, { kept: PACKETS, lost: 5 }),
  ]);
}

function has(program: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((folder) => {
    try {
      return Deno.statSync(`${folder}/${program}`).isFile;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
      throw error;
    }
  });
}

async function withFile(body: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile({ suffix: ".pcapng" });
  try {
    await Deno.writeFile(path, file());
    await body(path);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test({
  name: `tcpdump reads a capture of ours to its end${has("tcpdump") ? "" : " (needs tcpdump)"}`,
  ignore: !has("tcpdump"),
  fn: () =>
    withFile(async (path) => {
      const text = await run("tcpdump", ["-tt", "--nano", "-n", "-r", path]);
      const lines = text.split("\n").filter((line) => /^\d+\.\d{9} /.test(line));
      assert.equal(lines.length, PACKETS + 1);
      assert.ok(lines[0]!.startsWith("1769860800.123456789 IP "), lines[0]);
      assert.ok(!/invalid|error|unsupported/i.test(text), text);
    }),
});

Deno.test({
  name: `tshark shows comments and interfaces of a capture of ours${has("tshark") ? "" : " (needs tshark)"}`,
  ignore: !has("tshark"),
  fn: () =>
    withFile(async (path) => {
      const fields = ["frame.time_epoch", "frame.interface_name", "frame.len", "frame.comment"];
      const text = await run("tshark", [
        "-r",
        path,
        "-T",
        "fields",
        ...fields.flatMap((name) => ["-e", name]),
      ]);
      const rows = text.split("\n").filter((line) => line.includes("\t")).map((line) => line.split("\t"));
      assert.deepEqual(rows.map(([, port, , comment]) => [port, comment!.split(" ").slice(0, 4).join(" ")]), [
        ["redundant-in", "mirrored: all, rule r0"],
        ["redundant-out", "mirrored: all, rule r1"],
        ["redundant-in", "mirrored: all, rule r2"],
        ["node", "switch: from primary to"],
      ]);
      assert.equal(rows[1]![0], "1769860800.123456790");
      const names = ["-T", "fields", "-e", "frame.interface_name"];
      const malformed = await run("tshark", ["-r", path, "-Y", "_ws.malformed", ...names]);
      assert.ok(!malformed.split("\n").includes("node"), malformed);
    }),
});
