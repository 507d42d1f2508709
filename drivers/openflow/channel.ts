/**
 * Duty: one standing OpenFlow 1.3 connection to a switch, as its controller: questions, orders, and when it is there.
 *
 * The switch listens or comes by; a lost connection is made again, with patience. Orders go in batches that end with a
 * barrier, and each error of the switch comes back with the order that it is about.
 */
import { OpenFlowError } from "./bytes.ts";
import { Framer } from "./frames.ts";
import type { Link, LinkEvents, Listener, Network } from "./link.ts";
import { type Body, decode, encode, type Message } from "./messages.ts";
import type { MultipartAnswer, MultipartQuery } from "./multipart.ts";
import { errorText, VERSION } from "./names.ts";
import type { Where } from "./where.ts";

export interface ChannelOptions {
  readonly where: Where;
  /** `connect`: the switch listens; `listen`: it comes to us. */
  readonly by: "connect" | "listen";
  readonly network: Network;
  /** 16 hexadecimal digits; null: whichever answers. */
  readonly datapath: string | null;
  readonly ready: (datapath: string) => void;
  readonly lost: (reason: string) => void;
  /** What the switch says by itself. */
  readonly heard: (body: Body) => void;
}

/** Why an order was refused; null: it was carried out. */
export interface Refused {
  readonly type: number;
  readonly code: number;
  readonly text: string;
}

interface Asked {
  readonly answers: Body[];
  readonly errors: Map<number, Refused>;
  readonly done: (error: Error | null) => void;
}

const RETRY_MS_MIN = 250;
const RETRY_MS_MAX = 4000;
const ANSWER_MS_MAX = 10_000;
const ECHO_MS = 5000;
const TRANSACTION_MAX = 0x7fffffff;

export class Channel {
  #link: Link | null = null;
  #listener: Listener | null = null;
  #framer = new Framer();
  #ready = false;
  #transaction = 0;
  #retryMs = RETRY_MS_MIN;
  #heardSinceEcho = true;
  #closed = false;
  #lostWhy = "the switch has not connected yet";
  readonly #asked = new Map<number, Asked>();
  /** Transactions of a batch lead to its barrier. */
  readonly #batchOf = new Map<number, number>();
  #waiting: (() => void)[] = [];
  #retry: ReturnType<typeof setTimeout> | undefined;
  readonly #echo: ReturnType<typeof setInterval>;

