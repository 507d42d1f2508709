/** The keys of [[check]], a part of the table in config_keys.ts. */
import { BOX } from "../filter/names.ts";
import type { Keys } from "./config_key.ts";

const ADDRESS_FORM = "an IPv4 or IPv6 address (no name: a name service that is down says nothing of a box)";

export const CHECK = {
  name: {
    type: "text",
    required: true,
    default: null,
    form: "1 to 31 letters, digits, dots, dashes and underscores",
    fault: (text) => /^[A-Za-z0-9._-]{1,31}$/.test(text) ? null : "is no name of a check",
    example: "web-of-primary",
    help: "Names the check in status and log. No two checks share a name.",
  },
  box: {
    type: "choice",
    choices: BOX,
    default: "primary",
    help: "The box that is asked.",
  },
  kind: {
    type: "choice",
    choices: ["icmp", "tcp", "http", "neighbour"],
    default: "icmp",
    help:
      "`icmp` wants an echo, `tcp` a connection, `http` an answer to a GET, `neighbour` an answer to ARP or " +
      "neighbour solicitation. All of them ask the box itself, which says nothing of what it forwards.",
  },
  address: {
    type: "text",
    default: null,
    absent: "`http` has it in `url`",
    form: ADDRESS_FORM,
    fault: (text) => isAddress(text) ? null : "is no address",
    example: "192.0.2.1",
    help: "Where the box answers, best on a management network.",
  },
  port: {
    type: "integer",
    min: 1,
    max: 65535,
    default: null,
    absent: "only `tcp` needs one",
    example: "443",
    help: "The port of `tcp`.",
  },
  url: {
    type: "text",
    default: null,
    absent: "only `http` needs one",
    form: "http:// or https:// with an address",
    fault: urlFault,
    example: "https://192.0.2.1/health",
    help: "What `http` asks for.",
  },
  server_name: {
    type: "text",
    default: null,
    absent: "the address",
    form: "a host name",
    fault: (text) => /^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$/.test(text) ? null : "is no host name",
    example: "fw1.example",
    help: "For `http`: the name in the request, and in the certificate if there is one.",
  },
  verify_tls: {
    type: "boolean",
    default: true,
    help: "For `https`: a certificate that is not valid for the name counts as a failure.",
  },
  status: {
    type: "integer",
    min: 100,
    max: 599,
    zero: "any from 200 to 399",
    default: 0,
    help: "For `http`: the status that is wanted.",
  },
  interface: {
    type: "text",
    default: null,
    absent: "as the routes say",
    form: "an interface of the kernel",
    fault: (text) => /^[^\s/]{1,15}$/.test(text) ? null : "is no name of an interface",
    example: "mgmt0",
    help: "By which interface to ask; `neighbour` needs one, `http` takes none.",
  },
  interval_ms: {
    type: "integer",
    min: 100,
    max: 3600000,
    default: 1000,
    help: "From one question to the next.",
  },
  timeout_ms: {
    type: "integer",
    min: 10,
    max: 60000,
    default: 500,
    help: "An answer that takes longer is none.",
  },
  rise: {
    type: "integer",
    min: 1,
    max: 100,
    default: 2,
    help: "So many answers in a row make a failed check good again.",
  },
  fall: {
    type: "integer",
    min: 1,
    max: 100,
    default: 3,
    help: "So many failures in a row make a check fail.",
  },
  severity: {
    type: "choice",
    choices: ["red", "yellow"],
    default: "red",
    help:
      "What a failed check says of its box: `red` has the votes of `failover.votes.check`, `yellow` only warns.",
  },
  reason: {
    type: "text",
    default: null,
    absent: "the name and the fault",
    form: "a short text",
    fault: (text) =>
      text.trim() === "" || text.length > 120 ? "is empty or longer than 120 characters" : null,
    example: "the policy engine is down",
    help: "What status says when the check fails.",
  },
} as const satisfies Keys;

export const CHECKS_MAX = 32;

/** An address as the kernel takes it: four numbers, or hexadecimal groups with colons. */
export function isAddress(text: string): boolean {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return text.split(".").every((part) => Number(part) <= 255);
  return text.includes(":") && /^[0-9A-Fa-f:.]+$/.test(text) && URL.canParse(`http://[${text}]/`);
}

function urlFault(text: string): string | null {
  if (!URL.canParse(text)) return "is no URL";
  const { protocol, hostname, username } = new URL(text);
  if (protocol !== "http:" && protocol !== "https:") return "is neither http nor https";
  if (username !== "") return "holds a user, which would stand in logs";
  const host = hostname.replace(/^\[|\]$/g, "");
  return isAddress(host) ? null : "holds a name in place of an address (put it into `server_name`)";
}
