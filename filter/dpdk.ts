/**
 * The native plane library: the only place that loads it.
 *
 * Importing does nothing. `openNative()` loads the library; the board's memory is mapped by C and seen from here
 * as an ArrayBuffer. The plane itself runs inside one non-blocking call, on a thread that never runs JavaScript.
 */
import { ABI_VERSION, Board, BoardVersionError } from "./board.ts";
import { type BpfProgram, encodeBpf } from "./bpf.ts";
import { CAPTURE_MAGIC } from "./names.ts";

const SYMBOLS = {
  rm_board_create: {
    parameters: ["buffer", "u32", "buffer", "buffer" /* path, slots, version, error */],
    result: "pointer",
  },
  rm_board_open: { parameters: ["buffer", "buffer", "buffer" /* path, bytes, error */], result: "pointer" },
  rm_board_close: { parameters: ["pointer", "u64" /* map, bytes */], result: "void" },
  rm_board_held: { parameters: ["buffer" /* path */], result: "i32" },
  rm_board_remove: { parameters: ["buffer" /* path */], result: "i32" },
  rm_abi_version: { parameters: [], result: "u32" },
  rm_store: { parameters: ["pointer", "u32" /* word, value */], result: "void" },
  rm_mono_ns: { parameters: [], result: "u64" },
  rm_capture_create: {
    parameters: ["buffer", "pointer", "u32", "buffer" /* path, board, rings, error */],
    result: "pointer",
  },
  rm_recorder_create: {
    parameters: ["buffer", "pointer", "u32", "buffer" /* path, board, rings, error */],
    result: "pointer",
  },
  rm_capture_open: { parameters: ["buffer", "buffer" /* path, error */], result: "pointer" },
  rm_capture_close: { parameters: ["pointer" /* reader */], result: "void" },
  rm_capture_map: { parameters: ["pointer" /* reader */], result: "pointer" },
  rm_capture_want: { parameters: ["pointer", "u32" /* reader, wanted */], result: "void" },
  rm_capture_choose: {
    parameters: ["pointer", "u32", "buffer", "u32" /* reader, wanted, program, count */],
    result: "i32",
  },
  rm_capture_take: {
    parameters: ["pointer", "u64", "buffer", "u32" /* reader, until_ns, out, room */],
    result: "u32",
  },
  rm_capture_missed: { parameters: ["pointer" /* reader */], result: "u64" },
  rm_reach: {
    parameters: ["u32", "buffer", "u32", "buffer", "u32" /* kind, address, port, device, timeout_ms */],
    result: "i32",
    nonblocking: true,
  },
  rm_far_run: { parameters: ["pointer" /* board */], result: "i32", nonblocking: true },
  rm_plane_run: {
    parameters: ["pointer", "pointer", "pointer" /* board, capture, recorder */],
    result: "i32",
    nonblocking: true,
  },
} as const satisfies Deno.ForeignLibraryInterface;

const ERRNO: Readonly<Record<number, string>> = {
  1: "not permitted",
  2: "no such file",
  11: "it is held or not complete",
  12: "no memory",
  13: "permission denied",
  28: "no space left",
  30: "the file system is read-only",
};

