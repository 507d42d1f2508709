/**
 * Duty: a lab for the plane alone: the node in one namespace, the six ends of its ports in another.
 *
 * Who holds an end is up to the test: a bench that plays every neighbour and both boxes, or transparent boxes and a
 * load. Two namespaces and six veth pairs come up in a fraction of a second.
 */
import { ALL_ROLES, type Box, type Role } from "../../appliance/view.ts";
import { Lab } from "../../scripts/lab/engine.ts";
import { inNamespace } from "../../scripts/lab/process.ts";
import { records, sweep } from "../../scripts/lab/registry.ts";
import { FURTHER_INTERFACES, NODE_INTERFACES, NODE_NS, type Topology } from "../../scripts/lab/topology.ts";
import { Bench } from "./bench.ts";
import { LineChild } from "./child.ts";
import { program } from "./programs.ts";

const WORLD = "world";
const MTU = 9000;

/** The interface of a role in the node's namespace. */
export function nodeEnd(role: Role): string {
  return { ...NODE_INTERFACES, ...FURTHER_INTERFACES }[
    (role in FURTHER_INTERFACES ? role : role.replace("-", "_")) as keyof typeof NODE_INTERFACES
  ];
}

/** The other end of it. */
export function worldEnd(role: Role): string {
  return `w${nodeEnd(role)}`;
}

const topology = (roles: readonly Role[]): Topology => ({
  name: "wire",
  ipv6: false, // of the kernel: nothing but our own frames may be on the wires
  namespaces: [{ name: NODE_NS }, { name: WORLD }],
  links: roles.map((role) => ({
    ends: [{ ns: NODE_NS, name: nodeEnd(role) }, { ns: WORLD, name: worldEnd(role) }],
  })),
  boxes: [],
  servers: [],
});

export interface LoadReport {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly reordered: number;
  readonly duplicated: number;
  /** Frames that no load has sent. */
  readonly foreign: number;
  /** Longest time without a frame. */
  readonly gapUs: number;
  /** Frames that open a flow: SYN, SYN-ACK and the ACK that follows, and the first datagram of each direction. */
  readonly openings: number;
  /** Copies that arrived at the standby, by side. */
  readonly copies: readonly [up: number, down: number];
  /**
   * Only at the end: how often, in the order of sending, a frame that was copied follows one that was not, or the other
   * way round; by side.
   */
  readonly changes: readonly [up: number, down: number];
}

export interface LoadSettings {
  /** From 1 to 64. @default 8 */
  readonly flows?: number;
  /** Also hold both ends of the redundant box and count what is copied; every second flow is TCP then. */
  readonly copies?: {
    /** TCP flows open anew after so many frames of each direction; 0: never. */
    readonly renewEvery: number;
  };
}

/** Bytes of each frame of a load. */
export const LOAD_FRAME_BYTES = 80;

/** Numbered frames of several flows in both directions, all the time. */
export class Load {
  constructor(readonly child: LineChild) {}

  async report(): Promise<LoadReport> {
    return JSON.parse(await this.child.ask("r"));
  }

  /** Waits until `frames` more have come through. */
  async more(frames: number): Promise<void> {
    const aim = (await this.report()).received + frames;
    for (let look = 0; look < 2_000; look++) {
      const { received } = await this.report();
      if (received >= aim) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`Cannot see ${frames} frames of the load: ${JSON.stringify(await this.report())}`);
  }

  /** Stops sending, waits for what is under way. */
  async stop(): Promise<LoadReport> {
    return JSON.parse(await this.child.ask("s"));
  }
}

/** What a transparent box does: pass all, drop all, drop what enters on the client side, on the server side. */
export const BOX_MODE = { pass: "p", drop: "d", dropIn: "i", dropOut: "o" } as const;

/** A box that changes nothing and can fail silently. */
export class TransparentBox {
  constructor(readonly child: LineChild) {}

  async mode(mode: keyof typeof BOX_MODE): Promise<{ passed: number; dropped: number }> {
    return JSON.parse(await this.child.ask(BOX_MODE[mode]));
  }
}

