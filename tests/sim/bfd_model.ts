/**
 * The BFD session once more in plain TypeScript, written along RFC 5880, 6.8: the oracle of bfd_session.c.
 *
 * Chance is part of the contract: the same seed gives the same jitter, or a run could not be compared packet by packet.
 */
import type { Discard, Look, State, Terms } from "../support/bfd.ts";
import { packetBytes, type Read, readPacket } from "../support/bfd_packet.ts";

const SLOW_US = 1_000_000;
const OWN_FAULT_NS = 5e9;
const US = 1000;
const MASK = 0xffff_ffff_ffff_ffffn;

export class BfdModel {
  state: State = "down";
  #remoteState: State = "down";
  #diag = 0;
  #remoteDiag = 0;
  #remoteMultiplier = 0;
  #remoteDiscr = 0;
  #remoteTxUs = 0;
  #remoteRxUs = 1;
  #remoteEchoUs = 0;
  #demand = false;
  #polls = 0; // 0 none, 1 under way, 2: another one has to follow
  #final = false;
  #tx = { told: 0, used: 0 };
  #rx = { told: 0, used: 0 };
  #intervalUs = 0;
  #authTx: number;
  #authRx: number | null = null;
  #authRxShown = 0;
  #next = 0;
  #sent: number;
  #patience = 0;
  #heard = 0;
  #excused = 0;
  #wasUp = false;
  #lateAt = 0;
  #late = 0;
  #ups = 0;
  #downs = 0;
  #lastPlain = "";
  #random: bigint;

  constructor(private terms: Terms, readonly discr: number, seed: bigint, now: number) {
    this.#random = seed | 1n;
    this.#authTx = this.#draw();
    this.#draw(), this.#draw(); // the token of its echoes
    this.#sent = now;
    this.#want();
    this.#next = now + this.#jittered();
  }

