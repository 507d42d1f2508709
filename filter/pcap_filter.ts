/**
 * Compiler of pcap-filter(7) expressions: the system's libpcap through FFI, so that a match means exactly what it
 * means to tcpdump.
 *
 * The result is plain data; libpcap is not needed once it is compiled. A host name in an expression makes libpcap ask
 * the resolver, which may take seconds. Needs unscoped --allow-ffi.
 */
import { nativePath } from "./dpdk.ts";
import type { BpfInstruction, BpfProgram } from "./bpf.ts";
import { LIMIT } from "./names.ts";

const SYMBOLS = {
  // linktype, snaplen
  pcap_open_dead: { parameters: ["i32", "i32"], result: "pointer" },
  // handle, program, expression, optimise, netmask
  pcap_compile: { parameters: ["pointer", "buffer", "buffer", "i32", "u32"], result: "i32" },
  pcap_geterr: { parameters: ["pointer"], result: "pointer" },
  pcap_freecode: { parameters: ["buffer"], result: "void" },
  pcap_close: { parameters: ["pointer"], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

/** Debian, then the name other distributions use. */
const LIBRARIES = ["libpcap.so.0.8", "libpcap.so.1"];
const DLT_EN10MB = 1;
const SNAP_BYTES = 262_144;
const NETMASK_UNKNOWN = 0xffffffff;

type Library = Deno.DynamicLibrary<typeof SYMBOLS>;

/** Null, with the reason in `causes`, where no library answers to the name. */
function tryOpen(name: string, causes: unknown[]): Library | null {
  try {
    return Deno.dlopen(name, SYMBOLS);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    causes.push(error);
    return null;
  }
}

/** The machine's own, else the one that lies beside the plane library, which answers to its name once that is loaded. */
function openLibrary(): Library {
  const causes: unknown[] = [];
  for (const name of LIBRARIES) {
    const library = tryOpen(name, causes);
    if (library !== null) return library;
  }
  try {
    Deno.dlopen(nativePath(), {});
  } catch (error) {
    causes.push(error);
  }
  const library = tryOpen(LIBRARIES[0]!, causes);
  if (library !== null) return library;
  throw new Error("Cannot compile filter expressions: libpcap is missing (Debian: apt install libpcap0.8)", {
    cause: causes[0],
  });
}

/**
 * Compile an expression for Ethernet frames. "" (or blanks) compiles to the empty program, which accepts all.
 * @throws SyntaxError with libpcap's message, RangeError for a program that is too long, Error without libpcap.
 */
export function compileFilter(expression: string): BpfProgram {
  if (expression.trim() === "") return [];
  if (expression.includes("\0")) {
    throw new SyntaxError(`Cannot compile filter ${JSON.stringify(expression)}: it contains a zero byte`);
  }
  const library = openLibrary();
  try {
    return compileWith(library.symbols, expression);
  } finally {
    library.close();
  }
}

function compileWith(
  pcap: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"],
  expression: string,
): BpfProgram {
  const handle = pcap.pcap_open_dead(DLT_EN10MB, SNAP_BYTES);
  if (handle === null) throw new Error(`Cannot compile filter "${expression}": libpcap has no memory`);
  try {
    // struct bpf_program { u_int bf_len; struct bpf_insn *bf_insns; }
    const program = new BigUint64Array(2);
    const text = new TextEncoder().encode(`${expression}\0`);
    if (pcap.pcap_compile(handle, program, text, 1, NETMASK_UNKNOWN) !== 0) {
      const message = pcap.pcap_geterr(handle);
      const reason = message === null ? "unknown error" : Deno.UnsafePointerView.getCString(message);
      throw new SyntaxError(`Cannot compile filter "${expression}": ${reason}`);
    }
    try {
      return readProgram(program, expression);
    } finally {
      pcap.pcap_freecode(program);
    }
  } finally {
    pcap.pcap_close(handle);
  }
}

function readProgram(program: BigUint64Array, expression: string): BpfProgram {
  const count = Number(program[0]! & 0xffffffffn);
  const first = Deno.UnsafePointer.create(program[1]!);
  if (first === null || count === 0) {
    throw new Error(`Cannot compile filter "${expression}": the program is empty`);
  }
  if (count > LIMIT.bpf_max) {
    throw new RangeError(
      `Cannot use filter "${expression}": it compiles to ${count} instructions, at most ${LIMIT.bpf_max} fit`,
    );
  }
  const view = new Deno.UnsafePointerView(first);
  return Array.from({ length: count }, (_, i): BpfInstruction => ({
    code: view.getUint16(8 * i),
    jt: view.getUint8(8 * i + 2),
    jf: view.getUint8(8 * i + 3),
    k: view.getUint32(8 * i + 4),
  }));
}
