/**
 * The conversation with one external switch: learn its ports, read what it holds, put that right, look again.
 *
 * A machine without socket and clock: messages and ticks go in, messages and reports come out. Nothing is believed
 * because it was sent: a switch is verified when what was read back is what was wanted. As long as something about a
 * switch is wrong (a port it does not have, a change it refuses) nothing more is sent, and it goes on with what it
 * holds.
 */
import type { Body, Message } from "../../../drivers/openflow/messages.ts";
import type { GroupCounts, GroupFeatures, MultipartAnswer } from "../../../drivers/openflow/multipart.ts";
import {
  ALL_TABLES,
  errorText,
  GROUP_ALL,
  GROUP_ANY,
  GROUP_CAPABILITY,
  GROUP_TYPE,
  PORT,
  PORT_REASON,
} from "../../../drivers/openflow/names.ts";
import type { PortDescription } from "../../../drivers/openflow/structures.ts";
import { Channel } from "./channel.ts";
import { type Change, changesTo, orderHeld, Reading, removal, toldOf } from "./diff.ts";
import { COOKIE_MASK, type Judgement, planSwitch, type Wanted } from "./plan.ts";
import { type PortLight, PortTable } from "./ports.ts";
import type { Phase, Report, SessionOptions, Step } from "./report.ts";
import { place, type Placement, plainText, type SwitchSettings } from "./settings.ts";

const ANSWER_MS_MAX = 5000;
const STUCK_RETRY_MS = 10_000;
const ATTEMPTS_MAX = 3;
const MISS_BYTES = 128;
/** In which the switch owes an answer. */
const OWING: readonly Phase[] = ["greeting", "learning", "reading", "changing", "leaving"];

