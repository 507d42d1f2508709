/**
 * Duty: makes dist/remediate, one file that runs on a Debian without Deno and DPDK.
 *
 * Where Deno's own base for compiled programs can be had (DENORT_BIN, or where Deno keeps it) `deno compile` makes it; else our
 * launcher carries Deno, the bundled program and the libraries. Both contain the same; `remediate version --json` says
 * which it is. Two builds of one commit are equal byte for byte.
 */
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { pack, packEmpty, type PayloadFile } from "./build/payload.ts";
import { rightsText, WIDEST } from "./build/rights.ts";

const TOP = decodeURIComponent(new URL("..", import.meta.url).pathname).replace(/\/$/, "");
const CACHE = `${TOP}/.cache/build`;
const NATIVE = `${TOP}/.cache/native`;
const LIBRARIES = ["libremediate-plane.so", "libremediate-filter.so"] as const;
/** The C library of the machine it runs on serves; it is never older than what the rest was linked against. */
const SYSTEM = /^(linux-vdso|ld-linux|lib(c|m|dl|rt|pthread|resolv)\.so)/;
const HELP = `Usage: ./scripts/deno task build [--output FILE] [--how launcher|compile]

Makes one file that holds everything. Without --how: by deno compile where its base can be had, else by the launcher.
`;

const say = (text: string) => console.error(`build: ${text}`);

async function run(
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args: [...args], env }).output();
  const text = new TextDecoder().decode(stdout);
  if (!success) {
    throw new Error(`Cannot run ${program} ${args[0]}: ${new TextDecoder().decode(stderr) || text}`);
  }
  return text;
}

/** Shared libraries that the plane needs and a fresh Debian may not have, by the name they are asked for. */
async function companions(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const line of (await run("ldd", [`${NATIVE}/${LIBRARIES[0]}`])).split("\n")) {
    const [, name, path] = /^\s*(\S+) => (\/\S+)/.exec(line) ?? [];
    if (/not found/.test(line)) throw new Error(`Cannot carry the plane library: ${line.trim()}`);
    if (name !== undefined && path !== undefined && !SYSTEM.test(name)) found.set(name, path);
  }
  return found;
}

async function bundle(): Promise<string> {
  const file = `${CACHE}/remediate.js`;
  await run(Deno.execPath(), ["bundle", "--quiet", "--platform", "deno", "-o", file, `${TOP}/mod.ts`]);
  return file;
}

/** The native libraries without what only a debugger reads, and what they need beside them. */
async function nativeFiles(): Promise<PayloadFile[]> {
  const files: PayloadFile[] = [];
  for (const name of LIBRARIES) {
    const slim = `${CACHE}/${name}`;
    await run("strip", ["--strip-debug", "-o", slim, `${NATIVE}/${name}`]);
    files.push({ name, executable: true, bytes: await Deno.readFile(slim) });
  }
  for (const [name, path] of await companions()) {
    files.push({ name: `lib/${name}`, executable: false, bytes: await Deno.readFile(path) });
  }
  return files;
}

async function makeLauncher(): Promise<Uint8Array> {
  const launcher = `${CACHE}/launcher`;
  const flags = [
    "-std=gnu11",
    "-D_GNU_SOURCE",
    "-static",
    "-Os",
    "-s",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wshadow",
  ];
  const source = `${TOP}/appliance/launcher/launcher.c`;
  await run("gcc", [...flags, "-Wl,--build-id=none", "-o", launcher, source]);
  return await Deno.readFile(launcher);
}

async function programFiles(): Promise<PayloadFile[]> {
  return [
    { name: "deno", executable: true, bytes: await Deno.readFile(Deno.execPath()) },
    { name: "remediate.js", executable: false, bytes: await Deno.readFile(await bundle()) },
    { name: "rights", executable: false, bytes: new TextEncoder().encode(rightsText()) },
    ...await nativeFiles(),
  ];
}

