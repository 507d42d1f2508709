/**
 * Whole lines of a text that comes in pieces, so that the lines of two speakers do not mix.
 */
export class Lines {
  #rest = "";
  readonly #say: (line: string) => void;

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  add(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop()!;
    for (const line of lines) this.#say(line);
  }

  /** What is left without an end is a line too. */
  end(): void {
    if (this.#rest !== "") this.#say(this.#rest);
    this.#rest = "";
  }
}
