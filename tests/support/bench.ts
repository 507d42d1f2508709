/**
 * Duty: the six places around a node, held by one program: sends any frame at any of them and records what arrives.
 *
 * To say "nothing else arrives" without waiting for time to pass, markers are sent after the frames: the plane takes
 * the frames of a port in their order, so when a marker has come through twice, so has everything before it.
 */
import { ALL_ROLES, type Role } from "../../appliance/view.ts";
import { end } from "../../scripts/lab/process.ts";
import { ANSWER_MS_MAX, within } from "./child.ts";

export interface Arrival {
  readonly role: Role;
  readonly bytes: Uint8Array;
}

const HEAD_BYTES = 5;
const READY = 0xff;
const REFUSED = 0x80;
const MARKER_SOURCE = [0x02, 0x6d, 0x61, 0x72, 0x6b, 0x72];

/** An ARP reply from nobody: passes, is copied to the standby, teaches the node nothing. */
function marker(number: number): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(60);
  frame.set([0x02, 0, 0, 0, 0, 0xee, ...MARKER_SOURCE, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 2, ...MARKER_SOURCE]);
  new DataView(frame.buffer).setUint32(38, number);
  return frame;
}

function markerNumber(frame: Uint8Array): number | null {
  if (!MARKER_SOURCE.every((byte, i) => frame[6 + i] === byte)) return null;
  return new DataView(frame.buffer, frame.byteOffset).getUint32(38);
}

export class Bench {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  readonly #marks = new Map<string, number>();
  #arrivals: Arrival[] = [];
  #refused: Arrival[] = [];
  #markers = 0;
  #ready = false;
  #wake = Promise.withResolvers<void>();

  constructor(argv: readonly string[]) {
    const [program, ...args] = argv;
    this.#child = new Deno.Command(program!, { args, stdin: "piped", stdout: "piped", stderr: "inherit" })
      .spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#reading = this.#read();
  }

  async #read(): Promise<void> {
    let held = new Uint8Array(0);
    for await (const chunk of this.#child.stdout) {
      const all = new Uint8Array(held.length + chunk.length);
      all.set(held);
      all.set(chunk, held.length);
      held = all.subarray(this.#takeRecords(all));
      this.#wake.resolve();
      this.#wake = Promise.withResolvers();
    }
  }

  /** Takes whole records from the front; returns how many bytes they had. */
  #takeRecords(bytes: Uint8Array): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    while (at + HEAD_BYTES <= bytes.length) {
      const end = at + HEAD_BYTES + view.getUint32(at + 1, true);
      if (end > bytes.length) break;
      this.#take(bytes[at]!, bytes.slice(at + HEAD_BYTES, end));
      at = end;
    }
    return at;
  }

  #take(port: number, bytes: Uint8Array): void {
    if (port === READY) {
      this.#ready = true;
      return;
    }
    const role = ALL_ROLES[port & ~REFUSED]!;
    const number = markerNumber(bytes);
    if (port & REFUSED) this.#refused.push({ role, bytes });
    else if (number === null) this.#arrivals.push({ role, bytes });
    else this.#marks.set(`${role} ${number}`, (this.#marks.get(`${role} ${number}`) ?? 0) + 1);
  }

  /** Resolves when `is()` holds; an arrival is looked at as it comes. */
  async until(is: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + ANSWER_MS_MAX;
    while (!is()) {
      // Not a matter of the timer alone: a storm of frames wakes us before it could.
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`Cannot see ${what} among ${this.#arrivals.length} frames`);
      await within(this.#wake.promise, left, () => `Cannot see ${what}`);
    }
  }

  ready(): Promise<void> {
    return this.until(() => this.#ready, "the bench getting ready");
  }

  async send(role: Role, frame: Uint8Array): Promise<void> {
    const record = new Uint8Array(HEAD_BYTES + frame.length);
    record[0] = ALL_ROLES.indexOf(role);
    new DataView(record.buffer).setUint32(1, frame.length, true);
    record.set(frame, HEAD_BYTES);
    await this.#writer.write(record);
  }

  /**
   * Waits until everything that was sent has gone through the node: markers take each of `ways`, from the first role
   * to all the others of it, twice.
   */
  async settle(ways: readonly (readonly [Role, ...Role[]])[]): Promise<void> {
    for (let round = 0; round < 2; round++) {
      const expected: string[] = [];
      for (const [from, ...to] of ways) {
        const number = ++this.#markers;
        await this.send(from, marker(number));
        expected.push(...to.map((role) => `${role} ${number}`));
      }
      const missing = () => expected.filter((key) => !this.#marks.has(key));
      await this.until(() => missing().length === 0, `markers at ${expected.join(", ")}`)
        .catch((cause) => {
          throw new Error(`Cannot see the marker at ${missing().join(", ")}`, { cause });
        });
    }
  }

  /** What has arrived since the last call, without markers; the order of one role is the order of arrival. */
  taken(): Arrival[] {
    const arrivals = this.#arrivals;
    this.#arrivals = [];
    return arrivals;
  }

  /** What has arrived so far, left in place. */
  get arrivals(): readonly Arrival[] {
    return this.#arrivals;
  }

  /** Frames that the kernel did not take from us since the last call. */
  refused(): Arrival[] {
    const refused = this.#refused;
    this.#refused = [];
    return refused;
  }

  async end(): Promise<void> {
    await this.#writer.close().catch(() => {}); // it may have ended by itself
    const timer = setTimeout(() => end(this.#child, "SIGKILL"), 2_000);
    await this.#reading;
    await this.#child.status;
    clearTimeout(timer);
  }
}
