/**
 * An HTTP mirror of bundles on loopback that can be told to cut connections, to alter bytes, or to have nothing.
 *
 * It counts what it sends, so that a test can say what came twice.
 */
import { indexFile } from "../../appliance/fleet/transfer/digest.ts";
import { encodeIndex } from "../../appliance/fleet/transfer/index_file.ts";

export interface Mirror extends AsyncDisposable {
  readonly url: string;
  sent: number;
  requests: number;
  /** All connections end when so many bytes were sent. */
  cutAt: number;
  alter: boolean;
}

/** Serves one file under any name, and its index. */
export async function serveBundle(path: string): Promise<Mirror> {
  const content = await Deno.readFile(path), index = encodeIndex(await indexFile(path));
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {}, onError: cutIsMeant },
    (request) => {
      mirror.requests++;
      const isIndex = request.url.endsWith(".index");
      const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "");
      const whole = isIndex ? index : content;
      const body = range === null ? whole : whole.slice(Number(range[1]), Number(range[2]) + 1);
      if (mirror.alter && !isIndex && body.length > 100) body[50]! ^= 1;
      return new Response(cutting(mirror, body), { status: range === null ? 200 : 206 });
    },
  );
  const mirror: Mirror = {
    url: `http://127.0.0.1:${server.addr.port}/bundle`,
    sent: 0,
    requests: 0,
    cutAt: Infinity,
    alter: false,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
  return mirror;
}

const PART_BYTES = 8 * 1024;
const cutIsMeant = () => new Response(null, { status: 500 });

function cutting(mirror: Mirror, body: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (mirror.sent >= mirror.cutAt) return controller.error(new Error("cut"));
      const part = body.slice(at, at + PART_BYTES);
      if (part.length === 0) return controller.close();
      at += part.length;
      mirror.sent += part.length;
      controller.enqueue(part);
    },
  });
}
