/**
 * Colours, and numbers as people read them.
 *
 * Pure. A painter without colours gives the same text, so that what goes to a file or a pipe is clean.
 */
import type { Light } from "../appliance/view.ts";

export interface Painter {
  light(light: Light, text: string): string;
  bold(text: string): string;
  dim(text: string): string;
}

const CODES = { green: 32, yellow: 33, red: 31, bold: 1, dim: 2 } as const;

export function painter(colours: boolean): Painter {
  const paint = (code: number, text: string) => colours ? `\x1b[${code}m${text}\x1b[0m` : text;
  return {
    light: (light, text) => paint(CODES[light], text),
    bold: (text) => paint(CODES.bold, text),
    dim: (text) => paint(CODES.dim, text),
  };
}

/** 1234567 -> "1,234,567". */
export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Bits per second: "0", "950 bit/s", "12.3 Mbit/s". */
export function bitRate(bitsPerSecond: number): string {
  return scaled(bitsPerSecond, 1000, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"]);
}

/** 1536 -> "1.5 KiB". */
export function byteSize(bytes: number): string {
  return scaled(bytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]);
}

/** 0.0381 -> "3.81 %". */
export function percent(share: number): string {
  const value = share * 100;
  return `${value === 0 ? "0" : value.toFixed(value < 10 ? 2 : 1)} %`;
}

/** A length of time in its two largest units: "850 us", "12 ms", "3 s", "2 min 5 s", "3 d 4 h". */
export function duration(ms: number): string {
  if (ms < 0.9995) return `${Math.round(ms * 1000)} us`;
  if (ms < 999.5) return `${ms < 10 ? Number(ms.toFixed(1)) : Math.round(ms)} ms`;
  const seconds = Math.max(1, Math.floor(ms / 1000));
  const [large, unit, small, smaller] = seconds < 60
    ? [seconds, "s", 0, ""]
    : seconds < 3600
    ? [Math.floor(seconds / 60), "min", seconds % 60, "s"]
    : seconds < 86400
    ? [Math.floor(seconds / 3600), "h", Math.floor(seconds / 60) % 60, "min"]
    : [Math.floor(seconds / 86400), "d", Math.floor(seconds / 3600) % 24, "h"];
  return small === 0 ? `${large} ${unit}` : `${large} ${unit} ${small} ${smaller}`;
}

/** "2026-01-31 12:00:00.123", in UTC. */
export function wallTime(ms: number): string {
  return new Date(ms).toISOString().replace("T", " ").replace("Z", "");
}

/** Rows in columns as wide as their widest cell; the columns whose index is in `right` are flush right. */
export function table(rows: readonly (readonly string[])[], right: readonly number[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => widths[column] = Math.max(widths[column] ?? 0, cell.length));
  }
  return rows.map((row) => {
    const cells = row.map((cell, column) => {
      const width = widths[column] ?? 0;
      return right.includes(column) ? cell.padStart(width) : cell.padEnd(width);
    });
    return cells.join("  ").trimEnd();
  });
}

function scaled(value: number, step: number, units: readonly string[]): string {
  let index = 0;
  // From 999.5 on it would be shown as the step itself.
  while (value >= step - 0.5 && index < units.length - 1) {
    value /= step;
    index++;
  }
  const shown = index === 0 || value >= 100 ? String(Math.round(value)) : value.toFixed(1);
  return `${shown} ${units[index]}`;
}
