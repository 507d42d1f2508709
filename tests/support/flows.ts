/** Flows of connection tracking, by chance. */
import { type Flow, inverse, type TcpState, type Tuple } from "../../drivers/netlink/flow.ts";
import type { Random } from "../../filter/random.ts";

const addressOf = (random: Random, bytes: number) =>
  Uint8Array.from({ length: bytes }, () => random.below(256));

function tupleBy(random: Random, wide: 4 | 16, protocol: number): Tuple {
  const icmp = protocol === 1 || protocol === 58, plain = protocol === 89;
  return {
    protocol,
    source: addressOf(random, wide),
    destination: addressOf(random, wide),
    first: plain ? 0 : random.below(65_536),
    second: plain ? 0 : icmp ? (protocol === 1 ? 8 : 128) << 8 : random.below(65_536),
  };
}

/** Scales count only where both ends have said one. */
function tcpBy(random: Random): TcpState {
  const flags = [random.below(256), random.below(256)] as const;
  const scale = () => flags[0] & flags[1] & 1 ? random.below(15) : 0;
  return { state: random.below(10), scales: [scale(), scale()], flags };
}

export function flowBy(random: Random): Flow {
  const wide = random.pick([4, 16] as const);
  const protocol = random.pick([6, 17, wide === 4 ? 1 : 58, 132, 89]);
  const original = tupleBy(random, wide, protocol);
  const plain = inverse(original);
  const nat = protocol !== 89 && random.chance(0.5);
  const word = () => random.u32();
  const adjustment = () => random.chance(0.2) ? { position: word(), before: word(), after: word() } : null;
  return {
    original,
    reply: nat ? { ...plain, destination: addressOf(random, wide), source: addressOf(random, wide) } : plain,
    zone: random.chance(0.2) ? 1 + random.below(65_535) : 0,
    status: random.pick([8, 10, 14]),
    timeoutS: 1 + random.below(432_000),
    tcp: protocol === 6 ? tcpBy(random) : null,
    sctp: protocol === 132 ? { state: random.below(8), tags: [word(), word()] } : null,
    mark: random.chance(0.3) ? 1 + word() % 1000 : 0,
    helper: random.chance(0.1) ? "ftp" : "",
    labels: random.chance(0.1) ? addressOf(random, 16) : new Uint8Array(),
    adjustments: [adjustment(), adjustment()],
    master: random.chance(0.1) ? tupleBy(random, wide, 6) : null,
  };
}
