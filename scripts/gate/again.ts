/**
 * Which failed tests of a group are run once more, and what is said of each at the end. Pure.
 *
 * Only what stands on clocks, and only where the machine itself was measurably kept from its work meanwhile; a failure on a
 * machine that was not is a failure.
 */
import { disturbanceText, type EndedTest, isDisturbed } from "./pauses.ts";
import { passedTests, type Tally } from "./tally.ts";

/** More than so many is no matter of the machine: a fault of ours that many tests meet would take the time of all of them. */
export const AGAIN_MAX = 5;

export interface Outcome {
  readonly test: EndedTest;
  /** How it was the second time; null: there was none. */
  readonly second: "passed" | "failed" | null;
  /** Why there was no second time. */
  readonly why: string;
}

/** Why this one is not run again; null: it is. */
export function whyNot(test: EndedTest, failed: number, isTimed: boolean): string | null {
  if (!isTimed) return "its group does not stand on clocks";
  if (!isDisturbed(test.disturbance)) return "that is no excuse";
  return failed > AGAIN_MAX ? `${failed} tests failed, which is no matter of the machine` : null;
}

/** What `deno test --filter` needs to run this test alone. */
export function exactly({ name }: EndedTest): string {
  return `--filter=/^${name.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")}$/`;
}

/** Did the one test that was asked for run, and pass? `xml` of the second time. */
export function passedAgain(test: EndedTest, code: number, xml: string | null): boolean {
  return code === 0 && xml !== null && passedTests(xml).includes(test.name);
}

/** "tests/lab/a_test.ts: name: reason": of this test, or of a step of it. Helpers that register tests have files of their own. */
function isOf({ file, name }: EndedTest, line: string): boolean {
  const at = line.indexOf(": "), where = line.slice(0, at), rest = line.slice(at + 2);
  const isThere = where === file || where.startsWith("tests/support/");
  return isThere && (rest.startsWith(`${name}: `) || rest.startsWith(`${name} > `));
}

function noteOf({ test, second, why }: Outcome): string {
  const meanwhile = disturbanceText(test.disturbance);
  if (second === null) return `[${meanwhile}; not run again: ${why}]`;
  return `[${meanwhile}; run once more: ${second}]`;
}

/** With what passed the second time counted as passed and named, and a note behind each failure that stays. */
export function concluded(tally: Tally, outcomes: readonly Outcome[]): Tally {
  const of = (line: string) => outcomes.find(({ test }) => isOf(test, line));
  const failed = tally.failed.flatMap((line) => {
    const outcome = of(line);
    if (outcome?.second === "passed") return [];
    return [outcome === undefined ? line : `${line} ${noteOf(outcome)}`];
  });
  const again = tally.failed.flatMap((line) => {
    const outcome = of(line);
    return outcome?.second === "passed" ? [`${line} ${noteOf(outcome)}`] : [];
  });
  return {
    ...tally,
    passed: tally.passed + again.length,
    failed,
    again: [...tally.again, ...again],
  };
}
