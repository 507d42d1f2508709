/** The commands on captured frames, with a node and a place to write to that are not there. */
import assert from "node:assert/strict";
import { type Invocation, type Options, parseArguments } from "../../../ui/arguments.ts";
import { capture, captureGet, captureList, type CaptureMeans } from "../../../ui/capture.ts";
import type { Terminal } from "../../../ui/cli.ts";
import type { RemoteNode } from "../../../ui/client.ts";
import { joinBytes, pcapngHead, pcapngPacket, pcapngStatistics } from "../../../filter/pcapng.ts";
import { CAPTURE_LISTING } from "./fake_node.ts";

const HEAD = pcapngHead({
  hardware: "h",
  application: "a",
  snapBytes: 0,
  ports: [{ name: "p", description: "" }],
});
const PACKET = pcapngPacket({ port: 0, timeNs: 0n, bytes: Uint8Array.of(1, 2, 3), wireLength: 3 });
const MARK = pcapngPacket({ port: 6, timeNs: 0n, bytes: new Uint8Array(14), wireLength: 14 });

function options(line: string): Options {
  const parsed = parseArguments(line.split(" "));
  assert.equal(parsed.kind, "command", JSON.stringify(parsed));
  return (parsed as Invocation).options;
}

/** A node that answers with pieces, and what it was asked. */
function nodeWith(...pieces: readonly Uint8Array[]) {
  const asked: string[] = [];
  const node = {
    captureFiles: () => Promise.resolve({ ...CAPTURE_LISTING }),
    capture: (what: string, query: URLSearchParams) => {
      asked.push(`${what} ${query}`);
      return Promise.resolve(ReadableStream.from(pieces));
    },
  } as Partial<RemoteNode> as RemoteNode;
  return { node, asked };
}

function meansWith(more: Partial<CaptureMeans> = {}) {
  const said = { out: "", err: "" };
  const written: Uint8Array[] = [];
  const opened: string[] = [];
  const terminal = {
    out: (text: string) => said.out += text,
    err: (text: string) => said.err += text,
  } as Partial<Terminal> as Terminal;
  const means: CaptureMeans = {
    terminal,
    stop: new AbortController().signal,
    compile: () => [],
    refusal: () => null,
    open: (path) => {
      opened.push(path);
      return Promise.resolve({
        write: (bytes) => Promise.resolve(written.push(bytes.slice()) > 0),
        close: () => opened.push("closed"),
      });
    },
    ...more,
  };
  return { means, said, written, opened };
}

Deno.test("capture() writes whole blocks only, counts packets, and says what the node could not keep", async () => {
  const file = joinBytes([HEAD, PACKET, MARK, PACKET, pcapngStatistics(6, 0n, { kept: 2, lost: 9 })]);
  const cut = joinBytes([file, PACKET.subarray(0, 20)]);
  const { node, asked } = nodeWith(cut.subarray(0, 50), cut.subarray(50, 200), cut.subarray(200));
  const { means, said, written, opened } = meansWith();
  const line = "capture --seconds 3 --packets 5 --ports upstream --filter udp --write x.pcapng";
  assert.equal(await capture(node, options(line), means), 0);
  assert.deepEqual(asked, ["live seconds=3&packets=5&ports=upstream&filter=udp"]);
  assert.deepEqual(joinBytes(written), file);
  assert.deepEqual(opened, ["x.pcapng", "closed"]);
  assert.equal(said.err, "2 packets written, 9 not kept\n");
});

Deno.test("capture() ends when nobody reads on, and closes the file when the disk is full", async () => {
  const { node } = nodeWith(HEAD, PACKET, PACKET);
  let taken = 0;
  const pipe = meansWith({
    open: () => Promise.resolve({ write: () => Promise.resolve(++taken < 2), close: () => {} }),
  });
  assert.equal(await capture(node, options("capture"), pipe.means), 0);
  assert.equal(taken, 2);
  let closed = 0;
  const full = meansWith({
    open: () =>
      Promise.resolve({
        write: () => Promise.reject(new Error("Cannot write x: no space left")),
        close: () => closed++,
      }),
  });
  await assert.rejects(capture(nodeWith(HEAD).node, options("capture"), full.means), /no space left/);
  assert.equal(closed, 1);
});

Deno.test("capture() refuses with 2 what can never be, before the node is asked or a file touched", async () => {
  const { node, asked } = nodeWith(HEAD);
  const refused = async (line: string, more: Partial<CaptureMeans> = {}) => {
    const { means, said, opened } = meansWith(more);
    assert.equal(await capture(node, options(line), means), 2, line);
    assert.deepEqual(opened, []);
    return said.err;
  };
  const compile = () => {
    throw new SyntaxError('Cannot compile filter "tpc": syntax error');
  };
  assert.match(await refused("capture --filter tpc", { compile }), /^Cannot compile filter "tpc"/);
  assert.match(
    await refused("capture --ports left"),
    /^Cannot read option --ports: "left" is no port: there are/,
  );
  assert.match(
    await refused("capture", { refusal: () => "Cannot write a capture to a terminal" }),
    /terminal/,
  );
  assert.deepEqual(asked, []);
});

Deno.test("captureGet() asks for the time around the last switch, or the last minutes, never both", async () => {
  const { node, asked } = nodeWith(HEAD);
  const ask = (line: string) => captureGet(node, options(line), meansWith().means);
  assert.equal(await ask("capture get"), 0);
  assert.equal(await ask("capture get --around 5 --filter icmp"), 0);
  assert.equal(await ask("capture get --last 10"), 0);
  assert.equal(await ask("capture get --last 10 --around 5"), 2);
  assert.deepEqual(asked, ["kept around_s=60", "kept around_s=5&filter=icmp", "kept last_s=600"]);
});

Deno.test("captureList() shows the files and the bound, and what keeps the node from writing", async () => {
  const { node } = nodeWith();
  const { means, said } = meansWith();
  assert.equal(await captureList(node, options("capture list"), means.terminal), 0);
  assert.match(
    said.out,
    /^Ring of at most .* in \/var\/lib\/remediate\/capture: 1200 packets written, 3 not kept/,
  );
  assert.match(said.out, /\nmirror-20260131T115900\.000\.pcapng .* 1\n$/);
  const json = meansWith();
  await captureList(node, options("capture list --json"), json.means.terminal);
  assert.deepEqual(JSON.parse(json.said.out), CAPTURE_LISTING);
  node.captureFiles = () =>
    Promise.resolve({ ...CAPTURE_LISTING, bytesMax: 0, failing: "no space left", files: [] });
  const off = meansWith();
  await captureList(node, options("capture list"), off.means.terminal);
  assert.equal(
    off.said.out,
    "No ring is kept (capture.ring_mib = 0).\nNothing can be written at the moment: no space left\n",
  );
});
