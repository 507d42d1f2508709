/**
 * The gate's bookkeeping: what passed, failed and was skipped, and the one line at the end.
 *
 * Pure. Deno's JUnit file gives the totals of a group; when a group hangs there is no such file, and what it printed
 * so far gives them instead, together with the test that hung.
 */
export interface Tally {
  readonly passed: number;
  /** One line each: what failed. */
  readonly failed: readonly string[];
  /** One line each: what was skipped, with the reason. */
  readonly skipped: readonly string[];
  /** One line each: what failed and then passed when it was run once more; counted as passed. */
  readonly again: readonly string[];
}

export const NOTHING: Tally = { passed: 0, failed: [], skipped: [], again: [] };

export function add(a: Tally, b: Tally): Tally {
  return {
    passed: a.passed + b.passed,
    failed: [...a.failed, ...b.failed],
    skipped: [...a.skipped, ...b.skipped],
    again: [...a.again, ...b.again],
  };
}

/** The last line of the gate. */
export function summary(tally: Tally): string {
  return `${tally.passed} passed, ${tally.failed.length} failed, ${tally.skipped.length} skipped`;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescape(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => ENTITIES[name] ?? "")
    .replace(
      /&#(x?)([0-9a-f]+);/gi,
      (_, hex: string, digits: string) => String.fromCodePoint(parseInt(digits, hex === "" ? 10 : 16)),
    );
}

function attribute(attributes: string, name: string): string {
  return unescape(new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes)?.[1] ?? "");
}

/** Skipped tests carry their reason at the end of their name: "... (needs root)". */
function skippedLine(where: string, name: string): string {
  return /\([^()]+\)$/.test(name) ? `${where}: ${name}` : `${where}: ${name} (no reason in its name)`;
}

/** Does `deno test --filter` run a test of this name? */
function isWanted(name: string, filter: string | undefined): boolean {
  if (filter === undefined) return true;
  const pattern = /^\/(.*)\/$/.exec(filter)?.[1];
  return pattern === undefined ? name.includes(filter) : new RegExp(pattern).test(name);
}

const isFailure = (body: string) => /<(failure|error)[\s>]/.test(body);

function testcases(xml: string) {
  const found = xml.matchAll(/<testcase\s([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g);
  return [...found].map(([, attributes = "", body = ""]) => ({
    where: attribute(attributes, "classname").replace(/^\.\//, ""),
    name: attribute(attributes, "name"),
    body,
  }));
}

const REASON_START = 200;
const REASON_END = 400;

/** What a failure said, on one line and without its stack: how it begins and how it ends. */
function reason(body: string): string {
  const text = unescape(/<(?:failure|error)[^>]*>([\s\S]*?)<\/(?:failure|error)>/.exec(body)?.[1] ?? "");
  const said = text.split("\n").filter((line) => !/^\s+at /.test(line)).join(" ").replace(/\s+/g, " ").trim();
  if (said.length <= REASON_START + REASON_END) return said;
  return `${said.slice(0, REASON_START)} ... ${said.slice(-REASON_END)}`;
}

/** Names of the tests that ran and passed; none if anything of the file failed. */
export function passedTests(xml: string): string[] {
  const all = testcases(xml);
  if (all.some(({ body }) => isFailure(body))) return [];
  return all.filter(({ body }) => !/<skipped/.test(body)).map(({ name }) => name);
}

/** Totals of a JUnit file as `deno test` writes it; every test and every step counts. What a filter leaves out stands
 * there as skipped, and does not count. */
export function fromJunit(xml: string, filter?: string): Tally {
  let passed = 0;
  const failed: string[] = [];
  const skipped: string[] = [];
  for (const { where, name, body } of testcases(xml)) {
    if (isFailure(body)) failed.push(`${where}: ${name}: ${reason(body)}`);
    else if (/<skipped/.test(body)) {
      if (isWanted(name, filter)) skipped.push(skippedLine(where, name));
    } else passed++;
  }
  return { ...NOTHING, passed, failed, skipped };
}

// deno-lint-ignore no-control-regex -- colours are control characters
const COLOURS = /\x1b\[[0-9;]*m/g;

/** Totals of what `deno test` had printed when it was stopped, and the test it was in. */
export function fromOutput(output: string): { readonly tally: Tally; readonly running: string } {
  const plain = output.replace(COLOURS, "");
  const failed: string[] = [];
  const skipped: string[] = [];
  let passed = 0;
  let file = "";
  let running = "";
  for (const line of plain.split("\n")) {
    const opened = /^running \d+ tests? from \.?\/?(.*)$/.exec(line);
    if (opened !== null) file = opened[1] ?? "";
    const found = /^\s*(.+?) \.\.\.(?: (ok|FAILED|ignored)\b.*)?$/.exec(line.trimEnd());
    if (found === null) continue;
    const [, name = "", verdict] = found;
    if (verdict === undefined) running = `${file}: ${name}`;
    else running = "";
    if (verdict === "ok") passed++;
    if (verdict === "FAILED") failed.push(`${file}: ${name}`);
    if (verdict === "ignored") skipped.push(skippedLine(file, name));
  }
  return {
    tally: { ...NOTHING, passed, failed, skipped },
    running: running === "" ? `${file} (before its first test)` : running,
  };
}

export interface GroupEnd {
  readonly name: string;
  readonly code: number;
  /** The limit that was passed, in seconds; null: it ended by itself. */
  readonly limitS: number | null;
  /** null: none was written. */
  readonly junit: string | null;
  readonly output: string;
  readonly filter?: string | undefined;
}

/** What a group of tests amounts to, however it ended. */
export function judge(end: GroupEnd): Tally {
  if (end.limitS !== null) {
    const { tally, running } = fromOutput(end.output);
    return add(tally, {
      ...NOTHING,
      failed: [`${end.name}: not done after ${end.limitS} s, stopped in ${running}`],
    });
  }
  const tally = end.junit === null ? fromOutput(end.output).tally : fromJunit(end.junit, end.filter);
  const unexplained = end.code !== 0 && tally.failed.length === 0;
  if (!unexplained) return tally;
  return add(tally, { ...NOTHING, failed: [`${end.name}: deno test ended with ${end.code}, see above`] });
}
