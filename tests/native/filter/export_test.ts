/**
 * Exports against the originals: the tree of an expression against libpcap's program, the C made of a program against
 * the core's interpreter, and the command that writes them.
 */
import assert from "node:assert/strict";
import { type BpfInstruction, type BpfProgram, runBpf } from "../../../filter/bpf.ts";
import { exportEbpf } from "../../../filter/export_ebpf.ts";
import { type Expression, parseExpression, type Side } from "../../../filter/expression.ts";
import { generateTraffic } from "../../../filter/generate.ts";
import { parsePacket } from "../../../filter/packet.ts";
import { compileFilter } from "../../../filter/pcap_filter.ts";
import { Random } from "../../../filter/random.ts";
import { filterRule } from "../../../filter/rule.ts";
import { main } from "../../../mod.ts";
import type { Terminal } from "../../../ui/cli.ts";
import { AGES, openCore, run, TOP } from "./library.ts";

const PROTOCOL_NUMBER = { tcp: 6, udp: 17, sctp: 132, icmp: 1, icmp6: 58 } as const;

/** What the packet of a frame without VLAN tags says to an expression. */
interface Facts {
  readonly ipv6: boolean;
  readonly proto: number;
  readonly address: readonly [readonly number[], readonly number[]];
  readonly port: readonly [number, number] | null;
}

function factsOf(frame: Uint8Array): Facts | null {
  const packet = parsePacket(frame);
  const part = packet.flow;
  if (!part || (frame[12] !== 0x08 && frame[12] !== 0x86)) return null;
  const ipv6 = frame[12] === 0x86;
  const at = ipv6 ? 22 : 26;
  const bytes = ipv6 ? 16 : 4;
  const address = (end: number) => [...frame.subarray(at + end * bytes, at + (end + 1) * bytes)];
  const ported = [6, 17, 132].includes(part.proto);
  const transport = ipv6 ? 54 : 14 + (frame[14]! & 15) * 4;
  if (ipv6 && frame[20] !== part.proto) return null; // libpcap does not follow extension headers
  const port = (offset: number) => frame[offset]! * 256 + frame[offset + 1]!;
  return {
    ipv6,
    proto: part.proto,
    address: [address(0), address(1)],
    port: ported ? [port(transport), port(transport + 2)] : null,
  };
}

function ends(side: Side, of: (end: 0 | 1) => boolean): boolean {
  if (side === "src") return of(0);
  if (side === "dst") return of(1);
  return side === "both" ? of(0) && of(1) : of(0) || of(1);
}

function takes(expression: Expression, facts: Facts): boolean {
  switch (expression.kind) {
    case "everything":
      return true;
    case "not":
      return !takes(expression.of, facts);
    case "and":
      return takes(expression.left, facts) && takes(expression.right, facts);
    case "or":
      return takes(expression.left, facts) || takes(expression.right, facts);
    case "protocol": {
      const { protocol } = expression;
      if (protocol === "ip" || protocol === "ip6") return facts.ipv6 === (protocol === "ip6");
      if (protocol === "icmp" && facts.ipv6 || protocol === "icmp6" && !facts.ipv6) return false;
      return facts.proto === PROTOCOL_NUMBER[protocol];
    }
    case "port": {
      const { protocol, side, first, last } = expression;
      const { port } = facts;
      if (port === null || (protocol !== null && facts.proto !== PROTOCOL_NUMBER[protocol])) return false;
      return ends(side, (end) => port[end] >= first && port[end] <= last);
    }
    case "address": {
      const { side, bytes, bits } = expression;
      if (facts.ipv6 !== (bytes.length === 16)) return false;
      const text = (all: readonly number[]) =>
        all.map((b) => b.toString(2).padStart(8, "0")).join("").slice(0, bits);
      return ends(side, (end) => text(facts.address[end]) === text(bytes));
    }
  }
}

const PRIMITIVES = [
  "tcp",
  "udp",
  "icmp",
  "icmp6",
  "ip",
  "ip6",
  "port 80",
  "tcp port 443",
  "udp port 53",
  "src port 80",
  "dst portrange 0-1040",
  "tcp portrange 80-8000",
  "src or dst port 22",
  "src and dst port 53",
  "net 10.1.0.0/16",
  "host 10.1.0.3",
  "src net 10.0.0.0/9",
  "ip6 and net fd00::/8",
  "dst host fd00:1::3",
  "ip host 10.1.0.4",
]; // deno-fmt-ignore

