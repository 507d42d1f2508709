/**
 * The bulk of a network, which the test suites of network tools lack: long transfers, generated.
 *
 * Sizes follow a bounded Pareto law (few flows carry most bytes). Three in four are TLS downloads, the rest HTTP downloads
 * and TLS uploads; 1,448-byte segments at 10 Mbit/s, an ACK for every second one. Pure; the seed makes runs repeatable.
 * How many are added to the real captures is decided in ids_mix.ts.
 */
import { type CapturedFrame, LINK_ETHERNET } from "../../filter/capture.ts";
import { Random } from "../../filter/random.ts";

export const BULK = {
  sizeMin: 60_000,
  sizeMax: 100_000_000,
  alpha: 1.1,
  segmentBytes: 1448,
  /** Between two segments. */
  gapNs: 1_200_000n,
  seed: 36,
} as const;

const HEADERS = 14 + 20 + 20;
const TLS_RECORD_BYTES = 16_384;
const FLAG = { fin: 1, syn: 2, psh: 8, ack: 16 } as const;
const PORT = { http: 80, tls: 443 } as const;

export type BulkKind = "tls-download" | "http-download" | "tls-upload";

/** A size by the bounded Pareto law: inverse of its distribution function. */
export function bulkSize(random: Random): number {
  const { sizeMin: low, sizeMax: high, alpha } = BULK;
  const u = random.u32() / 2 ** 32;
  return Math.floor(low * Math.pow(1 - u * (1 - Math.pow(low / high, alpha)), -1 / alpha));
}

export function bulkKind(random: Random): BulkKind {
  const dice = random.below(100);
  return dice < 75 ? "tls-download" : dice < 90 ? "http-download" : "tls-upload";
}

/** One connection, told packet by packet. */
class Talk {
  readonly frames: CapturedFrame[] = [];
  readonly #number: number;
  readonly #port: number;
  /** Next sequence number of client and server. */
  readonly #seq: [number, number] = [1000, 5000];
  #timeNs: bigint;

  constructor(number: number, port: number, timeNs: bigint) {
    this.#number = number;
    this.#port = port;
    this.#timeNs = timeNs;
  }

  send(from: 0 | 1, flags: number, payload: Uint8Array = new Uint8Array(0)): void {
    const bytes = new Uint8Array(HEADERS + payload.length);
    const view = new DataView(bytes.buffer);
    view.setUint16(12, 0x0800);
    view.setUint8(14, 0x45);
    view.setUint16(16, bytes.length - 14);
    view.setUint8(22, 64);
    view.setUint8(23, 6);
    const ends = [0x0a00_0000 + this.#number, 0xc633_6401] as const;
    const ports = [20_000 + this.#number % 40_000, this.#port] as const;
    view.setUint32(26, ends[from]);
    view.setUint32(30, ends[1 - from]!);
    view.setUint16(34, ports[from]);
    view.setUint16(36, ports[1 - from]!);
    view.setUint32(38, this.#seq[from]);
    view.setUint32(42, flags === FLAG.syn ? 0 : this.#seq[1 - from]!);
    view.setUint8(46, 0x50);
    view.setUint8(47, flags);
    view.setUint16(48, 0xffff);
    bytes.set(payload, HEADERS);
    const length = payload.length + (flags & (FLAG.syn | FLAG.fin) ? 1 : 0);
    this.#seq[from] = (this.#seq[from] + length) >>> 0;
    this.frames.push({ timeNs: this.#timeNs, link: LINK_ETHERNET, bytes, wireLength: bytes.length });
    this.#timeNs += BULK.gapNs;
  }

  /** So many bytes in segments, an ACK for every second one. `record` marks the start of each TLS record. */
  stream(from: 0 | 1, bytes: number, content: Uint8Array, record: Uint8Array | null): void {
    let toRecord = 0;
    for (let sent = 0, n = 1; sent < bytes; n++) {
      const size = Math.min(BULK.segmentBytes, bytes - sent);
      const segment = content.slice(0, size);
      if (record && toRecord < size) {
        segment.set(record.subarray(0, size - toRecord), toRecord);
        toRecord += TLS_RECORD_BYTES + record.length;
      }
      toRecord -= size;
      this.send(from, FLAG.ack, segment);
      sent += size;
      if (n % 2 === 0 || sent >= bytes) this.send(from === 0 ? 1 : 0, FLAG.ack);
    }
  }
}

function tlsRecord(type: number, handshake: number, bytes: number, content: Uint8Array): Uint8Array {
  const record = content.slice(0, bytes);
  record.set([type, 3, 3, (bytes - 5) >> 8, (bytes - 5) & 255]);
  if (type === 22) record.set([handshake, 0, (bytes - 9) >> 8, (bytes - 9) & 255], 5);
  return record;
}

function tlsHandshake(talk: Talk, content: Uint8Array): void {
  talk.send(0, FLAG.ack | FLAG.psh, tlsRecord(22, 1, 517, content));
  const hello = tlsRecord(22, 2, 3200, content);
  for (let at = 0; at < hello.length; at += BULK.segmentBytes) {
    talk.send(1, FLAG.ack, hello.subarray(at, at + BULK.segmentBytes));
  }
  talk.send(0, FLAG.ack | FLAG.psh, tlsRecord(20, 0, 6, content));
}

/** The frames of one transfer, without checksums: nothing here looks at them. */
export function bulkFlow(
  number: number,
  kind: BulkKind,
  bytes: number,
  content: Uint8Array,
): CapturedFrame[] {
  const talk = new Talk(number, kind === "http-download" ? PORT.http : PORT.tls, BigInt(number) * 1_000_000n);
  talk.send(0, FLAG.syn);
  talk.send(1, FLAG.syn | FLAG.ack);
  talk.send(0, FLAG.ack);
  const text = (words: string) => new TextEncoder().encode(words);
  if (kind === "http-download") {
    talk.send(0, FLAG.ack | FLAG.psh, text(`GET /${number} HTTP/1.1\r\nHost: bulk.example\r\n\r\n`));
    talk.send(1, FLAG.ack | FLAG.psh, text(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`));
    talk.stream(1, bytes, content, null);
  } else {
    tlsHandshake(talk, content);
    const [large, small]: [0 | 1, 0 | 1] = kind === "tls-download" ? [1, 0] : [0, 1];
    if (large === 1) talk.send(0, FLAG.ack | FLAG.psh, tlsRecord(23, 0, 300, content));
    talk.stream(
      large,
      bytes,
      content,
      Uint8Array.of(23, 3, 3, TLS_RECORD_BYTES >> 8, TLS_RECORD_BYTES & 255),
    );
    if (large === 0) talk.send(small, FLAG.ack | FLAG.psh, tlsRecord(23, 0, 300, content));
  }
  talk.send(1, FLAG.fin | FLAG.ack);
  talk.send(0, FLAG.fin | FLAG.ack);
  talk.send(1, FLAG.ack);
  return talk.frames;
}

/** Payload that no rule could mistake for a protocol; the same for all. */
export function bulkContent(): Uint8Array {
  const random = new Random(BULK.seed);
  return Uint8Array.from({ length: 4096 }, () => random.u32() & 255);
}

/** Transfers without end, each as its frames. */
export function* bulkFlows(): Generator<CapturedFrame[], never> {
  const random = new Random(BULK.seed);
  const content = bulkContent();
  for (let number = 1;; number++) yield bulkFlow(number, bulkKind(random), bulkSize(random), content);
}
