/**
 * Serves the API on a unix socket that only its owner can use.
 *
 * A socket file outlives a process that was killed. It is only taken away when nobody answers on it: a second
 * node must never silently cut the first one off from its operator.
 */
import { dirname } from "node:path";
import { reasonOf } from "../drivers/reason.ts";

export { makeApi } from "./api.ts";

export interface Served {
  /** Stops taking requests, waits for those under way, removes the socket. */
  close(): Promise<void>;
}

/** What `serveApi` needs of an app: Hono has it. */
export interface Answering {
  fetch(request: Request): Response | Promise<Response>;
}

/** Serve `app` on the socket at `path`. @throws Error with one sentence: somebody answers there, or it cannot be made */
export async function serveApi(app: Answering, path: string): Promise<Served> {
  try {
    await Deno.mkdir(dirname(path), { recursive: true, mode: 0o755 });
    await clearStale(path);
    return listen(app, path);
  } catch (error) {
    throw new Error(`Cannot serve on ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

function listen(app: Answering, path: string): Served {
  // The socket must never be open to others, not even between its birth and a chmod.
  const mask = Deno.umask(0o177);
  let server: Deno.HttpServer;
  try {
    server = Deno.serve({ path, onListen: () => {} }, (request) => app.fetch(request));
  } finally {
    Deno.umask(mask);
  }
  return {
    close: async () => {
      await server.shutdown();
      await removeIfThere(path);
    },
  };
}

async function clearStale(path: string): Promise<void> {
  const there = await Deno.lstat(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  });
  if (there === null) return;
  if (!there.isSocket) {
    throw new Deno.errors.AlreadyExists("a file that is no socket is there");
  }
  try {
    const connection = await Deno.connect({ transport: "unix", path });
    connection.close();
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return await removeIfThere(path);
    throw error;
  }
  throw new Deno.errors.AddrInUse("a node answers there already");
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
