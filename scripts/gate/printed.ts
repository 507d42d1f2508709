/**
 * What `deno test` prints without a terminal, as it comes: which test runs, and how it ended.
 *
 *   running 2 tests from ./tests/lab/a_test.ts
 *   one() waits ... ok (3s)
 *   two() talks ...
 *     a step ... FAILED (1ms)
 *   ------- output -------
 *   what a test says, which may look like anything
 *   ----- output end -----
 *   two() talks ... FAILED (due to 1 failed step) (5s)
 *
 * Steps belong to their test. Pure.
 */
export interface NamedTest {
  readonly file: string;
  readonly name: string;
}

export type Verdict = "ok" | "FAILED" | "ignored";

export interface Hearer {
  readonly began: (test: NamedTest) => void;
  readonly ended: (test: NamedTest, verdict: Verdict) => void;
}

// deno-lint-ignore no-control-regex -- colours are control characters
const COLOURS = /\x1b\[[0-9;]*m/g;
const OUTPUT_BEGINS = /^-+ (?:pre-test |post-test )?output -+$/;
const OUTPUT_ENDS = /-+ (?:pre-test |post-test )?output end -+$/;
const FILE = /^running \d+ tests? from \.?\/?(.*)$/;
const TEST = /^(\S.*?|) \.\.\.(?: (ok|FAILED|ignored)\b.*)?$/;
/** What is left of a line when a child of the test wrote between its name and its verdict. */
const VERDICT = /^ (ok|FAILED|ignored)(?: \(.*\))?$/;

export class Printed {
  readonly #hearer: Hearer;
  #line = "";
  #file = "";
  #isOutput = false;
  #running: NamedTest | null = null;

  constructor(hearer: Hearer) {
    this.#hearer = hearer;
  }

  /** Whatever was printed next. */
  add(text: string): void {
    const lines = (this.#line + text.replace(COLOURS, "")).split("\n");
    this.#line = lines.pop()!;
    for (const line of lines) this.#whole(line.trimEnd());
    // The name of a test stands there while it runs, before the line has its end.
    if (!this.#isOutput) this.#begins(TEST.exec(this.#line));
  }

  #whole(line: string): void {
    if (this.#isOutput) {
      this.#isOutput = !OUTPUT_ENDS.test(line);
      return;
    }
    this.#isOutput = OUTPUT_BEGINS.test(line);
    const file = FILE.exec(line)?.[1];
    if (file !== undefined) this.#file = file;
    const test = TEST.exec(line);
    if (test?.[2] !== undefined) {
      // One that is left out was never said to run.
      const { name } = this.#running ?? {};
      if (name !== test[1]) this.#begin(test[1]!);
      this.#end(test[2] as Verdict);
    } else if (test !== null) this.#begins(test);
    else this.#end(VERDICT.exec(line)?.[1] as Verdict | undefined);
  }

  #begins(test: RegExpExecArray | null): void {
    if (test !== null && test[2] === undefined && this.#running?.name !== test[1]) this.#begin(test[1]!);
  }

  #begin(name: string): void {
    this.#running = { file: this.#file, name };
    this.#hearer.began(this.#running);
  }

  #end(verdict: Verdict | undefined): void {
    const test = this.#running;
    if (verdict === undefined || test === null) return;
    this.#running = null;
    this.#hearer.ended(test, verdict);
  }
}
