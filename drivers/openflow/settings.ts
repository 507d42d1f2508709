/**
 * Settings that the drivers of OpenFlow have in common, and what they amount to. Pure.
 */
import type { Setting, Settings } from "../driver.ts";
import { prefixList } from "./flow_fields.ts";
import { ADDRESS_FORM, parseAddress, type TlsFiles, type Where } from "./where.ts";

export const addressSetting = (help: string, required = false): Setting => ({
  type: "text",
  help: `${help} ${ADDRESS_FORM}.`,
  fault: (text) => parseAddress(text) === null ? `is no address: ${ADDRESS_FORM}` : null,
  ...(required && { required: true }),
});

const file = (help: string): Setting => ({ type: "text", help });

export const TLS_SETTINGS = {
  ca: file("PEM file of the certificate authority that both ends have to be signed by. Needed with tls."),
  certificate: file("PEM file of the certificate that proves this end. Needed with tls."),
  key: { ...file("PEM file of the key of that certificate. Needed with tls."), secret: true },
} as const satisfies Readonly<Record<string, Setting>>;

export const CLIENTS_SETTING: Setting = {
  type: "text",
  help:
    "Prefixes of the client side, with commas. Entries of the way back then carry their connection's fields.",
  fault: (value) => prefixList(value) === null ? "is no list of prefixes" : null,
};

export const DATAPATH_SETTING: Setting = {
  type: "text",
  help: "Datapath of the switch, 16 hexadecimal digits. Without it whichever answers first is taken.",
  fault: (text) => /^[0-9a-f]{16}$/.test(text) ? null : "is no datapath: 16 hexadecimal digits in lower case",
};

export function text(settings: Settings, name: string): string | null {
  const value = settings[name];
  return typeof value === "string" && value !== "" ? value : null;
}

export function integer(settings: Settings, name: string): number {
  const value = settings[name];
  if (typeof value !== "number") throw new TypeError(`Cannot open the driver: ${name} is missing`);
  return value;
}

/** @throws Error that names the setting that is wrong or missing */
export function whereOf(settings: Settings, name: string): Where {
  const written = text(settings, name);
  if (written === null) throw new Error(`Cannot open the driver: ${name} is missing`);
  const address = parseAddress(written);
  if (address === null) {
    throw new Error(`Cannot open the driver: ${name} "${written}" is no address: ${ADDRESS_FORM}`);
  }
  return { address, tls: address.scheme === "tls" ? tlsOf(settings, name) : null };
}

function tlsOf(settings: Settings, name: string): TlsFiles {
  const [ca, certificate, key] = ["ca", "certificate", "key"].map((one) => text(settings, one));
  if (ca && certificate && key) return { ca, certificate, key };
  const missing = Object.entries({ ca, certificate, key }).filter(([, value]) => !value).map(([one]) => one);
  throw new Error(`Cannot open the driver: ${name} says tls, and ${missing.join(", ")} is missing`);
}
