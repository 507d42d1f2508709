/**
 * Duty: overhear one control channel and tell what changes in the switch.
 *
 * Each direction is framed for itself. What cannot be read is counted and left out; it never disturbs what can. Until
 * the switch has said which one it is, what passes waits: another switch's flows are none of ours. Pure.
 */
import { OpenFlowError } from "./bytes.ts";
import { Framer } from "./frames.ts";
import type { Change, Holdings, Seen } from "./holdings.ts";
import { type Body, decode, type Message } from "./messages.ts";
import type { MultipartAnswer, MultipartQuery } from "./multipart.ts";
import { ALL_TABLES, GROUP_ANY, PORT, TYPE, VERSION } from "./names.ts";
import { flowPiece, groupPiece, isOwnMeter, meterPiece, type PieceBody } from "./piece.ts";
import { decode10, VERSION_10 } from "./v10.ts";
import { Untranslatable } from "./v10_match.ts";

export type Speaker = "controller" | "switch";

/** Numbers of a tap, all its connections together. */
export class TapCounters {
  connections = 0;
  messages = 0;
  flow_mods = 0;
  group_mods = 0;
  meter_mods = 0;
  flows_removed = 0;
  packet_ins = 0;
  /** Of a known version and not to be read. */
  malformed = 0;
  /** Of 1.0, and 1.3 has no words for it. */
  untranslated = 0;
  /** Neither 1.0 nor 1.3. */
  other_version = 0;
  /** Streams that are no OpenFlow, from there on. */
  unreadable_streams = 0;
  /** Connections of another switch. */
  foreign = 0;
  /** Came before the switch had said which it is, and were too many. */
  early_left_out = 0;
}

/** What all connections of a tap share. */
export interface Hearing {
  readonly holdings: Holdings;
  readonly counters: TapCounters;
  /** Of the first switch that came; null: none yet. */
  datapath: bigint | null;
  /** Names what is left out, for people. */
  readonly left: (reason: string) => void;
}

interface Question {
  readonly askedMs: number;
  readonly kind: PieceBody["kind"];
  readonly all: boolean;
  readonly found: { body: PieceBody; ageMs: number }[];
}

const EARLY_MAX = 1024;
const QUESTIONS_MAX = 16;

/** Types that are read, by version and speaker; the rest is only counted. */
const READ: Readonly<Record<number, Readonly<Record<Speaker, readonly number[]>>>> = {
  [VERSION_10]: {
    controller: [TYPE.flowMod, 16, 18],
    switch: [TYPE.error, TYPE.featuresReply, TYPE.flowRemoved, 17, 19],
  },
  [VERSION]: {
    controller: [TYPE.flowMod, TYPE.groupMod, TYPE.meterMod, TYPE.multipartRequest, TYPE.barrierRequest],
    switch: [TYPE.error, TYPE.featuresReply, TYPE.flowRemoved, TYPE.multipartReply, TYPE.barrierReply],
  },
};

export class Ear {
  readonly #framers: Record<Speaker, Framer | null> = { controller: new Framer(), switch: new Framer() };
  readonly #questions = new Map<number, Question>();
  #early: { speaker: Speaker; message: Message; nowMs: number }[] = [];
  #identified = false;
  #foreign = false;

  constructor(readonly hearing: Hearing) {}

  /** Bytes that passed. Never throws for what is in them. */
  hear(speaker: Speaker, chunk: Uint8Array, nowMs: number): Change[] {
    const framer = this.#framers[speaker];
    if (framer === null || this.#foreign) return [];
    let whole: Uint8Array[] = [];
    try {
      whole = framer.push(chunk);
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
      this.#framers[speaker] = null;
      this.hearing.counters.unreadable_streams++;
      this.hearing.left(error.message);
    }
    return whole.flatMap((bytes) => {
      const message = this.#read(speaker, bytes);
      return message === null ? [] : this.#inTurn(speaker, message, nowMs);
    });
  }

  #read(speaker: Speaker, bytes: Uint8Array): Message | null {
    const { counters } = this.hearing;
    counters.messages++;
    const [version = 0, type = 0] = bytes;
    if (type === TYPE.packetIn && speaker === "switch") counters.packet_ins++;
    if (type === TYPE.hello) return null;
    const read = READ[version];
    if (read === undefined) {
      counters.other_version++;
      this.hearing.left(`the channel speaks version ${version}; only 1 (1.0) and 4 (1.3) are read`);
      return null;
    }
    if (!read[speaker].includes(type)) return null;
    try {
      return version === VERSION_10 ? decode10(bytes) : decode(bytes);
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
      if (error instanceof Untranslatable) counters.untranslated++;
      else counters.malformed++;
      this.hearing.left(error.message);
      return null;
    }
  }

