/**
 * Filter expressions: compiled by libpcap, run by three interpreters (libpcap's own, the C core's, the model's) with one
 * result.
 */
import assert from "node:assert/strict";
import { type BpfProgram, runBpf } from "../../../filter/bpf.ts";
import { generateTraffic } from "../../../filter/generate.ts";
import { compileFilter } from "../../../filter/pcap_filter.ts";
import { tcpFrame, udpFrame, UP, UP6 } from "../../unit/filter/ends.ts";
import { Random } from "../../../filter/random.ts";
import { captureFolder, captures, openCore } from "./library.ts";

const EXPRESSIONS = [
  "tcp port 80",
  "udp and not port 53",
  "ip6",
  "vlan 100 and tcp",
  "host 10.1.0.3 or net 10.2.0.0/24",
  "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
  "tcp[13] = 2",
  "ip[6:2] & 0x1fff = 0 and greater 100",
  "icmp[icmptype] = icmp-echo or icmp6",
  "ether[0] & 1 = 1",
  "portrange 1024-1040 and src net 10.0.0.0/8",
  "len <= 60 and ip[2:2] * 2 > 90",
  "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x00010203",
  "ip[8] % 7 = 1 or ip[8] ^ 3 = 67",
];

/** libpcap's own interpreter on a compiled program. */
function openReference() {
  const library = Deno.dlopen("libpcap.so.0.8", {
    bpf_filter: { parameters: ["buffer", "buffer", "u32", "u32"], result: "u32" },
  });
  const run = (program: BpfProgram, frame: Uint8Array<ArrayBuffer>): number => {
    const view = new DataView(new ArrayBuffer(8 * program.length));
    program.forEach((op, i) => {
      view.setUint16(8 * i, op.code, true);
      view.setUint8(8 * i + 2, op.jt);
      view.setUint8(8 * i + 3, op.jf);
      view.setUint32(8 * i + 4, op.k, true);
    });
    const readable = frame.length === 0 ? new Uint8Array(1) : frame;
    return library.symbols.bpf_filter(new Uint8Array(view.buffer), readable, frame.length, frame.length);
  };
  return { run, [Symbol.dispose]: () => library.close() };
}

Deno.test("compileFilter() compiles what tcpdump understands, and blanks to the program that accepts all", () => {
  assert.deepEqual(compileFilter(""), []);
  assert.deepEqual(compileFilter("  \t"), []);
  const program = compileFilter("udp port 80");
  assert.equal(runBpf(program, udpFrame(UP)) > 0, true);
  assert.equal(runBpf(program, tcpFrame(UP, "S")), 0);
  assert.equal(runBpf(compileFilter("ip6 and port 443"), udpFrame(UP6)) > 0, true);
});

Deno.test("compileFilter() names the expression and libpcap's reason", () => {
  const refused = (expression: string, name: string, message: RegExp) =>
    assert.throws(() => compileFilter(expression), { name, message });
  refused("tcp prot 80", "SyntaxError", /^Cannot compile filter "tcp prot 80": .*syntax error/);
  refused("port 99999", "SyntaxError", /"port 99999": .*illegal port number 99999/);
  refused("tcp and udp", "SyntaxError", /"tcp and udp": expression rejects all packets/);
  refused("tcp\0", "SyntaxError", /"tcp\\u0000": it contains a zero byte/);
});

Deno.test("compileFilter() refuses a program that does not fit, with both numbers", () => {
  const hosts = Array.from({ length: 60 }, (_, i) => `host 10.0.0.${i}`).join(" or ");
  assert.throws(
    () => compileFilter(hosts),
    /^RangeError: Cannot use filter "host .*it compiles to \d+ instructions, at most 128 fit$/,
  );
});

Deno.test("rm_bpf_run(), runBpf() and libpcap agree on real expressions", async () => {
  using core = await openCore(16);
  using reference = openReference();
  const traffic = generateTraffic(11, { malformed: 0.2 });
  const frames = Array.from({ length: 2_000 }, () => traffic.next().value.bytes);
  for (const expression of EXPRESSIONS) {
    const program = compileFilter(expression);
    let accepted = 0;
    for (const frame of frames) {
      const expected = reference.run(program, frame);
      const seen = [core.runBpf(program, frame), runBpf(program, frame)];
      if (seen[0] !== expected || seen[1] !== expected) {
        assert.deepEqual(seen, [expected, expected], `${expression}: ${frame.toHex()}`);
      }
      if (expected !== 0) accepted++;
    }
    assert.ok(
      accepted > 0 && accepted < frames.length,
      `"${expression}" accepts ${accepted} of ${frames.length}`,
    );
  }
});

Deno.test("rm_bpf_run() and runBpf() agree on programs of random instructions", async () => {
  using core = await openCore(16);
  const random = new Random(5);
  const results = new Set<number>();
  for (let n = 0; n < 20_000; n++) {
    const frame = new Uint8Array(random.below(40)).map(() => random.below(256));
    const program = Array.from({ length: 1 + random.below(12) }, () => ({
      code: random.below(256),
      jt: random.below(4),
      jf: random.below(4),
      k: random.chance(0.8) ? random.below(40) : random.u32(),
    }));
    program.push({ code: 0x16, jt: 0, jf: 0, k: 0 });
    const seen = core.runBpf(program, frame);
    if (seen !== runBpf(program, frame)) assert.equal(seen, runBpf(program, frame), JSON.stringify(program));
    results.add(seen);
  }
  assert.ok(results.size > 500, `${results.size} different results`);
});

const folder = captureFolder();
Deno.test({
  name: `rm_bpf_run() and libpcap agree on captures${folder ? "" : " (needs captures: REMEDIATE_DATA)"}`,
  ignore: folder === undefined,
  async fn() {
    using core = await openCore(16);
    using reference = openReference();
    const programs = EXPRESSIONS.map(compileFilter);
    let frames = 0;
    for await (const capture of captures(folder!)) {
      for (const { bytes } of capture.frames.slice(0, 20)) {
        const frame = bytes.slice();
        programs.forEach((program, i) => {
          const expected = reference.run(program, frame);
          if (core.runBpf(program, frame) !== expected) assert.fail(`${EXPRESSIONS[i]}: ${frame.toHex()}`);
        });
        frames++;
      }
    }
    assert.ok(frames > 5_000, `${frames} frames`);
  },
});
