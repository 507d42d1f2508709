/**
 * Where a capture of the command line goes: a file that only its owner can read, or standard output.
 *
 * An edge. Packets on a terminal help nobody and may upset it, so that is refused before anything is asked.
 */
import type { CaptureMeans, CaptureSink } from "./capture.ts";

const STANDARD_OUTPUT = "-";

export const captureOutput: Pick<CaptureMeans, "refusal" | "open"> = {
  refusal: (path) =>
    path === STANDARD_OUTPUT && Deno.stdout.isTerminal()
      ? "Cannot write a capture to a terminal: name a file with --write, or pass it on with |"
      : null,
  open: async (path) => path === STANDARD_OUTPUT ? standardOutput() : await openFile(path),
};

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function writeAll(to: { write(bytes: Uint8Array): Promise<number> }, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await to.write(bytes.subarray(done));
}

function standardOutput(): CaptureSink {
  return {
    async write(bytes) {
      try {
        await writeAll(Deno.stdout, bytes);
        return true;
      } catch (error) {
        // The reader has seen enough.
        if (error instanceof Deno.errors.BrokenPipe) return false;
        throw new Error(`Cannot write to standard output: ${reason(error)}`, { cause: error });
      }
    },
    close: () => {},
  };
}

async function openFile(path: string): Promise<CaptureSink> {
  const failed = (cause: unknown) => new Error(`Cannot write ${path}: ${reason(cause)}`, { cause });
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path, { write: true, create: true, truncate: true, mode: 0o600 });
  } catch (error) {
    throw failed(error);
  }
  return {
    async write(bytes) {
      try {
        await writeAll(file, bytes);
        return true;
      } catch (error) {
        throw failed(error);
      }
    },
    close: () => file.close(),
  };
}
