/**
 * Duty: speaks to QEMU's monitor over its socket: one command at a time, events are passed over.
 *
 * Source: QEMU, "QMP protocol specification". A line is one JSON object.
 */
export class Monitor {
  readonly #socket: Deno.UnixConn;
  readonly #decoder = new TextDecoder();
  #rest = "";

  private constructor(socket: Deno.UnixConn) {
    this.#socket = socket;
  }

  /** @throws Error where nobody listens */
  static async connect(path: string): Promise<Monitor> {
    const monitor = new Monitor(await Deno.connect({ transport: "unix", path }));
    await monitor.#line(); // the greeting
    await monitor.run("qmp_capabilities");
    return monitor;
  }

  /** @throws Error with what QEMU says against it */
  async run(execute: string, more: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const text = JSON.stringify({ execute, arguments: more });
    await this.#socket.write(new TextEncoder().encode(`${text}\n`));
    for (;;) {
      const said = JSON.parse(await this.#line());
      if ("return" in said) return said.return;
      if ("error" in said) throw new Error(`Cannot ${execute} in QEMU: ${said.error.desc}`);
    }
  }

  async #line(): Promise<string> {
    const chunk = new Uint8Array(4096);
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0) {
        const line = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        return line;
      }
      const count = await this.#socket.read(chunk);
      if (count === null) throw new Error("Cannot speak to QEMU: it has closed its monitor");
      this.#rest += this.#decoder.decode(chunk.subarray(0, count), { stream: true });
    }
  }

  close(): void {
    this.#socket.close();
  }
}