export class Session {
  readonly #options: SessionOptions;
  readonly #channel = new Channel();
  readonly #ports = new PortTable();
  #judgement: Judgement | null;
  #settings: SwitchSettings | null = null;
  #datapath: bigint | null = null;
  #phase: Phase = "greeting";
  #phaseMs = 0;
  #reason = "has not greeted yet";
  #placement: Placement | null = null;
  #features: GroupFeatures | null = null;
  #software = "";
  #read = new Reading();
  #counts: readonly GroupCounts[] = [];
  /** Changes under way, by transaction. */
  #sent = new Map<number, string>();
  #barrier = 0;
  #errors: string[] = [];
  #attempts = 0;
  /** Since the switch was last verified: a difference that is not of our making is somebody else's. */
  #changeIsOwn = true;
  #repairing: string[] = [];
  #changed = 0;
  #again = false;
  #trouble: string | null = null;
  #verifiedMs: number | null = null;
  #reports: Report[] = [];

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#judgement = options.judgement;
  }

  /** What it is in this phase, as the end of a sentence. */
  get reason(): string {
    return this.#channel.close ?? this.#reason;
  }

  /** Why it cannot be driven as it should, until it can; null: it can. */
  get trouble(): string | null {
    return this.#trouble;
  }

  get datapath(): bigint | null {
    return this.#datapath;
  }

  /** "Nicira, Inc., Open vSwitch 3.1.0". */
  get software(): string {
    return this.#software;
  }

  get verifiedMs(): number | null {
    return this.#verifiedMs;
  }

  /** May a bucket of it lead into another group? */
  get chaining(): boolean {
    return ((this.#features?.capabilities ?? 0) & GROUP_CAPABILITY.chaining) !== 0;
  }

  /** What went into each bucket, as last read. */
  get counts(): readonly GroupCounts[] {
    return this.#counts;
  }

  get held(): { readonly groups: number; readonly flows: number } {
    const wanted = this.#wanted();
    return { groups: wanted?.groups.length ?? 0, flows: wanted?.flows.length ?? 0 };
  }

  /** Every role's port and whether it is live; empty before the switch is known. */
  get lights(): readonly PortLight[] {
    return this.#settings === null ? [] : this.#ports.lights(this.#settings);
  }

  opened(nowMs: number): Step {
    this.#phaseMs = nowMs;
    this.#channel.open(nowMs);
    return this.#step();
  }

  receive(message: Message, nowMs: number): Step {
    const heard = this.#channel.receive(message, nowMs);
    if (heard?.kind === "greeted") {
      this.#enter("learning", "has not told what it is yet", nowMs);
      this.#channel.tell({ kind: "features-request" });
    } else if (heard?.kind === "answers") {
      for (const answer of heard.answers) this.#take(answer);
      this.#proceed(nowMs);
    } else if (heard !== null) this.#hear(heard.transaction, heard.body, nowMs);
    return this.#step();
  }

  #hear(transaction: number, body: Body, nowMs: number): void {
    switch (body.kind) {
      case "error": {
        const what = this.#sent.get(transaction);
        if (what !== undefined) this.#errors.push(`${what}: ${errorText(body.type, body.code)}`);
        break;
      }
      case "features-reply":
        this.#identified(body.datapath, nowMs);
        break;
      case "port-status":
        this.#portChanged(body.reason, body.port, nowMs);
        break;
      case "flow-removed":
        // Somebody took it, or a group it leads into: look at once.
        if ((body.cookie & COOKIE_MASK) === this.#options.cookie) this.#lookAgain(nowMs);
        break;
      case "barrier-reply":
        if (transaction === this.#barrier) this.#carriedOut(nowMs);
    }
  }

  tick(nowMs: number): Step {
    this.#phaseMs = Math.min(nowMs, this.#phaseMs + this.#channel.tick(nowMs));
    if (OWING.includes(this.#phase) && nowMs - this.#phaseMs > ANSWER_MS_MAX) {
      this.#channel.end(`did not answer for ${ANSWER_MS_MAX} ms (${this.#phase})`);
    }
    const verifyMs = this.#settings?.verifyMs ?? ANSWER_MS_MAX;
    if (this.#phase === "verified" && nowMs - this.#phaseMs >= verifyMs) this.#look(nowMs);
    if (this.#phase === "stuck" && nowMs - this.#phaseMs >= STUCK_RETRY_MS) this.#learn(nowMs);
    return this.#step();
  }

  /** Another order of boxes, or others that may not serve. */
  judge(judgement: Judgement, nowMs: number): Step {
    if (JSON.stringify(judgement) !== JSON.stringify(this.#judgement)) {
      this.#judgement = judgement;
      this.#changeIsOwn = true;
      if (this.#trouble === null) this.#reason = "is about to be changed";
      this.#lookAgain(nowMs);
    }
    return this.#step();
  }

  /** Take away what is the node's; "left" is reported when the switch has done so. */
  leave(nowMs: number): Step {
    const settings = this.#settings;
    if (settings === null) {
      this.#left("was left as it is", nowMs);
      return this.#step();
    }
    const groups = [...this.#read.groups, ...this.#wanted()?.groups ?? []];
    const found = { groups: [...new Map(groups.map((one) => [one.group, one])).values()], flows: [] };
    const own = { cookie: this.#options.cookie, groupFirst: settings.groupFirst };
    for (const body of removal(found, own)) this.#channel.tell(body);
    this.#barrier = this.#channel.tell({ kind: "barrier-request" });
    this.#enter("leaving", "is being left", nowMs);
    return this.#step();
  }

  #left(reason: string, nowMs: number): void {
    this.#enter("left", reason, nowMs);
    this.#reports.push({ kind: "left" });
  }

  #step(): Step {
    const step = { send: this.#channel.taken(), reports: this.#reports, close: this.#channel.close };
    this.#reports = [];
    return step;
  }

  #enter(phase: Phase, reason: string, nowMs: number): void {
    this.#phase = phase;
    this.#reason = reason;
    this.#phaseMs = nowMs;
  }

  #stuck(reason: string, nowMs: number): void {
    const isNews = this.#trouble !== reason;
    this.#trouble = reason;
    this.#enter("stuck", reason, nowMs);
    if (isNews) this.#reports.push({ kind: "stuck", reason });
  }

  #identified(datapath: bigint, nowMs: number): void {
    if (this.#settings !== null) return;
    this.#datapath = datapath;
    const found = this.#options.identify(datapath);
    if (typeof found === "string") return this.#channel.end(found);
    this.#settings = found;
    this.#reports.push({ kind: "identified", datapath });
    // Without it Open vSwitch tells nothing unasked to a controller that has dialled.
    this.#channel.tell({ kind: "set-config", flags: 0, missBytes: MISS_BYTES });
    this.#learn(nowMs);
  }

  /** All that does not change by itself; again when something was wrong, for it may have been understood wrongly. */
  #learn(nowMs: number): void {
    this.#read = new Reading();
    this.#channel.askAnew();
    this.#channel.ask({ kind: "desc" });
    this.#channel.ask({ kind: "group-features" });
    this.#channel.ask({ kind: "port-desc" });
    this.#enter("learning", this.#reason, nowMs);
  }

  #take(answer: MultipartAnswer): void {
    switch (answer.kind) {
      case "desc": {
        const { maker, hardware, software } = answer.description;
        this.#software = plainText(`${maker}, ${hardware} ${software}`);
        break;
      }
      case "group-features":
        this.#features = answer.features;
        break;
      case "port-desc":
        this.#read.ports.push(...answer.ports);
        break;
      case "group-desc":
        this.#read.groups.push(...answer.groups);
        break;
      case "flow":
        this.#read.flows.push(...answer.flows);
        break;
      case "group":
        this.#read.counts.push(...answer.groups);
    }
  }

  /** Once all that was asked has been answered. */
  #proceed(nowMs: number): void {
    if (this.#channel.waits || this.#channel.close !== null) return;
    if (this.#phase !== "learning" && this.#phase !== "reading") return;
    const before = this.#ports.all.length === 0 ? null : this.lights;
    this.#ports.replace(this.#read.ports);
    if (before !== null) this.#portsTold(before);
    if (this.#phase === "learning") this.#settle(nowMs);
    else this.#compare(nowMs);
  }

  /** What the switch has to be able to do and to have, before anything is changed. */
  #settle(nowMs: number): void {
    if (this.#settings === null) return;
    if (((this.#features?.types ?? 0) & 1 << GROUP_TYPE.fastFailover) === 0) {
      return this.#stuck("has no fast-failover groups", nowMs);
    }
    const placed = place(this.#settings, this.#ports.all);
    this.#placement = "problem" in placed ? null : placed.placement;
    if ("problem" in placed) return this.#stuck(placed.problem, nowMs);
    this.#look(nowMs);
  }

  #look(nowMs: number): void {
    if (this.#placement === null) return this.#settle(nowMs);
    this.#again = false;
    this.#read = new Reading();
    this.#channel.askAnew();
    const own = { cookie: this.#options.cookie, cookieMask: COOKIE_MASK, match: [] };
    // A switch may have been asked not to tell of its ports, by another controller.
    this.#channel.ask({ kind: "port-desc" });
    this.#channel.ask({ kind: "group-desc" });
    this.#channel.ask({ kind: "flow", table: ALL_TABLES, outPort: PORT.any, outGroup: GROUP_ANY, ...own });
    this.#channel.ask({ kind: "group", group: GROUP_ALL });
    // What it was known to be stands until something else is known.
    this.#enter("reading", this.#phase === "learning" ? "is being read" : this.#reason, nowMs);
  }

  /** Now, or as soon as what is under way has come to its end. */
  #lookAgain(nowMs: number): void {
    if (this.#phase === "verified") this.#look(nowMs);
    else if (this.#phase === "stuck") this.#settle(nowMs);
    else if (this.#phase === "reading" || this.#phase === "changing") this.#again = true;
  }

  #wanted(judgement = this.#judgement): Wanted | null {
    const [settings, placement] = [this.#settings, this.#placement];
    if (settings === null || placement === null) return null;
    const { cookie } = this.#options, { chaining } = this;
    const by = judgement ?? this.#inOrder(this.#boxes());
    return planSwitch({ settings, placement, cookie, chaining, judgement: by });
  }

  #inOrder(order: readonly number[]): Judgement {
    return { order, out: this.#options.left, left: this.#options.left };
  }

  #boxes(): number[] {
    return Array.from({ length: this.#options.boxes }, (_, box) => box);
  }

  /** A control that comes back takes over the order that the switch was left with. */
  #takeOverOrder(): void {
    const tries = this.#boxes().flatMap((first) => {
      const order = [first, ...this.#boxes().filter((box) => box !== first)];
      const wanted = this.#wanted(this.#inOrder(order));
      return wanted === null ? [] : [{ order, wanted }];
    });
    const order = orderHeld(this.#read, tries);
    if (order === null) return;
    this.#judgement = this.#inOrder(order);
    this.#reports.push({ kind: "order", order });
  }

  #compare(nowMs: number): void {
    if (this.#judgement === null) this.#takeOverOrder();
    const [settings, wanted] = [this.#settings, this.#wanted()];
    if (settings === null || wanted === null) return this.#settle(nowMs);
    this.#counts = this.#read.counts;
    const changes = changesTo(wanted, this.#read, settings.groupFirst);
    if (changes.length > 0) return this.#change(changes, nowMs);
    this.#reports.push({ kind: "verified", repaired: this.#repairing, changed: this.#changed });
    this.#verifiedMs = nowMs;
    this.#attempts = this.#changed = 0;
    this.#repairing = [];
    this.#changeIsOwn = this.#again && this.#changeIsOwn;
    this.#trouble = null;
    this.#enter("verified", "holds what it should", nowMs);
    if (this.#again) this.#look(nowMs);
  }

  #change(changes: readonly Change[], nowMs: number): void {
    const texts = changes.map(({ text }) => text);
    if (this.#attempts >= ATTEMPTS_MAX) {
      this.#attempts = 0;
      return this.#stuck(`took every change and does not hold it: ${toldOf(texts)}`, nowMs);
    }
    this.#attempts++;
    this.#changed += changes.length;
    if (!this.#changeIsOwn && this.#repairing.length === 0) this.#repairing = texts;
    this.#sent = new Map(changes.map(({ body, text }) => [this.#channel.tell(body), text]));
    this.#errors = [];
    this.#barrier = this.#channel.tell({ kind: "barrier-request" });
    this.#enter("changing", "is being changed", nowMs);
  }

  #carriedOut(nowMs: number): void {
    if (this.#phase === "leaving") return this.#left("holds nothing of the node any more", nowMs);
    if (this.#phase !== "changing") return;
    if (this.#errors.length === 0) return this.#look(nowMs);
    this.#attempts = 0;
    const refused = `refused ${this.#errors.length} of ${this.#sent.size} changes`;
    this.#stuck(`${refused}: ${toldOf(this.#errors)}`, nowMs);
  }

  #portChanged(reason: number, port: PortDescription, nowMs: number): void {
    const before = this.lights;
    if (PORT_REASON[reason] === "delete") this.#ports.drop(port.number);
    else this.#ports.keep(port);
    if (this.#phase === "learning" || this.#phase === "leaving") return;
    if (this.#portsTold(before)) this.#lookAgain(nowMs);
  }

  /** Reports what has changed. A port may have come back under another number: then all have to be found anew. */
  #portsTold(before: readonly PortLight[]): boolean {
    let moved = false;
    for (const { role, written, number, live } of this.lights) {
      const was = before.find((light) => light.role === role);
      if (was !== undefined && was.live !== live) {
        this.#reports.push({ kind: "port", role, port: written, live });
      }
      moved ||= was?.number !== number;
    }
    if (!moved) return false;
    this.#placement = null;
    return this.#changeIsOwn = true;
  }
}
