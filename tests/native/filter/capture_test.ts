/** Our reader of capture files against libpcap's, on every real capture there is. */
import assert from "node:assert/strict";
import { captureFolder, captures } from "./library.ts";

const NANOSECONDS = 1;
const SYMBOLS = {
  pcap_open_offline_with_tstamp_precision: { parameters: ["buffer", "u32", "buffer"], result: "pointer" },
  pcap_next_ex: { parameters: ["pointer", "buffer", "buffer"], result: "i32" },
  pcap_snapshot: { parameters: ["pointer"], result: "i32" },
  pcap_close: { parameters: ["pointer"], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

interface SeenFrame {
  /** Absent where the file's fraction of a second is none. */
  readonly timeNs?: bigint;
  readonly bytes: number;
}
interface Seen {
  readonly frames: readonly SeenFrame[];
  readonly snapBytes: number;
  /** libpcap came to the end of the file without complaint. */
  readonly whole: boolean;
}

/** What libpcap reads; undefined if it refuses the file. */
function readWithLibpcap(
  pcap: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"],
  path: string,
): Seen | undefined {
  const name = new TextEncoder().encode(`${path}\0`);
  const handle = pcap.pcap_open_offline_with_tstamp_precision(name, NANOSECONDS, new Uint8Array(256));
  if (handle === null) return undefined;
  const frames: SeenFrame[] = [];
  const header = new BigUint64Array(1);
  const data = new BigUint64Array(1);
  let status = pcap.pcap_next_ex(handle, header, data);
  for (; status === 1; status = pcap.pcap_next_ex(handle, header, data)) {
    // struct pcap_pkthdr { struct timeval ts; u_int caplen, len; }
    const view = new Deno.UnsafePointerView(Deno.UnsafePointer.create(header[0]!)!);
    // It takes seconds after 2038 for negative ones.
    const timeNs = BigInt.asUintN(32, view.getBigInt64(0)) * 1_000_000_000n + view.getBigInt64(8);
    const isTime = view.getBigUint64(8) < 1_000_000_000n;
    frames.push({ ...(isTime ? { timeNs } : {}), bytes: view.getUint32(16) });
  }
  const snapBytes = pcap.pcap_snapshot(handle);
  pcap.pcap_close(handle);
  return { frames, snapBytes, whole: status === -2 };
}

const folder = captureFolder();
Deno.test({
  name: `readCapture() reads every capture as libpcap does${
    folder ? "" : " (needs captures: REMEDIATE_DATA)"
  }`,
  ignore: folder === undefined,
  async fn() {
    const library = Deno.dlopen("libpcap.so.0.8", SYMBOLS);
    using _closing = { [Symbol.dispose]: () => library.close() };
    const counts = { same: 0, refused: 0, cut: 0 };
    for await (const { path, frames, error } of captures(folder!)) {
      const reference = readWithLibpcap(library.symbols, path);
      if (!reference) {
        counts.refused++;
        continue;
      }
      if (reference.whole) assert.equal(error, undefined, path);
      else counts.cut++;
      reference.frames.forEach(({ timeNs, bytes }, i) => {
        const ours = frames[i];
        const where = `${path}, frame ${i}`;
        assert.ok(ours, `${where} is missing`);
        // It cuts frames to the length the header promises; we give what is there.
        assert.equal(Math.min(ours.bytes.length, reference.snapBytes), bytes, where);
        // Beyond 64 bits it wraps; we cut.
        const isCut = ours.timeNs === 0xffff_ffff_ffff_ffffn;
        if (timeNs !== undefined && !isCut) assert.equal(ours.timeNs, timeNs, where);
      });
      if (reference.whole) assert.equal(frames.length, reference.frames.length, path);
      counts.same++;
    }
    assert.ok(counts.same > 1000, JSON.stringify(counts));
    assert.ok(counts.refused < 10 && counts.cut < 10, JSON.stringify(counts));
  },
});