  #inTurn(speaker: Speaker, message: Message, nowMs: number): Change[] {
    if (this.#identified) return this.#heard(speaker, message, nowMs);
    if (message.body.kind !== "features-reply" || speaker !== "switch") {
      if (this.#early.length < EARLY_MAX) this.#early.push({ speaker, message, nowMs });
      else this.hearing.counters.early_left_out++;
      return [];
    }
    const { datapath } = message.body;
    this.hearing.datapath ??= datapath;
    this.#identified = this.hearing.datapath === datapath;
    this.#foreign = !this.#identified;
    const early = this.#early;
    this.#early = [];
    if (!this.#foreign) return early.flatMap((one) => this.#heard(one.speaker, one.message, one.nowMs));
    this.hearing.counters.foreign++;
    this.hearing.left(`it is the channel of switch ${datapath.toString(16)}, not of ${this.#own()}`);
    return [];
  }

  #own(): string {
    return (this.hearing.datapath ?? 0n).toString(16);
  }

  #heard(speaker: Speaker, { body, transaction, version = VERSION }: Message, nowMs: number): Change[] {
    const seen = { nowMs, transaction, version };
    return speaker === "controller" ? this.#asked(body, seen) : this.#answered(body, seen);
  }

  #asked(body: Body, seen: Seen): Change[] {
    const { holdings, counters } = this.hearing;
    switch (body.kind) {
      case "flow-mod":
        counters.flow_mods++;
        return holdings.flow(body, seen);
      case "group-mod":
        counters.group_mods++;
        return holdings.group(body, seen);
      case "meter-mod":
        counters.meter_mods++;
        return holdings.meter(body, seen);
      case "multipart-request":
        if (!body.more) this.#question(body.query, seen);
        return [];
      case "barrier-request":
        holdings.barrier(seen);
        return [];
      default:
        return [];
    }
  }

  #question(query: MultipartQuery, { transaction, nowMs }: Seen): void {
    const about = QUESTION_KIND[query.kind];
    if (about === undefined) return;
    this.#questions.delete(transaction);
    this.#questions.set(transaction, { askedMs: nowMs, kind: about, all: asksAll(query), found: [] });
    if (this.#questions.size > QUESTIONS_MAX) this.#questions.delete(this.#questions.keys().next().value!);
  }

  #answered(body: Body, seen: Seen): Change[] {
    const { holdings, counters } = this.hearing;
    switch (body.kind) {
      case "flow-removed":
        counters.flows_removed++;
        return holdings.removed(body, seen);
      case "error":
        this.#questions.delete(seen.transaction);
        return holdings.refuse(seen.transaction, seen.nowMs);
      case "barrier-reply":
        holdings.confirm(seen);
        return [];
      case "multipart-reply":
        return this.#answer(body.answer, body.more, seen);
      default:
        return [];
    }
  }

  #answer(answer: MultipartAnswer, more: boolean, seen: Seen): Change[] {
    const question = this.#questions.get(seen.transaction);
    if (question === undefined) return [];
    question.found.push(...piecesOf(answer));
    if (question.found.length > this.hearing.holdings.options.piecesMax) {
      this.#questions.delete(seen.transaction);
      return [];
    }
    if (more) return [];
    this.#questions.delete(seen.transaction);
    return this.hearing.holdings.told(question.found, question, seen);
  }
}

const QUESTION_KIND: Readonly<Partial<Record<MultipartQuery["kind"], PieceBody["kind"]>>> = {
  flow: "flow-mod",
  "group-desc": "group-mod",
  "meter-config": "meter-mod",
};

function asksAll(query: MultipartQuery): boolean {
  if (query.kind !== "flow") return true;
  return query.table === ALL_TABLES && query.match.length === 0 && query.cookieMask === 0n &&
    query.outPort === PORT.any && query.outGroup === GROUP_ANY;
}

/** What an answer lists, with the age of each in ms; groups and meters do not tell theirs. */
export function piecesOf(answer: MultipartAnswer): { body: PieceBody; ageMs: number }[] {
  switch (answer.kind) {
    case "flow":
      return answer.flows.map((flow) => ({
        body: flowPiece(flow),
        ageMs: flow.durationS * 1000 + flow.durationNs / 1e6,
      }));
    case "group-desc":
      return answer.groups.map((group) => ({ body: groupPiece(group), ageMs: 0 }));
    case "meter-config":
      return answer.meters.filter(({ meter }) => !isOwnMeter(meter))
        .map((meter) => ({ body: meterPiece(meter), ageMs: 0 }));
    default:
      return [];
  }
}
