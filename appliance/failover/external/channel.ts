/**
 * The channel to a switch, below what is said on it: greeting, echoes, numbers of transactions, answers in parts.
 *
 * A machine without socket and clock: messages and ticks go in; what is to be sent gathers in `send`, and `close` says
 * why the connection has to end.
 */
import { type Body, type Message, messageType } from "../../../drivers/openflow/messages.ts";
import type { MultipartAnswer, MultipartQuery } from "../../../drivers/openflow/multipart.ts";
import { ERROR, errorText, HELLO_INCOMPATIBLE, typeName, VERSION } from "../../../drivers/openflow/names.ts";

/** Ticks further apart than this are the node's own stall, and no evidence against the switch. */
const STALL_MS = 500;
const ECHO_MS = 1000;
const SILENT_MS_MAX = 3000;
/** A switch that holds more than this beside ours is no place to look for ours in. */
const ENTRIES_MAX = 16_384;

type ErrorBody = Extract<Body, { kind: "error" }>;

/** What came that is not the channel's own affair. */
export type Heard =
  | { readonly kind: "greeted" }
  | { readonly kind: "answers"; readonly answers: readonly MultipartAnswer[] }
  | { readonly kind: "message"; readonly transaction: number; readonly body: Body };

export class Channel {
  #transaction = 0;
  #greeted = false;
  #heardMs = 0;
  #askedMs = 0;
  #tickMs = 0;
  readonly #reading = new Map<number, { parts: MultipartAnswer[]; entries: number }>();
  #send: Message[] = [];
  #close: string | null = null;

  get close(): string | null {
    return this.#close;
  }

  /** Is an answer still to come? */
  get waits(): boolean {
    return this.#reading.size > 0;
  }

  open(nowMs: number): void {
    this.#heardMs = this.#askedMs = this.#tickMs = nowMs;
    this.tell({ kind: "hello", versions: 1 << VERSION });
  }

  /** Returns the number of the transaction. */
  tell(body: Body): number {
    const transaction = ++this.#transaction;
    this.#send.push({ transaction, body });
    return transaction;
  }

  ask(query: MultipartQuery): void {
    const transaction = this.tell({ kind: "multipart-request", more: false, query });
    this.#reading.set(transaction, { parts: [], entries: 0 });
  }

  /** Forget what was asked: its answers mean nothing any more. */
  askAnew(): void {
    this.#reading.clear();
  }

  end(reason: string): void {
    this.#close ??= reason;
  }

  /** What has gathered since the last call. */
  taken(): readonly Message[] {
    const send = this.#send;
    this.#send = [];
    return send;
  }

  /** null: it needs nobody else. */
  receive({ transaction, body, version = VERSION }: Message, nowMs: number): Heard | null {
    this.#heardMs = nowMs;
    if (!this.#greeted) return this.#greeting(body, version);
    switch (body.kind) {
      case "hello":
      case "echo-reply":
        return null;
      case "echo-request":
        this.#send.push({ transaction, body: { kind: "echo-reply", data: body.data } });
        return null;
      case "multipart-reply":
        return this.#part(transaction, body.more, body.answer);
      case "error":
        if (this.#reading.has(transaction)) {
          this.end(`does not tell what it holds (${errorText(body.type, body.code)})`);
        }
        return { kind: "message", transaction, body };
      default:
        return { kind: "message", transaction, body };
    }
  }

  /** Returns for how long the node itself stood still. */
  tick(nowMs: number): number {
    const gapMs = nowMs - this.#tickMs;
    const stallMs = gapMs > STALL_MS ? gapMs : 0;
    this.#tickMs = nowMs;
    this.#heardMs = Math.min(nowMs, this.#heardMs + stallMs);
    if (nowMs - this.#heardMs > SILENT_MS_MAX) this.end(`has said nothing for ${SILENT_MS_MAX} ms`);
    else if (nowMs - this.#heardMs >= ECHO_MS && nowMs - this.#askedMs >= ECHO_MS) {
      this.#askedMs = nowMs;
      this.tell({ kind: "echo-request", data: new Uint8Array() });
    }
    return stallMs;
  }

  #greeting(body: Body, version: number): Heard | null {
    if (body.kind === "error") this.end(refusedGreeting(body));
    else if (body.kind !== "hello") {
      this.end(`began with a ${typeName(messageType(body))}, not with a hello`);
    } else if (!speaks(body.versions, version)) {
      const offers = body.versions === null ? `version ${version}` : versionList(body.versions);
      const data = new TextEncoder().encode("OpenFlow 1.3 (version 4) is spoken here");
      this.tell({ kind: "error", type: ERROR.helloFailed, code: HELLO_INCOMPATIBLE, data });
      this.end(`speaks OpenFlow of ${offers}, and only version 4 (1.3) is spoken here`);
    } else {
      this.#greeted = true;
      return { kind: "greeted" };
    }
    return null;
  }

  #part(transaction: number, more: boolean, answer: MultipartAnswer): Heard | null {
    const reading = this.#reading.get(transaction);
    if (reading === undefined) return null;
    reading.parts.push(answer);
    reading.entries += entriesOf(answer);
    if (reading.entries > ENTRIES_MAX) this.end(`tells more than ${ENTRIES_MAX} entries (${answer.kind})`);
    if (more) return null;
    this.#reading.delete(transaction);
    return { kind: "answers", answers: reading.parts };
  }
}

/** 6.3.1: without a bitmap the lower of the two versions counts. */
function speaks(versions: number | null, version: number): boolean {
  return versions === null ? version >= VERSION : (versions & 1 << VERSION) !== 0;
}

function versionList(bitmap: number): string {
  const found = Array.from({ length: 32 }, (_, bit) => bit).filter((bit) => (bitmap >>> bit & 1) === 1);
  return `version ${found.join(", ")}`;
}

function refusedGreeting({ type, code, data }: ErrorBody): string {
  const said = new TextDecoder().decode(data).replace(/[^\x20-\x7e]/g, "").slice(0, 200);
  return `refused the greeting (${errorText(type, code)})${said === "" ? "" : `: ${said}`}`;
}

/** An empty part counts too, or they could come for ever. */
function entriesOf(answer: MultipartAnswer): number {
  if (answer.kind === "flow") return answer.flows.length + 1;
  return ("groups" in answer ? answer.groups.length : 0) + 1;
}
