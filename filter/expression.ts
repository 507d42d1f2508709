/**
 * The part of pcap-filter(7) that other packet processors can express: protocols, hosts, networks, ports, and their
 * combinations. Text in, a tree out.
 *
 * `and` and `or` bind equally strong, from left to right, as libpcap has them. What is outside of the part is refused
 * by name; nothing is guessed. A test holds the tree against libpcap's own programs.
 */
export type Side = "src" | "dst" | "either" | "both";
export const EXPRESSION_PROTOCOLS = ["ip", "ip6", "tcp", "udp", "sctp", "icmp", "icmp6"] as const;
export type ExpressionProtocol = (typeof EXPRESSION_PROTOCOLS)[number];

export type Expression =
  | { readonly kind: "everything" }
  | { readonly kind: "not"; readonly of: Expression }
  | { readonly kind: "and" | "or"; readonly left: Expression; readonly right: Expression }
  | { readonly kind: "protocol"; readonly protocol: ExpressionProtocol }
  | {
    readonly kind: "port";
    /** Null: TCP, UDP or SCTP. */
    readonly protocol: "tcp" | "udp" | "sctp" | null;
    readonly side: Side;
    readonly first: number;
    readonly last: number;
  }
  | {
    readonly kind: "address";
    readonly side: Side;
    /** Four bytes or sixteen, as many bits of which count. */
    readonly bytes: readonly number[];
    readonly bits: number;
  };

/** @throws SyntaxError for what is not in the part, with the word */
export function parseExpression(text: string): Expression {
  if (text.trim() === "") return { kind: "everything" };
  const words = text.match(/[()!]|&&|\|\||[^\s()!&|]+|./g)!.filter((word) => word.trim() !== "");
  const reader = new Reader(words, text);
  const whole = reader.sequence();
  if (reader.peek() !== undefined) throw reader.refuse();
  return whole;
}

const SIDES: Readonly<Record<string, Side>> = { src: "src", dst: "dst" };

class Reader {
  #at = 0;
  constructor(readonly words: readonly string[], readonly text: string) {}

  peek(ahead = 0): string | undefined {
    return this.words[this.#at + ahead];
  }

  refuse(): SyntaxError {
    const word = this.peek();
    const what = word === undefined ? "it ends too early" : `"${word}" is not expressible here`;
    return new SyntaxError(
      `Cannot translate "${this.text}": ${what}; protocols, [src|dst] host, net, port, portrange, and, or, not are`,
    );
  }

  take(...wanted: string[]): boolean {
    if (!wanted.includes(this.peek() ?? "")) return false;
    this.#at++;
    return true;
  }

  sequence(): Expression {
    let left = this.#unary();
    for (;;) {
      const kind = this.take("and", "&&") ? "and" : this.take("or", "||") ? "or" : null;
      if (kind === null) return left;
      left = { kind, left, right: this.#unary() };
    }
  }

  #unary(): Expression {
    if (this.take("not", "!")) return { kind: "not", of: this.#unary() };
    if (!this.take("(")) return this.#primitive();
    const inner = this.sequence();
    if (!this.take(")")) throw this.refuse();
    return inner;
  }

  #primitive(): Expression {
    const protocol = EXPRESSION_PROTOCOLS.find((name) => name === this.peek());
    if (protocol !== undefined) this.#at++;
    const side = this.#side();
    const ported = protocol === undefined ? null : protocol;
    if (this.take("port", "portrange")) {
      if (ported !== null && ported !== "tcp" && ported !== "udp" && ported !== "sctp") {
        this.#at--;
        throw this.refuse();
      }
      return { kind: "port", protocol: ported, side: side ?? "either", ...this.#ports() };
    }
    const isNet = this.peek() === "net";
    if (!this.take("host", "net") && side === null) {
      if (protocol === undefined) throw this.refuse();
      return { kind: "protocol", protocol };
    }
    const address: Expression = { kind: "address", side: side ?? "either", ...this.#address(isNet) };
    return protocol === undefined
      ? address
      : { kind: "and", left: { kind: "protocol", protocol }, right: address };
  }

  #side(): Side | null {
    const first = SIDES[this.peek() ?? ""];
    if (first === undefined) return null;
    this.#at++;
    const joint = this.peek();
    const second = SIDES[this.peek(1) ?? ""];
    if ((joint !== "or" && joint !== "and") || second === undefined || second === first) return first;
    this.#at += 2;
    return joint === "or" ? "either" : "both";
  }

  #ports(): { first: number; last: number } {
    const isRange = this.words[this.#at - 1] === "portrange";
    const found = (isRange ? /^(\d{1,5})-(\d{1,5})$/ : /^(\d{1,5})$/).exec(this.peek() ?? "");
    const first = Number(found?.[1] ?? NaN);
    const last = Number(found?.[2] ?? found?.[1] ?? NaN);
    if (!(first <= 65535 && last <= 65535 && first <= last)) throw this.refuse();
    this.#at++;
    return { first, last };
  }

  #address(isNet: boolean): { bytes: number[]; bits: number } {
    const [address = "", length] = (this.peek() ?? "").split("/");
    const bytes = address.includes(":") ? ipv6Bytes(address) : ipv4Bytes(address);
    if (bytes === null || (length !== undefined) !== isNet) throw this.refuse();
    const bits = length === undefined ? 8 * bytes.length : /^\d{1,3}$/.test(length) ? Number(length) : NaN;
    if (!(bits <= 8 * bytes.length)) throw this.refuse();
    this.#at++;
    return { bytes, bits };
  }
}

function ipv4Bytes(text: string): number[] | null {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return null;
  return parts.map(Number);
}

function ipv6Bytes(text: string): number[] | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const groups = halves.map((half) => half === "" ? [] : half.split(":"));
  const missing = 8 - groups.flat().length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const all = halves.length === 2
    ? [...groups[0]!, ...Array.from({ length: missing }, () => "0"), ...groups[1]!]
    : groups[0]!;
  if (!all.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return null;
  return all.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255]);
}
