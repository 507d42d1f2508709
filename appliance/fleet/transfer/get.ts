/**
 * Duty: bytes of a URL, or a range of them, from a mirror or from the controller. An edge.
 *
 * The controller is known by the fingerprint of its certificate, which `fetch` cannot be told; a mirror by the usual
 * authorities, or not at all: what it gives is compared with a digest that came from the controller.
 */
import https from "node:https";
import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";

export interface Range {
  readonly offset: number;
  readonly length: number;
}

export interface Got {
  readonly status: number;
  readonly body: AsyncIterable<Uint8Array>;
}

/** @throws Error: it cannot be reached, or the signal ended it */
export type Get = (url: string, range: Range | null, signal: AbortSignal) => Promise<Got>;

function headersOf(range: Range | null): Record<string, string> {
  return range === null ? {} : { range: `bytes=${range.offset}-${range.offset + range.length - 1}` };
}

export const getAny: Get = async (url, range, signal) => {
  const response = await fetch(url, { headers: headersOf(range), signal, redirect: "error" });
  return {
    status: response.status,
    body: response.body ?? new ReadableStream({ start: (it) => it.close() }),
  };
};

/** From whoever shows this certificate: SHA-256, "AB:CD:...". Null: from whoever an authority vouches for. */
export function getPinned(fingerprint: string | null): Get {
  return (url, range, signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const options = {
      rejectUnauthorized: fingerprint === null,
      headers: headersOf(range),
      agent: false,
      signal,
    };
    const request = https.get(url, options as https.RequestOptions, (response) => {
      const seen = (response.socket as TLSSocket).getPeerCertificate().fingerprint256 ?? "";
      if (fingerprint === null || seen === fingerprint) return resolve(response);
      response.destroy();
      reject(new Error(`its certificate is ${seen}, not ${fingerprint}`));
    });
    request.on("error", reject);
    return promise.then((response) => ({ status: response.statusCode ?? 0, body: response }));
  };
}
