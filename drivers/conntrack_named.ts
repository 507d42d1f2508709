/**
 * Duty: a flow for connection tracking out of what names alone say of it: ends, state, time left.
 *
 * Who reads logs knows of a flow's binding, and nothing of window scales. A kernel that does not know them would take half of
 * the packets for out of window, so such a flow is put as one whose windows are not looked at.
 */
import { parseIpAddress } from "../filter/ip_address.ts";
import { FLOW_STATES, type FlowTuple, type FlowValue } from "./flow_value.ts";
import { LIBERAL } from "./netlink/conntrack.ts";
import { type Flow, inverse, isIcmp, PROTOCOL, type Tuple } from "./netlink/flow.ts";

/** What of a flow's value is needed here. */
export type NamedFlow = Pick<FlowValue, "original" | "reply" | "state" | "timeoutMs">;

const ESTABLISHED = 3;
const ANSWERED = 2 | 4 | 8;
/** Until the next packet, which begins the kernel's own time. */
const TCP_S = 300, OTHER_S = 60;
const ECHO = { [PROTOCOL.icmp]: 8 << 8, [PROTOCOL.icmp6]: 128 << 8 } as Readonly<Record<number, number>>;

function address(text: string): Uint8Array {
  const bytes = parseIpAddress(text);
  if (bytes === null) throw new RangeError(`"${text}" is no address`);
  return Uint8Array.from(bytes);
}

function tuple({ protocol, source, sourcePort, destination, destinationPort }: FlowTuple): Tuple {
  const ends = { protocol, source: address(source), destination: address(destination) };
  return { ...ends, first: sourcePort, second: isIcmp(protocol) ? ECHO[protocol]! : destinationPort };
}

/** @throws RangeError, whose message is the end of a sentence */
export function flowOfNames({ original, reply, state, timeoutMs }: NamedFlow): Flow {
  const [there, back] = [tuple(original), tuple(reply)];
  if (there.source.length !== back.source.length) throw new RangeError("its directions are of two families");
  const number = FLOW_STATES.indexOf(state);
  const isTcp = there.protocol === PROTOCOL.tcp;
  return {
    original: there,
    // What answers an echo is an answer.
    reply: isIcmp(there.protocol) ? { ...back, second: inverse(there).second } : back,
    zone: 0,
    status: ANSWERED,
    timeoutS: timeoutMs === null ? isTcp ? TCP_S : OTHER_S : Math.max(1, Math.ceil(timeoutMs / 1000)),
    tcp: isTcp ? { state: number || ESTABLISHED, scales: [0, 0], flags: [LIBERAL, LIBERAL] } : null,
    sctp: null,
    mark: 0,
    helper: "",
    labels: new Uint8Array(),
    adjustments: [null, null],
    master: null,
  };
}
