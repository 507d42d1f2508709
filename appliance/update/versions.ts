/**
 * Duty: which of two versions is younger, and whether a bundle may be installed. Pure.
 *
 * Order is that of semantic versioning (semver.org, 11): numbers by number, a pre-release before its release.
 */

const VERSION = /^(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/;

/** Below 0: `one` is older. @throws SyntaxError: one of them is no version */
export function compareVersions(one: string, two: string): number {
  const [a, b] = [partsOf(one), partsOf(two)];
  for (const i of [0, 1, 2] as const) if (a.numbers[i] !== b.numbers[i]) return a.numbers[i] - b.numbers[i];
  if (a.early.length === 0 || b.early.length === 0) return b.early.length - a.early.length;
  for (let i = 0; i < Math.max(a.early.length, b.early.length); i++) {
    const order = compareParts(a.early[i], b.early[i]);
    if (order !== 0) return order;
  }
  return 0;
}

function partsOf(text: string): { numbers: [number, number, number]; early: string[] } {
  const found = VERSION.exec(text);
  if (found === null) throw new SyntaxError(`Cannot compare the version "${text}": it is none like 1.2.3`);
  const [, major, minor, patch, early] = found;
  return { numbers: [Number(major), Number(minor), Number(patch)], early: early?.split(".") ?? [] };
}

function compareParts(one: string | undefined, two: string | undefined): number {
  if (one === undefined || two === undefined) return one === two ? 0 : one === undefined ? -1 : 1;
  const [a, b] = [/^\d+$/.test(one), /^\d+$/.test(two)];
  if (a && b) return Number(one) - Number(two);
  if (a !== b) return a ? -1 : 1;
  return one === two ? 0 : one < two ? -1 : 1;
}

export interface Candidate {
  readonly version: string;
  readonly compatible: string;
}

export interface Judged {
  readonly running: string;
  /** The board of this machine. */
  readonly compatible: string;
  readonly badVersions: readonly string[];
  readonly force: boolean;
}

/** Why a bundle whose signature is good is not installed; null: it is. A wrong board is never forced. */
export function candidateFault({ version, compatible }: Candidate, judged: Judged): string | null {
  if (compatible !== judged.compatible) {
    return `it is for the board "${compatible}", and this one is "${judged.compatible}"`;
  }
  if (!VERSION.test(version)) return `its version "${version}" is none like 1.2.3`;
  if (judged.force) return null;
  if (judged.badVersions.includes(version)) {
    return `version ${version} failed on this machine before; --force installs it again`;
  }
  if (VERSION.test(judged.running) && compareVersions(version, judged.running) < 0) {
    return `version ${version} is older than ${judged.running}, which runs; --force installs it`;
  }
  return null;
}
