/**
 * Duty: ask HAProxy's runtime API, many commands on one connection.
 *
 * With "prompt" the API says "> " behind each answer, so answers can be told apart. A few commands at a time are on the
 * way: HAProxy reads as much as its buffer holds, and goes on when it has answered.
 */
const TIMEOUT_MS = 10_000;
const ON_THE_WAY_MAX = 32;
const ANSWER_CHARACTERS_MAX = 64 << 20;
const PROMPT = "\n> ";

/** Answers to commands, in their order. @throws Error where the API cannot be reached or ends in between */
export type AskHaproxy = (commands: readonly string[]) => Promise<string[]>;

async function connect(address: string): Promise<Deno.Conn> {
  try {
    if (address.startsWith("/")) return await Deno.connect({ transport: "unix", path: address });
    const split = address.lastIndexOf(":");
    const hostname = address.slice(0, split).replace(/^\[(.*)\]$/, "$1");
    return await Deno.connect({ hostname, port: Number(address.slice(split + 1)) });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot reach HAProxy at ${address}: ${why}`, { cause });
  }
}

class Talk {
  readonly #conn: Deno.Conn;
  readonly #text = new TextDecoder();
  readonly #buffer = new Uint8Array(1 << 16);
  #said = "";

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  async say(text: string): Promise<void> {
    let bytes: Uint8Array = new TextEncoder().encode(text);
    while (bytes.length > 0) bytes = bytes.subarray(await this.#conn.write(bytes));
  }

  async answer(): Promise<string> {
    let looked = 0;
    for (;;) {
      const end = this.#said.indexOf(PROMPT, looked);
      if (end >= 0) {
        const answer = this.#said.slice(0, end);
        this.#said = this.#said.slice(end + PROMPT.length);
        return answer;
      }
      looked = Math.max(0, this.#said.length - PROMPT.length);
      const count = await this.#conn.read(this.#buffer);
      if (count === null) throw new Error("Cannot read the answer of HAProxy: it ended the connection");
      this.#said += this.#text.decode(this.#buffer.subarray(0, count), { stream: true });
      if (this.#said.length > ANSWER_CHARACTERS_MAX) {
        throw new Error("Cannot read the answer of HAProxy: it is more than 64 MiB");
      }
    }
  }
}

async function talk(conn: Deno.Conn, commands: readonly string[]): Promise<string[]> {
  const one = new Talk(conn);
  await one.say("prompt\n");
  await one.answer();
  const answers: string[] = [];
  for (let from = 0; from < commands.length; from += ON_THE_WAY_MAX) {
    const some = commands.slice(from, from + ON_THE_WAY_MAX);
    await one.say(some.map((command) => `${command}\n`).join(""));
    for (let i = 0; i < some.length; i++) answers.push(await one.answer());
  }
  return answers;
}

/** `address`: a path, or ADDRESS:PORT. No connection is made for no commands. */
export async function askHaproxy(address: string, commands: readonly string[]): Promise<string[]> {
  if (commands.length === 0) return [];
  const conn = await connect(address);
  let late = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const limit = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        late = true;
        reject(new Error(`Cannot ask HAProxy at ${address}: no answer for ${TIMEOUT_MS} ms`));
      }, TIMEOUT_MS);
    });
    const talked = talk(conn, commands);
    // If the time is over, what it then fails with is no news.
    talked.catch(() => late);
    return await Promise.race([talked, limit]);
  } finally {
    clearTimeout(timer);
    conn.close();
  }
}