  constructor(readonly options: ChannelOptions) {
    this.#echo = setInterval(() => this.#keepAlive(), ECHO_MS);
    if (options.by === "connect") this.#dial();
    else {
      this.#listener = options.network.listen(options.where, {
        ...this.#events(),
        turnedAway: (reason) => this.options.lost(`somebody was turned away: ${reason}`),
        deaf: (reason) => this.#lostWhy = `cannot listen: ${reason}`,
      });
    }
  }

  get isReady(): boolean {
    return this.#ready;
  }

  /** @throws Error with what keeps the switch away */
  async ready(msMax = ANSWER_MS_MAX): Promise<void> {
    if (this.#ready) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, msMax);
      this.#waiting.push(() => (clearTimeout(timer), resolve()));
    });
    if (!this.#ready) throw new Error(`Cannot reach the switch: ${this.#lostWhy}`);
  }

  #events(): LinkEvents {
    return {
      opened: (link) => this.#opened(link),
      data: (link, bytes) => link === this.#link && this.#data(bytes),
      closed: (link, reason) => (link === this.#link || this.#link === null) && this.#lost(reason),
    };
  }

  #dial(): void {
    if (this.#closed) return;
    this.#link = this.options.network.connect(this.options.where, this.#events());
  }

  #opened(link: Link): void {
    // The newest counts: a switch that has been started again does not end its old connection.
    if (this.#link !== link && this.#link !== null) this.#link.close();
    if (this.#ready) this.#lost("the switch came anew", false);
    this.#link = link;
    this.#framer = new Framer();
    this.#heardSinceEcho = true;
    this.#send({ kind: "hello", versions: 1 << VERSION });
    this.#send({ kind: "features-request" });
  }

  #send(body: Body): number {
    this.#transaction = this.#transaction % TRANSACTION_MAX + 1;
    this.#link?.send(encode({ transaction: this.#transaction, body }));
    return this.#transaction;
  }

  #keepAlive(): void {
    if (this.#link === null) return;
    if (!this.#heardSinceEcho && this.#ready) {
      const link = this.#link;
      this.#lost("the switch has not answered");
      return link.close();
    }
    this.#heardSinceEcho = false;
    if (this.#ready) this.#send({ kind: "echo-request", data: new Uint8Array(0) });
  }

  #data(bytes: Uint8Array): void {
    this.#heardSinceEcho = true;
    try {
      for (const one of this.#framer.push(bytes)) this.#receive(decode(one));
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
      const link = this.#link;
      this.#lost(error.message);
      link?.close();
    }
  }

  #receive({ transaction, body }: Message): void {
    switch (body.kind) {
      case "hello":
        return;
      case "echo-request":
        this.#link?.send(encode({ transaction, body: { kind: "echo-reply", data: body.data } }));
        return;
      case "features-reply":
        return this.#identified(body.datapath.toString(16).padStart(16, "0"));
      case "error":
        return this.#refused(transaction, body);
      case "multipart-reply":
      case "barrier-reply": {
        const asked = this.#asked.get(transaction);
        asked?.answers.push(body);
        const more = body.kind === "multipart-reply" && body.more;
        if (!more) asked?.done(null);
        return;
      }
      default:
        this.options.heard(body);
    }
  }

  #identified(datapath: string): void {
    const wanted = this.options.datapath;
    if (wanted !== null && wanted !== datapath) {
      const link = this.#link;
      this.#lost(`it has datapath ${datapath}, not ${wanted}`);
      return link?.close();
    }
    this.#ready = true;
    this.#retryMs = RETRY_MS_MIN;
    this.#wake();
    this.options.ready(datapath);
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) one();
  }

  #refused(transaction: number, { type, code }: Extract<Body, { kind: "error" }>): void {
    const refused = { type, code, text: errorText(type, code) };
    const batch = this.#batchOf.get(transaction);
    if (batch !== undefined) this.#asked.get(batch)?.errors.set(transaction, refused);
    else this.#asked.get(transaction)?.done(new Error(`Cannot ask the switch: ${refused.text}`));
  }

  #lost(reason: string, again = true): void {
    const wasReady = this.#ready;
    this.#ready = false;
    this.#lostWhy = reason;
    for (const asked of [...this.#asked.values()]) {
      asked.done(new Error(`Cannot reach the switch: ${reason}`));
    }
    if (wasReady) this.options.lost(reason);
    if (!again) return;
    this.#link = null;
    if (this.#closed || this.options.by === "listen") return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#dial(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
  }

  /** Waits for the answer to a transaction that is yet to be sent. */
  #await(send: () => number): Promise<Asked> {
    return new Promise((resolve, reject) => {
      const transaction = send();
      const done = (error: Error | null) => {
        clearTimeout(timer);
        this.#asked.delete(transaction);
        if (error === null) resolve(asked);
        else reject(error);
      };
      const timer = setTimeout(
        () => done(new Error(`Cannot wait for the switch any longer: no answer for ${ANSWER_MS_MAX} ms`)),
        ANSWER_MS_MAX,
      );
      const asked: Asked = { answers: [], errors: new Map(), done };
      this.#asked.set(transaction, asked);
    });
  }

  /** All parts of the answer. @throws Error where the switch refuses, or is not there */
  async ask(query: MultipartQuery): Promise<MultipartAnswer[]> {
    await this.ready();
    const { answers } = await this.#await(() =>
      this.#send({ kind: "multipart-request", more: false, query })
    );
    return answers.flatMap((one) => one.kind === "multipart-reply" ? [one.answer] : []);
  }

  /** Carries out orders, one after the other, and returns why each was refused. @throws Error when the switch is lost */
  async order(bodies: readonly Body[]): Promise<(Refused | null)[]> {
    await this.ready();
    const transactions = bodies.map((body) => this.#send(body));
    const barrier = this.#transaction % TRANSACTION_MAX + 1;
    for (const one of transactions) this.#batchOf.set(one, barrier);
    try {
      const { errors } = await this.#await(() => this.#send({ kind: "barrier-request" }));
      return transactions.map((one) => errors.get(one) ?? null);
    } finally {
      for (const one of transactions) this.#batchOf.delete(one);
    }
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#echo);
    clearTimeout(this.#retry);
    this.#listener?.close();
    const link = this.#link;
    this.#link = null;
    this.#ready = false;
    link?.close();
    for (const asked of [...this.#asked.values()]) {
      asked.done(new Error("Cannot reach the switch: the driver is closed"));
    }
    this.#wake();
  }
}
