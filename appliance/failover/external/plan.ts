/**
 * What an external switch should hold: groups of ordered buckets, and the flows that lead into them.
 *
 * A ladder is the heart: "the first box of which all ports are live, else the way around". A bucket watches one port, so a
 * box with two ports on the switch takes two rungs: a bucket that watches the first and leads into a second group,
 * which watches the other and falls down the same ladder. The reflex is the switch's own, at the speed of its ports.
 * The same ladder holds a standby's output back: while another box serves, what it sends goes into a bucket
 * without actions. Numbers of groups never change with the order of boxes, so a change is a change of buckets. Pure.
 */
import { type Action, output } from "../../../drivers/openflow/actions.ts";
import type { Field } from "../../../drivers/openflow/match.ts";
import { GROUP_ANY, GROUP_TYPE, PORT } from "../../../drivers/openflow/names.ts";
import type { Bucket, GroupDescription } from "../../../drivers/openflow/structures.ts";
import { BOXES_MAX, type Placement, type Side, type SwitchSettings } from "./settings.ts";

export interface WantedFlow {
  readonly table: number;
  readonly priority: number;
  readonly cookie: bigint;
  readonly match: readonly Field[];
  /** Each gets the packet. */
  readonly groups: readonly number[];
}

export interface Wanted {
  /** What another leads into comes before it; what opens a way comes before what closes one. */
  readonly groups: readonly GroupDescription[];
  readonly flows: readonly WantedFlow[];
}

/** What changes while a switch is driven. */
export interface Judgement {
  /** Boxes by preference: who serves if all live. */
  readonly order: readonly number[];
  /** Boxes that may not serve, whatever this switch sees of them. */
  readonly out: readonly number[];
  /** Those of them that have left: they get no copies either. */
  readonly left: readonly number[];
}

export interface PlanOptions {
  readonly settings: SwitchSettings;
  readonly placement: Placement;
  readonly judgement: Judgement;
  /** 0x524d (RM), 32 bits of the node, 16 bits for the number of the flow. */
  readonly cookie: bigint;
  /** Whether a bucket may lead into a group. */
  readonly chaining: boolean;
}

/** Numbers from `groupFirst` that are the node's: each ladder has a block, and a rung a number in it. */
const BLOCK = 8;
const BLOCKS = { client: 0, server: 1, bypass: 2, gates: 3, copies: 3 + 2 * BOXES_MAX } as const;
export const GROUPS = 256;
/** Flows on classes of packets win over those for all of a port. */
export const PRIORITIES = 2;

interface Rung {
  /** All have to be live. */
  readonly legs: readonly number[];
  readonly actions: readonly Action[];
}

const ETHER = { ipv4: 0x0800n, ipv6: 0x86ddn, arp: 0x0806n } as const;
const TCP = 6n;
const ICMPV6 = 58n;
const TCP_FLAGS = { fin: 1n, syn: 2n, rst: 4n } as const;
/** Router and neighbour solicitations and advertisements, RFC 4861. */
const ND_TYPES = [133n, 134n, 135n, 136n] as const;

export function planSwitch(options: PlanOptions): Wanted {
  const plan = new Plan(options);
  return plan.make();
}

/** The cookies of a node: all but the number of the flow. */
export function nodeCookie(name: string): bigint {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return 0x524dn << 48n | BigInt(hash) << 16n;
}
export const COOKIE_MASK = 0xffff_ffff_ffff_0000n;

/** The ladder of a direction, for status: its buckets count what goes to whom. */
export function deliverGroup(settings: SwitchSettings, side: "client" | "server"): number {
  return settings.groupFirst + BLOCK * BLOCKS[side];
}

class Plan {
  readonly #opening: GroupDescription[] = [];
  readonly #delivering: GroupDescription[] = [];
  readonly #closing: GroupDescription[] = [];
  readonly #flows: WantedFlow[] = [];

  constructor(readonly options: PlanOptions) {}

  make(): Wanted {
    const { client, server } = this.options.placement;
    for (const [name, side, other] of [["client", client, server], ["server", server, client]] as const) {
      if (side !== null) this.#side(name, side, other);
    }
    return { groups: [...this.#opening, ...this.#delivering, ...this.#closing], flows: this.#flows };
  }

  #side(name: "client" | "server", side: Side, other: Side | null): void {
    const { settings: { mirror }, placement, judgement } = this.options;
    const deliver = deliverGroup(this.options.settings, name);
    this.#ladder(this.#delivering, deliver, this.#deliver(side, other?.outer ?? placement.bypass));
    const copied = mirror === "none"
      ? []
      : [...side.boxes.keys()].filter((box) => !judgement.left.includes(box));
    const copies = copied.map((box) => {
      const group = this.#group(name, BLOCKS.copies, box);
      this.#ladder(this.#delivering, group, this.#copy(side, box));
      return group;
    });
    this.#flow(0, [inPort(side.outer)], mirror === "all" ? [deliver, ...copies] : [deliver]);
    for (const fields of mirror === "state" ? stateful() : []) {
      this.#flow(1, [inPort(side.outer), ...fields], [deliver, ...copies]);
    }
    side.boxes.forEach((port, box) => {
      const group = this.#group(name, BLOCKS.gates, box);
      const isFirst = judgement.order[0] === box;
      this.#ladder(isFirst ? this.#opening : this.#closing, group, this.#gate(side, box));
      this.#flow(0, [inPort(port)], [group]);
    });
    if (other === null && placement.bypass !== null) this.#fromBypass(side, placement.bypass);
  }

  /** What the other switch sent around the boxes. */
  #fromBypass(side: Side, bypass: number): void {
    const group = this.options.settings.groupFirst + BLOCK * BLOCKS.bypass;
    this.#ladder(this.#opening, group, [{ legs: [side.outer], actions: [output(side.outer)] }]);
    this.#flow(0, [inPort(bypass)], [group]);
  }

