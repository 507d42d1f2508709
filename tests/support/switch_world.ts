/**
 * Duty: a network of switches in memory under a clock that the test turns, with a node's side of them in the middle.
 */
import assert from "node:assert/strict";
import type { Link, LinkEvents, ListenEvents, Network } from "../../drivers/openflow/link.ts";
import { addressText, type Where } from "../../drivers/openflow/where.ts";
import { Externals, type ExternalsConfig } from "../../appliance/externals.ts";
import type { Told } from "../../appliance/failover/external/describe.ts";
import type { SwitchSettings } from "../../appliance/failover/external/settings.ts";
import { FakeSwitch, port } from "./fake_switch.ts";
import { bothSides, DAMPING } from "./switch_settings.ts";

const NAMES = ["up", "down", "pin", "pout", "rin", "rout"];
export const DATA = { in_port: 1n, eth_type: 0x0800n, ip_proto: 17n };
export const BOXES = {
  failback: "manual",
  failbackAfterMs: 60_000,
  holdUpMs: 3000,
  damping: DAMPING,
} as const;

export function aSwitch(datapath = 0x2an): FakeSwitch {
  return new FakeSwitch(datapath, NAMES.map((name, at) => port(at + 1, name)));
}

/** A network of switches by their address, with connections that a test can cut. */
export class World {
  nowMs = 1_000_000;
  readonly told: Told[] = [];
  readonly switches = new Map<string, FakeSwitch>();
  readonly listening = new Map<string, ListenEvents>();
  readonly links = new Map<FakeSwitch, { link: Link; events: LinkEvents }>();
  /** Bytes on their way to the node. */
  #queue: (() => void)[] = [];
  externals: Externals;

  constructor(readonly settings: readonly SwitchSettings[], boxes: Partial<ExternalsConfig["boxes"]> = {}) {
    this.externals = this.start(boxes);
  }

  start(boxes: Partial<ExternalsConfig["boxes"]> = {}): Externals {
    const options = {
      node: "test",
      network: this.network,
      nowMs: () => this.nowMs,
      tell: (told: Told) => this.told.push(told),
    };
    this.externals = new Externals(options, { switches: this.settings, boxes: { ...BOXES, ...boxes } });
    return this.externals;
  }

  readonly network: Network = {
    connect: ({ address }: Where, events) => {
      const fake = this.switches.get(addressText(address));
      if (fake !== undefined) return this.join(fake, events, addressText(address));
      const link: Link = { peer: addressText(address), send: () => {}, close: () => {} };
      this.#queue.push(() => events.closed(link, "connection refused"));
      return link;
    },
    listen: ({ address }, events) => {
      this.listening.set(addressText(address), events);
      return { close: () => this.listening.delete(addressText(address)) };
    },
  };

  join(fake: FakeSwitch, events: LinkEvents, peer: string): Link {
    let open = true;
    const toNode = (bytes: Uint8Array) => this.#queue.push(() => open && events.data(link, bytes));
    const link: Link = {
      peer,
      send: (bytes) => {
        if (open) { for (const answer of fake.receive(bytes)) toNode(answer); }
      },
      close: () => {
        open = false;
      },
    };
    this.links.set(fake, { link, events });
    this.#queue.push(() => open && events.opened(link));
    toNode(fake.greet());
    return link;
  }

  say(fake: FakeSwitch, ...messages: Uint8Array[]): void {
    const { link, events } = this.links.get(fake)!;
    for (const bytes of messages) this.#queue.push(() => events.data(link, bytes));
    this.deliver();
  }

  cut(fake: FakeSwitch, reason = "the switch closed the connection"): void {
    const { link, events } = this.links.get(fake)!;
    link.close();
    events.closed(link, reason);
  }

  deliver(): void {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) next();
  }

  pass(ms: number): void {
    for (let at = 0; at < ms; at += 100) {
      this.nowMs += 100;
      this.externals.tick();
      this.deliver();
    }
  }

  texts(): string[] {
    return this.told.splice(0).map(({ text }) => text);
  }

  view(at = 0) {
    return this.externals.views()[at]!;
  }
}

export function one(
  settings: Partial<SwitchSettings> = {},
  fake = aSwitch(),
): { world: World; fake: FakeSwitch } {
  const world = new World([bothSides(settings)]);
  world.switches.set("tcp:192.0.2.1:6653", fake);
  return { world, fake };
}

/** The same, programmed and verified, with nothing left to read. */
export function driven(settings: Partial<SwitchSettings> = {}): { world: World; fake: FakeSwitch } {
  const made = one(settings);
  made.world.pass(300);
  assert.equal(made.world.view().light, "green", made.world.texts().join("\n"));
  made.world.texts();
  return made;
}
