/**
 * Duty: the ControlSocket of a Click router, as its documentation describes it, over handlers in memory.
 */
export type Handlers = Readonly<
  Record<string, { readonly read?: () => string; readonly write?: (text: string) => string | null }>
>;

export class FakeClick {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open = new Set<Deno.Conn>();
  readonly #serving: Promise<void>;
  /** Commands as they came. */
  readonly log: string[] = [];

  constructor(readonly handlers: Handlers, readonly hello = "Click::ControlSocket/1.3") {
    this.#serving = this.#serve();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  async #serve(): Promise<void> {
    for await (const conn of this.#listener) {
      this.#open.add(conn);
      void this.#converse(conn).catch(() => {}).finally(() => this.#open.delete(conn));
    }
  }

  async #converse(conn: Deno.Conn): Promise<void> {
    const say = (text: string) => conn.write(new TextEncoder().encode(text));
    await say(`${this.hello}\r\n`);
    let rest = "";
    const buffer = new Uint8Array(4096);
    for (let count = await conn.read(buffer); count !== null; count = await conn.read(buffer)) {
      rest += new TextDecoder().decode(buffer.subarray(0, count));
      for (;;) {
        const end = rest.indexOf("\n");
        if (end < 0) break;
        const [command = "", handler = "", size = "0"] = rest.slice(0, end).split(" ");
        const more = command === "WRITEDATA" ? Number(size) : 0;
        if (rest.length < end + 1 + more) break;
        const data = rest.slice(end + 1, end + 1 + more);
        this.log.push(`${rest.slice(0, end)}${more > 0 ? ` ${data}` : ""}`);
        rest = rest.slice(end + 1 + more);
        await say(this.#answer(command, handler, data));
      }
    }
  }

  #answer(command: string, name: string, data: string): string {
    const [element = ""] = name.split(".");
    const handler = this.handlers[name];
    if (!Object.keys(this.handlers).some((one) => one.startsWith(`${element}.`))) {
      return `510 No element named '${element}'\r\n`;
    }
    if (command === "READ") {
      if (handler?.read === undefined) return `511 No handler named '${name}'\r\n`;
      const text = handler.read();
      return `200-Read handler '${name}'\r\n200 OK\r\nDATA ${text.length}\r\n${text}`;
    }
    if (command !== "WRITEDATA") return `501 Unimplemented command '${command}'\r\n`;
    if (handler?.write === undefined) return `511 No handler named '${name}'\r\n`;
    const fault = handler.write(data);
    return fault === null
      ? `200 Write handler '${name}' OK\r\n`
      : `520-Write handler '${name}' error\r\n520 ${fault}\r\n`;
  }

  async close(): Promise<void> {
    for (const conn of this.#open) conn.close();
    this.#listener.close();
    await this.#serving.catch(() => {});
  }
}
