/**
 * The external switches of a node: who is connected, which session is whose, and what all of them see together.
 *
 * Time and the network are handed in, so that a test plays both. A switch that cannot be reached or is refused goes on
 * with what it holds: nothing here ever empties a switch but an order to leave it.
 */
import { OpenFlowError } from "../drivers/openflow/bytes.ts";
import { Framer } from "../drivers/openflow/frames.ts";
import { decode, encode } from "../drivers/openflow/messages.ts";
import type { Link, LinkEvents, Network } from "../drivers/openflow/link.ts";
import { Listeners } from "./external_listeners.ts";
import { TELL, type Told, viewOf } from "./failover/external/describe.ts";
import {
  type BoxesConfig,
  boxesStart,
  type BoxesState,
  judgeBoxes,
  ordered,
} from "./failover/external/judge.ts";
import { type Judgement, nodeCookie } from "./failover/external/plan.ts";
import { boxLive } from "./failover/external/ports.ts";
import type { Report, Step } from "./failover/external/report.ts";
import { Session } from "./failover/external/session.ts";
import {
  boxName,
  datapathText,
  listenKey,
  type SwitchSettings,
  whereText,
} from "./failover/external/settings.ts";
import type { ExternalSwitchView } from "./view.ts";

export interface ExternalsOptions {
  readonly node: string;
  readonly network: Network;
  readonly nowMs: () => number;
  readonly tell: (told: Told) => void;
}

export interface ExternalsConfig {
  readonly switches: readonly SwitchSettings[];
  readonly boxes: BoxesConfig;
}

const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 8000;
/** Connections to a listener that have not said who they are. */
const STRANGERS_MAX = 16;
const STRANGER_TOLD_MS = 60_000;

/** One configured switch, connected or not. */
class Peer {
  session: Session | null = null;
  link: Link | null = null;
  dialling = false;
  connectedMs: number | null = null;
  retryMs = RETRY_MS_MIN;
  nextMs = 0;
  repairs = 0;
  reason = "has not connected yet";
  /** The last trouble that was told, so that it is told once. */
  told = "";
  programmed = false;

  constructor(readonly settings: SwitchSettings) {}
}

/** One connection. Whose it is, is known once the switch has said what it is. */
interface Conversation {
  readonly link: Link;
  readonly session: Session;
  readonly framer: Framer;
  peer: Peer | null;
}

export class Externals {
  readonly #options: ExternalsOptions;
  readonly #cookie: bigint;
  #boxesConfig: BoxesConfig;
  #peers: Peer[] = [];
  #leaving: Conversation[] = [];
  readonly #conversations = new Map<Link, Conversation>();
  readonly #listeners: Listeners;
  /** What was told of strangers, and when: each reason once a minute. */
  readonly #strangersMs = new Map<string, number>();
  #boxes: BoxesState;
  /** Before the first switch has told in which order it was found, nothing is decided. */
  #decided = false;
  #judgement: Judgement;
  #left: readonly number[] = [];

