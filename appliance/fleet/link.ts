/**
 * Duty: an agent's connection to its controller: WebSocket over TLS, outbound, by an HTTP proxy where there is one.
 *
 * An edge. The controller is known by the fingerprint of its certificate, or by an authority of the system; before that is
 * proven nothing is said.
 */
import http from "node:http";
import tls from "node:tls";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
// @ts-types="./ws.d.ts"
import WebSocket from "ws";
import { reasonOf } from "../../drivers/reason.ts";
import { FLEET_PATH, FRAME_BYTES_MAX } from "./protocol.ts";

export interface LinkOptions {
  /** "wss://fleet.example:8444" */
  readonly url: string;
  /** SHA-256 of the controller's certificate, "AB:CD:..."; null: it has to be signed by an authority. */
  readonly fingerprint: string | null;
  /** PEM of authorities; null: those of the system. */
  readonly ca: string | null;
  /** "http://proxy.example:3128", with "user:password@" before the host where it asks; null: none. */
  readonly proxy: string | null;
}

export interface LinkEvents {
  readonly opened: (certificate: string) => void;
  readonly heard: (text: string) => void;
  readonly alive: () => void;
  /** Called once. */
  readonly closed: (reason: string) => void;
}

export interface Link {
  send(text: string): Promise<void>;
  close(reason: string): void;
}

/**
 * Where ten thousand come back at once a controller takes them one after the other. Who gives up early has it work for
 * nothing, and comes again: with less patience than the queue is long, nobody gets in.
 */
export const CONNECT_MS = 45_000;
const PROXY_MS = 15_000;

export function openLink(options: LinkOptions, events: LinkEvents): Link {
  let socket: WebSocket | null = null, ended = false;
  const end = (reason: string) => {
    if (ended) return;
    ended = true;
    clearTimeout(patience);
    socket?.terminate();
    events.closed(reason);
  };
  // Not the timeout of `ws`: one that fires after its request has failed ends the process.
  const patience = setTimeout(() => end("it did not answer in time"), CONNECT_MS);
  void connect(options).then((made) => {
    made.on("error", (error) => end(reasonOf(error))); // first: who ends it early hears of it so
    if (ended) return made.terminate();
    socket = made;
    let proven = false, certificate = "";
    made.on("upgrade", ({ socket }) => {
      const seen = (socket as TLSSocket).getPeerCertificate().fingerprint256 ?? "";
      if (options.fingerprint === null || seen === options.fingerprint) proven = true;
      else end(`its certificate is ${seen}, not ${options.fingerprint}`);
      if (proven) certificate = seen;
    });
    made.on("open", () => {
      clearTimeout(patience);
      if (proven) events.opened(certificate);
    });
    made.on("message", (data, isBinary) => {
      if (!proven || ended) return;
      if (isBinary) end("the controller sent a frame that is no text");
      else events.heard(data.toString());
    });
    made.on("ping", events.alive);
    made.on("close", (code) => end(`the connection ended (${code})`));
  }, (error) => end(reasonOf(error)));
  return {
    send: (text) =>
      new Promise((done, failed) => {
        if (ended || socket === null) return failed(new Error("there is no connection"));
        socket.send(text, (error) => error ? failed(error) : done());
      }),
    close: end,
  };
}

async function connect({ url, fingerprint, ca, proxy }: LinkOptions): Promise<WebSocket> {
  const { protocol, hostname, port } = new URL(url);
  if (protocol !== "wss:") throw new Error(`Cannot connect to ${url}: only wss: is spoken`);
  const through = proxy === null ? null : await tunnel(proxy, hostname, Number(port || 443));
  const host = hostname.replace(/^\[|\]$/g, "");
  const security = { rejectUnauthorized: fingerprint === null, ...(ca !== null && { ca }) };
  return new WebSocket(url.replace(/\/$/, "") + FLEET_PATH, {
    maxPayload: FRAME_BYTES_MAX,
    perMessageDeflate: false,
    followRedirects: false,
    ...security,
    ...(through !== null && {
      createConnection: () => tls.connect({ socket: through, host, servername: nameOf(host), ...security }),
    }),
  });
}

/** An address is no name for SNI (RFC 6066, 3). */
function nameOf(host: string): string {
  return /^[\d.]+$|:/.test(host) ? "" : host;
}

/** A connection by way of a proxy (RFC 9110, 9.3.6). */
function tunnel(proxy: string, host: string, port: number): Promise<Socket> {
  const { hostname, port: proxyPort, username, password } = new URL(proxy);
  const secret = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const target = `${host}:${port}`;
  const request = http.request({
    host: hostname.replace(/^\[|\]$/g, ""),
    port: Number(proxyPort || 3128),
    method: "CONNECT",
    path: target,
    timeout: PROXY_MS,
    headers: {
      host: target,
      ...(username !== "" && { "proxy-authorization": `Basic ${btoa(secret)}` }),
    },
  });
  return new Promise((done, failed) => {
    request.on("connect", (response, socket) => {
      if (response.statusCode === 200) return done(socket as Socket);
      socket.destroy();
      failed(new Error(`the proxy answered ${response.statusCode} to CONNECT ${target}`));
    });
    request.on("timeout", () => request.destroy(new Error("the proxy does not answer")));
    request.on("error", (error) => failed(new Error(`the proxy: ${reasonOf(error)}`)));
    request.end();
  });
}
