/**
 * A node from its start to a signal.
 */
import { BoardVersionError } from "../filter/board.ts";
import { Node, type NodeOptions } from "./node.ts";
import { PlaneStartError } from "./plane_keeper.ts";
import type { NodeControl } from "./view.ts";

export interface RunOptions extends NodeOptions {
  /** Starts whatever people talk to the node by, before it forwards. */
  readonly serve: (control: NodeControl) => Promise<{ close(): Promise<void> }>;
  /** Ends control alone, as SIGTERM does. */
  readonly stop?: AbortSignal;
}

/**
 * Run the node until a signal: SIGTERM ends control and leaves the plane forwarding, so that control can be replaced; SIGINT
 * ends both. @returns the exit code
 */
export async function runNode(options: RunOptions): Promise<number> {
  const node = new Node(options);
  const served = await options.serve(node);
  const stop = new AbortController();
  let withPlane = false;
  const onTerm = () => stop.abort();
  const onInt = () => {
    withPlane = true;
    stop.abort();
  };
  options.stop?.addEventListener("abort", onTerm);
  Deno.addSignalListener("SIGTERM", onTerm);
  Deno.addSignalListener("SIGINT", onInt);
  try {
    await node.begin();
    await node.tend(stop.signal);
    if (withPlane) await node.stopPlane();
    else node.say("info", "control ends; the plane forwards on");
    return 0;
  } catch (error) {
    if (!(error instanceof PlaneStartError || error instanceof BoardVersionError)) throw error;
    node.say("error", error.message);
    return 3;
  } finally {
    Deno.removeSignalListener("SIGTERM", onTerm);
    Deno.removeSignalListener("SIGINT", onInt);
    // Before the server, which waits for whoever is still reading.
    await node.captures.close();
    await node.recorder.close();
    await node.externals.close(withPlane);
    await node.layer.close();
    await node.vnfs.close(withPlane);
    await node.state.close();
    await served.close();
  }
}