  constructor(options: ExternalsOptions, config: ExternalsConfig) {
    this.#options = options;
    this.#cookie = nodeCookie(options.node);
    this.#boxesConfig = config.boxes;
    this.#peers = config.switches.map((settings) => new Peer(settings));
    this.#boxes = boxesStart(Array.from({ length: this.#boxCount() }, (_, box) => box));
    this.#judgement = { order: this.#boxes.order, out: [], left: [] };
    this.#listeners = new Listeners({
      network: options.network,
      nowMs: options.nowMs,
      events: (key) => this.#events(key),
      trouble: (key, reason) => this.#unheard(key, reason),
    });
    this.#listeners.keep(config.switches);
  }

  get configured(): boolean {
    return this.#peers.length > 0;
  }

  #boxCount(): number {
    const [first] = this.#peers;
    return (first?.settings.client ?? first?.settings.server)?.boxes.length ?? 2;
  }

  /** Dials, asks, looks and judges, whatever is due. Call it some ten times a second. */
  tick(): void {
    const nowMs = this.#options.nowMs();
    for (const conversation of [...this.#conversations.values()]) {
      this.#did(conversation, conversation.session.tick(nowMs));
    }
    for (const peer of this.#peers) {
      if (peer.settings.by === "connect" && peer.link === null && nowMs >= peer.nextMs) this.#dial(peer);
    }
    this.#listeners.tick();
    this.#judge();
  }

  views(): ExternalSwitchView[] {
    return this.#peers.map((peer) =>
      viewOf({
        ...peer,
        settings: peer.settings,
        address: whereText(peer.settings),
        judgement: this.#judgement,
      })
    );
  }

  /** The traffic to a box, by a person. Returns why not, or null. */
  order(box: number, how: "planned" | "forced" | "relief" = "planned"): string | null {
    const from = this.#boxes.order[0] ?? 0;
    const isKnown = box < this.#boxCount(), isForced = how === "forced";
    if (!isKnown) return isForced ? null : `the ${boxName(box)} is on no external switch`;
    if (this.#alive()[box] !== true && !isForced) return `the ${boxName(box)} is not live on every switch`;
    this.#boxes = ordered(this.#boxes, box, how !== "relief");
    this.#decided = true;
    if (from !== box) this.#options.tell(TELL.moved(from, box, "order"));
    this.#judge();
    return null;
  }

  /** These boxes get nothing and serve no more, until they are not among them. */
  leave(left: readonly number[]): void {
    this.#left = left;
    this.#judge();
  }

  /**
   * Another configuration. A switch that is not in it any more is left; one that is described otherwise is connected to
   * anew, and goes on with what it holds until then.
   */
  configure({ switches, boxes }: ExternalsConfig): void {
    this.#boxesConfig = boxes;
    const same = (a: SwitchSettings, b: SwitchSettings) => JSON.stringify(a) === JSON.stringify(b);
    const before = this.#peers;
    this.#peers = switches.map((settings) =>
      before.find((peer) => same(peer.settings, settings)) ?? new Peer(settings)
    );
    for (const peer of before.filter((one) => !this.#peers.includes(one))) {
      const follower = switches.find(({ name }) => name === peer.settings.name);
      const stays = follower !== undefined && follower.groupFirst === peer.settings.groupFirst;
      this.#release(peer, !stays);
    }
    if (this.#boxes.order.length !== this.#boxCount()) {
      this.#boxes = boxesStart(Array.from({ length: this.#boxCount() }, (_, box) => box));
    }
    this.#listeners.keep(switches);
  }

  /** Ends all connections. With `remove` the switches are first rid of what is the node's. */
  async close(remove: boolean, wait: (ms: number) => Promise<unknown>): Promise<void> {
    for (const peer of this.#peers) this.#release(peer, remove);
    for (let waited = 0; this.#leaving.length > 0 && waited < 2000; waited += 20) {
      await wait(20);
      this.tick();
    }
    for (const { link } of this.#conversations.values()) link.close();
    this.#conversations.clear();
    this.#peers = [];
    this.#listeners.close();
  }

  #release(peer: Peer, remove: boolean): void {
    const conversation = peer.link === null ? undefined : this.#conversations.get(peer.link);
    if (conversation === undefined) peer.link?.close();
    else if (!remove) this.#drop(conversation);
    else {
      this.#leaving.push(conversation);
      conversation.peer = null;
      this.#did(conversation, conversation.session.leave(this.#options.nowMs()));
    }
    [peer.link, peer.session] = [null, null];
  }

  #dial(peer: Peer): void {
    peer.dialling = true;
    peer.link = this.#options.network.connect(peer.settings, this.#events(peer));
  }

  /** Told to those whom nobody else has told better. */
  #unheard(key: string, reason: string): void {
    for (const peer of this.#peers) {
      if (listenKey(peer.settings) === key && peer.session === null) this.#trouble(peer, reason);
    }
  }

  /** Of a switch that was dialled, or of whoever comes to a listener. */
  #events(of: Peer | string): LinkEvents {
    return {
      opened: (link) => this.#opened(link, of),
      data: (link, bytes) => this.#data(link, bytes),
      closed: (link, reason) => this.#closed(link, of, reason),
    };
  }

  #opened(link: Link, of: Peer | string): void {
    if (typeof of !== "string" && (of.link !== link || !this.#peers.includes(of))) return link.close();
    const strangers = [...this.#conversations.values()].filter(({ peer }) => peer === null).length;
    if (strangers >= STRANGERS_MAX) return link.close();
    const session = new Session({
      identify: (datapath) => this.#identify(link, of, datapath),
      cookie: this.#cookie,
      judgement: this.#decided ? this.#judgement : null,
      boxes: this.#boxCount(),
      left: this.#left,
    });
    const conversation = { link, session, framer: new Framer(), peer: typeof of === "string" ? null : of };
    this.#conversations.set(link, conversation);
    if (conversation.peer !== null) this.#joined(conversation.peer, conversation);
    this.#did(conversation, session.opened(this.#options.nowMs()));
  }

  #joined(peer: Peer, { link, session }: Conversation): void {
    Object.assign(peer, { link, session, dialling: false, programmed: false });
    peer.connectedMs = this.#options.nowMs();
  }

  /** Whose the switch is that has told its datapath, or why it is nobody's. */
  #identify(link: Link, of: Peer | string, datapath: bigint): SwitchSettings | string {
    const text = datapathText(datapath);
    const holder = this.#peers.find((peer) => peer.link !== link && peer.session?.datapath === datapath);
    if (holder !== undefined) return `has datapath ${text}, as has switch ${holder.settings.name}`;
    if (typeof of !== "string") {
      const { settings } = of;
      if (settings.datapath === null || settings.datapath === text) return settings;
      return `has datapath ${text}, not ${settings.datapath}`;
    }
    const free = this.#peers.filter((peer) => listenKey(peer.settings) === of && peer.session === null);
    const peer = free.find((one) => one.settings.datapath === text) ??
      free.find((one) => one.settings.datapath === null);
    const conversation = this.#conversations.get(link);
    if (peer === undefined || conversation === undefined) return `has datapath ${text}, which is no switch's`;
    conversation.peer = peer;
    this.#joined(peer, conversation);
    return peer.settings;
  }

  #data(link: Link, bytes: Uint8Array): void {
    const conversation = this.#conversations.get(link);
    if (conversation === undefined) return;
    try {
      for (const message of conversation.framer.push(bytes)) {
        this.#did(conversation, conversation.session.receive(decode(message), this.#options.nowMs()));
        if (!this.#conversations.has(link)) return;
      }
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
      this.#did(conversation, { send: [], reports: [], close: error.message });
    }
  }

  #closed(link: Link, of: Peer | string, reason: string): void {
    const conversation = this.#conversations.get(link);
    const peer = conversation?.peer ?? (typeof of === "string" ? null : of);
    if (conversation !== undefined) this.#drop(conversation);
    if (peer !== null && (peer.link === link || peer.link === null)) this.#lost(peer, reason);
  }

  #drop(conversation: Conversation): void {
    this.#conversations.delete(conversation.link);
    this.#leaving = this.#leaving.filter((one) => one !== conversation);
    conversation.link.close();
  }

  #lost(peer: Peer, reason: string): void {
    peer.nextMs = this.#options.nowMs() + peer.retryMs;
    peer.retryMs = Math.min(peer.retryMs * 2, RETRY_MS_MAX);
    [peer.link, peer.session, peer.dialling, peer.connectedMs] = [null, null, false, null];
    this.#trouble(peer, reason);
  }

  #trouble(peer: Peer, reason: string): void {
    peer.reason = reason;
    if (peer.told === reason || !this.#peers.includes(peer)) return;
    peer.told = reason;
    this.#options.tell(TELL.lost(peer.settings.name, reason));
  }

  #did(conversation: Conversation, step: Step): void {
    for (const message of step.send) conversation.link.send(encode(message));
    for (const report of step.reports) this.#heard(conversation, report);
    if (step.close === null) return;
    const { peer } = conversation;
    this.#drop(conversation);
    if (peer !== null) this.#lost(peer, step.close);
    else if (!this.#leaving.includes(conversation)) this.#stranger(conversation.link, step.close);
  }

  /** Somebody came to a listener and is none of the configured switches. */
  #stranger({ peer }: Link, reason: string): void {
    const nowMs = this.#options.nowMs();
    if (nowMs - (this.#strangersMs.get(reason) ?? -Infinity) < STRANGER_TOLD_MS) return;
    if (this.#strangersMs.size >= STRANGERS_MAX) this.#strangersMs.clear();
    this.#strangersMs.set(reason, nowMs);
    this.#options.tell(TELL.refused(peer, reason));
  }

  #heard(conversation: Conversation, report: Report): void {
    const { peer, link } = conversation;
    if (report.kind === "left") return this.#drop(conversation);
    if (peer === null) return;
    const { name } = peer.settings;
    switch (report.kind) {
      case "identified":
        this.#options.tell(TELL.connected(name, link.peer, datapathText(report.datapath)));
        break;
      case "order":
        this.#adopt(report.order);
        break;
      case "stuck":
        this.#options.tell(TELL.refused(name, report.reason));
        break;
      case "port":
        this.#options.tell(TELL.port(name, report));
        this.#judge();
        break;
      case "verified":
        this.#verified(peer, report);
    }
  }

  #verified(peer: Peer, { repaired, changed }: Extract<Report, { kind: "verified" }>): void {
    const { name } = peer.settings;
    peer.told = "";
    peer.retryMs = RETRY_MS_MIN;
    if (repaired.length > 0) {
      peer.repairs++;
      this.#options.tell(TELL.repaired(name, repaired));
    }
    if (!peer.programmed) this.#options.tell(TELL.programmed(name, changed));
    peer.programmed = true;
  }

  /** The first switch that is found with an order of ours decides where things stand. */
  #adopt(order: readonly number[]): void {
    if (this.#decided) return;
    this.#decided = true;
    this.#boxes = boxesStart(order);
    this.#judgement = { order, out: this.#left, left: this.#left };
  }

  /** By box: live on every switch that is connected. Empty: no switch tells. */
  #alive(): boolean[] {
    const sights = this.#peers.flatMap(({ session }) => {
      const lights = session?.lights ?? [];
      return lights.length === 0 || session?.verifiedMs === null ? [] : [lights];
    });
    if (sights.length === 0) return [];
    return this.#boxes.order.map((_, box) => sights.every((lights) => boxLive(lights, box)));
  }

  #judge(): void {
    const nowMs = this.#options.nowMs();
    const alive = this.#alive();
    if (!this.#decided || alive.length === 0) return;
    const seen = { alive, left: this.#left };
    const { state, judgement, moved } = judgeBoxes(this.#boxes, seen, this.#boxesConfig, nowMs);
    this.#boxes = state;
    this.#judgement = judgement;
    if (moved !== null) this.#options.tell(TELL.moved(moved.from, moved.to, moved.cause));
    for (const conversation of [...this.#conversations.values()]) {
      if (conversation.peer !== null) this.#did(conversation, conversation.session.judge(judgement, nowMs));
    }
  }
}
