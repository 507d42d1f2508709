/**
 * What the gate runs: the checks in their order, and the groups of tests with their rights and limits.
 *
 * A group is a folder of tests/ of the same name; one that has no tests yet is not there. Limits are several times
 * what the group takes on two cores, so that only a hang meets them.
 */
export interface Check {
  readonly name: string;
  /** From the top of the repository; "deno" stands for the pinned one. */
  readonly command: readonly [string, ...string[]];
  readonly hint: string;
  readonly limitS: number;
}

export interface Group {
  readonly name: string;
  readonly rights: readonly string[];
  readonly limitS: number;
  readonly root: boolean;
  /** It shares the processors with no other group. */
  readonly alone?: true;
  /** Its tests stand on clocks: one that fails while the machine stands still is run once more. */
  readonly timed?: true;
}

export const CHECKS: readonly Check[] = [
  {
    name: "setup is complete",
    command: ["./scripts/setup", "--check", "--no-build", "--only", "build,run"],
    hint: "run ./scripts/setup",
    limitS: 60,
  },
  { name: "format", command: ["deno", "fmt", "--check"], hint: "run ./scripts/deno fmt", limitS: 120 },
  { name: "lint", command: ["deno", "lint"], hint: "each report says what to do", limitS: 120 },
  { name: "types", command: ["deno", "check", "--quiet"], hint: "mend the types", limitS: 300 },
  {
    name: "native build without warnings",
    command: ["./scripts/native"],
    hint: "gcc says where",
    limitS: 600,
  },
];

const EVERYTHING = ["-A"];

export function groups(temporary: string): readonly Group[] {
  const narrow = [
    "--allow-read",
    `--allow-write=${temporary}`,
    "--allow-env",
    "--allow-sys",
    "--allow-net=127.0.0.1,localhost",
  ];
  return [
    // The longest of those that run beside each other comes first.
    { name: "native", rights: EVERYTHING, limitS: 1200, root: false },
    { name: "unit", rights: narrow, limitS: 600, root: false },
    { name: "sim", rights: EVERYTHING, limitS: 600, root: false },
    { name: "lab", rights: EVERYTHING, limitS: 3600, root: true, alone: true, timed: true },
    { name: "browser", rights: EVERYTHING, limitS: 900, root: false },
    { name: "image", rights: EVERYTHING, limitS: 1800, root: true, alone: true },
  ];
}
