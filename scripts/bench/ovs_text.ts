/**
 * Duty: read what Open vSwitch and tc say about packets. Pure.
 *
 * Both print for people; a line that is missing is an error here and never a zero, because a zero would pass for a
 * measurement.
 */
export interface PortCount {
  readonly rx: number;
  readonly tx: number;
}

/** Packets by port number, out of `ovs-ofctl dump-ports`. @throws SyntaxError where it names no port */
export function portCounts(text: string): Map<number, PortCount> {
  const found = new Map<number, PortCount>();
  const block = /^ *port +"?(\w+)"?: *rx pkts=(\d+),[^\n]*\n *tx pkts=(\d+),/gm;
  for (const [, port, rx, tx] of text.matchAll(block)) {
    if (/^\d+$/.test(port!)) found.set(Number(port), { rx: Number(rx), tx: Number(tx) });
  }
  if (found.size > 0) return found;
  throw new SyntaxError(`Cannot read the ports of Open vSwitch: "${text.trim().slice(0, 200)}"`);
}

export interface PmdCount {
  readonly received: number;
  /** Known to one of its first caches (exact matches, signatures, ports alone), which are its cheapest ways. */
  readonly cached: number;
  /** Found among the wildcards behind them, and by asking the rules. */
  readonly wildcard: number;
  readonly missed: number;
}

/** Of all polling threads together, out of `ovs-appctl dpif-netdev/pmd-stats-show`. @throws SyntaxError */
export function pmdCounts(text: string): PmdCount {
  const threads = text.split(/^(?=pmd thread|main thread)/m).filter((part) => part.startsWith("pmd thread"));
  if (threads.length === 0) {
    throw new SyntaxError(`Cannot find a polling thread of Open vSwitch: "${text.trim().slice(0, 200)}"`);
  }
  const sum = (name: string) =>
    threads.reduce((total, part) => {
      const value = new RegExp(`^ *${name}: (\\d+)`, "m").exec(part)?.[1];
      if (value === undefined) throw new SyntaxError(`Cannot find "${name}" of a thread of Open vSwitch`);
      return total + Number(value);
    }, 0);
  return {
    received: sum("packets received"),
    cached: sum("simple match hits") + sum("emc hits") + sum("smc hits"),
    wildcard: sum("megaflow hits"),
    missed: sum("miss with success upcall") + sum("miss with failed upcall"),
  };
}

/**
 * Packets that mirred actions of one kind handed to a device, out of `tc -s filter show`.
 * @throws SyntaxError when there is no such action
 */
export function mirredPackets(text: string, kind: "Mirror" | "Redirect", device: string): number {
  const actions = text.split(/action order \d+: /).slice(1)
    .filter((part) => part.startsWith(`mirred (Egress ${kind} to device ${device})`));
  if (actions.length === 0) throw new SyntaxError(`Cannot find an action of tc: ${kind} to ${device}`);
  return actions.reduce((total, part) => {
    const packets = /Sent \d+ bytes (\d+) pkt/.exec(part)?.[1];
    if (packets === undefined) throw new SyntaxError(`Cannot find the packets of tc: ${kind} to ${device}`);
    return total + Number(packets);
  }, 0);
}
