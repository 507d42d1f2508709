/**
 * Where a switch or controller is: its address as people write it, and the files that prove both ends in TLS. Pure.
 */
export interface SocketAddress {
  readonly scheme: "tcp" | "tls";
  readonly host: string;
  readonly port: number;
}

/** Paths of PEM files: the site's certificate authority, and what proves this end to the other. */
export interface TlsFiles {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

export interface Where {
  readonly address: SocketAddress;
  readonly tls: TlsFiles | null;
}

export const ADDRESS_FORM = "tcp:HOST:PORT or tls:HOST:PORT (an IPv6 address in brackets)";

/** "tls:[2001:db8::7]:6653" in its parts; null: it is none. */
export function parseAddress(text: string): SocketAddress | null {
  const parts = /^(tcp|tls):(?:\[([0-9A-Fa-f:.%a-z]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  if (parts === null) return null;
  const port = Number(parts[4]);
  const host = parts[2] ?? parts[3] ?? "";
  return port < 1 || port > 65535 ? null : { scheme: parts[1] as "tcp" | "tls", host, port };
}

/** "tls:[2001:db8::7]:6653" */
export function addressText({ scheme, host, port }: SocketAddress): string {
  return `${scheme}:${host.includes(":") ? `[${host}]` : host}:${port}`;
}
