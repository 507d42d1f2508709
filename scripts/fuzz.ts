/**
 * Fuzzes the filter core with clang's libFuzzer for as long as asked; what breaks it becomes a fixture.
 *
 * `deno task fuzz --seconds 3600`. The corpus grows in .cache/fuzz; a crash is kept in tests/fixtures/fuzz under its
 * digest, where the gate replays it for ever. Needs `./scripts/setup --only test`.
 */
import { parseArgs } from "node:util";
import { generateTraffic } from "../filter/generate.ts";

const TOP = decodeURIComponent(new URL("..", import.meta.url).pathname).replace(/\/$/, "");
export const FIXTURES = `${TOP}/tests/fixtures/fuzz`;
/** The form of an input, as fuzz.c has it. */
const HEAD_BYTES = 33;
const INSTRUCTION_BYTES = 4;
const INSTRUCTIONS_MAX = 24;
const RECORD_HEAD_BYTES = 3;
const FRAME_BYTES_MAX = 4096;
const SEED_FRAMES = 12;
const STRICT = ["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", `-I${TOP}/filter/native`];

/** Files of the filter core, without ending, as its Makefile lists them. */
export function coreFiles(): string[] {
  const makefile = Deno.readTextFileSync(`${TOP}/filter/native/Makefile`);
  const names = /^CORE := (.+)$/m.exec(makefile)?.[1]?.trim().split(/\s+/);
  if (!names) throw new Error("Cannot name the filter core: filter/native/Makefile has no line CORE");
  return names;
}

/** The sources of the fuzz target. */
export function coreSources(): string[] {
  return [
    `${TOP}/tests/native/filter/fuzz.c`,
    ...coreFiles().map((name) => `${TOP}/filter/native/${name}.c`),
  ];
}

async function run(program: string, args: readonly string[]): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  return { code, text: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

/** Build with libFuzzer, or with gcc as a program of its own. Returns the compiler's words if it fails. */
export async function buildFuzzer(compiler: string, how: "libfuzzer" | "main", to: string) {
  const sanitize = how === "libfuzzer" ? "fuzzer,address,undefined" : "address,undefined";
  const flags = [`-fsanitize=${sanitize}`, "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"];
  const main = how === "main" ? ["-DFUZZ_MAIN"] : [];
  const { code, text } = await run(compiler, [...STRICT, ...flags, ...main, ...coreSources(), "-o", to]);
  return code === 0 ? null : text;
}

/** An input in the form of fuzz.c: a rule that takes everything, then generated frames. */
export function seedInput(seed: number): Uint8Array<ArrayBuffer> {
  const traffic = generateTraffic(seed, { conversations: 3, malformed: 0.1 });
  const bytes: number[] = Array.from({ length: HEAD_BYTES }, (_, i) => i === 0 ? 0 : (seed * i) % 4);
  for (let i = 0; i < SEED_FRAMES; i++) {
    const { bytes: frame, observed } = traffic.next().value;
    const control = (observed ? 1 : 0) | (i % 8) << 1 | (i % 5 === 4 ? 16 : 0) | (i % 7 === 6 ? 32 : 0);
    bytes.push(control, frame.length & 255, frame.length >> 8 & 15, ...frame.subarray(0, 4095));
  }
  return Uint8Array.from(bytes);
}

/** The frames of an input, as fuzz.c takes them. */
export function inputFrames(input: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  let at = HEAD_BYTES + INSTRUCTION_BYTES * ((input[0] ?? 0) % (INSTRUCTIONS_MAX + 1));
  while (input.length - at > RECORD_HEAD_BYTES) {
    const bytes = (input[at + 1]! | input[at + 2]! << 8) % FRAME_BYTES_MAX;
    at += RECORD_HEAD_BYTES;
    frames.push(input.subarray(at, at + bytes));
    at += bytes;
  }
  return frames;
}

/** Write seeds into a folder; returns their paths. */
export async function writeSeeds(folder: string, count: number): Promise<string[]> {
  await Deno.mkdir(folder, { recursive: true });
  const paths = Array.from({ length: count }, (_, i) => `${folder}/seed-${i + 1}`);
  for (const [i, path] of paths.entries()) await Deno.writeFile(path, seedInput(i + 1));
  return paths;
}

/** Paths of the inputs that once broke the core. */
export function fixtures(): string[] {
  return [...Deno.readDirSync(FIXTURES)].filter(({ isFile }) => isFile).map(({ name }) =>
    `${FIXTURES}/${name}`
  )
    .sort();
}

/** Run libFuzzer; its crashes are written into `crashes`. */
export async function fuzz(program: string, seconds: number, corpus: string, crashes: string) {
  const limits = [`-max_total_time=${seconds}`, "-max_len=16384", "-rss_limit_mb=2048", "-timeout=10"];
  return await run(program, [
    ...limits,
    "-print_final_stats=1",
    `-artifact_prefix=${crashes}/`,
    corpus,
    FIXTURES,
  ]);
}

const USAGE = `Usage: ./scripts/deno task fuzz [--seconds N] [--compiler PROGRAM]

Feeds the parser and the decision of the filter with made input, under sanitizers. What breaks them is kept as a fixture.

  --seconds N         how long; default 600
  --compiler PROGRAM  a clang with libFuzzer; default clang
`;

/** Throws TypeError or RangeError in words for the person who typed it. */
function readOptions(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: "string", default: "600" },
      compiler: { type: "string", default: "clang" },
    },
  });
  const seconds = Number(values.seconds);
  if (!Number.isInteger(seconds) || seconds < 1) {
    throw new RangeError(`Cannot fuzz for "${values.seconds}" seconds: a whole number from 1 is needed`);
  }
  return { seconds, compiler: values.compiler };
}

async function main(args: string[]): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(USAGE);
    return 0;
  }
  let options: ReturnType<typeof readOptions>;
  try {
    options = readOptions(args);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  const { seconds, compiler } = options;
  const place = `${TOP}/.cache/fuzz`;
  await writeSeeds(`${place}/corpus`, 64);
  const refused = await buildFuzzer(compiler, "libfuzzer", `${place}/fuzz`);
  if (refused !== null) {
    console.error(`Cannot build the fuzz target: ${refused}\nRun ./scripts/setup --only test`);
    return 1;
  }
  const { code, text } = await fuzz(`${place}/fuzz`, seconds, `${place}/corpus`, FIXTURES);
  console.log(text.split("\n").slice(-25).join("\n"));
  return code;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
