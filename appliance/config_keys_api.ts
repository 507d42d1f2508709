/** The keys of [api], a part of the table in config_keys.ts, and what they have to agree on. Pure. */
import { addressFault } from "./address.ts";
import type { View } from "./config_checks.ts";
import { type Keys, pathFault } from "./config_key.ts";
import { SOCKET_BYTES_MAX } from "./config_ports.ts";

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Every address of the machine; nothing that could be talked to. */
const ALL_ADDRESSES = ["0.0.0.0", "::"];

/** "192.0.2.1:8443", "[2001:db8::1]:8443"; null: it is neither. */
export function endpointOf(text: string): Endpoint | null {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([\d.]+)):(\d{1,5})$/.exec(text);
  const host = parts?.[1] ?? parts?.[2] ?? "", port = Number(parts?.[3]);
  const kind = parts?.[1] === undefined ? !host.includes(":") : host.includes(":");
  const good = ALL_ADDRESSES.includes(host) || addressFault(host) === null;
  return parts !== null && kind && good && port >= 1 && port <= 65535 ? { host, port } : null;
}

export function isLoopback({ host }: Endpoint): boolean {
  return host === "::1" || /^127\./.test(host);
}

function path(help: string) {
  return {
    type: "text",
    default: null,
    absent: "the node makes its own at the first start",
    example: "/etc/remediate/api.pem",
    form: "an absolute path",
    fault: (text: string) => pathFault(text, 4000),
    help,
  } as const;
}

export const API = {
  socket: {
    type: "text",
    default: null,
    absent: "`control.sock` in `node.runtime_directory`",
    example: "/run/remediate/control.sock",
    form: `an absolute path of at most ${SOCKET_BYTES_MAX} bytes`,
    fault: (text) => pathFault(text, SOCKET_BYTES_MAX),
    help: "The unix socket of the local API. Only its owner can use it.",
  },
  listen: {
    type: "text",
    default: null,
    absent: "nothing is listened on but the socket",
    example: "192.0.2.10:8443",
    form: 'an address and a port, such as "192.0.2.10:8443" or "[2001:db8::10]:8443"',
    fault: (text) => endpointOf(text) === null ? "is no address with a port" : null,
    help:
      "Where the API and the pages can be reached over the network, by users and tokens. An address of the management " +
      "port; `0.0.0.0` and `[::]` are all.",
  },
  tls: {
    type: "boolean",
    default: true,
    help: "TLS 1.2 or later. `false` is taken only for a loopback address, such as behind a proxy.",
  },
  certificate: path("The operator's own certificate, with those that signed it behind it, as PEM."),
  key: path("Its private key, as PEM."),
} as const satisfies Keys;

export function api(view: View): void {
  const listen = view.text("api.listen"), endpoint = listen === null ? null : endpointOf(listen);
  if (view.is("api.tls", false) && endpoint !== null && !isLoopback(endpoint)) {
    view.problem(
      "api.tls",
      `is false, and ${listen} can be reached by others`,
      "true, or a loopback address",
    );
  }
  for (const [one, other] of [["certificate", "key"], ["key", "certificate"]] as const) {
    if (view.text(`api.${one}`) === null || view.text(`api.${other}`) !== null) continue;
    view.problem(`api.${other}`, `is missing: api.${one} is given`);
  }
}
