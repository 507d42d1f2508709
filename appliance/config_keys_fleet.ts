/** The keys of [fleet], a part of the table in config_keys.ts, and what they have to agree on. Pure. */
import type { View } from "./config_checks.ts";
import { type Keys, pathFault } from "./config_key.ts";

/** "site=berlin, pair=p1"; null: it is none. */
export function labelsOf(text: string): Readonly<Record<string, string>> | null {
  const labels: Record<string, string> = {};
  for (const part of text.split(",").map((one) => one.trim()).filter((one) => one !== "")) {
    const found = /^([a-z][a-z0-9_-]{0,31})=([A-Za-z0-9._-]{1,63})$/.exec(part);
    if (found === null || Object.hasOwn(labels, found[1]!)) return null;
    labels[found[1]!] = found[2]!;
  }
  return Object.keys(labels).length <= 32 ? labels : null;
}

function urlFault(protocols: readonly string[]) {
  return (text: string) =>
    URL.canParse(text) && protocols.includes(new URL(text).protocol) && /^\/?$/.test(new URL(text).pathname)
      ? null
      : "is no such address";
}

export const FLEET = {
  url: {
    type: "text",
    default: null,
    absent: "the node belongs to no fleet",
    example: "wss://fleet.example:8444",
    form: 'an address such as "wss://fleet.example:8444"',
    fault: urlFault(["wss:"]),
    help: "The controller. The node connects to it; the controller never connects to a node.",
  },
  fingerprint: {
    type: "text",
    default: null,
    absent: "its certificate has to be signed by an authority",
    example: Array<string>(32).fill("AB").join(":"),
    form: "SHA-256 of a certificate: 32 pairs of hexadecimal digits with colons",
    fault: (text) => /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/.test(text) ? null : "is no fingerprint",
    help:
      "Of the controller's certificate, as `remediate fleet serve` tells it. Nothing else is trusted then.",
  },
  ca: {
    type: "text",
    default: null,
    absent: "those of the system",
    example: "/etc/remediate/fleet-ca.pem",
    form: "an absolute path",
    fault: (text) => pathFault(text, 4000),
    help: "Authorities for the controller's certificate, as PEM.",
  },
  proxy: {
    type: "text",
    default: null,
    absent: "the node connects directly",
    example: "http://proxy.example:3128",
    form: 'an address such as "http://user:password@proxy.example:3128"',
    fault: urlFault(["http:"]),
    help: "An HTTP proxy to connect by, with CONNECT. TLS goes through it to the controller.",
  },
  token_file: {
    type: "text",
    default: null,
    absent: "`fleet/token` in `node.state_directory`, where `remediate fleet enrol` puts it",
    example: "/etc/remediate/fleet-token",
    form: "an absolute path",
    fault: (text) => pathFault(text, 4000),
    help: "The one-time token to enrol with. Removed when it was used.",
  },
  labels: {
    type: "text",
    default: "",
    example: "site=berlin, pair=b1",
    form: "names and values such as `site=berlin, pair=b1`, at most 32 of them",
    fault: (text) => labelsOf(text) === null ? "are no labels" : null,
    help:
      "What roll-outs choose nodes by. Two nodes with the same `pair` are never updated together. Labels that the " +
      "controller gives a node go before.",
  },
} as const satisfies Keys;

export function fleet(view: View): void {
  if (view.text("fleet.url") !== null) return;
  for (const key of ["fingerprint", "ca", "proxy", "token_file"]) {
    if (view.text(`fleet.${key}`) !== null) {
      view.problem("fleet.url", `is missing: fleet.${key} is given`);
      return;
    }
  }
}