function text(value: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${value}\0`);
}

/** One question to a box itself. */
export interface ReachQuestion {
  readonly kind: (typeof REACH)[number];
  /** IPv4 or IPv6, no name. */
  readonly address: string;
  /** Of `tcp`. */
  readonly port: number;
  /** By this interface; empty: as the routes say. `neighbour` needs one. */
  readonly device: string;
  readonly timeoutMs: number;
}

/** In the order of enum reach. */
const REACH = ["icmp", "tcp", "neighbour"] as const;

async function reach(library: Library, question: ReachQuestion): Promise<number> {
  const { kind, port, timeoutMs } = question;
  // Held until the answer: the call reads them on another thread.
  const address = text(question.address), device = text(question.device);
  const code = await library.symbols.rm_reach(REACH.indexOf(kind), address, port, device, timeoutMs);
  return address.length > 0 && device.length > 0 ? Math.abs(code) : 0;
}

/** A mapped board. `publish` stores a word so that everything written before it is seen before it. */
export interface MappedBoard {
  readonly board: Board;
  publish(field: string, value: number): void;
  close(): void;
}

/** A reader of the capture ring: what the plane has written since it was opened. */
export interface CaptureReader {
  /** Finds "record.*" in what was taken, and the "header.*" of the file. */
  readonly layout: Board;
  /** Tell the plane what to write: bits of tapBit(), for all readers of the ring together. */
  want(wanted: number): void;
  /** What this reader takes. @throws RangeError for a program that is too long */
  choose(wanted: number, program: BpfProgram): void;
  /**
   * Records older than `untilNs` into `out`, in the order of time; each is padded to 8 bytes. Returns the bytes used:
   * 0 says that there is no more, however small `out` is.
   */
  take(untilNs: bigint, out: Uint8Array<ArrayBuffer>): number;
  /** Records that were overwritten before they were looked at. */
  missed(): number;
  close(): void;
}

export interface NewBoard extends MappedBoard {
  /** Make the capture ring of this plane at `path`, as the setup says. @throws Error with the reason */
  makeCapture(path: string, rings: number): void;
  /** The same for the flight recorder's ring. @throws Error with the reason */
  makeRecorder(path: string, rings: number): void;
  run(): Promise<number>;
  /** Run a far end on it instead of a plane: its first four ports. */
  runFar(): Promise<number>;
}

export interface Native {
  /** Make the board of a new plane and hold its lock until this process ends. @throws Error, held or not writable */
  createBoard(path: string, options: { slots: number; version: string }): NewBoard;
  /** Map the board of a running plane. @throws BoardVersionError, or Error with the reason */
  openBoard(path: string): MappedBoard;
  /** Read the capture ring of a running plane. Null: it has none. @throws Error with the reason */
  openCapture(path: string): CaptureReader | null;
  /** Does a living plane hold this board? */
  held(path: string): boolean;
  /** Remove what a plane that has ended left of its board. Nothing happens while one holds it. */
  removeBoard(path: string): void;
  /** Ask a box whether it is there. @returns 0, or the errno that says why not; never later than its timeout */
  reach(question: ReachQuestion): Promise<number>;
  /** CLOCK_MONOTONIC, the clock of every time on the board. */
  monoNs(): bigint;
}

type Library = Deno.DynamicLibrary<typeof SYMBOLS>;

/** Where the library lies: REMEDIATE_NATIVE, or the build in the source tree. */
export function nativePath(): string {
  return Deno.env.get("REMEDIATE_NATIVE") ??
    new URL("../.cache/native/libremediate-plane.so", import.meta.url).pathname;
}

function load(path: string): Library {
  try {
    return Deno.dlopen(path, SYMBOLS);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw new Error(`Cannot load the plane library ${path}: run ./scripts/setup, which builds it`, {
      cause: error,
    });
  }
}

function mapped(library: Library, pointer: Deno.PointerObject, bytes: number): MappedBoard {
  const memory = Deno.UnsafePointerView.getArrayBuffer(pointer, bytes);
  const board = new Board(memory);
  return {
    board,
    publish(field, value) {
      library.symbols.rm_store(Deno.UnsafePointer.offset(pointer, board.offset(field)), value);
    },
    close: () => library.symbols.rm_board_close(pointer, BigInt(bytes)),
  };
}

function createBoard(
  library: Library,
  path: string,
  options: { slots: number; version: string },
): NewBoard {
  const error = new Int32Array(1);
  const pointer = library.symbols.rm_board_create(text(path), options.slots, text(options.version), error);
  if (pointer === null) {
    const held = error[0] === 11;
    throw new Error(
      held
        ? `Cannot start a plane: one is running already on ${path}`
        : `Cannot create the board ${path}: ${ERRNO[error[0]!] ?? `errno ${error[0]}`}`,
    );
  }
  // The head says how much there is; nothing else of it is trusted before it is checked.
  const size = Number(new Deno.UnsafePointerView(pointer).getBigUint64(8));
  const map = mapped(library, pointer, size);
  const { rm_capture_create, rm_recorder_create, rm_plane_run } = library.symbols;
  let ring: Deno.PointerValue = null, recorder: Deno.PointerValue = null;
  return {
    ...map,
    makeCapture: (path, rings) => void (ring = createRing(rm_capture_create, path, pointer, rings)),
    makeRecorder: (path, rings) => void (recorder = createRing(rm_recorder_create, path, pointer, rings)),
    run: () => rm_plane_run(pointer, ring, recorder),
    runFar: () => library.symbols.rm_far_run(pointer),
  };
}

function createRing(
  create: Library["symbols"]["rm_capture_create"],
  path: string,
  board: Deno.PointerObject,
  rings: number,
): Deno.PointerValue {
  const error = new Int32Array(1);
  const ring = create(text(path), board, rings, error);
  if (ring === null && error[0] !== 0) {
    throw new Error(`Cannot create the capture ring ${path}: ${ERRNO[error[0]!] ?? `errno ${error[0]}`}`);
  }
  return ring;
}

function openCapture({ symbols }: Library, path: string): CaptureReader | null {
  const error = new Int32Array(1);
  const reader = symbols.rm_capture_open(text(path), error);
  if (reader === null) {
    if (ERRNO[error[0]!] === ERRNO[2]) return null;
    throw new Error(`Cannot open the capture ring ${path}: ${ERRNO[error[0]!] ?? `errno ${error[0]}`}`);
  }
  const map = symbols.rm_capture_map(reader)!;
  const bytes = Number(new Deno.UnsafePointerView(map).getBigUint64(8));
  const layout = new Board(Deno.UnsafePointerView.getArrayBuffer(map, bytes), CAPTURE_MAGIC);
  return {
    layout,
    want: (wanted) => symbols.rm_capture_want(reader, wanted),
    choose(wanted, program) {
      if (symbols.rm_capture_choose(reader, wanted, encodeBpf(program), program.length) !== 0) {
        throw new RangeError(`Cannot use a filter of ${program.length} instructions: that is too long`);
      }
    },
    take: (untilNs, out) => symbols.rm_capture_take(reader, untilNs, out, out.length),
    missed: () => Number(symbols.rm_capture_missed(reader)),
    close: () => symbols.rm_capture_close(reader),
  };
}

function openBoard(library: Library, path: string): MappedBoard {
  const error = new Int32Array(1);
  const bytes = new BigUint64Array(1);
  const pointer = library.symbols.rm_board_open(text(path), bytes, error);
  if (pointer === null) {
    throw new Error(`Cannot open the board ${path}: ${ERRNO[error[0]!] ?? `errno ${error[0]}`}`);
  }
  try {
    return mapped(library, pointer, Number(bytes[0]));
  } catch (failure) {
    library.symbols.rm_board_close(pointer, bytes[0]!);
    throw failure;
  }
}

/** Load the library. @throws Error naming the file and the fix; BoardVersionError if it is of another build */
export function openNative(path = nativePath()): Native {
  const library = load(path);
  const abi = library.symbols.rm_abi_version();
  if (abi !== ABI_VERSION) throw new BoardVersionError(abi, ABI_VERSION);
  return {
    createBoard: (board, options) => createBoard(library, board, options),
    openBoard: (board) => openBoard(library, board),
    openCapture: (capture) => openCapture(library, capture),
    held: (board) => library.symbols.rm_board_held(text(board)) === 1,
    removeBoard: (board) => void library.symbols.rm_board_remove(text(board)),
    reach: (question) => reach(library, question),
    monoNs: () => library.symbols.rm_mono_ns(),
  };
}