  #draw(): number {
    let r = this.#random;
    r ^= r >> 12n;
    r = (r ^ (r << 25n)) & MASK;
    r ^= r >> 27n;
    this.#random = r;
    return Number((r * 0x2545f4914f6cdd1dn & MASK) >> 32n);
  }

  /** 6.8.7: 75 to 100 %, to 90 % with a multiplier of 1. */
  #jittered(): number {
    const ns = this.#intervalUs * US;
    const span = Math.floor(Math.floor(ns * (this.terms.multiplier === 1 ? 15 : 25) / 100) / 1000);
    return Math.floor(ns * 75 / 100) + span * (this.#draw() % 1001);
  }

  #pace(): void {
    const interval = Math.max(this.#tx.used, this.#remoteRxUs);
    if (interval === this.#intervalUs) return;
    this.#intervalUs = interval;
    this.#next = this.#sent + this.#jittered();
  }

  /** 6.8.3. */
  #want(): void {
    const up = this.state === "up";
    const tx = up ? this.terms.minTxUs : Math.max(this.terms.minTxUs, SLOW_US);
    const rx = this.terms.minRxUs;
    const changed = tx !== this.#tx.told || rx !== this.#rx.told;
    if (!up) this.#polls = 0;
    else if (changed) this.#polls = this.#polls > 0 ? 2 : 1;
    this.#tx = { told: tx, used: up ? Math.min(tx, this.#tx.used) : tx };
    this.#rx = { told: rx, used: up ? Math.max(rx, this.#rx.used) : rx };
    this.#pace();
  }

  #go(state: State, diag: number, now: number): void {
    if (state === "up") this.#ups++, this.#wasUp = true;
    if (this.state === "up") this.#downs++;
    this.state = state;
    this.#diag = diag;
    this.#want();
    this.#next = now;
  }

  retune(terms: Terms, now: number): void {
    const other = terms.multiplier !== this.terms.multiplier || terms.echoUs !== this.terms.echoUs;
    this.terms = terms;
    this.#want();
    if (other) this.#next = Math.min(this.#next, now);
  }

  get #detectNs(): number {
    return this.#remoteMultiplier * Math.max(this.#rx.used, this.#remoteTxUs) * US;
  }

  receive(bytes: Uint8Array, now: number): Discard {
    const p = readPacket(bytes);
    if (typeof p === "string") return p;
    if (p.yourDiscr !== 0 && p.yourDiscr !== this.discr) return "no_session";
    const refused = this.#authenticate(p);
    if (refused !== null) return refused;
    this.#remoteDiscr = p.myDiscr;
    this.#remoteState = p.state;
    this.#remoteDiag = p.diag;
    this.#remoteMultiplier = p.multiplier;
    this.#remoteTxUs = p.desiredTxUs;
    this.#remoteRxUs = p.requiredRxUs;
    this.#remoteEchoUs = p.requiredEchoUs;
    this.#heard = now;
    this.#excused = 0;
    if (p.final && this.#polls > 0 && --this.#polls === 0) {
      this.#tx.used = this.#tx.told;
      this.#rx.used = this.#rx.told;
    }
    this.#pace();
    this.#follow(p, now);
    this.#demand = p.demand;
    this.#final ||= p.poll;
    return "taken";
  }

  #authenticate(p: Read): Discard | null {
    const { auth, keyId, key } = this.terms;
    if (p.auth === null) return auth === 0 ? null : "auth_absent";
    if (auth === 0) return "auth_unasked";
    if (p.auth.type !== auth) return "auth_type";
    if (p.auth.keyId !== keyId) return "auth_key";
    if (this.#authRx !== null) {
      const ahead = (p.auth.sequence - this.#authRx) >>> 0;
      const least = auth === 5 ? 1 : 0;
      if (ahead < least || ahead > 3 * Math.max(1, this.#remoteMultiplier)) return "auth_sequence";
    }
    if (!p.fits(key)) return "auth_digest";
    this.#authRx = this.#authRxShown = p.auth.sequence;
    return null;
  }

  /** 6.8.6, the table at its end. */
  #follow(p: Read, now: number): void {
    if (p.state === "admin_down") {
      this.#wasUp = false;
      if (this.state !== "down") this.#go("down", 3, now);
      return;
    }
    const to: Partial<Record<string, State>> = {
      "down down": "init",
      "down init": "up",
      "init init": "up",
      "init up": "up",
      "up down": "down",
    };
    const state = to[`${this.state} ${p.state}`];
    if (state === undefined) return;
    if (state === "down") this.#noteLate(now);
    this.#go(state, state === "down" ? 3 : 0, now);
  }

  #noteLate(now: number): void {
    if (this.state !== "up" || this.#patience === 0 || now - this.#sent <= this.#patience) return;
    this.#late++;
    this.#lateAt = now;
    this.#patience = 0;
  }

  get #quiet(): boolean {
    if (this.terms.passive && this.#remoteDiscr === 0) return true;
    if (this.#remoteRxUs === 0) return true;
    return this.#demand && this.state === "up" && this.#remoteState === "up" && this.#polls === 0;
  }

  send(now: number): Uint8Array | null {
    if (this.#final) {
      this.#final = false;
      return this.#packet(true);
    }
    if (this.#quiet) {
      this.#sent = now;
      this.#patience = 0;
      return null;
    }
    if (now < this.#next) return null;
    this.#noteLate(now);
    this.#sent = now;
    this.#patience = this.terms.multiplier * Math.max(this.#tx.told, this.#remoteRxUs) * US;
    this.#next = now + this.#jittered();
    return this.#packet(false);
  }

  #packet(final: boolean): Uint8Array {
    const plain = {
      diag: this.#diag,
      state: this.state,
      multiplier: this.terms.multiplier,
      final,
      poll: !final && this.#polls > 0,
      independent: true,
      myDiscr: this.discr,
      yourDiscr: this.#remoteDiscr,
      desiredTxUs: this.#tx.told,
      requiredRxUs: this.#rx.told,
      requiredEchoUs: this.terms.echoUs,
    };
    const { auth, keyId, key } = this.terms;
    const text = packetBytes(plain).join();
    if (auth === 5 || text !== this.#lastPlain) this.#authTx = (this.#authTx + 1) >>> 0;
    this.#lastPlain = text;
    return packetBytes({
      ...plain,
      auth: auth === 0 ? null : { type: auth, keyId, key, sequence: this.#authTx },
    });
  }

  expire(now: number, looked: number): boolean {
    if (this.#heard === 0) return false;
    const detect = this.#detectNs, since = this.#heard + this.#excused;
    if (now > since + 2 * detect) this.#authRx = null;
    if (looked <= since + detect && now <= since + 2 * detect) return false;
    const fell = this.state === "init" || this.state === "up";
    this.#remoteDiscr = 0;
    this.#remoteRxUs = 1;
    this.#remoteState = "down";
    this.#demand = false;
    if (fell) this.#go("down", 1, now);
    else this.#pace();
    if (this.#authRx === null) this.#heard = 0;
    return fell;
  }

  stalled(lostNs: number): void {
    if (this.state === "down") return;
    this.#excused += Math.min(lostNs, Math.max(0, 2 * this.#detectNs - this.#excused));
  }

  get #dueNs(): number {
    const sending = this.#final ? 0 : this.#quiet ? Infinity : this.#next;
    if (this.#heard === 0) return sending;
    const detect = this.#detectNs * (this.#remoteDiscr === 0 ? 2 : 1);
    return Math.min(sending, this.#heard + this.#excused + detect + 1);
  }

  look(now: number): Omit<Look, "diag"> & { diag: number } {
    const own = this.#lateAt > 0 && this.#diag === 3 && now - this.#lateAt < OWN_FAULT_NS;
    const fallen = own ? "yellow" : "red";
    const never = this.#remoteState === "admin_down" ? "yellow" : "off";
    return {
      state: this.state,
      remoteState: this.#remoteState,
      diag: this.#diag,
      remoteDiag: this.#remoteDiag,
      light: this.state === "up" ? "green" : this.#wasUp ? fallen : never,
      remoteDiscr: this.#remoteDiscr,
      txUs: this.#tx.told,
      rxUs: this.#rx.told,
      txUsedUs: this.#tx.used,
      rxUsedUs: this.#rx.used,
      intervalUs: this.#intervalUs,
      polling: this.#polls > 0,
      authRx: this.#authRxShown,
      authKnown: this.#authRx !== null,
      echoUs: this.state === "up" && this.terms.echoUs > 0 && this.#remoteEchoUs > 0
        ? Math.max(this.terms.echoUs, this.#remoteEchoUs)
        : 0,
      late: this.#late,
      detectNs: this.#detectNs,
      dueNs: this.#dueNs,
      ups: this.#ups,
      downs: this.#downs,
    };
  }
}