const SHARED_MEMORY = "/dev/shm";

/** Boards of planes that were killed with their lab: they hold memory until somebody takes them away. */
function removeStaleBoards(): void {
  const living = new Set(records().map(({ prefix }) => prefix));
  for (const { name } of Deno.readDirSync(SHARED_MEMORY)) {
    // The directory of a lab, escaped as appliance/paths.ts does.
    const prefix = /^remediate-.*remediate%2d(rm[0-9a-f]{4})%2d/.exec(name)?.[1];
    if (prefix === undefined || living.has(prefix)) continue;
    try {
      Deno.removeSync(`${SHARED_MEMORY}/${name}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // another run was faster
    }
  }
}

/**
 * Frames that the kernel dropped between two interfaces since the machine started: each processor has one queue for
 * all veth pairs of all namespaces (net.core.netdev_max_backlog), and others use it too.
 */
export function machineDrops(): number {
  const lines = Deno.readTextFileSync("/proc/net/softnet_stat").trim().split("\n");
  return lines.reduce((sum, line) => sum + parseInt(line.split(" ")[1]!, 16), 0);
}

export class Wire {
  readonly #ends: (() => Promise<void>)[] = [];

  private constructor(
    readonly lab: Lab,
    readonly roles: readonly Role[],
    readonly programs: { readonly frames: string; readonly loader: string },
  ) {}

  /** For a node with so many boxes. */
  static async up(boxes = 2): Promise<Wire> {
    await sweep();
    removeStaleBoards();
    const roles = ALL_ROLES.slice(0, 2 + 2 * boxes);
    const lab = await Lab.up(topology(roles));
    try {
      const wire = new Wire(lab, roles, { frames: await program("frames"), loader: await program("load") });
      await wire.setMtu(MTU);
      return wire;
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  /** Of all interfaces. */
  async setMtu(mtu: number): Promise<void> {
    const script = (end: (role: Role) => string) =>
      this.roles.map((role) => `ip link set dev ${end(role)} mtu ${mtu}`).join("\n");
    await this.lab.script(NODE_NS, script(nodeEnd));
    await this.lab.script(WORLD, script(worldEnd));
  }

  /** Something to end with the wire, the latest first. */
  atEnd(end: () => Promise<void>): void {
    this.#ends.push(end);
  }

  #lines(argv: readonly string[]): LineChild {
    const child = new LineChild(inNamespace(this.lab.ns(WORLD), argv));
    this.atEnd(() => child.end());
    return child;
  }

  async bench(): Promise<Bench> {
    const argv = [this.programs.frames, "bench", ...this.roles.map(worldEnd)];
    const bench = new Bench(inNamespace(this.lab.ns(WORLD), argv));
    this.atEnd(() => bench.end());
    await bench.ready();
    return bench;
  }

  async box(box: Box): Promise<TransparentBox> {
    const child = this.#lines([this.programs.frames, "box", worldEnd(`${box}-in`), worldEnd(`${box}-out`)]);
    await child.line();
    return new TransparentBox(child);
  }

  async load(perSecond: number, { flows = 8, copies }: LoadSettings = {}): Promise<Load> {
    const ends = [worldEnd("upstream"), worldEnd("downstream")];
    const standby = [worldEnd("redundant-in"), worldEnd("redundant-out")];
    const child = this.#lines([
      this.programs.loader,
      ...ends,
      String(perSecond),
      String(flows),
      ...(copies === undefined ? [] : [...standby, String(copies.renewEvery)]),
    ]);
    await child.line();
    return new Load(child);
  }

  /** Carrier of a port, as if its cable was pulled: the far end goes down or up. */
  async link(role: Role, state: "up" | "down"): Promise<void> {
    await this.lab.exec(WORLD, ["ip", "link", "set", "dev", worldEnd(role), state]);
  }

  async down(): Promise<void> {
    for (let end = this.#ends.pop(); end !== undefined; end = this.#ends.pop()) await end();
    await this.lab.down();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }
}
