/**
 * The native plane library: the only place that loads it.
 *
 * Importing does nothing. `openNative()` loads the library; the board's memory is mapped by C and seen from here
 * as an ArrayBuffer. The plane itself runs inside one non-blocking call, on a thread that never runs JavaScript.
 */
import { ABI_VERSION, Board, BoardVersionError } from "./board.ts";

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
  rm_plane_run: { parameters: ["pointer" /* board */], result: "i32", nonblocking: true },
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

/** A mapped board. `publish` stores a word so that everything written before it is seen before it. */
export interface MappedBoard {
  readonly board: Board;
  publish(field: string, value: number): void;
  close(): void;
}

export interface Native {
  /** Make the board of a new plane and hold its lock until this process ends. @throws Error, held or not writable */
  createBoard(
    path: string,
    options: { slots: number; version: string },
  ): MappedBoard & { run(): Promise<number> };
  /** Map the board of a running plane. @throws BoardVersionError, or Error with the reason */
  openBoard(path: string): MappedBoard;
  /** Does a living plane hold this board? */
  held(path: string): boolean;
  /** Remove what a plane that has ended left of its board. Nothing happens while one holds it. */
  removeBoard(path: string): void;
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

function createBoard(library: Library, path: string, options: { slots: number; version: string }) {
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
  return { ...map, run: () => library.symbols.rm_plane_run(pointer) };
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
    held: (board) => library.symbols.rm_board_held(text(board)) === 1,
    removeBoard: (board) => void library.symbols.rm_board_remove(text(board)),
    monoNs: () => library.symbols.rm_mono_ns(),
  };
}
