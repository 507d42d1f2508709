/**
 * Duty: which commands this node was given, and what became of them: each is carried out once, or never. Pure.
 *
 * A line is on disk before what it tells of is done: taken before begun, begun before the first effect, ended before the
 * result is told. Who was ended between begun and ended did part of the work, perhaps: the command counts as interrupted,
 * and is not begun again. Numbers ascend, so the highest one stands for all that were forgotten.
 */
import { wholeLine, wholeLines } from "../layer/line.ts";
import type { Message } from "./messages.ts";

type Command = Message<"command">;
type Result = Message<"result">;

export type BookLine =
  | { readonly is: "taken"; readonly command: Command }
  | { readonly is: "begun" | "settled"; readonly number: number }
  | { readonly is: "ended"; readonly result: Result }
  /** All up to this one were given once. */
  | { readonly is: "highest"; readonly number: number };

export type Taken =
  | { readonly is: "fresh" }
  | { readonly is: "known" }
  | { readonly is: "ended"; readonly result: Result };

interface Entry {
  readonly command: Command | null;
  begun: boolean;
  result: Result | null;
  settled: boolean;
}

/** Ended ones that are remembered with their result. */
const KEEP = 200;

export class CommandBook {
  readonly #entries = new Map<number, Entry>();
  readonly #write: (line: BookLine) => void;
  #highest = 0;

  /** @param write puts a line on disk before it returns. @throws what it throws */
  constructor(lines: readonly BookLine[], write: (line: BookLine) => void) {
    this.#write = write;
    for (const line of lines) this.#apply(line);
  }

  /** Whether a command is new; then it is written down. */
  take(command: Command): Taken {
    const { number } = command, entry = this.#entries.get(number);
    if (entry?.result) return { is: "ended", result: entry.result };
    if (entry !== undefined) return { is: "known" };
    if (number <= this.#highest) {
      const text = "it was given before, and what became of it is not kept any more";
      return { is: "ended", result: resultOf(number, "interrupted", text) };
    }
    this.#note({ is: "taken", command });
    return { is: "fresh" };
  }

  begin(number: number): void {
    this.#note({ is: "begun", number });
  }

  end(result: Result): void {
    this.#note({ is: "ended", result });
  }

  /** The controller has it. */
  settle(number: number): void {
    if (this.#entries.get(number)?.settled === false) this.#note({ is: "settled", number });
  }

  /** After a start: what was begun ends as interrupted, what was only taken is returned, to be begun. */
  recover(): readonly Command[] {
    const waiting: Command[] = [];
    for (const [number, { command, begun, result }] of [...this.#entries]) {
      if (result !== null) continue;
      if (!begun && command !== null) waiting.push(command);
      else {
        const text = "the agent was ended while it was at it; whether it took effect is not known";
        this.end(resultOf(number, "interrupted", text));
      }
    }
    return waiting;
  }

  /** Results that the controller has not noted. */
  unsettled(): readonly Result[] {
    return [...this.#entries.values()].flatMap(({ result, settled }) =>
      result === null || settled ? [] : [result]
    );
  }

  /** As few lines as say the same. */
  lines(): readonly BookLine[] {
    return [
      { is: "highest", number: this.#highest },
      ...[...this.#entries].flatMap(([number, { command, begun, result, settled }]): BookLine[] => [
        ...(command !== null && result === null ? [{ is: "taken", command } as const] : []),
        ...(begun && result === null ? [{ is: "begun", number } as const] : []),
        ...(result !== null ? [{ is: "ended", result } as const] : []),
        ...(settled ? [{ is: "settled", number } as const] : []),
      ]),
    ];
  }

  #note(line: BookLine): void {
    this.#write(line);
    this.#apply(line);
  }

  #apply(line: BookLine): void {
    switch (line.is) {
      case "highest":
        this.#highest = Math.max(this.#highest, line.number);
        return;
      case "taken": {
        const { command } = line;
        this.#entries.set(command.number, { command, begun: false, result: null, settled: false });
        this.#highest = Math.max(this.#highest, command.number);
        return;
      }
      case "begun":
        this.#of(line.number).begun = true;
        return;
      case "ended":
        this.#of(line.result.command).result = line.result;
        this.#highest = Math.max(this.#highest, line.result.command);
        return;
      case "settled":
        this.#of(line.number).settled = true;
        this.#forget();
    }
  }

  #of(number: number): Entry {
    const entry = this.#entries.get(number) ?? { command: null, begun: true, result: null, settled: false };
    this.#entries.set(number, entry);
    return entry;
  }

  /** Those that are settled, the oldest first, beyond a bound. */
  #forget(): void {
    const settled = [...this.#entries].filter(([, entry]) => entry.settled);
    for (const [number] of settled.slice(0, Math.max(0, settled.length - KEEP))) this.#entries.delete(number);
  }
}

export function resultOf(command: number, outcome: Result["outcome"], text: string): Result {
  return { type: "result", command, outcome, text, data: {}, bytes: null };
}

/** The lines of a file; one that was cut is left out. */
export function readBook(text: string): readonly BookLine[] {
  return wholeLines<BookLine>(text).values;
}

export function bookLine(line: BookLine): string {
  return wholeLine(line);
}

/** What of a file's text is still needed. */
export function compactBook(text: string): string {
  return new CommandBook(readBook(text), () => {}).lines().map(bookLine).join("");
}
