/** Duty: which of two versions is the later one, by the order of semantic versioning (semver.org, 11). Pure. */

/** Negative: `a` is earlier. Zero: neither is, or one of them is no version. */
export function compareVersions(a: string, b: string): number {
  if (a === b) return 0;
  const one = parts(a), other = parts(b);
  if (one === null || other === null) return 0;
  for (let i = 0; i < 3; i++) {
    if (one.numbers[i] !== other.numbers[i]) return one.numbers[i]! - other.numbers[i]!;
  }
  // What comes before a release is earlier than the release.
  if (one.before.length === 0 || other.before.length === 0) return other.before.length - one.before.length;
  for (let i = 0; i < Math.max(one.before.length, other.before.length); i++) {
    const order = compareWords(one.before[i], other.before[i]);
    if (order !== 0) return order;
  }
  return 0;
}

type Parts = { readonly numbers: readonly number[]; readonly before: readonly string[] } | null;

/** A fleet has few versions, and each is compared for every node. */
const KNOWN_MAX = 256;
const known = new Map<string, Parts>();

function parts(text: string): Parts {
  let found = known.get(text);
  if (found !== undefined) return found;
  if (known.size >= KNOWN_MAX) known.clear();
  known.set(text, found = parse(text));
  return found;
}

function parse(text: string): Parts {
  const found = /^v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/.exec(text);
  if (found === null) return null;
  return { numbers: found.slice(1, 4).map(Number), before: found[4]?.split(".") ?? [] };
}

function compareWords(a: string | undefined, b: string | undefined): number {
  if (a === undefined) return -1;
  if (b === undefined) return 1;
  const [isNumber, isOther] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (isNumber && isOther) return Number(a) - Number(b);
  if (isNumber !== isOther) return isNumber ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}
