/**
 * A small picture in memory: lines, dots and words on a white ground, written as PNG.
 *
 * For plots where no browser is at hand. Letters are five dots wide and seven high; capitals and accents are not needed and
 * not there. PNG: ISO/IEC 15948, eight bits of red, green and blue.
 */
const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const LETTER = { wide: 5, high: 7, step: 6 } as const;

/** Rows from above, two hexadecimal digits each; the highest of five bits is the left dot. */
const LETTERS: Readonly<Record<string, string>> = {
  "0": "0e11131519110e",
  "1": "040c040404040e",
  "2": "0e11010204081f",
  "3": "1f02040201110e",
  "4": "02060a121f0202",
  "5": "1f101e0101110e",
  "6": "0608101e11110e",
  "7": "1f010204080808",
  "8": "0e11110e11110e",
  "9": "0e11110f01020c",
  "a": "00000e010f110f",
  "b": "1010161911111e",
  "c": "00000e1010110e",
  "d": "01010d1311110f",
  "e": "00000e111f100e",
  "f": "0609081c080808",
  "g": "000f11110f010e",
  "h": "10101619111111",
  "i": "04000c0404040e",
  "j": "0200060202120c",
  "k": "10101214181412",
  "l": "0c04040404040e",
  "m": "00001a15151111",
  "n": "00001619111111",
  "o": "00000e1111110e",
  "p": "00001e111e1010",
  "q": "00000d130f0101",
  "r": "00001619101010",
  "s": "00000e100e011e",
  "t": "08081c08080906",
  "u": "0000111111130d",
  "v": "00001111110a04",
  "w": "0000111115150a",
  "x": "0000110a040a11",
  "y": "000011110f010e",
  "z": "00001f0204081f",
  "-": "0000001f000000",
  ".": "00000000000c0c",
  ",": "000000000c0408",
  "%": "18190204081303",
  "/": "00010204081000",
};
/** What has no letter. */
const UNKNOWN = "1f11111111111f";

export type Colour = readonly [red: number, green: number, blue: number];
export type Point = readonly [x: number, y: number];

export class Raster {
  readonly width: number;
  readonly height: number;
  /** Dots of three bytes, row by row. */
  readonly dots: Uint8Array<ArrayBuffer>;

  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
    this.dots = new Uint8Array(width * height * 3).fill(255);
  }

  /** What lies outside is not drawn. */
  dot(x: number, y: number, colour: Colour): void {
    const [column, row] = [Math.round(x), Math.round(y)];
    if (column < 0 || row < 0 || column >= this.width || row >= this.height) return;
    this.dots.set(colour, (row * this.width + column) * 3);
  }

  /** Every `gap`-th part of `gap` dots is left out; 0: none. */
  line([x, y]: Point, [toX, toY]: Point, colour: Colour, gap = 0): void {
    const steps = Math.max(1, Math.ceil(Math.max(Math.abs(toX - x), Math.abs(toY - y))));
    for (let i = 0; i <= steps; i++) {
      if (gap > 0 && Math.floor(i / gap) % 2 === 1) continue;
      const [atX, atY] = [x + ((toX - x) * i) / steps, y + ((toY - y) * i) / steps];
      this.dot(atX, atY, colour);
      this.dot(atX + 1, atY, colour);
      this.dot(atX, atY + 1, colour);
    }
  }

  disc([x, y]: Point, radius: number, colour: Colour): void {
    for (let down = -radius; down <= radius; down++) {
      for (let right = -radius; right <= radius; right++) {
        if (right * right + down * down <= radius * radius) this.dot(x + right, y + down, colour);
      }
    }
  }

  /** Words in lower case, `size` dots for each of a letter; `anchor` says which part of them is at `x`, `y` is their foot. */
  text([x, y]: Point, words: string, options: { size: number; anchor: "start" | "middle" | "end" }): void {
    const { size, anchor } = options;
    const wide = words.length * LETTER.step * size;
    const left = anchor === "start" ? x : anchor === "middle" ? x - wide / 2 : x - wide;
    [...words.toLowerCase()].forEach((letter, i) => {
      if (letter === " ") return;
      this.#letter([left + i * LETTER.step * size, y - LETTER.high * size], LETTERS[letter] ?? UNKNOWN, size);
    });
  }

  #letter([x, y]: Point, rows: string, size: number): void {
    Uint8Array.fromHex(rows).forEach((bits, row) => {
      for (let column = 0; column < LETTER.wide; column++) {
        if (!(bits & (1 << (LETTER.wide - 1 - column)))) continue;
        for (let i = 0; i < size * size; i++) {
          this.dot(x + column * size + (i % size), y + row * size + Math.floor(i / size), [51, 51, 51]);
        }
      }
    });
  }

  /** The picture as a PNG file. */
  async png(): Promise<Uint8Array<ArrayBuffer>> {
    const head = new Uint8Array(13);
    const view = new DataView(head.buffer);
    view.setUint32(0, this.width);
    view.setUint32(4, this.height);
    head.set([8, 2, 0, 0, 0], 8);
    // Each row is preceded by its filter: none.
    const rows = new Uint8Array((this.width * 3 + 1) * this.height);
    for (let row = 0; row < this.height; row++) {
      const from = row * this.width * 3;
      rows.set(this.dots.subarray(from, from + this.width * 3), row * (this.width * 3 + 1) + 1);
    }
    const packed = await deflate(rows);
    const parts = [
      Uint8Array.from(SIGNATURE),
      chunk("IHDR", head),
      chunk("IDAT", packed),
      chunk("IEND", new Uint8Array()),
    ];
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  }
}

async function deflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

function chunk(name: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(data.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(name), 4);
  bytes.set(data, 8);
  view.setUint32(data.length + 8, crc32(bytes.subarray(4, data.length + 8)));
  return bytes;
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
