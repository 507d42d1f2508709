/** `drivers` and `state` with standard input, which records to be put come from. An edge; bounded as the API is. */
import { PUT_BYTES_MAX } from "./routes_state.ts";
import type { Invocation } from "./arguments.ts";
import type { Terminal } from "./cli.ts";
import type { RemoteNode } from "./client.ts";
import type { Exit } from "./commands.ts";
import { states } from "./state.ts";

export function stateOf(node: RemoteNode, invocation: Invocation, terminal: Terminal): Promise<Exit> {
  return states(node, invocation, terminal, { input: standardInput });
}

/** @throws Error with one sentence */
async function standardInput(): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of Deno.stdin.readable) {
    bytes += chunk.length;
    if (bytes > PUT_BYTES_MAX) {
      throw new Error(`Cannot put so much at once: standard input has more than ${PUT_BYTES_MAX} bytes`);
    }
    chunks.push(chunk);
  }
  return await new Blob(chunks as BlobPart[]).text();
}