/** libpcap refuses an expression that it sees can never match; here that is a program which rejects. */
function compileOrNever(text: string): BpfProgram {
  try {
    return compileFilter(text);
  } catch (error) {
    if (error instanceof SyntaxError && error.message.endsWith("expression rejects all packets")) {
      return [{ code: 0x06, jt: 0, jf: 0, k: 0 }];
    }
    throw error;
  }
}

Deno.test("parseExpression() means what libpcap means, on 400 expressions and generated frames", () => {
  const random = new Random(11);
  const traffic = generateTraffic(5, { malformed: 0 });
  const frames: [Uint8Array, Facts][] = [];
  while (frames.length < 400) {
    const { bytes } = traffic.next().value;
    const facts = factsOf(bytes);
    if (facts) frames.push([bytes, facts]);
  }
  const pick = () => PRIMITIVES[random.below(PRIMITIVES.length)]!;
  let taken = 0;
  for (let i = 0; i < 400; i++) {
    const middle = ["and", "or", "and not", "or not", "&&", "||"][random.below(6)]!;
    const open = random.chance(0.5);
    const text = i < PRIMITIVES.length
      ? PRIMITIVES[i]!
      : `${pick()} ${middle} ${open ? "(" : ""}${pick()} or ${pick()}${open ? ")" : ""}`;
    const program = compileOrNever(text);
    const tree = parseExpression(text);
    for (const [bytes, facts] of frames) {
      const expected = runBpf(program, bytes) !== 0;
      assert.equal(takes(tree, facts), expected, `${text} on ${bytes.toHex()}`);
      taken += expected ? 1 : 0;
    }
  }
  assert.ok(taken > 10_000 && taken < 150_000, `${taken} of 160000 were taken`);
});

/** A stand-in for the kernel's side of the export: the head of a frame, and the reads of it. */
const HOST = `
#include <stdint.h>
#include <stdio.h>
#include <string.h>
typedef uint8_t u8; typedef uint16_t u16; typedef uint32_t u32; typedef uint64_t u64;
#define WINDOW 256u
#define NO_RULE 255u
#define __noinline __attribute__((noinline, unused))
struct head { u8 frame[WINDOW + 8]; u32 bytes, have; };
struct rule { u32 first_packets; };
static struct head here;
static struct head *the_head(void) { return &here; }
static u32 choose_rule(void);
__attribute__((unused)) static int rule_at(u32 index, struct rule *r);
__attribute__((unused)) static u32 get8(const struct head *h, u64 at) { return h->frame[at]; }
__attribute__((unused)) static u32 get16(const struct head *h, u64 at) { return get8(h, at) << 8 | get8(h, at + 1); }
__attribute__((unused)) static u32 get32(const struct head *h, u64 at) { return get16(h, at) << 16 | get16(h, at + 2); }
__attribute__((unused)) static int in_head(const struct head *h, u64 at, u32 bytes) { return at + bytes <= h->have; }
`;

/** Codes of instructions, jumps and memory among them; returns are put in between. */
const CODES = ("00 01 20 28 30 40 48 50 60 61 80 b1 02 03 04 0c 14 1c 24 2c 34 " +
  "3c 44 54 5c 64 6c 74 7c 84 94 9c a4 05 15 1d 25 35 45 4d 07 87").split(" ").map((code) =>
    parseInt(code, 16)
  );

function randomProgram(random: Random): BpfInstruction[] {
  const length = 2 + random.below(14);
  return Array.from({ length }, (_, i) => {
    const code = i === length - 1 || random.chance(0.05)
      ? (random.chance(0.5) ? 0x16 : 0x06)
      : CODES[random.below(CODES.length)]!;
    const left = length - 1 - i;
    const jump = () => random.below(Math.max(1, left));
    const isJa = code === 0x05;
    const memory = [0x60, 0x61, 0x02, 0x03].includes(code);
    const k = isJa
      ? jump()
      : memory
      ? random.below(17)
      : random.chance(0.8)
      ? random.below(70)
      : random.below(2 ** 32);
    return { code, jt: jump(), jf: jump(), k };
  });
}

const PROGRAMS = 200;