async function writeParts(path: string, parts: readonly Uint8Array[]): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true, truncate: true, mode: 0o755 });
  for (const part of parts) {
    for (let at = 0; at < part.length;) at += await file.write(part.subarray(at));
  }
}

async function byLauncher(output: string): Promise<string> {
  const { parts, digest } = pack(await makeLauncher(), await programFiles());
  await writeParts(output, parts);
  return digest;
}

/**
 * The program as its launcher would unpack it, for an image: `directory` gets a launcher that carries nothing, and beside
 * it the files in a folder named by their digest.
 */
export async function buildUnpacked(directory: string): Promise<void> {
  await Deno.mkdir(CACHE, { recursive: true });
  const files = await programFiles();
  const launcher = await makeLauncher();
  const { digest } = pack(launcher, files);
  await Deno.remove(directory, { recursive: true }).catch(() => {});
  for (const { name, executable, bytes } of files) {
    const path = `${directory}/${digest}/${name}`;
    await Deno.mkdir(dirname(path), { recursive: true });
    await Deno.writeFile(path, bytes, { mode: executable ? 0o755 : 0o644 });
  }
  await writeParts(`${directory}/remediate`, packEmpty(launcher, digest).parts);
}

/** Entry and libraries lie as they do in the source tree, so the program finds them as it does there. */
async function byCompile(output: string): Promise<string> {
  const stage = `${CACHE}/stage`;
  await Deno.remove(stage, { recursive: true }).catch(() => {});
  await Deno.mkdir(`${stage}/app`, { recursive: true });
  await Deno.mkdir(`${stage}/.cache/native/lib`, { recursive: true });
  for (const { name, bytes } of await nativeFiles()) {
    await Deno.writeFile(`${stage}/.cache/native/${name}`, bytes);
  }
  await Deno.copyFile(await bundle(), `${stage}/app/remediate.js`);
  const options = [
    "--no-check",
    "--no-config",
    "--no-lock",
    "--no-prompt",
    "--unstable-net",
    "--self-extracting",
  ];
  const entry = `${stage}/app/remediate.js`;
  await run(Deno.execPath(), [
    "compile",
    ...options,
    WIDEST,
    "--include",
    `${stage}/.cache`,
    "-o",
    output,
    entry,
  ]);
  return "";
}

/** Where Deno looks for the base by itself; null: nowhere. */
async function findBase(): Promise<string | null> {
  const kept = `${
    Deno.env.get("DENO_DIR")
  }/dl/release/v${Deno.version.deno}/denort-x86_64-unknown-linux-gnu.zip`;
  for (const path of [Deno.env.get("DENORT_BIN"), kept]) {
    if (path && await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
  }
  return null;
}

interface Wish {
  readonly output: string;
  readonly how: "launcher" | "compile";
}

async function readWish(args: string[]): Promise<Wish | null> {
  const { values } = parseArgs({
    args,
    options: { output: { type: "string" }, how: { type: "string" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help) return null;
  const how = values.how ?? (await findBase() === null ? "launcher" : "compile");
  if (how !== "launcher" && how !== "compile") {
    throw new TypeError(`Cannot build by "${how}": launcher or compile`);
  }
  return { output: values.output ?? `${TOP}/dist/remediate`, how };
}

async function main(args: string[]): Promise<void> {
  const wish = await readWish(args);
  if (wish === null) return console.log(HELP);
  await Deno.mkdir(CACHE, { recursive: true });
  await Deno.mkdir(dirname(wish.output), { recursive: true });
  if (wish.how === "launcher") say("Deno's base for compiled programs is not at hand; by the launcher");
  const digest = await (wish.how === "launcher" ? byLauncher : byCompile)(wish.output);
  const { size } = await Deno.stat(wish.output);
  say(`${wish.output}: ${(size / 1e6).toFixed(1)} MB${digest && `, payload ${digest.slice(0, 16)}`}`);
}

if (import.meta.main) {
  await main(Deno.args).catch((error) => {
    console.error(error instanceof Error ? error.message : String(error));
    Deno.exit(error instanceof TypeError ? 2 : 1);
  });
}