  #group(side: "client" | "server", blocks: number, box: number): number {
    return this.options.settings.groupFirst + BLOCK * (blocks + (side === "client" ? 0 : BOXES_MAX) + box);
  }

  /** Ports of a box that have to be live for it to serve, the one on `side` first. */
  #legs(side: Side, box: number): number[] {
    const { client, server } = this.options.placement;
    const own = side.boxes[box]!;
    if (!this.options.chaining) return [own];
    const legs = [client, server].flatMap((one) => one === null ? [] : [one.boxes[box]!]);
    return [own, ...legs.filter((leg) => leg !== own)];
  }

  #mayServe(): number[] {
    const { order, out } = this.options.judgement;
    return order.filter((box) => !out.includes(box));
  }

  /** From outside: to the box that serves, else around or nowhere. */
  #deliver(side: Side, around: number | null): Rung[] {
    const rungs = this.#mayServe().map((box) => ({
      legs: this.#legs(side, box),
      actions: [output(side.boxes[box]!)],
    }));
    if (this.options.settings.deadPolicy === "block" || around === null) return rungs;
    return [...rungs, { legs: [around], actions: [output(around)] }];
  }

  /**
   * From outside to one box as well, while another serves. A ladder of its own: a bucket is an action set, and a set has
   * room for one output (1.3.5, 5.10).
   */
  #copy(side: Side, box: number): Rung[] {
    const copy = [output(side.boxes[box]!)];
    return this.#mayServe().map((one) => ({ legs: this.#legs(side, one), actions: one === box ? [] : copy }));
  }

  /**
   * From a box: outside if it serves, nowhere while another does. A box that gets copies must not answer them when it
   * stopped serving with one port still up, so then boxes after it shut the gate as well.
   */
  #gate(side: Side, box: number): Rung[] {
    const may = this.#mayServe();
    const pass = [output(side.outer)];
    const rank = may.indexOf(box);
    const all = rank < 0 || this.options.settings.mirror !== "none";
    const heard = all ? may : may.slice(0, rank);
    const rungs = heard.map((one) => ({ legs: this.#legs(side, one), actions: one === box ? pass : [] }));
    return rank < 0 ? rungs : [...rungs, { legs: [side.outer], actions: pass }];
  }

  /** Group `first` and those its buckets lead into. Without a live bucket a group drops. */
  #ladder(into: GroupDescription[], first: number, rungs: readonly Rung[]): void {
    let tail: Bucket[] = [];
    rungs.toReversed().forEach(({ legs, actions }, fromEnd) => {
      const [leg = PORT.any, second] = legs;
      if (second === undefined) {
        tail = [bucket(leg, actions), ...tail];
        return;
      }
      const inner = first + rungs.length - fromEnd;
      into.push(fastFailover(inner, [bucket(second, actions), ...tail]));
      tail = [bucket(leg, [{ kind: "group", group: inner }]), ...tail];
    });
    into.push(fastFailover(first, tail));
  }

  #flow(above: number, match: readonly Field[], groups: readonly number[]): void {
    const { settings, cookie } = this.options;
    const priority = settings.priority + above;
    const number = BigInt(this.#flows.length);
    this.#flows.push({ table: settings.table, priority, cookie: cookie | number, match, groups });
  }
}

function bucket(watchPort: number, actions: readonly Action[]): Bucket {
  return { weight: 0, watchPort, watchGroup: GROUP_ANY, actions };
}

function fastFailover(group: number, buckets: readonly Bucket[]): GroupDescription {
  return { group, type: GROUP_TYPE.fastFailover, buckets };
}

function field(name: string, value: bigint, mask: bigint | null = null): Field {
  return { name, value, mask };
}

function inPort(port: number): Field {
  return field("in_port", BigInt(port));
}

/** Classes of packets that form state and that a switch can tell: by a field each. */
function stateful(): Field[][] {
  const tcp = [ETHER.ipv4, ETHER.ipv6].flatMap((type) =>
    Object.values(TCP_FLAGS).map((flag) => [
      field("eth_type", type),
      field("ip_proto", TCP),
      field("tcp_flags", flag, flag),
    ])
  );
  const nd = ND_TYPES.map((type) => [
    field("eth_type", ETHER.ipv6),
    field("ip_proto", ICMPV6),
    field("icmpv6_type", type),
  ]);
  return [...tcp, [field("eth_type", ETHER.arp)], ...nd];
}