Deno.test(`exportEbpf() turns ${PROGRAMS} random programs into C that decides as the core's interpreter`, async () => {
  const random = new Random(23);
  const programs = Array.from({ length: PROGRAMS }, () => randomProgram(random));
  const rules = programs.map((program, i) => ({ rule: filterRule({ name: `r${i}`, match: "x" }), program }));
  const text = exportEbpf({ rules, ages: AGES, flowsMax: 64, partial: false });
  const generated = text.slice(text.indexOf('/* "r0":'));
  const frames = Array.from(
    { length: 30 },
    () => Uint8Array.from({ length: 14 + random.below(60) }, () => random.below(256)),
  );
  const folder = await Deno.makeTempDir({ prefix: "remediate-export-" });
  try {
    const names = programs.map((_, i) => `takes_${i}`).join(", ");
    const data = frames.map((frame) => `{${frame.length}, {${frame.join(",")}}}`).join(",\n  ");
    await Deno.writeTextFile(
      `${folder}/x.c`,
      `${HOST}${generated}
static u32 (*const takes[])(void) = {${names}};
static const struct { u32 bytes; u8 frame[WINDOW]; } frames[] = {
  ${data}
};
int main(void) {
  (void)choose_rule;
  for (u32 f = 0; f < sizeof frames / sizeof *frames; f++) {
    memcpy(here.frame, frames[f].frame, WINDOW);
    here.bytes = here.have = frames[f].bytes;
    for (u32 i = 0; i < sizeof takes / sizeof *takes; i++) putchar(takes[i]() ? '1' : '0');
    puts("");
  }
  return 0;
}
`,
    );
    await run("gcc", [
      "-std=gnu11",
      "-O1",
      "-fsanitize=undefined,address",
      "-w",
      `${folder}/x.c`,
      "-o",
      `${folder}/x`,
    ]);
    const lines = (await run(`${folder}/x`, [])).trim().split("\n");
    using core = await openCore(16);
    let taken = 0;
    frames.forEach((frame, f) =>
      programs.forEach((program, i) => {
        const expected = core.runBpf(program, frame) !== 0;
        assert.equal(lines[f]![i] === "1", expected, `${JSON.stringify(program)} on ${frame.toHex()}`);
        taken += expected ? 1 : 0;
      })
    );
    assert.ok(taken > 500 && taken < 5500, `${taken} of 6000 were taken`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

async function remediate(...args: string[]) {
  const said = { out: "", err: "" };
  const terminal: Terminal = {
    out: (text) => said.out += text,
    err: (text) => said.err += text,
    colours: false,
    now: () => 0,
    sleep: () => Promise.resolve(),
    interrupted: () => true,
  };
  return { code: await main(args, terminal), ...said };
}

const OWN_RULE = `
[filter]
preset = "none"
[[filter.rules]]
name = "web"
match = "tcp port 80"
handshake = true
first_packets = 3
keepalive_s = 4
`;

Deno.test("remediate filter export writes each format, and refuses by name what it cannot express", async () => {
  const folder = await Deno.makeTempDir({ prefix: "remediate-export-" });
  const config = `${folder}/node.toml`;
  const minimal = await Deno.readTextFile(`${TOP}/tests/fixtures/config/minimal.toml`);
  await Deno.writeTextFile(config, minimal + OWN_RULE);
  const asked = ["filter", "export", "--config", config];
  try {
    const ebpf = await remediate(...asked);
    assert.equal(ebpf.code, 0);
    assert.match(ebpf.out, /SEC\("ingress"\)/);
    assert.match(ebpf.out, /rule 0 "web" on tcp port 80: handshake, firstPackets 3, keepaliveMs 4000/);
    assert.match((await remediate(...asked, "--format", "p4")).out, /V1Switch\(/);
    const click = await remediate(...asked, "--format", "click");
    assert.deepEqual([click.code, click.out], [1, ""]);
    assert.match(click.err, /^Cannot export to click: rule "web" uses keepaliveMs, which it cannot express/);
    const partial = await remediate(...asked, "--format", "click", "--partial");
    assert.match(partial.out, /LEFT OUT: rule "web" uses keepaliveMs/);
    assert.equal((await remediate(...asked, "--format", "xdp")).code, 2);
    const written = await remediate(...asked, "--output", `${folder}/filter.c`);
    assert.deepEqual([written.code, written.out], [0, ""]);
    assert.equal(await Deno.readTextFile(`${folder}/filter.c`), ebpf.out);
    const nowhere = await remediate(...asked, "--output", `${folder}/none/filter.c`);
    assert.equal(nowhere.code, 1);
    assert.match(nowhere.err, /^Cannot write .*filter\.c: /);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
