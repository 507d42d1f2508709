/**
 * Duty: speak to the ControlSocket of a Click router (protocol 1.x): read and write handlers, one after the other.
 *
 * Answers begin with three digits; "200-" has more lines to come, "200 " is the last. A read is followed by DATA and a
 * number of bytes. Whatever else arrives ends the connection, because nobody knows where the next answer begins.
 */
import { createConnection, type Socket } from "node:net";
import { reasonOf } from "./reason.ts";

export interface ClickAddress {
  readonly path?: string;
  readonly host?: string;
  readonly port?: number;
}

const ANSWER_MS_MAX = 5000;
const LINE_BYTES_MAX = 64 * 1024;
export const DATA_BYTES_MAX = 1 << 20;
const NEWLINE = 10;

/** A handler that is not there or does not want it: the router lives. */
export class ClickRefusal extends Error {
  override readonly name = "ClickRefusal";
  constructor(readonly code: number, text: string) {
    super(text);
  }
}

export class ClickSocket {
  #buffer = new Uint8Array(0);
  #wake = () => {};
  #failure: Error | null = null;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(readonly socket: Socket) {
    socket.on("data", (bytes: Uint8Array) => {
      const grown = new Uint8Array(this.#buffer.length + bytes.length);
      grown.set(this.#buffer);
      grown.set(bytes, this.#buffer.length);
      this.#buffer = grown;
      if (grown.length > DATA_BYTES_MAX + LINE_BYTES_MAX) this.#fail("it sends more than was asked for");
      this.#wake();
    });
    socket.on("error", (error: Error) => this.#fail(reasonOf(error)));
    socket.on("close", () => this.#fail("the connection is closed"));
  }

  /** @throws Error where nobody answers as Click does */
  static async open(address: ClickAddress): Promise<ClickSocket> {
    const one = new ClickSocket(createConnection(address as { port: number }));
    const hello = await one.#line().catch((error: Error) => {
      one.close();
      throw error;
    });
    if (/^Click::ControlSocket\/1\.\d+$/.test(hello)) return one;
    one.close();
    throw new Error(`Cannot speak to Click: it says "${hello.slice(0, 80)}", not Click::ControlSocket/1.x`);
  }

  #fail(reason: string): void {
    this.#failure ??= new Error(`Cannot speak to Click: ${reason}`);
    this.socket.destroy();
    this.#wake();
  }

  async #until(is: () => boolean): Promise<void> {
    const timer = setTimeout(() => this.#fail(`no answer for ${ANSWER_MS_MAX} ms`), ANSWER_MS_MAX);
    try {
      while (!is()) {
        if (this.#failure !== null) throw this.#failure;
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #take(count: number): Uint8Array {
    const taken = this.#buffer.slice(0, count);
    this.#buffer = this.#buffer.slice(count);
    return taken;
  }

  async #line(): Promise<string> {
    await this.#until(() => this.#buffer.includes(NEWLINE) || this.#buffer.length > LINE_BYTES_MAX);
    const end = this.#buffer.indexOf(NEWLINE);
    if (end < 0) this.#fail(`a line of more than ${LINE_BYTES_MAX} bytes`);
    if (this.#failure !== null) throw this.#failure;
    return new TextDecoder().decode(this.#take(end + 1)).trimEnd();
  }

  /** All lines of an answer. @throws ClickRefusal for a code that is no success */
  async #answer(): Promise<void> {
    const said: string[] = [];
    for (;;) {
      const line = await this.#line();
      const [, code = "", mark, text = ""] = /^(\d{3})([ -])(.*)$/.exec(line) ?? [];
      if (code === "") this.#fail(`it says "${line.slice(0, 80)}", which is no answer`);
      if (this.#failure !== null) throw this.#failure;
      said.push(text);
      if (mark === "-") continue;
      if (code.startsWith("2")) return;
      throw new ClickRefusal(Number(code), `Click says ${code}: ${said.join("; ")}`);
    }
  }

  /** One after the other: an answer has no number that says what it is about. */
  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(() => {
      if (this.#failure !== null) throw this.#failure;
      return act();
    });
    this.#turn = result.catch(() => {});
    return result;
  }

  read(handler: string): Promise<string> {
    return this.#inTurn(async () => {
      this.socket.write(`READ ${handler}\n`);
      await this.#answer();
      const count = Number(/^DATA (\d{1,9})$/.exec(await this.#line())?.[1] ?? NaN);
      if (!(count <= DATA_BYTES_MAX)) {
        this.#fail(`${handler} has no data, or more than ${DATA_BYTES_MAX} bytes`);
      }
      await this.#until(() => this.#buffer.length >= count);
      return new TextDecoder().decode(this.#take(count));
    });
  }

  write(handler: string, text: string): Promise<void> {
    return this.#inTurn(async () => {
      const bytes = new TextEncoder().encode(text);
      this.socket.write(`WRITEDATA ${handler} ${bytes.length}\n`);
      this.socket.write(bytes);
      await this.#answer();
    });
  }

  close(): void {
    this.#failure ??= new Error("Cannot speak to Click: the driver is closed");
    this.socket.destroy();
    this.#wake();
  }
}
